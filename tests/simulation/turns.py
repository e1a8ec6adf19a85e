"""Virtual time. Whatever waits gives its turn away, so that at any moment exactly one thing happens, in an order that the seed decides."""

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta
from itertools import count
from typing import Any


class Killed(BaseException):
    """This replica's process is gone: nothing of it may catch that."""


class Clock:
    """What will happen, in the order of its times; ``now`` moves only between two happenings."""

    def __init__(self, start: datetime) -> None:
        self.now = start
        self._turn = count()
        self._queue: list[tuple[datetime, int, Callable[[], None]]] = []

    def steady(self) -> float:
        """Seconds that nobody's skew moves."""
        return self.now.timestamp()

    def at(self, moment: datetime, what: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (max(moment, self.now), next(self._turn), what))

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self.at(self.now + timedelta(seconds=seconds), what)

    def run(self, until: datetime, after_each: Callable[[], None]) -> None:
        """Everything up to ``until`` has happened, and ``after_each`` was called after each step."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, what = heapq.heappop(self._queue)
            what()
            after_each()
        self.now = until


class Job(threading.Thread):
    """Work that can rest in the middle. A thread only because Python's functions cannot rest otherwise: while it runs, everything else waits."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._fault: BaseException | None = None
        self.is_over = self.is_killed = False

    def run(self) -> None:
        self._mine.acquire()
        try:
            if not self.is_killed:
                self._work()
        except Killed:
            pass
        except BaseException as fault:  # noqa: BLE001 - raised again where the turn came from
            self._fault = fault
        self.is_over = True
        self._theirs.release()

    def resume(self) -> None:
        """It has its turn until it rests or ends. Raises what it raised."""
        if self.is_over:
            return
        if self.ident is None:
            self.start()
        self._mine.release()
        self._theirs.acquire()
        if self._fault is not None:
            raise self._fault

    def rest(self) -> None:
        """The turn is given away; returns when it comes back. Raises Killed."""
        self._theirs.release()
        self._mine.acquire()
        if self.is_killed:
            raise Killed

    def kill(self) -> None:
        self.is_killed = True
        self.resume()


class Turns(Executor):
    """One replica's workers. ``awake``: the earliest moment at which its process runs on, later than now while it is frozen."""

    def __init__(self, clock: Clock, awake: Callable[[], datetime]) -> None:
        self._clock = clock
        self._awake = awake
        self._jobs: list[Job] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job = Job(lambda: fn(*args, **kwargs))
        self._jobs = [*(each for each in self._jobs if not each.is_over), job]
        self._clock.after(0, lambda: self._resume(job))
        return Future()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.kill()

    def rest(self, seconds: float) -> None:
        """So much time has passed. Raises Killed. Nothing happens outside of a job: there nobody waits."""
        job = threading.current_thread()
        if isinstance(job, Job) and seconds > 0:
            self._clock.after(seconds, lambda: self._resume(job))
            job.rest()

    def kill(self) -> None:
        """Every job has ended where it rested."""
        for job in self._jobs:
            if not job.is_over and job is not threading.current_thread():
                job.kill()
        self._jobs = []

    def _resume(self, job: Job) -> None:
        if self._awake() > self._clock.now:
            self._clock.at(self._awake(), lambda: self._resume(job))
        else:
            job.resume()


class Stop(threading.Event):
    """The actor's stop signal on virtual time."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def wait(self, timeout: float | None = None) -> bool:
        self._turns.rest(timeout or 0.0)
        return self.is_set()
