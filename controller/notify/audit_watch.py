"""The journal's heads leave this machine with the log every hour, and whoever changed a row since is told on."""

from collections.abc import Callable
from datetime import datetime

import structlog

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.audit import audit
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.messages import plain_notice

log = structlog.get_logger()


class AuditWatch:
    """``tell`` sends a message without the store, which is what is in doubt. One page for each finding."""

    def __init__(self, store: Store, now: Callable[[], datetime], tell: Callable[[Notice], None]) -> None:
        self._store = store
        self._now = now
        self._tell = tell
        self._kept: tuple[str, ...] = ()
        self._told: str | None = None
        self.fault: str | None = None

    def check(self) -> None:
        """The chain was verified, with the heads of the last time, and its heads are in the log. Raises StoreError. Acting is left alone."""
        found = audit(self._store, self._kept)
        gone = f"the row {found.missing[0][:16]} that was the head before is gone" if found.missing else None
        self.fault = found.fault or gone
        if self.fault is None:
            self._kept = tuple(found.heads.values())
            log.info("journal.verified", rows=found.rows, heads=dict(found.heads))
        elif self.fault != self._told:
            log.error("journal.changed", fault=self.fault, heads=dict(found.heads))
            self._page(self.fault)
            self._told = self.fault

    def _page(self, fault: str) -> None:
        at = self._now()
        title = f"SECURITY: the journal of {self._store.writer} is not the one that was written: {fault}"
        lines = (
            fault,
            "somebody, or a fault of the disk, changed rows after they were written; rollbackd acts on as before",
            "see: rollbackd audit verify; compare with the heads in the log (journal.verified) and in older pages",
        )
        self._tell(plain_notice("audit", f"audit:{self._store.writer}:{fault}", title, lines, at))
