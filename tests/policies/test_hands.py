"""What people decide, as the pure function sees it: plans that wait, orders, acknowledgements."""

from dataclasses import replace

import pytest

from rollbackd.policies.decide.decisions import Act, Offer, Wait
from rollbackd.policies.decide.events import Acked, Approved, Held, Offered, Ordered
from rollbackd.policies.decide.hands import blocks
from rollbackd.policies.decide.incident import Phase, fold
from rollbackd.policies.model.policy import Mode
from tests.policies.literals import CALM, EVERY, FLAGS, MINUTE, OPENED, POLICY, RELEASE, T0, TARGET, counts, intended, no_data, only, run, slots

AT = T0 + 6 * MINUTE
APPROVING = replace(POLICY, mode=Mode.APPROVE, conditions=tuple(replace(c, mode=Mode.APPROVE) for c in POLICY.conditions))
ASKED = replace(OPENED, mode=Mode.APPROVE)
OFFER = Offered("inc-1", T0 + 5 * MINUTE, 1, TARGET, "bad7", "good6", "p" * 64, "e", 2, T0 + 15 * MINUTE, "put back good6", "error-rate 60/600")
ORDER = Ordered("inc-1", AT, 1, TARGET, "bad7", "p" * 64, "ann", "customers say so")
TAKEN = Acked("inc-1", AT, "bob")


def approved(who, *overrides):
    return Approved("inc-1", T0 + 5 * MINUTE, OFFER.plan_digest, who, "seen", overrides)


def decided(*events, policy=APPROVING, reading=lambda at: counts(at, 60, 600), fleet=CALM, at=AT):
    """What the slot ``at`` decides of the incident that these rows amount to."""
    return run(policy, {moment: reading(moment) for moment in slots(T0 + EVERY, at)}, incident=fold((ASKED, *events)), fleet=fleet).decisions


def test_the_plan_of_an_approving_policy_is_put_to_people():
    offer = only(decided(), Offer)
    assert (offer.act.remedy.target, offer.act.plan_digest) == (TARGET, None)


def test_too_few_approvals_wait_and_say_who_gave_them():
    wait = only(decided(OFFER, approved("ann")), Wait)
    assert "plan pppppppppppp awaits people until 14:15:00: 1 of 2 approvals (ann)" in wait.reason


def test_the_same_person_counts_once():
    assert isinstance(decided(OFFER, approved("ann"), approved("ann"))[0], Wait)


def test_enough_approvals_are_an_act_bound_to_the_plan_and_its_people():
    act = only(decided(OFFER, approved("ann"), approved("bob")), Act)
    assert (act.plan_digest, act.by, act.from_revision) == (OFFER.plan_digest, ("ann", "bob"), "bad7")


def test_approvals_of_an_earlier_plan_do_not_count_for_the_next():
    newer = replace(OFFER, plan_digest="q" * 64)
    assert "0 of 2" in only(decided(OFFER, approved("ann"), approved("bob"), newer), Wait).reason


def test_enough_approvals_do_not_act_on_what_is_not_proven_now():
    assert "not proven at this slot" in only(decided(OFFER, approved("ann"), approved("bob"), reading=no_data), Wait).reason


def test_after_its_time_the_plan_is_held_with_what_it_had():
    held = only(decided(OFFER, approved("ann"), at=T0 + 15 * MINUTE), Held)
    assert held.guard == "approval"
    assert "had 1 of 2 approvals by 14:15:00; nothing was written" in held.reason


def test_a_mode_that_was_lowered_meanwhile_holds_the_plan():
    assert only(decided(OFFER, approved("ann"), approved("bob"), fleet=replace(CALM, mode_cap=Mode.SUGGEST)), Held).guard == "mode"


def test_a_mode_that_was_raised_meanwhile_acts_without_people():
    act = only(decided(OFFER, policy=POLICY), Act)
    assert (act.plan_digest, act.by) == (None, ())


def test_a_ladder_that_is_another_one_by_now_holds_the_plan():
    assert only(decided(OFFER, policy=replace(APPROVING, ladder=APPROVING.ladder[:1])), Held).guard == "policy-changed"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [pytest.param((), "cool-down", id="unnamed"), pytest.param(("cool-down",), None, id="named")],
)
def test_an_approval_passes_the_guard_that_it_names(overrides, expected):
    fleet = replace(CALM, closed={TARGET: AT - MINUTE})
    (decision,) = decided(OFFER, approved("ann", *overrides), approved("bob"), fleet=fleet)
    assert (decision.guard if isinstance(decision, Held) else None) == expected


def test_no_approval_passes_the_pause():
    held = only(decided(OFFER, approved("ann", "pause"), approved("bob"), fleet=replace(CALM, paused="db move")), Held)
    assert held.guard == "pause"


def test_a_taken_incident_begins_nothing_by_itself():
    assert only(decided(TAKEN, policy=POLICY), Held).guard == "acknowledged"


def test_a_taken_incident_takes_approvals():
    assert only(decided(OFFER, TAKEN, approved("ann"), approved("bob")), Act)


def test_an_order_needs_no_proof_and_carries_what_the_person_saw():
    act = only(decided(ORDER, reading=no_data), Act)
    assert (act.rung, act.from_revision, act.plan_digest, act.by) == (1, "bad7", ORDER.plan_digest, ("ann",))
    assert act.reason == "ordered by ann: customers say so"


def test_an_order_is_held_by_a_guard_that_it_does_not_name():
    fleet = replace(CALM, quarantined=frozenset({(TARGET, RELEASE.revision)}))
    assert only(decided(ORDER, fleet=fleet), Held).guard == "quarantine"
    assert only(decided(replace(ORDER, overrides=("quarantine",)), fleet=fleet), Act).overrides == ("quarantine",)


def test_an_order_for_a_rung_that_is_gone_is_held():
    assert only(decided(replace(ORDER, target=FLAGS)), Held).guard == "policy-changed"


def test_an_order_takes_a_held_incident_on():
    held = Held("inc-1", AT, "give-up", "nothing proven")
    assert fold((ASKED, held)).phase is Phase.HELD
    assert only(decided(held, ORDER), Act)


def test_what_follows_an_order_in_a_suggesting_incident_is_people_s_to_order():
    stopped = fold((replace(OPENED, mode=Mode.SUGGEST), ORDER))
    assert stopped.is_in_hands


def test_a_write_is_taken_back_by_an_act_on_exactly_that_write():
    write = replace(intended(), reverts=False, target=FLAGS)
    act = only(decided(replace(ORDER, rung=0, target=FLAGS, undo=write)), Act)
    assert (act.undo, act.only, act.remedy.target) == (write, None, FLAGS)


def test_going_back_to_a_quarantined_revision_has_to_be_named():
    fleet = replace(CALM, quarantined=frozenset({(TARGET, "bad7")}))
    write = intended()
    assert blocks(POLICY, None, (), fleet, AT, (), write).name == "quarantine"
    assert blocks(POLICY, None, (), fleet, AT, ("quarantine",), write) is None


def test_taking_back_does_not_wait_for_the_cool_down_of_what_it_takes_back():
    fleet = replace(CALM, closed={TARGET: AT - MINUTE})
    assert blocks(POLICY, None, (), fleet, AT, ()).name == "cool-down"
    assert blocks(POLICY, None, (), fleet, AT, (), intended()) is None
