"""Makes the services of a plan, has every judge judge each of them, and counts. The same seed gives the same figures, on however many cores."""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from random import Random

from tests.bench.scorecard.generator import service
from tests.bench.scorecard.judges import BASELINES, GAUGES, MEMORY, Case, Finding, Judge, broken
from tests.bench.scorecard.plan import Cell
from tests.bench.scorecard.shipped import rollbackd

OURS = "rollbackd"
JUDGES: Mapping[str, Judge] = {OURS: rollbackd, **{name: one.judge for name, one in BASELINES.items()}}
BROKEN: Mapping[str, Judge] = {"broken": broken}
AT_ONCE = 5
"""So many services are one piece of work."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one judge made of one cell. ``noise``: rolled back though nothing had happened (yet); ``blamed``: for somebody else's fault.

    ``alone``: so many of the blamed had fewer than two neighbours which the fault reached, so that nothing tells it from the change's own.
    ``held``: would have acted and left it to people. ``delays``: seconds from onset to finding, of the bad changes that were found;
    ``suggested``: of those that were proposed to people, which are held too.
    """

    cell: Cell
    judge: str
    services: int = 0
    noise: int = 0
    blamed: int = 0
    alone: int = 0
    held: int = 0
    delays: tuple[float, ...] = ()
    suggested: tuple[float, ...] = ()

    def __add__(self, other: "Outcome") -> "Outcome":
        """Both together, as of one cell."""
        return replace(
            self,
            services=self.services + other.services,
            noise=self.noise + other.noise,
            blamed=self.blamed + other.blamed,
            alone=self.alone + other.alone,
            held=self.held + other.held,
            delays=tuple(sorted(self.delays + other.delays)),
            suggested=tuple(sorted(self.suggested + other.suggested)),
        )


def run(cells: Sequence[Cell], seed: int, judges: Mapping[str, Judge], jobs: int, told: Callable[[float], None]) -> list[Outcome]:
    """The outcomes, in the order of the cells and judges. ``told`` which part of the work is done."""
    found: dict[tuple[Cell, str], Outcome] = {(cell, judge): Outcome(cell, judge) for cell in cells for judge in judges}
    whole, done = sum(cell.services * cell.work for cell in cells), 0.0
    with ProcessPoolExecutor(jobs) as pool:
        # The long ones first, so that no core waits for one at the end.
        pieces = sorted(_pieces(cells), key=lambda piece: -piece[0].work)
        running = {pool.submit(judged, cell, seed, numbers, tuple(judges)): len(numbers) * cell.work for cell, numbers in pieces}
        for future in as_completed(running):
            for outcome in future.result():
                found[outcome.cell, outcome.judge] += outcome
            done += running[future]
            told(done / whole)
    return list(found.values())


def _pieces(cells: Sequence[Cell]) -> Iterator[tuple[Cell, range]]:
    for cell in cells:
        for start in range(0, cell.services, AT_ONCE):
            yield cell, range(start, min(start + AT_ONCE, cell.services))


def judged(cell: Cell, seed: int, numbers: range, names: Sequence[str]) -> list[Outcome]:
    """What each judge makes of these services of the cell."""
    found: dict[str, Outcome] = defaultdict()
    for number in numbers:
        case = Case(service(cell.asked, Random(f"{seed}/{cell.name}/{number}")), cell.every, cell.watch, cell.judged_by)
        for name in names:
            if cell.judged_by in (MEMORY, GAUGES) and name in BASELINES:
                continue  # They judge shares of requests.
            outcome = scored(cell, name, case, (JUDGES | BROKEN)[name](case))
            found[name] = found[name] + outcome if name in found else outcome
    return list(found.values())


def scored(cell: Cell, judge: str, case: Case, found: Finding | None) -> Outcome:
    """One service's part of the outcome."""
    seen = Outcome(cell, judge, services=1)
    if found is None:
        return seen
    onset = case.service.onset
    if found.held:
        is_right = found.suggested and case.service.to_blame and onset is not None and found.at >= onset
        return replace(seen, held=1, suggested=(found.at - onset,) if is_right and onset is not None else ())
    if onset is None or found.at < onset:
        return replace(seen, noise=1)
    if case.service.to_blame:
        return replace(seen, delays=(found.at - onset,))
    reached = sum(peer.onset is not None for peer in case.service.peers)
    return replace(seen, blamed=1, alone=int(reached < 2))


@dataclass(slots=True)
class Progress:
    """Says on standard error how far it is: a line that renews itself on a terminal, else one each twentieth."""

    began: float
    shown: int = -1

    def __call__(self, done: float) -> None:
        """``done`` of 1 is judged."""
        twentieth, spent = int(20 * done), time.perf_counter() - self.began
        said = f"{100 * done:.0f} % judged, {spent:.0f} s, about {spent / done - spent:.0f} s left"
        if sys.stderr.isatty():
            print(f"\r{said}   ", end="" if done < 1 else "\n", file=sys.stderr, flush=True)
        elif twentieth > self.shown:
            print(said, file=sys.stderr, flush=True)
        self.shown = twentieth
