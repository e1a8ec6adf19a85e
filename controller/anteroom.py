"""Where the daemon waits for a journal that does not open at its start: alive, not ready, asking for it, and on the pager where that lasts.

Judges nothing and writes nothing: without its journal it knows neither what is under way nor what the guards have left.
"""

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import datetime
from threading import Event, Thread
from time import monotonic

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, sleep_using_event, stop_when_event_set, wait_random_exponential

from rollbackd.controller.api.app import build_waiting_app
from rollbackd.controller.doors import Doors
from rollbackd.controller.journal.errors import StoreError, StoreUnfit
from rollbackd.controller.notify.store_trouble import Outage
from rollbackd.controller.wiring.store import Opened

log = structlog.get_logger()

LOOK = 0.2
"""Seconds between looks at whether to stop."""
QUICK = 2.0
"""Seconds that opening may take before it is waited for: replicas that start together, a long look through a large file, a migration."""
_BACKOFF = wait_random_exponential(multiplier=0.5, min=0.5, max=10)
"""Seldom enough for a server that comes up under many, and soon enough that nobody restarts this by hand."""
SLOW = "store: it is being opened, and neither opens nor fails so far"
MEANWHILE = "it has just been started and judges nothing yet; it goes on by itself once its journal opens"


class Anteroom:
    """``ask`` opens the journal, or raises StoreError; ``hide`` takes the secrets out of what is said of that."""

    def __init__(
        self,
        ask: Callable[[], Opened],
        outage: Outage,
        doors: Doors,
        now: Callable[[], datetime],
        hide: Callable[[str], str],
        stop: Event,
        quick: float = QUICK,
    ) -> None:
        self._ask = ask
        self._outage = outage
        self._doors = doors
        self._now = now
        self._hide = hide
        self._stop = stop
        self._quick = quick
        self._fault: str | None = None

    def opened(self) -> Opened | None:
        """The journal, however long that takes; None once it is to stop. What people heard of the wait is carried on with it.

        Raises StoreUnfit where no waiting helps, and NotStarted where the pages that are served meanwhile cannot be.
        """
        asking: Future[Opened] = Future()
        # A thread that nobody waits for: a server that does not answer must not keep a stop waiting.
        Thread(target=self._insist, args=(asking,), name="store", daemon=True).start()
        if self._lasts(asking, self._quick):
            with self._doors.showing(build_waiting_app(lambda: self._fault or SLOW)):
                while self._lasts(asking, LOOK):
                    self._outage.lasts(self._fault or SLOW, self._now(), MEANWHILE)
        if self._stop.is_set():
            return None
        opened = asking.result()
        if self._fault is None:  # it was slow and no more: else the first row that it takes will say that it works
            self._outage.over(self._now())
        return replace(opened, outage=self._outage)

    def _lasts(self, asking: "Future[Opened]", seconds: float) -> bool:
        """After so many seconds it is neither open nor to stop."""
        until = monotonic() + seconds
        while not asking.done() and not self._stop.is_set() and monotonic() < until:
            wait((asking,), LOOK)
        return not asking.done() and not self._stop.is_set()

    def _insist(self, asking: "Future[Opened]") -> None:
        insisting = Retrying(
            retry=retry_if_exception(lambda fault: isinstance(fault, StoreError) and not isinstance(fault, StoreUnfit)),
            wait=_BACKOFF,
            stop=stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            before_sleep=self._note,
            reraise=True,
        )
        try:
            asking.set_result(insisting(self._ask))
        except Exception as fault:  # noqa: BLE001 - not caught here, only carried to the thread that asked
            asking.set_exception(fault)

    def _note(self, state: RetryCallState) -> None:
        fault = self._hide(str(state.outcome.exception() if state.outcome is not None else ""))
        if fault != self._fault:
            log.error("store.unopened", error=fault)
        self._fault = fault
