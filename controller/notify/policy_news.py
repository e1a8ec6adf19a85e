"""What people are told about the set of policies: one page while it is held back, and one message when that is over."""

from collections.abc import Callable

import structlog

from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice
from rollbackd.controller.policy_files import Reload

log = structlog.get_logger()


class PolicyNews:
    """Tells once for each time that the files suddenly hold less than half of the policies. Not safe to call from several threads at once."""

    def __init__(self, store: Store, told: Callable[[], None]) -> None:
        """``told``: called after a message was queued."""
        self._store = store
        self._told = told
        self._paged: str | None = None

    def tell(self, outcome: Reload) -> None:
        """A set that is held back is on the pager, any other is off it. What the store does not take is not told: the gauge and the log say it."""
        try:
            self._tell(outcome)
        except StoreError as fault:
            log.warning("policies.untold", error=str(fault))

    def _tell(self, outcome: Reload) -> None:
        if outcome.held_back is not None and self._paged is None:
            key = f"policies:{self._store.writer}:{outcome.at:%Y%m%dT%H%M%S}"
            lines = (outcome.held_back, "if it is meant: kill -HUP twice, and look at `rollbackd status` in between")
            self._queue(outcome, "policies", key, "NO ACTION TAKEN: most policies are gone from the files; the former set holds", lines)
            self._paged = key
        elif outcome.held_back is None and self._paged is not None:
            self._queue(outcome, "policies-ok", self._paged, "the set of policies is the one in the files again", (), resolved=True)
            self._paged = None

    def _queue(self, outcome: Reload, kind: str, key: str, title: str, lines: tuple[str, ...], *, resolved: bool = False) -> None:
        own = (contact for policy in outcome.policies for contact in policy.notify_of_all)
        contacts = sorted({*own, *(contact for fleet in outcome.fleets for contact in fleet.template.notify)})
        with self._store.transaction() as tx:
            if tx.note(Note("policies.taken" if resolved else "policies.held_back", outcome.at, {"why": outcome.held_back}), f"{key}:{kind}"):
                tx.queue(plain_notice(kind, key, title, lines, outcome.at, resolved=resolved), contacts)
        self._told()
