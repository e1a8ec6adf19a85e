"""A store that fails: known to all parts, told to people past the store itself, and over only once the store has proven it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.messages import plain_notice

log = structlog.get_logger()

PATIENCE = timedelta(minutes=2)
"""How long a store may fail before people are told: a failover is over by then."""


class StoreTrouble:
    """``tell`` sends a message without the store. One page for each trouble and replica, and one message when it is over."""

    def __init__(self, store: Store, tell: Callable[[Notice], None]) -> None:
        self._store = store
        self._tell = tell
        self.fault: str | None = None
        self._since: datetime | None = None
        self._told = False

    def failed(self, fault: str) -> None:
        """Why the store did not take something, until it has proven that it takes something again. Called from any thread."""
        if self.fault is None or fault != self.fault:
            log.error("store.failed", error=fault)
        self.fault = fault

    def kept(self, work: Callable[[], object]) -> bool:
        """The work was done; False where the store refused: judging goes on without it."""
        try:
            work()
        except StoreError as fault:
            self.failed(str(fault))
            return False
        return True

    def check(self, at: datetime) -> None:
        """A trouble that lasts is on the pager. Called once a slot."""
        if self.fault is None:
            return
        self._since = self._since or at
        if not self._told and at - self._since >= PATIENCE:
            self._told = True
            title = f"NO ACTION TAKEN: {self._store.writer} has had no journal since {self._since:%H:%M:%S} UTC; nothing is undone"
            lines = (f"why: {self.fault}", "everything is judged on; it acts again by itself once the journal works", "until then, undo by hand")
            self._tell(plain_notice("store", self._key(self._since), title, lines, at))

    def prove_over(self, at: datetime) -> None:
        """Only a durable row proves that the store works: a full disk is read from as ever. Raises StoreError."""
        with self._store.transaction() as tx:
            tx.note(Note("store.recovered", at, {"fault": self.fault}))
        log.info("store.recovered")
        if self._told and self._since is not None:
            title = f"{self._store.writer} has its journal again"
            self._tell(plain_notice("store-again", self._key(self._since), title, ("what is proven is acted on again",), at, resolved=True))
        self.fault, self._since, self._told = None, None, False

    def _key(self, since: datetime) -> str:
        return f"store:{self._store.writer}:{since:%Y%m%dT%H%M%S}"
