"""Which services a run makes: the rows of the scorecard, and how many of each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.bench.scorecard import generator as made
from tests.bench.scorecard.judges import GAUGES, MEMORY, PROMISES, SILENCE

HOUR, SIX_HOURS = 3600.0, 21_600.0
EVERY = 15.0
"""The default of ``every``."""
AMONG = "among-others"
"""Bad changes among services to which nothing happens: what it costs to wait for them."""
BEFORE = {SILENCE: 2 * HOUR, MEMORY: 2 * HOUR}
"""Where a whole hour before the change is compared with, and where the release before has to have lived as long as the watch."""
SEED = 20261126


@dataclass(frozen=True, slots=True)
class Cell:
    """``services`` services of one kind, level, watch and interval (seconds). ``section``: what of the scorecard they are for."""

    section: str
    kind: str
    per_minute: int
    watch: float
    every: float
    services: int

    @property
    def asked(self) -> made.Asked:
        """One of them, for the generator."""
        return made.Asked(self.kind, self.per_minute, self.watch, among=self.section == AMONG, history=BEFORE.get(self.section, made.HISTORY))

    @property
    def judged_by(self) -> str:
        """Which of our policies judges it."""
        return self.section if self.section in (SILENCE, MEMORY, GAUGES) else PROMISES

    @property
    def work(self) -> float:
        """How much of the run one of its services is, about: in looks."""
        return self.watch / self.every * (6 if self.section in ("coincident", AMONG) else 1)

    @property
    def name(self) -> str:
        """What its services' dice are named by: the same services for every judge, and for every interval."""
        return f"{self.kind}/{self.per_minute}/{self.watch:g}{'/among' if self.section == AMONG else ''}"


def full() -> Iterator[Cell]:
    """The whole scorecard."""
    for level in made.LEVELS:
        yield from (Cell("quiet", kind, level, HOUR, EVERY, 65) for kind in made.QUIET)
        yield from (Cell("six-hours", kind, level, SIX_HOURS, EVERY, 15) for kind in (made.PLAIN, made.AT_LIMIT, made.CLUMPED))
        yield Cell("six-hours", made.BURSTY, level, SIX_HOURS, EVERY, 65)  # near what is allowed: fewer could not tell
        yield from (Cell("coincident", kind, level, HOUR, EVERY, 17) for kind in made.COINCIDENT)
        yield from (Cell("bad", kind, level, HOUR, EVERY, 30) for kind in BAD)
        yield from (Cell(AMONG, kind, level, HOUR, EVERY, 10) for kind in (made.ERRORS_20, made.ERRORS_ALL))
    for every, services in ((1.0, 15), (5.0, 40), (30.0, 60), (60.0, 60)):
        for level in (20, 500):
            yield from (Cell("intervals", kind, level, HOUR, every, services) for kind in (made.PLAIN, made.AT_LIMIT))
            yield Cell("intervals", made.ERRORS_20, level, HOUR, every, 15)  # who never acts is never wrong
    for level in (20, 100, 500):
        yield from (Cell(SILENCE, kind, level, HOUR, EVERY, 40) for kind in (made.SILENT, made.SILENT_UNREADY))
        yield from (Cell(SILENCE, kind, level, HOUR, EVERY, 25) for kind in CALM)
    yield from (Cell(MEMORY, kind, 20, HOUR, EVERY, 100) for kind in (made.LEAK, made.FULL))
    yield from (Cell(GAUGES, kind, 0, SIX_HOURS, 60.0, 300) for kind in (made.SHIFTED, made.STEADY))


BAD = (made.ERRORS_10, made.ERRORS_20, made.ERRORS_ALL, made.LATE, made.PARTIAL, made.SLOW)
"""What breaks what is promised of every service. Memory, traffic that stops and gauges have sections and policies of their own."""

CALM = (made.PLAIN, made.CLUMPED, made.GAPS, made.RESTARTS)
"""Healthy changes whose traffic does not stop, though it may look like it."""


def quick() -> Iterator[Cell]:
    """A few of each row: that it runs, not what comes of it."""
    for cell in full():
        if cell.section == GAUGES or (cell.per_minute in (20, 500) and cell.every >= EVERY and cell.watch == HOUR):
            yield replace(cell, services=3)


def chosen(cells: Iterator[Cell], only: list[str]) -> list[Cell]:
    """The cells of the named sections or kinds, or all of them."""
    return [cell for cell in cells if not only or cell.section in only or cell.kind in only]
