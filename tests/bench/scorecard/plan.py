"""Which services a run makes: the rows of the scorecard, and how many of each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.bench.scorecard import generator as made

HOUR, SIX_HOURS = 3600.0, 21_600.0
EVERY = 30.0
AMONG = "among-others"
"""Bad changes among services to which nothing happens: what it costs to wait for them."""
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
        return made.Asked(self.kind, self.per_minute, self.watch, among=self.section == AMONG)

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
        yield from (Cell("six-hours", kind, level, SIX_HOURS, EVERY, 15) for kind in (made.PLAIN, made.AT_LIMIT, made.CLUMPED, made.BURSTY))
        yield from (Cell("coincident", kind, level, HOUR, EVERY, 17) for kind in made.COINCIDENT)
        yield from (Cell("bad", kind, level, HOUR, EVERY, 30) for kind in BAD)
        yield from (Cell(AMONG, kind, level, HOUR, EVERY, 10) for kind in (made.ERRORS_20, made.ERRORS_ALL))
    for every, services in ((1.0, 15), (5.0, 40), (15.0, 60), (60.0, 60)):
        for level in (20, 500):
            yield from (Cell("intervals", kind, level, HOUR, every, services) for kind in (made.PLAIN, made.AT_LIMIT))


BAD = (made.ERRORS_10, made.ERRORS_20, made.ERRORS_ALL, made.LATE, made.PARTIAL, made.SLOW)
"""What the judged conditions can see. Memory and traffic that stops need conditions of their own: NOT_YET."""


def quick() -> Iterator[Cell]:
    """A few of each row: that it runs, not what comes of it."""
    for cell in full():
        if cell.per_minute in (20, 500) and cell.every >= EVERY and cell.watch == HOUR:
            yield replace(cell, services=3)


def chosen(cells: Iterator[Cell], only: list[str]) -> list[Cell]:
    """The cells of the named sections or kinds, or all of them."""
    return [cell for cell in cells if not only or cell.section in only or cell.kind in only]
