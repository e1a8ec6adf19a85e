"""The outcomes as tables: rows of text, for a terminal and for a page alike."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.scorecard import generator as made
from tests.bench.scorecard.judges import GAUGES, MEMORY, SILENCE
from tests.bench.scorecard.plan import AMONG, BAD, CALM
from tests.bench.scorecard.rates import Estimate, minutes, percent
from tests.bench.scorecard.reach import Figure, answered_share, false_share, recall, shared_share, touched_share, wait, wrong_share
from tests.bench.scorecard.run import Outcome


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the columns' names, and the rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """For a terminal: the first column to the left, the others to the right."""
        every = [self.columns, *self.rows]
        widths = [max(len(row[index]) for row in every) for index in range(len(self.columns))]
        lines = ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]) for row in every]
        return "\n".join([self.title, *(line.rstrip() for line in lines)])

    def markdown(self) -> str:
        """For a page, without its title."""
        bar = "|" + "---|" * len(self.columns)
        return "\n".join([_bar(self.columns), bar, *(_bar(row) for row in self.rows)])


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def reached(figures: Sequence[Figure]) -> Table:
    """The figures to reach."""
    return Table("To reach (rollbackd)", ("", "target", "measured", "95 % interval", "services", ""), tuple(one.row() for one in figures))


def tables(outcomes: Sequence[Outcome]) -> list[Table]:
    """Everything else, the judges side by side; tables of what was not run are left out."""
    judges = list(dict.fromkeys(one.judge for one in outcomes))
    found = [
        _by_judge(
            "False rollbacks of healthy changes, nothing else happening, bursty errors included (watch 1 h, a look every 15 s)",
            _levels(outcomes),
            judges,
        ),
        _by_judge("The same by kind of weather, all levels", _kinds(outcomes, "quiet", made.QUIET, false_share), judges),
        _by_judge("The same by watch and interval", _long(outcomes), judges),
        _by_judge("Healthy changes rolled back for somebody else's fault", _kinds(outcomes, "coincident", made.COINCIDENT, wrong_share), judges),
        _by_judge("Of these, where the fault reached two neighbours or more", _kinds(outcomes, "coincident", made.COINCIDENT, shared_share), judges),
        _by_judge("Bad changes among services to which nothing happens, found within the watch", _kinds(outcomes, AMONG, BAD, recall), judges),
        _by_judge("The wait for them, 20 requests a minute and more: median / p95", _waits(outcomes, AMONG, least=20), judges),
        _by_judge("Bad changes found within the watch, 20 requests a minute and more", _kinds(outcomes, "bad", BAD, recall, least=20), judges),
        _by_judge("Wait from onset to proof, 20 requests a minute and more: median / p95", _waits(outcomes, "bad", least=20), judges),
        _by_judge("Wait from onset to proof, 2 and 4 requests a minute: median / p95", _waits(outcomes, "bad", least=0, most=4), judges),
        _by_judge("Wait for 20 % errors, by requests a minute: median / p95", _waits_by_level(outcomes, made.ERRORS_20), judges),
        _by_judge("Traffic that stops, rolled back or suggested within the hour", _stopped(outcomes, _answered), judges),
        _by_judge("The wait for it: median / p95", _stopped(outcomes, _waited), judges),
        _by_judge("Healthy changes rolled back or suggested where traffic is judged", _kinds(outcomes, SILENCE, CALM, touched_share), judges),
        _by_judge("Memory that leaks, rolled back within the hour", _kinds(outcomes, MEMORY, (made.LEAK,), recall), judges),
        _by_judge("Healthy memory, rolled back or suggested", _kinds(outcomes, MEMORY, (made.FULL,), touched_share), judges),
        _by_judge("Seasonal gauges that were shifted, rolled back within six hours", _kinds(outcomes, GAUGES, (made.SHIFTED,), recall), judges),
        _by_judge("Seasonal gauges that were not, rolled back", _kinds(outcomes, GAUGES, (made.STEADY,), false_share), judges),
    ]
    return [one for one in found if one.rows]


Row = tuple[str, Callable[[str], str]]


def _by_judge(title: str, rows: Iterator[Row], judges: Sequence[str]) -> Table:
    return Table(title, ("", *judges), tuple((name, *(cell(judge) for judge in judges)) for name, cell in rows))


def _shown(found: Estimate | None) -> str:
    return "-" if found is None else f"{percent(found.value)} ({percent(found.low)} to {percent(found.high)})"


def _row(name: str, mine: Sequence[Outcome], shown: Callable[[Sequence[Outcome]], str]) -> Iterator[Row]:
    if mine:
        yield name, lambda judge: shown([one for one in mine if one.judge == judge])


def _levels(outcomes: Sequence[Outcome]) -> Iterator[Row]:
    for level in made.LEVELS:
        mine = [one for one in outcomes if one.cell.section == "quiet" and one.cell.per_minute == level]
        yield from _row(f"{level}/min", mine, lambda found: _shown(false_share(found)))


def _kinds(
    outcomes: Sequence[Outcome], section: str, kinds: Sequence[str], of: Callable[[Sequence[Outcome]], Estimate | None], least: int = 0
) -> Iterator[Row]:
    for kind in kinds:
        mine = [one for one in outcomes if one.cell.section == section and one.cell.kind == kind and one.cell.per_minute >= least]
        yield from _row(kind, mine, lambda found: _shown(of(found)))


def _long(outcomes: Sequence[Outcome]) -> Iterator[Row]:
    six = [one for one in outcomes if one.cell.section == "six-hours"]
    yield from _row("6 h, every 15 s", six, lambda found: _shown(false_share(found)))
    for every in sorted({one.cell.every for one in outcomes if one.cell.section == "intervals"}):
        mine = [one for one in outcomes if one.cell.section == "intervals" and one.cell.kind in made.QUIET and one.cell.every == every]
        yield from _row(f"1 h, every {every:g} s", mine, lambda found: _shown(false_share(found)))


def _waits(outcomes: Sequence[Outcome], section: str, least: int, most: int = 10**9) -> Iterator[Row]:
    for kind in BAD:
        mine = [one for one in outcomes if one.cell.section == section and one.cell.kind == kind and least <= one.cell.per_minute <= most]
        yield from _row(kind, mine, _waited)


def _waits_by_level(outcomes: Sequence[Outcome], kind: str) -> Iterator[Row]:
    for level in made.LEVELS:
        mine = [one for one in outcomes if one.cell.section == "bad" and one.cell.kind == kind and one.cell.per_minute == level]
        yield from _row(f"{level}/min", mine, _waited)


def _stopped(outcomes: Sequence[Outcome], shown: Callable[[Sequence[Outcome]], str]) -> Iterator[Row]:
    mine = [one for one in outcomes if one.cell.section == SILENCE]
    for kind in (made.SILENT, made.SILENT_UNREADY):
        for level in sorted({one.cell.per_minute for one in mine}):
            yield from _row(f"{kind}, {level}/min", [one for one in mine if one.cell.kind == kind and one.cell.per_minute == level], shown)


def _answered(found: Sequence[Outcome]) -> str:
    return _shown(answered_share(found))


def _waited(found: Sequence[Outcome]) -> str:
    middle, long = (wait(found, q, or_suggested=True) for q in (0.5, 0.95))
    return "-" if middle is None or long is None else f"{minutes(middle.value)} / {minutes(long.value)}"
