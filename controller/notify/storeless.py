"""Messages that reach people past the store: for when it is the store itself that fails, or is in doubt. Nothing of them is kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from threading import Event, Lock, Thread

import structlog
from structlog.typing import FilteringBoundLogger as BoundLogger
from tenacity import RetryCallState, Retrying, retry_if_exception_type, sleep_using_event

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.notice import Notice, Notifier
from rollbackd.controller.notify.outbox import BACKOFF, LATE, MAX_AGE, attempt, kind_of

log: BoundLogger = structlog.get_logger()


def past_the_store(channels: Mapping[str, Sequence[Notifier]], fallback: str | None) -> Callable[[Notice], None]:
    """Sends a notice about the store itself to the ``fallback`` contact, or to all where there is none, or where that cannot be reached.

    The end of a story is told in place of what of it did not arrive so far.
    """
    contacts = (fallback,) if fallback is not None else tuple(channels)
    others = tuple(contact for contact in channels if contact not in contacts)
    untold: dict[str, Event] = {}
    told_to_all: set[str] = set()

    def tell(notice: Notice) -> None:
        if notice.resolved and (over := untold.pop(notice.key, None)) is not None:
            over.set()
        over = Event()
        if notice.resolved:
            tell_without_store(channels, notice, (*contacts, *others) if notice.key in told_to_all else contacts, over)
            return
        untold[notice.key] = over

        def tell_others() -> None:
            told_to_all.add(notice.key)
            lines = (f"{fallback} could not be told; so every contact is", *notice.lines)
            tell_without_store(channels, replace(notice, lines=lines), others, over)

        tell_without_store(channels, notice, contacts, over, tell_others if others else None)

    return tell


def tell_without_store(
    channels: Mapping[str, Sequence[Notifier]],
    notice: Notice,
    contacts: Iterable[str],
    over: Event | None = None,
    unreached: Callable[[], None] | None = None,
) -> list[Thread]:
    """The notice is on its way to every channel of the contacts.

    Each tries until it arrived, for as long as MAX_AGE, or until ``over`` is set. ``unreached`` is called where none has taken it by LATE, or all
    gave up. Returns the threads that send; they keep no process alive.
    """
    notifiers = [notifier for contact in contacts for notifier in channels.get(contact, ())]
    given = (notice, over or Event(), _Reach(len(notifiers), unreached))
    threads = [Thread(target=_insist, args=(notifier, *given), name=f"tell-{notifier.name}", daemon=True) for notifier in notifiers]
    for thread in threads:
        thread.start()
    return threads


class _Reach:
    """Whether one of so many channels has taken a message. ``unreached`` is called at most once."""

    def __init__(self, channels: int, unreached: Callable[[], None] | None) -> None:
        self._left = channels
        self._unreached = unreached
        self._lock = Lock()

    def arrived(self) -> None:
        """By one: whoever is meant knows."""
        with self._lock:
            self._unreached = None

    def gave_up(self) -> None:
        """One will not take it."""
        with self._lock:
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            self.is_late()

    def is_late(self) -> None:
        """One is still tried, but too late already."""
        with self._lock:
            unreached, self._unreached = self._unreached, None
        if unreached is not None:
            unreached()


def _insist(notifier: Notifier, notice: Notice, over: Event, reach: _Reach) -> None:
    def is_vain(state: RetryCallState) -> bool:
        return over.is_set() or state.idle_for >= MAX_AGE.total_seconds()

    def look(state: RetryCallState) -> None:
        if state.idle_for >= LATE.total_seconds() and not over.is_set():
            reach.is_late()

    def send() -> None:
        if not over.is_set():  # it was set while this waited: a page that comes after its end would stay open
            attempt(notifier, notice)
            reach.arrived()

    lost = ""
    tries = Retrying(
        retry=retry_if_exception_type(Transient), wait=BACKOFF, stop=is_vain, sleep=sleep_using_event(over), before_sleep=look, reraise=True
    )
    try:
        tries(send)
    except AdapterError as error:
        lost = str(error)
    if over.is_set():
        log.info("notice.overtaken", notice=notice.id, channel=notifier.name, kind=kind_of(notifier))
    elif lost:
        log.error("notice.lost", notice=notice.id, channel=notifier.name, kind=kind_of(notifier), error=lost)
        reach.gave_up()
    else:
        log.info("notice.sent", notice=notice.id, channel=notifier.name, kind=kind_of(notifier))
