"""The figures to reach: each with its target, what was measured, its interval, and whether it is met. Nothing here is tuned to what comes out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.scorecard import generator as made
from tests.bench.scorecard.judges import GAUGES, SILENCE
from tests.bench.scorecard.plan import SIX_HOURS
from tests.bench.scorecard.rates import Estimate, minutes, percent, quantile, share
from tests.bench.scorecard.run import OURS, Outcome

CALM = frozenset(made.QUIET) - {made.BURSTY}
INTERVALS = (1.0, 5.0, 30.0, 60.0)
"""Seconds between looks, besides the default."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line. ``most``: the target is at most this, else at least; ``found`` None: not measured, and ``why``."""

    what: str
    target: float
    most: bool
    unit: str
    found: Estimate | None
    why: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the measured value keeps the target; None where it was not measured."""
        if self.found is None:
            return None
        return self.found.value <= self.target if self.most else self.found.value >= self.target

    @property
    def word(self) -> str:
        """Met; met by the value while its interval reaches beyond the target; or not."""
        if self.found is None:
            return self.why
        if not self.is_met:
            return "NOT MET"
        surely = self.found.high <= self.target if self.most else self.found.low >= self.target
        return "met" if surely else "met, interval reaches beyond"

    def written(self, value: float) -> str:
        """A value in the unit of the line."""
        return percent(value) if self.unit == "share" else minutes(value) if self.unit == "wait" else f"{value:.3g} {self.unit}"

    def row(self) -> tuple[str, str, str, str, str, str]:
        """As a row: what, target, measured, interval, of how many, word."""
        target = f"{'<=' if self.most else '>='} {self.written(self.target)}"
        if self.found is None:
            return self.what, target, "-", "", "", self.word
        interval = f"{self.written(self.found.low)} to {self.written(self.found.high)}" if self.found.n > 1 else ""
        return self.what, target, self.written(self.found.value), interval, f"{self.found.n}", self.word


NOT_YET = "not measured yet"


def figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Every figure that follows from outcomes, in the order in which they were promised; `pace` has what is timed."""
    ours = [one for one in outcomes if one.judge == OURS]
    return [*_healthy(ours), *_coincident(ours), *_found(ours), *_silent(ours), *_memory(ours), *_gauges(ours)]


def _healthy(ours: Sequence[Outcome]) -> Iterator[Figure]:
    def line(what: str, target: float, wanted: Callable[[Outcome], bool]) -> Figure:
        return Figure(f"false rollbacks, {what}", target, True, "share", false_share([one for one in ours if wanted(one)]), NOT_YET)

    for level in made.LEVELS:
        yield line(f"{level}/min", 0.01, lambda o, at=level: o.cell.section == "quiet" and o.cell.kind in CALM and o.cell.per_minute == at)
    yield line("true error rate at the limit", 0.01, lambda o: o.cell.section == "quiet" and o.cell.kind == made.AT_LIMIT)
    yield line("watch of 6 h", 0.01, lambda o: o.cell.watch == SIX_HOURS and o.cell.kind in CALM)
    for every in INTERVALS:
        yield line(
            f"a look every {every:g} s", 0.01, lambda o, at=every: o.cell.section == "intervals" and o.cell.kind in CALM and o.cell.every == at
        )
    yield line("bursty errors, watch of 1 h", 0.02, lambda o: o.cell.section == "quiet" and o.cell.kind == made.BURSTY)
    yield line("bursty errors, watch of 6 h", 0.02, lambda o: o.cell.watch == SIX_HOURS and o.cell.kind == made.BURSTY)


def _coincident(ours: Sequence[Outcome]) -> Iterator[Figure]:
    for kind in made.COINCIDENT:
        found = wrong_share([one for one in ours if one.cell.kind == kind])
        yield Figure(f"blamed for a coincident fault: {kind}", 0.05, True, "share", found, NOT_YET)


WAITS: Sequence[tuple[str, str, Callable[[int], bool], float]] = (
    ("20 % errors at 20/min", made.ERRORS_20, lambda level: level == 20, 180),
    ("10 % errors at 100/min", made.ERRORS_10, lambda level: level == 100, 300),
    ("100 % errors at 4/min", made.ERRORS_ALL, lambda level: level == 4, 120),
    ("100 % errors at 20/min and more", made.ERRORS_ALL, lambda level: level >= 20, 120),
    ("p95 from 0.2 s to 3 s at 100/min", made.SLOW, lambda level: level == 100, 180),
)


def _found(ours: Sequence[Outcome]) -> Iterator[Figure]:
    late = [one for one in ours if one.cell.kind == made.LATE and one.cell.per_minute >= 20]
    yield Figure("late onset (1 % to 20 %) at 20/min and more: found", 0.95, False, "share", recall(late), NOT_YET)
    yield Figure("late onset at 20/min and more: median wait", 300, True, "wait", wait(late, 0.5), NOT_YET)
    for every in INTERVALS:
        mine = [one for one in ours if one.cell.section == "intervals" and one.cell.kind == made.ERRORS_20 and one.cell.every == every]
        yield Figure(f"20 % errors at 20/min and more, a look every {every:g} s: found", 0.95, False, "share", recall(mine), NOT_YET)
    for what, kind, is_level, most in WAITS:
        mine = [one for one in ours if one.cell.section == "bad" and one.cell.kind == kind and is_level(one.cell.per_minute)]
        yield Figure(f"{what}: median wait", most, True, "wait", wait(mine, 0.5), NOT_YET)


def _silent(ours: Sequence[Outcome]) -> Iterator[Figure]:
    mine = [one for one in ours if one.cell.section == SILENCE]
    for level in sorted({one.cell.per_minute for one in mine}) or (0,):
        here = [one for one in mine if one.cell.per_minute == level]
        alone, unready = ([one for one in here if one.cell.kind == kind] for kind in (made.SILENT, made.SILENT_UNREADY))
        at = f" at {level}/min" if level else ""
        yield Figure(f"traffic to zero{at}, suggested: median wait", 180, True, "wait", wait(alone, 0.5, or_suggested=True), NOT_YET)
        yield Figure(f"traffic to zero{at} and pods unready, acted: median wait", 180, True, "wait", wait(unready, 0.5), NOT_YET)


def _memory(ours: Sequence[Outcome]) -> Iterator[Figure]:
    full = [one for one in ours if one.cell.kind == made.FULL]
    yield Figure("healthy memory that is nearly full at the day's peak: rolled back or suggested", 0, True, "share", touched_share(full), NOT_YET)


def _gauges(ours: Sequence[Outcome]) -> Iterator[Figure]:
    mine = [one for one in ours if one.cell.section == GAUGES]
    found = sum(len(one.delays) for one in mine)
    precision = share(found, found + sum(one.noise for one in mine))
    yield Figure("seasonal gauges: precision", 0.97, False, "share", precision, NOT_YET)
    yield Figure("seasonal gauges: recall", 0.8, False, "share", recall([one for one in mine if one.cell.kind == made.SHIFTED]), NOT_YET)


def false_share(outcomes: Sequence[Outcome]) -> Estimate | None:
    """Of the changes to which nothing happened, those that were rolled back."""
    return share(sum(one.noise for one in outcomes), sum(one.services for one in outcomes))


def wrong_share(outcomes: Sequence[Outcome]) -> Estimate | None:
    """Of the healthy changes with a fault beside them, those that were rolled back for it."""
    return share(sum(one.blamed for one in outcomes), sum(one.services for one in outcomes))


def shared_share(outcomes: Sequence[Outcome]) -> Estimate | None:
    """Of the same changes, those that were rolled back although the fault reached at least two neighbours."""
    return share(sum(one.blamed - one.alone for one in outcomes), sum(one.services for one in outcomes))


def recall(outcomes: Sequence[Outcome]) -> Estimate | None:
    """Of the bad changes, those that were found after their onset."""
    return share(sum(len(one.delays) for one in outcomes), sum(one.services for one in outcomes))


def answered_share(outcomes: Sequence[Outcome]) -> Estimate | None:
    """Of the bad changes, those that were rolled back after their onset, or proposed to people."""
    return share(sum(len(one.delays) + len(one.suggested) for one in outcomes), sum(one.services for one in outcomes))


def touched_share(outcomes: Sequence[Outcome]) -> Estimate | None:
    """Of the healthy changes, those that were rolled back, or taken to people."""
    return share(sum(one.noise + one.held for one in outcomes), sum(one.services for one in outcomes))


def wait(outcomes: Sequence[Outcome], q: float, *, or_suggested: bool = False) -> Estimate | None:
    """From the onset to the finding, of all bad changes: one that is not found is waited for without end."""
    delays = [delay for one in outcomes for delay in (*one.delays, *(one.suggested if or_suggested else ()))]
    return quantile(delays, sum(one.services for one in outcomes), q)
