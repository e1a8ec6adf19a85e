"""People told in Microsoft Teams: an Adaptive Card posted to a workflow that begins with "When a Teams webhook request is received".

All text is in TextRuns, the one element of a card in which Teams reads no Markdown, and without mentions: a label's value formats and calls nobody.
The workflow's address holds its signature: only its host is ever shown.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.posting import accepted, host_of, post
from rollbackd.adapters.base.secret_files import only_secret, spoiled
from rollbackd.adapters.base.wording import cut, fitted, one_line

# Teams takes about 28 KB. The lines are measured in the longest form that they have on the way, ASCII JSON.
_LINES, _TITLE = 24_000, 300


class Teams:
    """A Notifier that posts each notice to one workflow. ``url_file`` holds its address and is read anew for each message."""

    def __init__(self, contact: str, url_file: Path, *, now: Callable[[], datetime], timeout: timedelta = timedelta(seconds=10)) -> None:
        self.name = "teams"
        self._contact = contact
        self._url_file = url_file
        self._now = now
        self._timeout = timeout

    def send(self, notice: Notice) -> None:
        """Accepted by the workflow once this returns; sent twice, it stands there twice. Raises Transient or Permanent."""
        url = self._address()
        reply = post(url, json.dumps(_message(notice)).encode(), {"Content-Type": "application/json"}, self._timeout)
        # What the other side says may repeat the address.
        accepted(f"contact {self._contact}: the Teams workflow at {host_of(url)}", reply, self._now(), excerpt=False)

    def check(self) -> tuple[str, ...]:
        """What keeps its secrets from being used for a message, with what to do."""
        return spoiled(self._address)

    def _address(self) -> str:
        return only_secret(self._contact, self._url_file, "one address")


def _message(notice: Notice) -> Mapping[str, object]:
    title = cut(one_line(notice.title), _TITLE) or notice.kind
    lines = fitted(notice.lines, _LINES, lambda line: len(json.dumps(_text(line))) + 2)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": title,
        "msteams": {"width": "Full"},
        "body": [_text(title, weight="Bolder", size="Medium", color=_colour(notice)), *map(_text, filter(str.strip, lines))],
    }
    return {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}]}


def _colour(notice: Notice) -> str:
    if notice.resolved:
        return "Good"
    return "Attention" if notice.urgency == "page" else "Default"


def _text(text: str, **looks: str) -> Mapping[str, object]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **looks}]}
