"""A store that fails: known to all parts, told to people past the store itself, and over only once the store has proven it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice

log = structlog.get_logger()

PATIENCE = timedelta(minutes=2)
"""How long a store may fail before people are told: a failover is over by then."""


class Outage:
    """What the pager hears of a store that takes nothing: one page once it lasts, and one message at its end.

    ``writer``: whose store it is; ``tell`` sends a message without the store.
    """

    def __init__(self, writer: str, tell: Callable[[Notice], None]) -> None:
        self._writer = writer
        self._tell = tell
        self.fault: str | None = None
        self._since: datetime | None = None
        self._told = False

    def lasts(self, fault: str, at: datetime, *meanwhile: str) -> None:
        """It goes on, because of this fault; on the pager it is told what is done ``meanwhile``."""
        self.fault = fault
        self._since = self._since or at
        if self._told or at - self._since < PATIENCE:
            return
        self._told = True
        title = f"NO ACTION TAKEN: {self._writer} has had no journal since {self._since:%H:%M:%S} UTC; nothing is undone"
        lines = (f"why: {fault}", *meanwhile, "until then, undo by hand")
        self._tell(plain_notice("store", self._key(self._since), title, lines, at))

    def over(self, at: datetime) -> None:
        """The store has proven that it works: who was told is told so, and the next fault is a new outage."""
        if self._told and self._since is not None:
            title = f"{self._writer} has its journal again"
            self._tell(plain_notice("store-again", self._key(self._since), title, ("what is proven is acted on again",), at, resolved=True))
        self.fault, self._since, self._told = None, None, False

    def _key(self, since: datetime) -> str:
        return f"store:{self._writer}:{since:%Y%m%dT%H%M%S}"


class StoreTrouble:
    """``tell`` sends a message without the store. One page for each trouble and replica, and one message when it is over.

    A restart in the middle of it pages anew, and ends only its own page: a store that takes no row cannot remember that one was sent.
    """

    def __init__(self, store: Store, tell: Callable[[Notice], None], damage: str | None = None, outage: Outage | None = None) -> None:
        """``damage``: why there is no journal before the next start; told at once. ``outage``: one that began before the store was open."""
        self._store = store
        self._tell = tell
        self._damage = damage
        self._is_damage_told = False
        self._outage = outage or Outage(store.writer, tell)
        self.fault: str | None = damage or self._outage.fault

    def failed(self, fault: str) -> None:
        """Why the store did not take something, until it has proven that it takes something again. Called from any thread."""
        if self.fault is None or fault != self.fault:
            log.error("store.failed", error=fault)
        self.fault = self._damage or fault

    def kept(self, work: Callable[[], object]) -> bool:
        """The work was done; False where the store refused: judging goes on without it."""
        try:
            work()
        except StoreError as fault:
            self.failed(str(fault))
            return False
        return True

    def look(self) -> None:
        """Whether the store takes writes is known, also where nobody has anything to write: in a calm it is only read for weeks."""
        self.kept(self._store.prove_writable)

    def look_alone(self, at: datetime) -> None:
        """``look`` where no slot ever comes, for nothing is watched here: what slots make of a trouble, and of its end, is made of it as well."""
        if self.kept(self._store.prove_writable) and self.fault is not None:
            self.kept(lambda: self.prove_over(at))
        self.check(at)

    def check(self, at: datetime) -> None:
        """A trouble that lasts is on the pager. Called once a slot."""
        if self._damage is not None:
            self._tell_of_damage(at)
        elif self.fault is not None:
            self._outage.lasts(self.fault, at, "everything is judged on; it acts again by itself once the journal works")

    def prove_over(self, at: datetime) -> None:
        """Only a durable row proves that the store works: a full disk is read from as ever. Raises StoreError."""
        if self._damage is not None:
            return
        with self._store.transaction() as tx:
            tx.note(Note("store.recovered", at, {"fault": self.fault}))
        log.info("store.recovered")
        self._outage.over(at)
        self.fault = None

    def _tell_of_damage(self, at: datetime) -> None:
        if self._is_damage_told:
            return
        self._is_damage_told = True
        title = f"NO ACTION TAKEN: the journal of {self._store.writer} is damaged; it only looks on, nothing is undone"
        lines = (
            f"why: {self._damage}",
            "the file was left as it is, and no new one was begun",
            "restore a backup, restart; until then, undo by hand",
        )
        self._tell(plain_notice("store", f"store:{self._store.writer}:damaged", title, lines, at))
