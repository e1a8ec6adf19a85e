"""What people decide, as the pure function sees it: plans that wait, orders, acknowledgements."""

from dataclasses import replace

import pytest

from rollbackd.policies.decide.decisions import Act, Offer, Wait
from rollbackd.policies.decide.guards import cooldown_of
from rollbackd.policies.decide.hands import blocks
from rollbackd.policies.known.events import Acked, Applied, Approved, Closed, Held, Offered, Ordered, RungEnd, Settled, Stopped
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import FlagsRung, Mode, RestoreRung, RevertRung
from tests.policies.literals import (
    CALM,
    EVERY,
    FLAGS,
    FLIP,
    MINUTE,
    OPENED,
    POLICY,
    RELEASE,
    SECOND,
    T0,
    TARGET,
    counts,
    intended,
    no_data,
    only,
    run,
    slots,
)

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


FLIPPED_BACK = replace(FLIP, id="flip-back", started_early=T0 + 5 * MINUTE, started_late=T0 + 5 * MINUTE, first_seen=T0 + 5 * MINUTE + EVERY)


def after_flags(*events, changes):
    """What the slot ``AT`` decides where the flags were switched off by the first rung."""
    switched = (intended(0, T0 + 4 * MINUTE, FLAGS), Applied("inc-1", T0 + 4 * MINUTE, 0, FLAGS, "accepted"))
    incident = fold((ASKED, *switched, Settled("inc-1", T0 + 4 * MINUTE, 0, FLAGS, T0 + 4 * MINUTE, "off"), *events))
    return run(APPROVING, {at: counts(at, 60, 600) for at in slots(T0 + EVERY, AT)}, incident=incident, changes=changes).decisions


@pytest.mark.parametrize(
    "events",
    [
        pytest.param((OFFER, approved("ann"), approved("bob")), id="a-plan-that-was-approved"),
        pytest.param((Stopped("inc-1", T0 + 5 * MINUTE, 1, TARGET, RungEnd.FAILED, "image gone"),), id="a-rung-that-failed"),
    ],
)
def test_nothing_follows_where_another_writer_took_back_what_was_done(events):
    held = only(after_flags(*events, changes=(RELEASE, FLIPPED_BACK)), Held)
    assert (held.guard, held.reason.startswith(f"{FLAGS} went to revision")) == ("other-writer", True)
    assert ("plan pppppppppppp is not carried out" in held.reason) is (events[0] == OFFER)
    assert "other-writer" not in [getattr(one, "guard", "") for one in after_flags(*events, changes=(RELEASE,))]


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


def test_guards_are_asked_of_an_order_as_of_the_order_where_the_look_is_older():
    """In calm a target is looked at once a minute: what was over when the person was told so must not hold the order."""
    over = AT + 20 * SECOND - cooldown_of(APPROVING, CALM)
    fleet = replace(CALM, closed={TARGET: over})
    assert only(decided(ORDER, fleet=fleet), Held).guard == "cool-down"
    act = only(decided(replace(ORDER, at=AT + 20 * SECOND), fleet=fleet), Act)
    assert act.at == AT + 20 * SECOND


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
    assert blocks(POLICY, fold((OPENED, TAKEN)), (), CALM, AT, (), intended()) is None, "nor for whoever has taken the incident"


# --- plans at their edges ------------------------------------------------------------------------------------------------------------

DATABASE = "rds:prod/eu-west-1/orders/point-in-time"
RESTORING = replace(APPROVING, ladder=(FlagsRung(FLAGS), RestoreRung(DATABASE)))
RESTORE = replace(OFFER, target=DATABASE)
END = T0 + 15 * MINUTE


def test_a_plan_waits_until_its_time_is_up_and_no_longer():
    assert isinstance(decided(OFFER, approved("ann"), at=END - EVERY)[0], Wait)
    assert only(decided(OFFER, approved("ann"), at=END), Held).reason == (
        "plan pppppppppppp had 1 of 2 approvals by 14:15:00; nothing was written: put back good6"
    )


def test_what_enough_people_approved_in_time_is_carried_out_late_but_no_restore():
    assert only(decided(OFFER, approved("ann"), approved("bob"), at=END), Act)
    late = only(decided(RESTORE, approved("ann"), approved("bob"), policy=RESTORING, at=END), Held)
    assert late.reason == "plan pppppppppppp was approved, but not begun by 14:15:00: its time is up; nothing was made"
    assert only(decided(RESTORE, approved("ann"), approved("bob"), policy=RESTORING, at=END - EVERY), Act).remedy == RestoreRung(DATABASE)


def test_an_approved_plan_whose_breach_was_not_proven_again_says_so():
    held = only(decided(OFFER, approved("ann"), approved("bob"), reading=no_data, at=END), Held)
    assert held.reason.startswith("plan pppppppppppp was approved, but the breach was not proven again by 14:15:00: error-rate nodata")


def test_a_waiting_plan_says_what_is_missing():
    assert ": 0 of 2 approvals: error-rate 300/3000" in only(decided(OFFER), Wait).reason
    assert "1 of 2 approvals (ann): error-rate" in only(decided(OFFER, approved("ann")), Wait).reason
    proven = only(decided(OFFER, approved("ann"), approved("bob"), reading=no_data), Wait).reason
    assert "2 of 2 approvals (ann, bob); the breach is not proven at this slot: error-rate" in proven


def test_an_incident_without_a_plan_only_waits():
    incident = replace(fold((ASKED, OFFER)), offer=None)
    assert run(APPROVING, {AT: counts(AT, 60, 600)}, incident=incident).decisions == (Wait("no plan is put to people"),)


@pytest.mark.parametrize(
    "ladder",
    [
        pytest.param(APPROVING.ladder[:1], id="shorter"),
        pytest.param((APPROVING.ladder[0], APPROVING.ladder[0]), id="of-another-target"),
    ],
)
def test_a_plan_of_another_ladder_says_which_policy_changed(ladder):
    held = only(decided(OFFER, approved("ann"), approved("bob"), policy=replace(APPROVING, ladder=ladder)), Held)
    assert (held.guard, held.reason) == ("policy-changed", "the ladder of policy checkout is no longer the one of plan pppppppppppp")


def test_a_mode_that_was_lowered_is_named():
    held = only(decided(OFFER, fleet=replace(CALM, mode_cap=Mode.SUGGEST)), Held)
    assert held.reason == "the mode is suggest by now: plan pppppppppppp is not carried out"


def test_guards_that_several_people_named_are_each_passed_once():
    fleet = replace(CALM, closed={TARGET: AT - MINUTE}, acted_in_hour=99)
    act = only(decided(OFFER, approved("ann", "cool-down"), approved("bob", "per-hour", "cool-down"), fleet=fleet), Act)
    assert (act.overrides, act.reason) == (("cool-down", "per-hour"), "error-rate 60/600")


def test_a_plan_is_not_carried_out_where_a_guard_holds_and_says_why():
    held = only(decided(OFFER, approved("ann"), approved("bob"), fleet=replace(CALM, unexplained=frozenset({"a", "b"}))), Held)
    assert held.reason.endswith(": a, b: a common cause is likelier than this change")


def test_a_plan_is_closed_with_its_incident_once_all_is_well():
    (closed,) = decided(OFFER, reading=lambda at: counts(at, 0, 600), at=T0 + 12 * MINUTE)
    assert isinstance(closed, Closed)


# --- guards on what people decide ----------------------------------------------------------------------------------------------------


def test_the_budgets_of_an_incident_that_acted_are_not_asked_again():
    spent = replace(CALM, acted_in_hour=99)
    acted = fold((OPENED, intended()))
    assert blocks(POLICY, fold((OPENED,)), (), spent, AT, ()).name == "per-hour"
    assert blocks(POLICY, acted, (), spent, AT, ()) is None
    assert blocks(POLICY, acted, (), replace(spent, paused="db move"), AT, ()).name == "pause"


def test_whose_fault_it_is_people_have_decided():
    unclear = (RELEASE, replace(RELEASE, id="p", posted=True))
    assert blocks(POLICY, fold((OPENED,)), unclear, CALM, AT, ()) is None
    assert blocks(POLICY, fold((OPENED,)), unclear, CALM, AT, (), intended()) is None


def test_an_undo_that_goes_to_a_quarantined_revision_has_to_name_it_also_if_it_takes_an_undo_back():
    fleet = replace(CALM, quarantined=frozenset({(TARGET, "bad7")}))
    assert blocks(POLICY, None, (), fleet, AT, (), replace(intended(), reverts=False)).name == "quarantine"
    assert blocks(POLICY, None, (), fleet, AT, (), replace(intended(), reverts=False, target=FLAGS)) is None


# --- orders ----------------------------------------------------------------------------------------------------------------------------


def test_an_order_that_a_guard_holds_says_whose_it_was_and_which_guard():
    held = only(decided(ORDER, fleet=replace(CALM, paused="db move")), Held)
    assert (held.guard, held.reason) == ("pause", "ordered by ann, but paused: db move")


@pytest.mark.parametrize("order", [pytest.param(replace(ORDER, rung=2), id="beyond-the-ladder"), pytest.param(replace(ORDER, rung=0), id="another")])
def test_an_order_for_another_rung_is_held(order):
    held = only(decided(order), Held)
    assert (held.guard, held.reason) == ("policy-changed", f"policy checkout has no rung for {TARGET} any more")


def test_nobody_orders_a_restore():
    held = only(decided(replace(ORDER, target=DATABASE), policy=RESTORING), Held)
    assert held.guard == "approval"
    assert held.reason.startswith("ordered by ann, but rung 2 restores data: it is two people's to approve")


@pytest.mark.parametrize(
    ("target", "reverts", "remedy"),
    [
        pytest.param(TARGET, True, RevertRung(TARGET), id="a-revision"),
        pytest.param("route53:prod/Z1/www/A", False, RevertRung("route53:prod/Z1/www/A"), id="weights-that-recur"),
        pytest.param(FLAGS, False, FlagsRung(FLAGS, only_changed=False), id="flags"),
    ],
)
def test_a_write_is_taken_back_as_what_it_was(target, reverts, remedy):
    write = replace(intended(), reverts=reverts, target=target)
    assert only(decided(replace(ORDER, target=target, undo=write)), Act).remedy == remedy


def test_an_order_for_flags_is_of_those_that_the_suspect_touched():
    order = replace(ORDER, rung=0, target=FLAGS, from_revision="f1")
    incident = replace(fold((ASKED, order)), suspects=(FLIP.id,))
    act = only(run(APPROVING, {AT: no_data(AT)}, incident=incident, changes=(RELEASE, FLIP)).decisions, Act)
    assert (act.only, act.from_revision) == (("new-checkout",), "f1"), "what the person saw, whatever was judged"
