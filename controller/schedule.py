"""When to look: one job per source and interval on a fixed grid. A late pass is counted and skipped, never replayed."""

import hashlib
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from rollbackd.controller.pools import begun

log = structlog.get_logger()

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
LOOK = 1.0
"""Seconds between looks at the wall clock beside the monotonic one."""
STEP = timedelta(seconds=1)
"""A clock set back by no more than this delays a slot by no more than this."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The slots of everything that reads ``source`` each ``every``: spread over time by a hash, so that groups do not stampede."""

    source: str
    every: timedelta

    @property
    def offset(self) -> timedelta:
        """Where in its interval the grid lies: the same on every replica and after every restart."""
        digest = hashlib.sha256(f"{self.source}\n{self.every.total_seconds()}".encode()).digest()
        return self.every * (int.from_bytes(digest[:4], "big") / 2**32)

    def slot(self, now: datetime) -> datetime:
        """The newest slot at or before ``now``."""
        since = now - EPOCH - self.offset
        return EPOCH + self.offset + (since // self.every) * self.every


class _Workers(BasePoolExecutor):
    """The scheduler's threads, all of which run from the start."""

    def __init__(self, workers: int) -> None:
        super().__init__(begun(workers, "schedule"))  # type: ignore[no-untyped-call]  # apscheduler has no types


class _Drift:
    """How far the wall clock went back, beside the monotonic one, since it was last asked."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._ahead: timedelta | None = None

    def set_back(self) -> timedelta | None:
        """By how much the clock was set back since the last call; None where it was not, or by a ``STEP`` at most."""
        began = monotonic()
        wall = self._now() - EPOCH
        ended = monotonic()
        if ended - began > LOOK / 2:  # this thread stood still in between: the two are of different moments
            return None
        ahead, self._ahead = self._ahead, wall - timedelta(seconds=ended)
        return ahead - self._ahead if ahead is not None and ahead - self._ahead > STEP else None


class Schedule:
    """Runs ``work(grid, slot)`` for each grid; the scheduler's pool fetches, the engine decides."""

    def __init__(self, work: Callable[[Grid, datetime], None], now: Callable[[], datetime], *, workers: int = 8) -> None:
        self._work = work
        self._now = now
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": _Workers(workers)},
            # A pass that starts late still reads the newest slot; two late passes are one.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.add_listener(self._note_missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self._scheduler.add_listener(self._note_crash, EVENT_JOB_ERROR)
        self._drift = _Drift(now)
        self._stopped = threading.Event()
        self._watch = threading.Thread(target=self._watch_clock, name="schedule-clock", daemon=True)
        self._lock = threading.Lock()
        self._last: dict[Grid, datetime] = {}
        self.missed = 0
        self.lateness = timedelta(0)

    def start(self) -> None:
        """Slots are worked on from now on."""
        self._drift.set_back()  # from here on it is compared
        self._scheduler.start()
        self._watch.start()

    def stop(self) -> None:
        """No slot begins after this, and none is under way."""
        self._stopped.set()
        if self._watch.is_alive():
            self._watch.join()
        self._scheduler.shutdown(wait=True)

    def every(self, interval: timedelta, name: str, work: Callable[[], None]) -> None:
        """``work`` runs once an interval, beside the grids."""
        self._scheduler.add_job(work, "interval", seconds=interval.total_seconds(), id=name, replace_existing=True)

    def once(self, name: str, work: Callable[[], None]) -> None:
        """``work`` runs as soon as there is a thread for it, beside the grids; a start of it that is still to come is replaced."""
        self._scheduler.add_job(work, id=name, replace_existing=True, max_instances=3)

    def keep(self, grids: Collection[Grid]) -> None:
        """Exactly these grids are worked on; those that stay keep their pace."""
        wanted = {f"{grid.source}/{grid.every.total_seconds():g}": grid for grid in grids}
        running = {job.id for job in self._scheduler.get_jobs() if job.id.startswith("slot:")}
        for name in running - {f"slot:{name}" for name in wanted}:
            self._scheduler.remove_job(name)
        for name, grid in wanted.items():
            if f"slot:{name}" not in running:
                seconds = grid.every.total_seconds()
                start = grid.slot(self._now())
                self._scheduler.add_job(self._pass, "interval", args=[grid], seconds=seconds, start_date=start, id=f"slot:{name}")

    def _pass(self, grid: Grid) -> None:
        now = self._now()
        at = grid.slot(now)
        with self._lock:
            last = self._last.get(grid)
            if last is not None and last - grid.every <= at <= last:
                return  # this slot was read already: the job came early by the clock's grain
            self.missed += max(0, round((at - last) / grid.every) - 1) if last is not None else 0
            self._last[grid] = at
            self.lateness = now - at
        self._work(grid, at)

    def _watch_clock(self) -> None:
        while not self._stopped.wait(LOOK):
            if (by := self._drift.set_back()) is not None:
                log.warning("clock.set_back", by=str(by))
                self._run_again()

    def _run_again(self) -> None:
        """Every job is due now. The scheduler goes by the wall clock: it would wait until that is again where it was."""
        now = self._now()
        for job in self._scheduler.get_jobs():
            due = job.args[0].slot(now) if job.id.startswith("slot:") else now  # a slot stays on its grid
            with suppress(JobLookupError):  # it was a start of its own, and has begun meanwhile
                job.modify(next_run_time=due)

    def _note_missed(self, event: JobExecutionEvent) -> None:
        # How many they are is counted by the next pass: it alone knows which slots are gone.
        log.warning("slot.missed", job=event.job_id)

    def _note_crash(self, event: JobExecutionEvent) -> None:
        log.error("slot.crashed", job=event.job_id, error=repr(event.exception))
