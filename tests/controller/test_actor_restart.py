"""What an actor does with a step that it, or another, had begun before: the target is asked first. A real journal, a target of our own."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.adapters.base.errors import Refused, Transient
from rollbackd.adapters.base.target import NothingToDo
from rollbackd.controller.act.outcome import EXPLAIN
from rollbackd.controller.journal.values import Claim
from rollbackd.policies.known.events import Held, Intended, RungEnd, Stopped
from tests.controller.act_samples import BEFORE, DONE, ELSEWHERE, PLAN, SHOP, THERE, UNDERWAY
from tests.controller.journal_samples import CHECKOUT, HELD, INTENDED, MINUTE, SECOND, T0, WIDE, claim

ELSE = replace(PLAN, intent=replace(PLAN.intent, to_revision="rev-0"))


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
    reason = "3 had the claim on it, and none of them brought it to an end"
    assert acting.events()[1:] == [Stopped("inc-1", T0, 0, CHECKOUT, RungEnd.FAILED, reason)]
    assert acting.target.written == []


def test_a_write_of_one_of_three_claimants_that_did_arrive_is_found(acting):
    claim(acting.store)
    acting.taken_over("two", "three")
    acting.target.stands = THERE
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == (DONE, [])
    assert (CHECKOUT, "rev-b") in acting.store.quarantined()


def test_after_three_claimants_somebody_else_who_was_there_is_named(acting):
    claim(acting.store)
    acting.taken_over("two", "three")
    acting.target.stands = ELSEWHERE
    picked_up_by_one(acting)
    assert acting.events()[1:] == [Stopped("inc-1", T0, 0, CHECKOUT, RungEnd.OVERTAKEN, "it stands at rev-c")]


def test_a_step_whose_claimant_may_live_is_left_to_it(acting):
    claim(acting.store)
    acting.journal.move(30 * SECOND - timedelta(microseconds=1))
    acting.actor.resume(acting.store.incident("inc-1"), SHOP)
    assert (acting.kinds(), acting.target.written, acting.target.looked_for) == ([Intended], [], [])


def test_a_target_that_is_slow_to_read_and_to_plan_for_leaves_the_claim_its_time(acting):
    """A claim lets a write begin for ten seconds; what is asked first takes longer, each."""
    claim(acting.store)
    look, plan = acting.target.look, acting.target.plan

    def slowly(ask):
        def asked(what):
            acting.journal.move(11 * SECOND)
            return ask(what)

        return asked

    acting.target.look, acting.target.plan = slowly(look), slowly(plan)
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == (DONE, [PLAN])


def test_what_was_seen_before_another_one_had_the_claim_says_nothing(acting):
    claim(acting.store)

    def slowly(request):
        acting.journal.move(SECOND)
        with acting.store.transaction() as tx:
            assert tx.take_over("inc-1", 0, CHECKOUT, "two")  # and came to no end, as it stood still or died
        acting.journal.move(31 * SECOND)
        return PLAN

    acting.target.plan = slowly
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == ([Intended], [])
    assert acting.store.claim_on("inc-1", 0, CHECKOUT).claimant == "one"


@pytest.mark.parametrize("stands", [replace(THERE, ours=False), replace(UNDERWAY, ours=False)], ids=["there", "under-way"])
def test_an_end_state_that_another_writer_brought_is_not_taken_for_ours(acting, stands):
    claim(acting.store)
    acting.target.stands = stands
    picked_up_by_one(acting)
    assert acting.events()[1:] == [
        Stopped("inc-1", T0, 0, CHECKOUT, RungEnd.SUPERSEDED, f"another writer has put rev-a there: {stands.reason}"),
    ]
    assert (acting.store.quarantined(), acting.target.written) == (frozenset(), [])


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
    # A claimant who stood still may have gone on while there was no plan: the target is asked once more before the step is called unwritten.
    at = T0 if how is RungEnd.OVERTAKEN else T0 + EXPLAIN
    assert acting.events()[1:] == [Stopped("inc-1", at, 0, CHECKOUT, how, reason)]
    assert acting.target.written == []


def test_a_write_that_arrives_while_there_is_no_plan_for_it_any_more_is_found(acting):
    claim(acting.store)

    def late(request):
        acting.target.stands = THERE  # the claimant stood still, and has gone on
        raise Refused("it stands at rev-a")

    acting.target.plan = late
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == (DONE, [])
    assert acting.events()[1].reason == "it stands at rev-a; found carrying it: 3 of 3 ready"


def test_a_write_that_did_not_arrive_is_not_made_up_for_while_all_is_paused(acting):
    claim(acting.store)
    acting.pause.pause("game day", "alice", T0)
    picked_up_by_one(acting)
    (ended,) = acting.events()[1:]
    assert (ended.how, ended.reason.startswith("paused: game day")) == (RungEnd.REFUSED, True)
    assert (acting.target.written, len(acting.target.looked_for)) == ([], 1)  # more would wait for an end state


SLOW = replace(INTENDED, complete_by=T0 + 10 * MINUTE)


def begun(acting, intended=SLOW):
    """A step that was announced, and of which nobody knows what became."""
    with acting.store.transaction() as tx:
        assert isinstance(tx.claim(intended, "one", WIDE), Claim)


def test_a_target_that_cannot_be_seen_is_not_taken_on_before_it_can_or_is_overdue(acting):
    begun(acting)
    acting.target.stands = Transient("no route to host")
    for _ in range(5):
        acting.clock.move(MINUTE)
        picked_up_by_one(acting)
    assert (acting.kinds(), acting.store.claim_on("inc-1", 0, CHECKOUT).attempts) == ([Intended], 1)
    assert acting.decided == [], "what nobody can see is not decided again at once"
    acting.target.stands = THERE
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == (DONE, [])


def test_what_cannot_be_seen_when_it_was_to_be_complete_is_given_to_people_as_what_nobody_knows(acting):
    begun(acting)
    acting.target.stands = Transient("no route to host")
    acting.journal.move(10 * MINUTE)
    picked_up_by_one(acting)
    (ended,) = acting.events()[1:]
    said = "it cannot be seen, and was to be complete by 03:10:00: no route to host; whether it was written is not known: look first"
    assert (ended.how, ended.reason, ended.advice) == (RungEnd.FAILED, said, SLOW.command)
    assert acting.target.written == []


def test_a_write_that_is_sent_again_has_all_the_time_that_its_plan_gave_it(acting):
    begun(acting, replace(INTENDED, complete_by=T0 + 30 * SECOND))
    acting.clock.move(MINUTE)
    looks = iter([BEFORE, *[UNDERWAY] * 5, THERE])
    acting.target.look = lambda _: next(looks)
    picked_up_by_one(acting)
    assert (acting.kinds(), acting.target.written) == (DONE, [PLAN])


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


def test_a_target_that_is_not_seen_has_the_time_of_the_journals_clock_however_ours_goes(acting):
    """The deadline is of that clock: where ours is an hour ahead the step has no less time."""
    with acting.store.transaction() as tx:
        tx.claim(replace(INTENDED, complete_by=T0 + 10 * MINUTE), "other", WIDE)
    acting.clock.move(60 * MINUTE)
    acting.target.stands = Transient("503")
    picked_up_by_one(acting)
    assert not any(isinstance(event, Stopped) for event in acting.events())
