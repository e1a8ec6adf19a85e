"""Replicas that die, stand still or are cut off: one write, never two, never none; one message; nobody waits for the dead."""

import signal

import pytest

from tests.replicas.stories import STORIES, Ending, took

PARTITIONED_HOLDERS = ("holder-partitioned-from-api", "holder-partitioned-from-database")
KILLED = ("killed", "killed-of-two")
TAKEN_OVER = (*KILLED, "frozen", "zombie", "late", *PARTITIONED_HOLDERS)
UNNOTED = ("zombie", "holder-partitioned-from-database")
"""Those whose holder stands still, or is cut off, in its write: the message of its begin leaves at that moment."""
ROWS = ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"]


def of(*names: str) -> pytest.MarkDecorator:
    """The test looks at these stories [all]."""
    return pytest.mark.parametrize("story", [pytest.param(name, id=name, marks=pytest.mark.band(name)) for name in names or STORIES])


@of()
def test_exactly_one_write_is_accepted_and_the_service_is_whole(story: str, ending: Ending) -> None:
    assert ([status for status in ending.patches if status == 200], ending.record.is_broken) == ([200], False)


@of()
def test_one_incident_goes_from_its_opening_to_its_recovery(story: str, ending: Ending) -> None:
    taken = ["claim.taken_over"] if story in TAKEN_OVER else []
    assert ending.record.rows == [*ROWS[:2], *taken, *ROWS[2:]], ending.record.text
    assert ending.record.of("incident.closed").body["how"] == "recovered"


@of(*(name for name in STORIES if name not in UNNOTED))
def test_each_message_reaches_on_call_once(story: str, ending: Ending) -> None:
    assert ending.messages == ["started", "recovered"]
    assert ending.record.unsent == 0


@of(*UNNOTED)
def test_a_message_whose_delivery_nobody_could_note_down_is_repeated_once_at_most_and_under_its_key(story: str, ending: Ending) -> None:
    assert list({told.id: told.kind for told in ending.told}.values()) == ["started", "recovered"]
    assert (ending.messages.count("started") <= 2, ending.messages.count("recovered")) == (True, 1)
    assert ending.record.unsent == 0


@of()
def test_the_chain_of_every_writer_holds(story: str, ending: Ending) -> None:
    assert ending.record.chain is None


@of(*(name for name in STORIES if name not in KILLED))
def test_all_of_them_end_well(story: str, ending: Ending) -> None:
    assert set(ending.codes) == {0}


@of(*KILLED)
def test_exactly_one_was_killed(story: str, ending: Ending) -> None:
    assert sorted(ending.codes) == [-signal.SIGKILL, *[0] * (STORIES[story].replicas - 1)]


@of(*TAKEN_OVER)
def test_another_one_takes_over_after_the_end_of_the_claim_and_not_before(story: str, ending: Ending) -> None:
    intended, taken = ending.record.of("rung.intended"), ending.record.of("claim.taken_over")
    assert took(ending.record) >= 0
    assert taken.writer != intended.writer


@of("frozen")
def test_one_that_wakes_up_after_its_claim_writes_nothing(story: str, ending: Ending) -> None:
    assert (ending.seen["before"], len(ending.patches)) == (1, 1)


@of("late")
def test_a_write_that_arrives_after_its_claim_meets_the_precondition_of_the_target(story: str, ending: Ending) -> None:
    assert (ending.patches[0], len(ending.patches)) == (200, 2)
    assert ending.patches[1] in (409, 422)


@of("zombie")
def test_one_that_wakes_up_in_its_write_sends_what_is_refused_or_is_ended_by_its_own_deadline(story: str, ending: Ending) -> None:
    # 400: that deadline came between the head of its request and the body.
    assert set(ending.patches[1:]) <= {400, 409, 422}


@of(*PARTITIONED_HOLDERS)
def test_one_that_is_cut_off_with_the_claim_is_taken_over_by_the_other(story: str, ending: Ending) -> None:
    assert ending.record.of("rung.intended").writer.endswith(ending.seen["by"])


@of("holder-partitioned-from-database")
def test_a_write_that_nobody_could_note_down_is_found_and_not_repeated(story: str, ending: Ending) -> None:
    assert ending.patches == (200,)
    assert not ending.record.of("rung.applied").writer.endswith(ending.seen["by"])


@of("holder-partitioned-from-api")
def test_a_write_that_comes_through_after_the_partition_meets_the_precondition(story: str, ending: Ending) -> None:
    # Whether the kernel still sends it again once the daemon has given up waiting is the kernel's affair.
    assert set(ending.patches[1:]) <= {409, 422}


@of("without-database", "without-api", "partitioned-from-database", "partitioned-from-api")
def test_one_that_is_cut_off_leaves_it_to_the_others(story: str, ending: Ending) -> None:
    assert ending.record.of("rung.intended").writer.endswith(ending.seen["by"])


@of("without-database", "partitioned-from-database")
def test_one_without_a_database_judges_on_and_does_nothing(story: str, ending: Ending) -> None:
    assert "store.failed" in ending.seen["alone"]
    assert "rung.intended" not in ending.seen["alone"]
