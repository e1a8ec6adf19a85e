"""What an actor does with a step that it, or another, had begun before: the target is asked first. A real journal, a target of our own."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.adapters.base.errors import Refused, Transient
from rollbackd.adapters.base.target import NothingToDo
from rollbackd.policies.known.events import Held, Intended, RungEnd, Stopped
from tests.controller.act_samples import DONE, ELSEWHERE, PLAN, SHOP, THERE, Acting
from tests.controller.journal_samples import CHECKOUT, HELD, MINUTE, SECOND, T0, claim

ELSE = replace(PLAN, intent=replace(PLAN.intent, to_revision="rev-0"))
LOOKS = 2
"""Before the claim is taken over and after it. More would wait for an end state."""


def picked_up_by_one(acting):
    """This daemon finds the incident with its claim run out."""
    acting.journal.move(30 * SECOND)
    acting.actor.resume(acting.store.incident("inc-1"), SHOP)


def test_the_third_claimant_of_a_step_still_tries(acting):
    claim(acting.store)
    acting.taken_over("two")
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == (DONE, [PLAN])


def test_after_three_claimants_a_step_is_given_to_people(acting):
    claim(acting.store)
    acting.taken_over("two", "three")
    picked_up_by_one(acting)
    assert acting.events()[1:] == [Stopped("inc-1", T0, 0, CHECKOUT, RungEnd.FAILED, "3 claimants died on this step")]
    assert acting.target.written == []


def test_a_step_whose_claimant_may_live_is_left_to_it(acting):
    claim(acting.store)
    acting.actor.resume(acting.store.incident("inc-1"), SHOP)
    assert (acting.kinds(), acting.target.written) == ([Intended], [])


def test_a_write_that_did_arrive_is_found_and_waited_for(acting):
    claim(acting.store)
    acting.target.stands = THERE
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == (DONE, [])
    assert acting.events()[1].reason == "found carrying it after a restart: 3 of 3 ready"


@pytest.mark.parametrize(
    ("there", "how", "reason"),
    [
        pytest.param({"stands": ELSEWHERE}, RungEnd.OVERTAKEN, "it stands at rev-c", id="somebody-else-was-there"),
        pytest.param({"made": ELSE}, RungEnd.REFUSED, "the same end state can no longer be planned after a restart", id="to-another-end"),
        pytest.param(
            {"made": NothingToDo("it serves")}, RungEnd.REFUSED, "the same end state can no longer be planned after a restart", id="no-plan"
        ),
        pytest.param({"made": Refused("it is paused")}, RungEnd.REFUSED, "it is paused", id="unsafe-by-now"),
    ],
)
def test_a_write_that_did_not_arrive_is_not_made_up_for_where_the_world_has_moved_on(acting, there, how, reason):
    claim(acting.store)
    for name, value in there.items():
        setattr(acting.target, name, value)
    picked_up_by_one(acting)
    assert acting.events()[1:] == [Stopped("inc-1", T0, 0, CHECKOUT, how, reason)]
    assert (acting.target.written, len(acting.target.looked_for)) == ([], LOOKS)


def test_a_write_that_did_not_arrive_is_not_made_up_for_while_all_is_paused(acting):
    claim(acting.store)
    acting.pause.pause("game day", "alice", T0)
    picked_up_by_one(acting)
    (ended,) = acting.events()[1:]
    assert (ended.how, ended.reason.startswith("paused: game day")) == (RungEnd.REFUSED, True)
    assert (acting.target.written, len(acting.target.looked_for)) == ([], LOOKS)


def test_a_target_that_cannot_be_read_is_asked_again_once_the_claim_has_run_out(acting):
    claim(acting.store)
    acting.target.stands = Transient("no route to host")
    picked_up_by_one(acting)
    assert acting.kinds() == [Intended]
    acting.target.stands = THERE
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == (DONE, [])


def test_one_of_several_replicas_that_cannot_read_the_target_leaves_the_claim_to_the_others_for_a_minute(tmp_path, journal_url):
    acting = Acting(tmp_path, journal_url)
    claim(acting.store)
    acting.target.stands = Transient("no route to host")
    for later, attempts in ((timedelta(0), 1), (MINUTE - SECOND, 1), (SECOND, 2)):
        acting.clock.move(later)
        picked_up_by_one(acting)
        assert acting.store.claim_on("inc-1", 0, CHECKOUT).attempts == attempts
    assert (acting.kinds(), acting.decided) == ([Intended], [CHECKOUT]), "what is left to others is not decided again at once"
    acting.close()


def test_a_step_whose_claim_somebody_took_out_of_the_journal_ends(acting):
    claim(acting.store)
    acting.edited()
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == ([Intended, Stopped], [])


def test_a_step_that_people_hold_is_not_picked_up(acting):
    claim(acting.store)
    acting.record(HELD)
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == ([Intended, Held], [])
