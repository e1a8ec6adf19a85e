"""What else may happen to the process: deadlines that pass while it is dead, SIGTERM, a freeze, a step that kills, a full disk."""

import signal
from datetime import datetime

import pytest

from tests.crash.stories import Ending

RECOVERED = ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"]
TAKEN_OVER = ["incident.opened", "rung.intended", "claim.taken_over", "rung.applied", "rung.settled", "incident.closed"]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- deadlines ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.story("complete-by")
def test_the_moment_by_which_a_target_has_to_be_complete_is_not_moved_by_a_crash(ending: Ending) -> None:
    intended = ending.dead.of("rung.intended")
    complete_by = ending.dead.of("rung.applied").at + (moment(intended.body["complete_by"]) - intended.at)
    stopped = ending.last.of("rung.stopped").body
    assert stopped["how"] == "failed"
    assert stopped["reason"].startswith(f"not complete by {complete_by:%H:%M:%S}: ")
    assert ending.last.writes == 1


@pytest.mark.story("give-up")
def test_the_moment_at_which_verification_gives_up_is_not_moved_by_a_crash(ending: Ending) -> None:
    held = ending.last.of("incident.held")
    assert held.body["guard"] == "give-up"
    assert held.at == ending.seen["slots"][0]  # a verification that began anew would have waited for as long again
    assert ending.messages == ["started", "held"]


# --- SIGTERM ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.story("sigterm-settling")
def test_a_daemon_asked_to_stop_while_it_settles_does_so_at_once_and_the_next_finishes(ending: Ending) -> None:
    assert ending.codes == (0, 0)
    assert ending.dead.rows == ["incident.opened", "rung.intended", "rung.applied"]
    assert ending.last.rows == RECOVERED
    assert ending.last.writes == 1


@pytest.mark.story("sigterm-applying")
def test_a_daemon_asked_to_stop_while_a_command_runs_ends_that_step_and_begins_no_other(ending: Ending) -> None:
    assert ending.codes == (0, 0)
    assert ending.dead.rows == ["incident.opened", "rung.intended", "rung.applied"]
    assert ending.last.rows == RECOVERED
    assert ending.last.writes == 1


# --- SIGSTOP and SIGCONT ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.story("frozen")
def test_a_daemon_that_wakes_after_its_claim_has_passed_claims_anew_before_it_writes(ending: Ending) -> None:
    assert ending.dead.writes == 0
    assert ending.last.rows == TAKEN_OVER
    assert (ending.last.writes, ending.last.is_broken) == (1, False)


@pytest.mark.story("frozen")
def test_a_second_daemon_does_not_start_on_the_data_of_a_frozen_one(ending: Ending) -> None:
    code, said = ending.seen["another"]
    assert code == 1
    assert "another rollbackd works in" in said


@pytest.mark.story("frozen-in-flight")
def test_a_write_that_was_under_way_during_the_freeze_loses_to_what_came_meanwhile(ending: Ending) -> None:
    assert ending.dead.rows == ["incident.opened", "rung.intended"]
    assert (ending.seen["statuses"], ending.seen["image"]) == ([422], "shop:3")
    assert ending.last.of("incident.closed").body["how"] == "superseded"


@pytest.mark.story("overtaken")
def test_a_daemon_that_wakes_after_its_claim_has_passed_never_writes_over_what_came_meanwhile(ending: Ending) -> None:
    assert ending.last.rows == ["incident.opened", "rung.intended", "claim.taken_over", "rung.stopped", "incident.held", "incident.closed"]
    assert ending.last.of("incident.held").body["guard"] == "other-writer"
    assert ending.last.of("incident.closed").body["how"] == "superseded"
    assert ending.last.writes == 0
    assert ending.messages == ["started", "held", "superseded"]


# --- a step that kills -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.story("stuck")
def test_a_step_on_which_three_daemons_died_is_given_up_and_given_to_people(ending: Ending) -> None:
    assert ending.codes == (-signal.SIGKILL, -signal.SIGKILL, -signal.SIGKILL, 0)
    assert ending.last.rows == ["incident.opened", "rung.intended", *["claim.taken_over"] * 3, "rung.stopped", "incident.held"]
    assert ending.last.of("rung.stopped").body["how"] == "failed"
    assert ending.last.writes == 0
    assert "3 had the claim on it, and none of them brought it to an end" in ending.told[-1].text
    assert ending.messages == ["started", "held"]


# --- a full disk ------------------------------------------------------------------------------------------------------------------------------


FULL = [pytest.param(name, id=name, marks=pytest.mark.story(name)) for name in ("full-before-breach", "full-before-intent", "full-after-intent")]


@pytest.mark.parametrize("story", FULL)
def test_on_a_full_disk_the_daemon_lives_and_judges_every_policy_on(story: str, ending: Ending) -> None:
    assert ending.seen["healthz"] == 200


@pytest.mark.story("full-before-breach")
def test_on_a_full_disk_a_breach_is_judged_and_nothing_is_opened_or_written(ending: Ending) -> None:
    assert ending.seen["verdicts"] == {"shop": "breach", "zoo": "ok"}
    assert ending.seen["writes"] == 0
    assert ending.dead.rows == []
    assert ending.told_by_first == ()


@pytest.mark.story("full-before-intent")
def test_on_a_full_disk_no_intent_is_durable_so_nothing_acts(ending: Ending) -> None:
    assert ending.dead.rows == ["incident.opened"]
    assert ending.seen["writes"] == 0
    assert ending.told_by_first == ()


@pytest.mark.story("full-after-intent")
def test_a_write_whose_outcome_found_no_space_is_found_later_and_not_repeated(ending: Ending) -> None:
    assert ending.dead.rows == ["incident.opened", "rung.intended"]
    assert ending.last.rows == TAKEN_OVER


@pytest.mark.parametrize("story", FULL)
def test_once_there_is_space_the_same_daemon_finishes_by_itself(story: str, ending: Ending) -> None:
    assert ending.codes == (0,)
    assert [row for row in ending.last.rows if row != "claim.taken_over"] == RECOVERED
    assert (ending.last.writes, ending.last.is_broken, ending.last.chain, ending.last.unsent) == (1, False, None, 0)
    assert {told.kind for told in ending.told} == {"started", "recovered"}
