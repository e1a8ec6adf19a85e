"""People told through whatever apprise speaks: the long tail of chats and mail gates. Never the only channel of a contact.

apprise says that something failed, never what, and knows no incident: it cannot resolve a page. It is an extra, rollbackd[apprise], imported at the
first message: that takes a quarter of a second and 45 MB.
"""

import importlib.util
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.secret_files import secret_lines, spoiled
from rollbackd.adapters.base.wording import cut, fitted, one_line

if TYPE_CHECKING:
    import apprise

# Most of what it speaks is cut by apprise itself where its limit is lower.
_BODY = 8 * 1024


class Apprise:
    """A Notifier that hands each notice to apprise. ``urls_file`` holds one of its addresses a line and is read anew for each message."""

    def __init__(self, contact: str, urls_file: Path) -> None:
        if importlib.util.find_spec("apprise") is None:
            raise Permanent(f"contact {contact} names apprise, which is not installed; install it with: pip install 'rollbackd[apprise]'")
        self.name = "apprise"
        self._contact = contact
        self._urls_file = urls_file

    def send(self, notice: Notice) -> None:
        """Delivered to every address once this returns; to some of them twice, if another failed. Raises Transient or Permanent."""
        import apprise

        outside = self._outside()
        kind = apprise.NotifyType.WARNING if notice.urgency == "page" and not notice.resolved else apprise.NotifyType.INFO
        lines = fitted([_blunt(line) for line in notice.lines], _BODY, lambda line: len(line.encode()) + 1)
        title = cut(_blunt(one_line(notice.title)), 200) or notice.kind
        if not outside.notify(body="\n".join(lines) or title, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT):
            raise Transient(f"contact {self._contact}: apprise did not deliver it and does not say why; it will be sent again")

    def check(self) -> tuple[str, ...]:
        """What keeps its secrets from being used for a message, with what to do."""
        return spoiled(self._outside)

    def _outside(self) -> "apprise.Apprise":
        """All its addresses. Raises Permanent."""
        import apprise

        # Its log repeats addresses, which hold secrets.
        logging.getLogger("apprise").disabled = True
        outside = apprise.Apprise()
        for number, url in enumerate(urls := secret_lines(self._contact, self._urls_file), start=1):
            if not outside.add(url):
                raise Permanent(
                    f"contact {self._contact}: address {number} in {self._urls_file} is none that apprise knows; nothing was sent; correct it"
                )
        if not urls:
            raise Permanent(f"contact {self._contact}: {self._urls_file} holds no address; nothing was sent; write one")
        return outside


def _blunt(text: str) -> str:
    """The text without what calls people or makes a link in the chats that apprise speaks to: it knows no form that none of them reads marks in."""
    return re.sub(r"<(?=[@!#])|@(?=(?:everyone|here|all|channel)\b)|\](?=\()", r"\g<0> ", text, flags=re.IGNORECASE)
