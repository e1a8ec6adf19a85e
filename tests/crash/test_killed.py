"""kill -9 at every point of the journal, on every kind of target: nothing lost, nothing twice."""

import signal

import pytest

from tests.crash.stories import PLACES, POINTS, Ending

ROWS = ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"]
TAKEN_OVER = ("after:rung.intended", "before:rung.applied")
"""Where a daemon dies with a claim: the next one waits for its end, and says so in the journal."""


def everywhere(*points: str) -> pytest.MarkDecorator:
    """The test looks at every kind of target, killed at these points [all]."""
    stories = [(point, f"{kind}-{point}") for kind in PLACES for point in points or POINTS]
    return pytest.mark.parametrize("point", [pytest.param(point, id=name, marks=pytest.mark.story(name)) for point, name in stories])


@everywhere()
def test_the_daemon_dies_by_the_signal_with_exactly_the_rows_before_it_durable(point: str, ending: Ending) -> None:
    durable = POINTS[point]
    assert ending.codes[0] == -signal.SIGKILL
    assert ending.dead.rows == (ROWS[: ROWS.index(durable) + 1] if durable else [])


@everywhere("before:incident.opened", "after:incident.opened", "before:rung.intended")
def test_nothing_is_written_without_a_durable_intent(point: str, ending: Ending) -> None:
    assert (ending.dead.writes, ending.dead.is_broken) == (0, True)
    assert [told.kind for told in ending.told_by_first] == []


@everywhere("after:rung.intended")
def test_a_daemon_that_dies_before_the_write_leaves_it_to_the_next(point: str, ending: Ending) -> None:
    assert (ending.dead.writes, ending.dead.is_broken) == (0, True)


@everywhere("before:rung.applied")
def test_a_write_that_was_accepted_is_found_and_not_repeated(point: str, ending: Ending) -> None:
    assert (ending.dead.writes, ending.last.writes) == (1, 1)
    assert "after a restart" in ending.last.of("rung.applied").body["reason"]


@everywhere()
def test_the_service_is_whole_after_exactly_one_write(point: str, ending: Ending) -> None:
    assert (ending.last.writes, ending.last.is_broken) == (1, False)


@everywhere()
def test_the_same_incident_goes_on_to_its_recovery(point: str, ending: Ending) -> None:
    taken = ["claim.taken_over"] if point in TAKEN_OVER else []
    assert ending.last.rows == [*ROWS[:2], *taken, *ROWS[2:]]
    assert len(ending.last.incidents) == 1
    assert ending.dead.incidents in ((), ending.last.incidents)
    assert ending.last.of("incident.closed").body["how"] == "recovered"


@everywhere("after:rung.intended", "before:rung.applied", "after:rung.applied", "after:rung.settled", "before:incident.closed")
def test_the_intent_stands_as_it_was_written(point: str, ending: Ending) -> None:
    assert ending.last.of("rung.intended") == ending.dead.of("rung.intended")


@everywhere("after:rung.settled", "before:incident.closed")
def test_the_evidence_counts_from_the_same_moment(point: str, ending: Ending) -> None:
    assert ending.last.of("rung.settled") == ending.dead.of("rung.settled")


@everywhere()
def test_each_message_arrives_at_least_once_under_one_key_and_id(point: str, ending: Ending) -> None:
    (incident,) = ending.last.incidents
    assert {(told.key, told.id) for told in ending.told} == {(incident, f"{incident}:started:0"), (incident, f"{incident}:recovered")}
    assert ending.last.unsent == 0


@everywhere("after:incident.closed")
def test_the_recovery_that_nobody_was_told_of_is_told_by_the_next_daemon(point: str, ending: Ending) -> None:
    assert [told.kind for told in ending.told_by_first] == ["started"]
    assert ending.messages == ["started", "recovered"]


@everywhere()
def test_the_chain_of_the_journal_holds_across_the_crash(point: str, ending: Ending) -> None:
    assert (ending.dead.chain, ending.last.chain) == (None, None)


@everywhere()
def test_the_next_daemon_stops_cleanly(point: str, ending: Ending) -> None:
    assert ending.codes[1] == 0


@pytest.mark.story("delivery")
def test_a_daemon_killed_before_it_noted_a_delivery_delivers_again_under_the_same_id(ending: Ending) -> None:
    (incident,) = ending.last.incidents
    started = f"{incident}:started:0"
    assert [told.id for told in ending.told_by_first] == [started]
    assert [told.id for told in ending.told].count(started) == 2
    assert ending.last.writes == 1
