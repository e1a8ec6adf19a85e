"""What people are told about the set of policies: one page while it is held back, and one message when that is over."""

from collections.abc import Callable

import structlog

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice
from rollbackd.controller.notify.open_pages import OpenPages
from rollbackd.controller.policy_files import Reload

log = structlog.get_logger()


class PolicyNews:
    """Tells once for each time that the files suddenly hold less than half of the policies. Not safe to call from several threads at once."""

    def __init__(self, store: Store, told: Callable[[], None]) -> None:
        """``told``: called after a message was queued."""
        self._here = store.writer
        self._told = told
        self._pages = OpenPages(store, "policies", opened=":policies", over=":policies-ok")

    def tell(self, outcome: Reload) -> None:
        """A set that is held back is on the pager, any other is off it. What the store does not take is not told: the gauge and the log say it."""
        try:
            self._tell(outcome)
        except StoreError as fault:
            log.warning("policies.untold", error=str(fault))

    def _tell(self, outcome: Reload) -> None:
        is_open = bool(self._pages.about(self._here))
        if outcome.held_back is not None and not is_open:
            self._begin(outcome, outcome.held_back)
        elif outcome.held_back is None and is_open:
            self._end(outcome)

    def _begin(self, outcome: Reload, why: str) -> None:
        key = f"policies:{self._here}:{outcome.at:%Y%m%dT%H%M%S}"
        lines = (why, "if it is meant: kill -HUP twice, and look at `rollbackd status` in between")
        title = "NO ACTION TAKEN: most policies are gone from the files; the former set holds"
        notice = plain_notice("policies", key, title, lines, outcome.at)
        self._pages.open(self._here, Note("policies.held_back", outcome.at, {"why": why}), notice, _contacts(outcome))
        self._told()

    def _end(self, outcome: Reload) -> None:
        def over(key: str) -> Notice:
            return plain_notice("policies-ok", key, "the set of policies is the one in the files again", (), outcome.at, resolved=True)

        self._pages.end(self._here, Note("policies.taken", outcome.at, {"why": None}), over, _contacts(outcome))
        self._told()


def _contacts(outcome: Reload) -> list[str]:
    own = (contact for policy in outcome.policies for contact in policy.notify_of_all)
    return sorted({*own, *(contact for fleet in outcome.fleets for contact in fleet.template.notify)})
