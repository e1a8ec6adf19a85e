"""kill -9 at every transition of the journal, on every kind of target and in both stores: nothing lost, nothing twice, nobody untold."""

import signal
from collections import Counter
from collections.abc import Callable

import pytest

from tests.crash.journeys import JOURNEYS
from tests.crash.stories import Ending
from tests.crash.table import AFTER, BEFORE, CELLS, WRITE, Cell

OUTCOMES = ("rung.applied", "rung.settled", "incident.closed")


def everywhere(which: Callable[[Cell], bool] = lambda _: True) -> pytest.MarkDecorator:
    """The test looks at these cells [all]."""
    chosen = [cell for cell in CELLS.values() if which(cell)]
    return pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.name, marks=pytest.mark.story(cell.story)) for cell in chosen])


def of(*kinds: str, moments: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """The test looks at these transitions [at these moments]."""
    return everywhere(lambda cell: cell.row.kind in kinds and (not moments or cell.moment in moments))


def durable(cell: Cell) -> tuple[str, ...]:
    """The incident's rows that are certainly on record when the daemon is dead."""
    journey = JOURNEYS[cell.row.journey]
    if cell.row.kind == "claim.taken_over":
        return ("incident.opened", "rung.intended") if cell.moment == BEFORE else ("incident.opened", "rung.intended", "claim.taken_over")
    before = journey.durable_before(cell.row.kind)
    if cell.row.kind not in journey.rows or cell.moment == BEFORE:
        return before
    return journey.rows[: max(journey.rows.index(cell.row.kind) + 1, journey.at_once)]


@everywhere()
def test_the_daemon_dies_by_the_signal_with_the_rows_before_it_durable(cell: Cell, ending: Ending) -> None:
    journey = JOURNEYS[cell.row.journey]
    rows, expected = [row for row in ending.dead.rows if row != journey.whenever], list(durable(cell))
    assert set(ending.codes[:-1]) == {-signal.SIGKILL}
    if cell.moment in (BEFORE, AFTER, WRITE) and not journey.whenever:
        assert rows == expected
    else:  # a message leaves beside whatever comes next
        assert rows[: len(expected)] == expected


@everywhere(lambda cell: cell.moment in (BEFORE, AFTER) and bool(JOURNEYS[cell.row.journey].whenever))
def test_a_row_that_comes_at_any_time_is_durable_only_once_it_is_committed(cell: Cell, ending: Ending) -> None:
    assert (cell.row.kind in ending.dead.rows) == (cell.moment == AFTER)


@everywhere(lambda cell: "rung.intended" not in durable(cell) and cell.moment in (BEFORE, AFTER))
def test_nothing_is_written_without_a_durable_intent(cell: Cell, ending: Ending) -> None:
    if not JOURNEYS[cell.row.journey].whenever:
        assert (ending.dead.writes, ending.dead.is_broken) == (0, True)
        assert "started" not in [told.kind for told in ending.told_by_first]


@of("rung.intended", "claim.taken_over", moments=(AFTER,))
def test_a_daemon_that_dies_before_the_write_leaves_it_to_the_next(cell: Cell, ending: Ending) -> None:
    assert (ending.dead.writes, ending.dead.is_broken) == (0, True)


@of("rung.intended", "claim.taken_over", moments=(WRITE,))
def test_a_write_that_was_accepted_is_found_and_not_repeated(cell: Cell, ending: Ending) -> None:
    assert (ending.dead.writes, ending.last.writes) == (1, 1)
    assert "after a restart" in ending.last.of("rung.applied").body["reason"]


@everywhere()
def test_each_effect_comes_once_and_the_service_is_as_it_should_be(cell: Cell, ending: Ending) -> None:
    writes, last = JOURNEYS[cell.row.journey].writes, ending.last
    assert (last.writes - last.refused, last.is_broken) == (writes, writes == 0)
    # A message leaves beside the write: one that was on its way may arrive after the next daemon has asked, and then one of the two is refused.
    assert last.refused <= (cell.moment not in (BEFORE, AFTER, WRITE))


@everywhere()
def test_one_incident_goes_on_to_its_recovery(cell: Cell, ending: Ending) -> None:
    journey = JOURNEYS[cell.row.journey]
    assert [row for row in ending.last.rows if row not in ("claim.taken_over", journey.whenever)] == list(journey.rows)
    assert ending.last.rows.count(journey.whenever) == (1 if journey.whenever else 0)
    assert len(ending.last.incidents) == 1
    assert ending.dead.incidents in ((), ending.last.incidents)
    assert ending.last.of("incident.closed").body["how"] == "recovered"


@everywhere(lambda cell: cell.moment != "started")  # the outcome may come before or after the message has left
def test_the_next_daemon_takes_a_claim_over_where_one_died_with_it_and_nowhere_else(cell: Cell, ending: Ending) -> None:
    at_work = (cell.row.kind, cell.moment) in (("rung.intended", AFTER), ("rung.intended", WRITE), ("rung.applied", BEFORE))
    taken = 1 if at_work else 0
    if cell.row.kind == "claim.taken_over":
        taken = 1 if cell.moment == BEFORE else 2
    assert ending.last.rows.count("claim.taken_over") == taken


@everywhere()
def test_what_was_on_record_stands_as_it_was_written(cell: Cell, ending: Ending) -> None:
    assert ending.last.entries[: len(ending.dead.entries)] == ending.dead.entries


@everywhere()
def test_a_change_is_seen_once(cell: Cell, ending: Ending) -> None:
    seen = Counter((entry.target, entry.body["change"]) for entry in ending.last.entries if entry.kind == "change.seen")
    assert set(seen.values()) == {1}


@everywhere()
def test_everybody_is_told_everything_under_one_key_and_one_id(cell: Cell, ending: Ending) -> None:
    (incident,) = ending.last.incidents
    told = {(told.id, told.key, f"{told.kind}@{told.contact}") for told in ending.told}
    assert sorted(what for _, _, what in told) == sorted(JOURNEYS[cell.row.journey].messages)
    assert {key for _, key, _ in told} == {incident}
    assert ending.last.unsent == 0


@everywhere(lambda cell: cell.moment in cell.row.calls and cell.moment != WRITE)
def test_a_message_that_was_sent_and_not_noted_is_sent_again(cell: Cell, ending: Ending) -> None:
    def times(told_by: tuple[object, ...]) -> int:
        return sum(getattr(told, "kind", "") == cell.moment for told in told_by)

    assert times(ending.told_by_first) >= 1
    assert times(ending.told) == times(ending.told_by_first) + 1


@everywhere()
def test_the_chain_of_the_journal_holds_across_the_crash(cell: Cell, ending: Ending) -> None:
    assert (ending.dead.chain, ending.last.chain) == (None, None)


@everywhere()
def test_the_last_daemon_stops_cleanly(cell: Cell, ending: Ending) -> None:
    assert ending.codes[-1] == 0
