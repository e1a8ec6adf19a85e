"""The outbox: every queued notice reaches every channel of its contact at least once, in order per key, whatever hangs or crashes.

It never delays a rollback: notices are queued with the rows that cause them and leave from here.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from threading import Event, Lock, Thread
from time import monotonic

import structlog
from structlog.typing import FilteringBoundLogger as BoundLogger
from tenacity import RetryCallState, Retrying, wait_random_exponential

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.notice import Notice, Notifier
from rollbackd.controller.journal import parcels
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.parcels import Lane
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Parcel

MAX_AGE = timedelta(hours=24)
"""A notice that could not be delivered for so long is given up, on record."""
LATE = timedelta(minutes=15)
"""A page that could not be delivered for so long is told to the fallback contact as well, while it is still tried."""
LEASE = timedelta(minutes=2)
"""A parcel that was taken and not settled for so long is sent again, by any replica."""
POLL = 1.0
"""Seconds between looks at the table: for what other replicas queued, and for what is to be tried again."""

BACKOFF = wait_random_exponential(multiplier=1, min=1, max=300)
"""Seconds until the next try, by how often it failed."""
log: BoundLogger = structlog.get_logger()


class Outbox:
    """``channels``: what each contact is reached by. At most one message is on its way to a channel at a time, each in a thread of its own.

    ``fallback``: the contact that is told what another could not be told, and then also how that ended. ``orphans_after``: how long a notice is left
    to other replicas where no channel of this one is meant. ``failed`` hears of a store that would not have something, once in a row.
    """

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Sequence[Notifier]],
        max_age: timedelta = MAX_AGE,
        fallback: str | None = None,
        orphans_after: timedelta = timedelta(0),
        failed: Callable[[str], None] = lambda fault: None,
    ) -> None:
        self._store = store
        self._names = {contact: _distinct(notifiers) for contact, notifiers in channels.items()}
        self._lanes = {(c, name): n for c, notifiers in channels.items() for name, n in zip(self._names[c], notifiers, strict=True)}
        self._max_age = max_age
        self._fallback = fallback
        self._orphans_after = orphans_after
        self._failed = failed
        self._busy: set[Lane] = set()
        self._guard = Lock()
        self._woken, self._stopped = Event(), Event()
        self._thread = Thread(target=self._run, name="outbox", daemon=True)
        self._sending: list[Thread] = []
        self._trouble = ""

    def start(self) -> None:
        """Delivery has begun; what a former life of this writer was sending is sent again."""
        self._thread.start()

    def wake(self) -> None:
        """What was just queued leaves now."""
        self._woken.set()

    def stop(self, grace: timedelta) -> None:
        """Nothing more is sent. What is on its way has ``grace`` to arrive; what does not is sent again after the next start."""
        self._stopped.set()
        self._woken.set()
        end = monotonic() + grace.total_seconds()
        for thread in (self._thread, *self._sending):
            if thread.is_alive():
                thread.join(max(0.0, end - monotonic()))

    def deliver_due(self) -> int:
        """Everything that is due was tried once, in the caller's thread; returns how many attempts that were. Raises StoreError."""
        tried = 0
        while due := self._take():
            for parcel in due:
                self._deliver(parcel)
            tried += len(due)
        return tried

    def _run(self) -> None:
        self._guarded(self._release)
        while not self._stopped.is_set():
            self._woken.clear()
            self._guarded(self._dispatch)
            self._woken.wait(POLL)

    def _release(self) -> None:
        with self._store.transaction() as tx:
            parcels.release(tx)

    def _dispatch(self) -> None:
        self._sending = [thread for thread in self._sending if thread.is_alive()]
        waiting = deque(self._take())
        try:
            while waiting:
                self._send_aside(waiting[0])
                waiting.popleft()
        finally:
            if waiting:  # there is no thread for them now: not to be waited for until the lease ends
                with self._store.transaction() as tx:
                    parcels.put_back(tx, waiting)

    def _send_aside(self, parcel: Parcel) -> None:
        thread = Thread(target=self._deliver_aside, args=(parcel,), name=f"outbox-{parcel.contact}-{parcel.channel}", daemon=True)
        with self._guard:
            self._busy.add(_lane(parcel))
        try:
            thread.start()
        except RuntimeError:  # the system grants no more threads: its lane is free for the next look
            self._free(parcel)
            raise
        self._sending.append(thread)

    def _take(self) -> tuple[Parcel, ...]:
        if not self._store.has_parcels(self._store.now()):
            return ()
        with self._guard:
            free = self._lanes.keys() - self._busy
        with self._store.transaction() as tx:
            lost = parcels.route(tx, self._names, self._fallback, self._orphans_after)
            due = parcels.take(tx, free, LEASE)
        for parcel in lost:
            log.error("notice.lost", notice=parcel, error="its contact is not configured")
        return due

    def _deliver_aside(self, parcel: Parcel) -> None:
        try:
            self._guarded(lambda: self._deliver(parcel))
        finally:
            self._free(parcel)
            self._woken.set()

    def _free(self, parcel: Parcel) -> None:
        with self._guard:
            self._busy.discard(_lane(parcel))

    def _deliver(self, parcel: Parcel) -> None:
        notifier = self._lanes[_lane(parcel)]
        told = log.bind(notice=parcel.notice.id, contact=parcel.contact, channel=parcel.channel, kind=kind_of(notifier))
        try:
            attempt(notifier, parcel.notice, parcel.last_error)
        except Transient as error:
            self._retry_later(parcel, error, told)
        except AdapterError as error:
            self._give_up(parcel, str(error), told)
        else:
            with self._store.transaction() as tx:
                parcels.mark_sent(tx, parcel)
                parcels.hand_over_news(tx, parcel, self._fallback)
                if parcel.notice.resolved:
                    parcels.clear(tx, parcel.notice.key)
            told.info("notice.sent", attempts=parcel.attempts + 1)
            if missed := getattr(notifier, "missed", ()):  # of several receivers behind one channel
                told.warning("notice.missed", by=missed)

    def _retry_later(self, parcel: Parcel, error: Transient, told: BoundLogger) -> None:
        with self._store.transaction() as tx:
            if not parcels.is_ours(tx, parcel):  # it stood still for longer than its lease
                return
            now, wish = tx.now(), timedelta(seconds=error.retry_after or 0)
            is_over = parcel.is_older_than(self._max_age, now)
            if not is_over:
                parcels.delay(tx, parcel, str(error), now + max(backoff(parcel.attempts + 1), wish))
                parcels.hand_over_late(tx, parcel, LATE, wish, self._fallback, str(error))
            if wish:
                parcels.quiet(tx, _lane(parcel), now + wish)
        if is_over:
            self._give_up(parcel, str(error), told)
        elif str(error) != parcel.last_error:
            told.warning("notice.delayed", error=str(error), attempts=parcel.attempts + 1)

    def _give_up(self, parcel: Parcel, error: str, told: BoundLogger) -> None:
        with self._store.transaction() as tx:
            if not parcels.is_ours(tx, parcel):
                return
            parcels.bury(tx, parcel, error)
            parcels.hand_over(tx, parcel, self._fallback, error)
        told.error("notice.dead", error=error, title=parcel.notice.title)

    def _guarded(self, work: Callable[[], None]) -> None:
        trouble = ""
        try:
            work()
        except StoreError as error:
            trouble = str(error)
        except Exception as bug:  # the seam: a look may die, the outbox not
            if repr(bug) != self._trouble:
                log.exception("outbox.crashed")
            self._trouble = repr(bug)
            return
        if trouble and trouble != self._trouble:
            log.error("outbox.blocked", error=trouble)
            self._failed(trouble)
        self._trouble = trouble


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts: random, so that replicas and channels do not come back together; 1 s to 5 min."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempts
    return timedelta(seconds=BACKOFF(state))


def attempt(notifier: Notifier, notice: Notice, last_error: str | None = None) -> None:
    """It arrived. Raises AdapterError: a bug in a notifier is a failed attempt like any other.

    What the bug says of itself may hold the channel's secret: it stays in the log, which hides those, and is there once in a row.
    """
    try:
        notifier.send(notice)
    except AdapterError:
        raise
    except Exception as bug:  # the seam: a channel may fail as it likes, its messages are tried again or given up
        error = f"a fault of its own ({type(bug).__name__}); the log has it"
        if error != last_error:
            log.exception("notifier.crashed", notice=notice.id, channel=notifier.name, kind=kind_of(notifier))
        raise Transient(error) from bug


def kind_of(notifier: Notifier) -> str:
    """What the log calls it beside its name: some channels are called as their contact is."""
    return type(notifier).__name__.lower()


def _lane(parcel: Parcel) -> Lane:
    return parcel.contact, parcel.channel


def _distinct(notifiers: Sequence[Notifier]) -> tuple[str, ...]:
    """A name for each channel of one contact; two webhooks of one contact are told apart by their place."""
    names = [notifier.name for notifier in notifiers]
    return tuple(name if names.count(name) == 1 else f"{name}#{names[:place].count(name) + 1}" for place, name in enumerate(names))
