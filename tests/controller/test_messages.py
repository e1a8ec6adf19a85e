"""What on-call reads, word for word."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.controller.notify.messages import SMS, notice_of
from rollbackd.policies.known.events import Applied, Closed, CloseHow, Held, Joined, Offered, Ordered, RungEnd, Settled, Stopped
from rollbackd.policies.known.fold import fold
from rollbackd.policies.model.policy import Mode
from tests.policies.literals import FLAGS, MINUTE, OPENED, POLICY, T0, TARGET, intended

INTENDED = replace(
    intended(),
    summary="put checkout back to good6",
    steps=("image app: shop:7 -> shop:6",),
    not_undone=("ConfigMap checkout-config",),
    command="kubectl -n shop rollout undo deployment/checkout --to-revision=6",
    settle_seconds=0.0,
)
APPLIED = Applied("inc-1", T0 + 5 * MINUTE, 1, TARGET, "accepted")
SETTLED = Settled("inc-1", T0 + 6 * MINUTE, 1, TARGET, T0 + 6 * MINUTE, "complete")


def notice(*events, policy=POLICY):
    found = notice_of(events[-1], fold(events), policy)
    assert found is not None
    return found


def test_started_says_what_is_done_why_how_to_stop_it_and_until_when_to_wait():
    found = notice(OPENED, INTENDED)
    assert found.title == "STARTED put checkout back to good6: do nothing until at least 14:10:00 UTC"
    assert found.urgency == "notice"
    assert found.lines == (
        "do nothing until at least 14:10:00 UTC",
        "why: error-rate 60/600",
        "doing: rung 2: put checkout back to good6 (bad7 -> good6)",
        "  image app: shop:7 -> shop:6",
        "not undone: ConfigMap checkout-config",
        "by hand: kubectl -n shop rollout undo deployment/checkout --to-revision=6",
        "to stop before the next step: rollbackd pause --reason '...'; explain: rollbackd explain kubernetes:default/shop/deployment/checkout",
        "incident inc-1, policy checkout",
    )


def test_what_takes_long_says_until_when_it_may_be_complete():
    line = "it may take until 14:20:00 UTC to be complete, and is verified after that; you are told how it ends"
    slow = replace(INTENDED, complete_by=T0 + 20 * MINUTE)
    assert line in notice(OPENED, slow).lines
    joined = Joined("inc-1", T0 + 9 * MINUTE, "checkout", "latency", Mode.AUTO, "slow")
    assert line in notice(OPENED, slow, APPLIED, joined).lines
    assert line not in notice(OPENED, slow, APPLIED, SETTLED, joined).lines


def test_once_it_is_complete_the_earliest_end_counts_from_then():
    joined = Joined("inc-1", T0 + 16 * MINUTE, "checkout", "latency", Mode.AUTO, "slow")
    late = replace(SETTLED, evidence_from=T0 + 15 * MINUTE)
    assert "do nothing until at least 14:20:00 UTC; latency joins" in notice(OPENED, INTENDED, APPLIED, late, joined).title


def test_the_reason_of_a_first_order_is_not_given_for_a_second_one():
    first = replace(INTENDED, rung=0, target=FLAGS, by=("ann",))
    assert notice(OPENED, first).lines[1:3] == ("why: error-rate 60/600", "decided by: ann")
    refused = replace(REFUSED, rung=0, target=FLAGS)
    rows = (OPENED, first, refused, replace(INTENDED, by=("bob",)))
    said = ("why it was opened: error-rate 60/600", "decided by: bob; what they said: rollbackd history inc-1")
    assert notice(*rows).lines[1:3] == said
    assert notice(*rows, APPLIED, SETTLED, WELL).lines[2:4] == said


def test_recovered_leads_with_what_was_done_and_that_it_is_over():
    closed = Closed("inc-1", T0 + 11 * MINUTE, CloseHow.RECOVERED, "healthy for 5m0s: error-rate 0/600")
    found = notice(OPENED, INTENDED, APPLIED, SETTLED, closed)
    assert found.title.startswith("ROLLED BACK kubernetes:default/shop/deployment/checkout bad7 -> good6: verified, healthy for 5m0s")
    assert found.lines[0] == "nothing needs to be done now"
    assert "not undone: ConfigMap checkout-config" in found.lines
    assert "to allow revision bad7 again: rollbackd rearm kubernetes:default/shop/deployment/checkout bad7" in found.lines
    assert found.resolved


def test_recovered_by_a_flag_names_the_flag_and_no_quarantine():
    flags = replace(INTENDED, rung=0, target=FLAGS, summary="set flag 'new-checkout' to the safe state", reverts=False)
    events = (
        OPENED,
        flags,
        replace(APPLIED, rung=0, target=FLAGS),
        replace(SETTLED, rung=0, target=FLAGS),
        Closed("inc-1", T0 + 11 * MINUTE, CloseHow.RECOVERED, "healthy"),
    )
    found = notice(*events)
    assert found.title == "ROLLED BACK set flag 'new-checkout' to the safe state: verified, healthy"
    assert f"{FLAGS} stays so until somebody changes it again: nothing is quarantined" in found.lines
    assert not any("rearm" in line for line in found.lines)


WELL = Closed("inc-1", T0 + 11 * MINUTE, CloseHow.RECOVERED, "healthy for 5m0s")
REFUSED = Stopped("inc-1", T0 + 6 * MINUTE, 1, TARGET, RungEnd.REFUSED, "not allowed to patch")
LADDER = Held("inc-1", T0 + 6 * MINUTE, "ladder", "no rung is left")


def test_what_became_well_without_a_write_that_was_accepted_was_not_rolled_back():
    found = notice(OPENED, INTENDED, REFUSED, LADDER, WELL)
    assert found.title.startswith("CLOSED kubernetes:default/shop/deployment/checkout: recovered")
    assert not any("rearm" in line for line in found.lines)


def test_what_became_well_after_people_were_told_that_the_rollback_had_not_helped_is_no_verified_rollback():
    held = Held("inc-1", T0 + 9 * MINUTE, "ladder", "rung 2 did not help")
    found = notice(OPENED, INTENDED, APPLIED, SETTLED, held, replace(WELL, at=T0 + 360 * MINUTE))
    assert found.title == "CLOSED kubernetes:default/shop/deployment/checkout: recovered after 5h55m"
    assert "it had been held by ladder: rung 2 did not help" in found.lines
    assert "to allow revision bad7 again: rollbackd rearm kubernetes:default/shop/deployment/checkout bad7" in found.lines
    assert (found.kind, found.resolved) == ("recovered", True)


def test_what_people_ordered_after_a_hold_and_helped_is_a_verified_rollback():
    ordered = replace(INTENDED, at=T0 + 7 * MINUTE, by=("ann",))
    order = Ordered("inc-1", T0 + 7 * MINUTE, 1, TARGET, "bad7", "p", "ann", "again")
    assert notice(OPENED, LADDER, order, ordered, APPLIED, SETTLED, WELL).title.startswith("ROLLED BACK")


def test_what_helped_is_the_rung_that_was_accepted_and_not_the_one_that_was_refused_after_it():
    flags = replace(INTENDED, rung=0, target=FLAGS, summary="set flag 'new-checkout' to the safe state", not_undone=(), reverts=False)
    found = notice(OPENED, flags, replace(APPLIED, rung=0, target=FLAGS), replace(SETTLED, rung=0, target=FLAGS), INTENDED, REFUSED, WELL)
    assert found.title == "ROLLED BACK set flag 'new-checkout' to the safe state: verified, healthy for 5m0s"
    assert "rung 2 kubernetes:default/shop/deployment/checkout: refused: not allowed to patch" in found.lines
    assert not any("rearm" in line for line in found.lines)


def test_what_an_earlier_rung_left_is_said_beside_what_helped():
    flags = replace(INTENDED, rung=0, target=FLAGS, summary="set flag 'new-checkout' to the safe state", not_undone=(), reverts=False)
    found = notice(OPENED, flags, replace(APPLIED, rung=0, target=FLAGS), replace(SETTLED, rung=0, target=FLAGS), INTENDED, APPLIED, SETTLED, WELL)
    assert found.title.startswith("ROLLED BACK kubernetes:default/shop/deployment/checkout bad7 -> good6")
    assert f"{FLAGS} stays so until somebody changes it again: nothing is quarantined" in found.lines


def test_of_a_release_that_was_put_back_by_hand_it_is_not_said_that_nothing_is_quarantined():
    undone = replace(INTENDED, reverts=False, summary="put checkout back to bad7", by=("ann",))
    found = notice(OPENED, undone, APPLIED, SETTLED, WELL)
    assert found.title.startswith("ROLLED BACK put checkout back to bad7")
    assert "not undone: ConfigMap checkout-config" in found.lines
    assert not any("stays so" in line or "quarantined" in line for line in found.lines)


def test_of_two_writes_to_the_same_flags_the_newest_stays():
    first = replace(INTENDED, rung=0, target=FLAGS, not_undone=("price",), reverts=False)
    second = replace(first, rung=1, not_undone=("banner",))
    took = replace(APPLIED, target=FLAGS), replace(SETTLED, target=FLAGS)
    earlier = replace(APPLIED, rung=0, target=FLAGS), replace(SETTLED, rung=0, target=FLAGS)
    lines = notice(OPENED, first, *earlier, second, *took, WELL).lines
    after = ("not undone: price", "not undone: banner", f"{FLAGS} stays so until somebody changes it again: nothing is quarantined")
    assert lines[-4:-1] == after


def test_a_foreign_name_in_a_command_is_quoted():
    found = notice(OPENED, replace(INTENDED, from_revision="v2;touch /tmp/x"), APPLIED, SETTLED, WELL)
    assert f"to allow revision v2;touch /tmp/x again: rollbackd rearm {TARGET} 'v2;touch /tmp/x'" in found.lines
    strange = replace(OPENED, target="command:shop;id", policy="a b")
    held = notice(strange, Held("inc-1", T0, "pause", "paused")).lines
    assert any(line.endswith("explain: rollbackd explain 'command:shop;id'") for line in held)
    assert any(line.endswith("rollbackd rollback 'a b' --reason '...'") for line in held)


def test_a_write_of_which_nobody_knows_is_not_called_done():
    bug = Held("inc-1", T0 + 6 * MINUTE, "bug", "rollbackd failed in itself")
    assert "begun, whether it was written is not known: rung 2: put checkout back to good6" in notice(OPENED, INTENDED, bug).lines
    assert "done: rung 2: put checkout back to good6" in notice(OPENED, INTENDED, APPLIED, bug).lines


def test_a_second_hold_by_the_same_guard_is_news():
    order = Ordered("inc-1", T0 + 8 * MINUTE, 1, TARGET, "bad7", "p", "ann", "again")
    again = replace(LADDER, at=T0 + 9 * MINUTE)
    assert notice(OPENED, LADDER).id != notice(OPENED, LADDER, order, again).id


def test_held_before_anything_was_done_leads_with_no_action_taken():
    found = notice(OPENED, Held("inc-1", T0 + 5 * MINUTE, "pause", "paused: game day"))
    assert found.title == "NO ACTION TAKEN kubernetes:default/shop/deployment/checkout: held by pause: paused: game day"
    assert found.urgency == "page"
    assert found.lines[0] == "a human must look now: nothing more is done by itself"


def test_held_after_a_rung_says_what_was_tried_and_the_command_by_hand():
    stopped = Stopped("inc-1", T0 + 6 * MINUTE, 1, TARGET, RungEnd.FAILED, "image gone", "push it again")
    found = notice(OPENED, INTENDED, stopped, Held("inc-1", T0 + 6 * MINUTE, "ladder", "no rung is left"))
    assert found.title.startswith("ROLLBACK NEEDS YOU")
    assert "rung 2 kubernetes:default/shop/deployment/checkout: failed: image gone (push it again)" in found.lines
    assert "by hand: kubectl -n shop rollout undo deployment/checkout --to-revision=6" in found.lines


@pytest.mark.parametrize("by_whom", [(), ("ann",)], ids=["by-itself", "by-a-person"])
def test_the_command_of_what_was_done_is_not_offered_as_the_next_thing_to_do(by_whom):
    stopped = Stopped("inc-1", T0 + 6 * MINUTE, 1, TARGET, RungEnd.FAILED, "bad7 is not ready")
    found = notice(OPENED, replace(INTENDED, by=by_whom), APPLIED, stopped, Held("inc-1", T0 + 6 * MINUTE, "by-hand", "rung 2 failed"))
    assert "was done by: kubectl -n shop rollout undo deployment/checkout --to-revision=6" in found.lines
    assert not any(line.startswith("by hand:") for line in found.lines)
    back = "to take back what was written, unless somebody has changed it since: rollbackd undo inc-1 --reason '...'"
    assert (back in found.lines) is bool(by_whom)


def test_where_somebody_else_wrote_after_us_it_is_said_how_ours_is_taken_back():
    found = notice(OPENED, INTENDED, APPLIED, SETTLED, Held("inc-1", T0 + 6 * MINUTE, "other-writer", "v9 runs, which is not ours"))
    assert "to take back what was written, unless somebody has changed it since: rollbackd undo inc-1 --reason '...'" in found.lines
    nothing = notice(OPENED, Held("inc-1", T0 + 6 * MINUTE, "other-writer", "v9 runs, which is not ours"))
    assert not any("rollbackd undo" in line for line in nothing.lines)


def test_a_rung_that_was_refused_is_not_called_done():
    stopped = Stopped("inc-1", T0 + 6 * MINUTE, INTENDED.rung, TARGET, RungEnd.REFUSED, "the server did not take the patch")
    found = notice(OPENED, INTENDED, stopped, Held("inc-1", T0 + 6 * MINUTE, "ladder", "no rung is left"))
    assert not any(line.startswith("done:") for line in found.lines)
    assert any(line.startswith(f"tried: rung {INTENDED.rung + 1}: ") for line in found.lines)


def test_suggested_says_that_nothing_was_done_and_how_to_see_the_plan():
    found = notice(replace(OPENED, mode=Mode.SUGGEST))
    assert found.title.startswith("SUGGESTED kubernetes:default/shop/deployment/checkout: error-rate 60/600")
    assert found.lines[0] == "nothing was done: the mode is suggest"
    assert [line for line in found.lines if line.startswith("would try")] == [
        "would try: rung 1: flags flagd:shop/tag:checkout",
        "would try: rung 2: revert kubernetes:default/shop/deployment/checkout",
    ]
    assert "what it would write: rollbackd plan checkout" in found.lines


REAL = (
    pytest.param("Put shop/checkout back to ReplicaSet checkout-7d9f8b6c5d (registry.shop.example/shop/checkout:2026.11.22-3)", id="kubernetes"),
    pytest.param("Put checkout of cluster prod back to checkout:41 (1234.dkr.ecr.eu-central-1.amazonaws.com/checkout:1.4.1)", id="ecs"),
)


@pytest.mark.parametrize("summary", REAL)
def test_of_a_long_title_the_summary_is_cut_and_not_what_people_are_to_do(summary):
    begun = replace(INTENDED, summary=summary)
    joined = notice(OPENED, begun, Joined("inc-1", T0 + 9 * MINUTE, "checkout", "latency", Mode.AUTO, "slow"))
    for found, ends in ((notice(OPENED, begun), " UTC"), (joined, " UTC; latency joins as evidence")):
        assert found.title.endswith(f"…: do nothing until at least 14:10:00{ends}")
        assert len(found.title) == SMS
        assert found.lines[0] == "do nothing until at least 14:10:00 UTC"


@pytest.mark.parametrize(("needed", "people"), [(1, "your approval"), (2, "2 approvals")])
@pytest.mark.parametrize("summary", REAL)
def test_an_approval_says_how_many_are_needed_and_until_when(summary, needed, people):
    found = notice(OPENED, Offered("inc-1", T0, 1, TARGET, "bad7", "good6", "p" * 64, "e", needed, T0 + 15 * MINUTE, summary, "error-rate 60/600"))
    assert found.title.startswith(f"APPROVAL NEEDED {TARGET}: Put")
    assert found.title.endswith(f"…; waits for {people} until 14:15:00 UTC")
    assert len(found.title) == SMS
    assert f"waits for {people} until 14:15:00 UTC" in found.lines


def test_an_approval_that_waits_for_a_day_says_until_which():
    found = notice(OPENED, Offered("inc-1", T0, 1, TARGET, "bad7", "good6", "p" * 64, "e", 1, T0 + timedelta(days=1), "x", "error-rate 60/600"))
    assert f"waits for your approval until {T0 + timedelta(days=1):%Y-%m-%d} 14:00:00 UTC" in found.lines


@pytest.mark.parametrize("event", [INTENDED, Held("inc-1", T0, "pause", "x" * 400)], ids=["started", "held"])
def test_a_title_always_fits_one_text_message(event):
    assert len(notice(OPENED, replace(event, **({"summary": "y" * 400} if event is INTENDED else {}))).title) <= SMS


def test_all_messages_of_an_incident_share_one_key_and_have_ids_of_their_own():
    held = Held("inc-1", T0 + timedelta(minutes=7), "give-up", "neither")
    notices = [notice(OPENED, INTENDED), notice(OPENED, INTENDED, held), notice(OPENED, INTENDED, replace(held, guard="pause"))]
    assert {found.key for found in notices} == {"inc-1"}
    assert len({found.id for found in notices}) == 3


def test_rows_that_change_nothing_for_people_are_no_messages():
    assert notice_of(APPLIED, fold((OPENED, INTENDED, APPLIED)), POLICY) is None
