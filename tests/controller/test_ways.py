"""A page that nothing more is done by itself names the command that does it, where there is one that the daemon would take."""

from dataclasses import replace

import pytest

from rollbackd.controller.notify.messages import notice_of
from rollbackd.controller.notify.ways import stays_held
from rollbackd.policies.known.events import Applied, Held, RungEnd, Settled, Stopped
from rollbackd.policies.known.fold import fold
from rollbackd.policies.model.policy import FlagsRung, RestoreRung, RevertRung
from tests.policies.literals import FLAGS, MINUTE, OPENED, POLICY, T0, TARGET, intended

AT = T0 + 6 * MINUTE
DATABASE = "rds:eu-central-1/orders"
FLAG_TRIED = (intended(0, AT, FLAGS), Stopped("inc-1", AT, 0, FLAGS, RungEnd.REFUSED, "no rights"))
FLAG_DONE = (intended(0, AT, FLAGS), Applied("inc-1", AT, 0, FLAGS, "accepted"), Settled("inc-1", AT, 0, FLAGS, AT, "complete"))
REVERT_TRIED = (intended(), Stopped("inc-1", AT, 1, TARGET, RungEnd.FAILED, "image gone"))
REVERT_DONE = (intended(), Applied("inc-1", AT, 1, TARGET, "accepted"), Settled("inc-1", AT, 1, TARGET, AT, "complete"))
RESTORED = (intended(2, AT, DATABASE), Applied("inc-1", AT, 2, DATABASE, "ordered"), Settled("inc-1", AT, 2, DATABASE, AT, "ordered"))
ORDER = "to do it all the same: rollbackd rollback checkout"
PASSING = "to do it all the same (every guard that holds: rollbackd explain checkout): rollbackd rollback checkout"
WITH_RESTORE = replace(POLICY, ladder=(*POLICY.ladder, RestoreRung(DATABASE)))
RESTORE_FIRST = replace(POLICY, ladder=(RestoreRung(DATABASE), RevertRung(TARGET)))
END = "no rung is left to order in this incident; to try one anew, end it: rollbackd ack inc-1 --close"
ANEW = f"{END}; then: rollbackd rollback checkout --reason '...'"


def ways(guard, *events, policy=POLICY):
    """The lines of the page that name an order."""
    rows = (OPENED, *events, Held("inc-1", AT, guard, "it is"))
    notice = notice_of(rows[-1], fold(rows), policy)
    assert notice is not None
    return [line for line in notice.lines if "rollbackd rollback" in line]


@pytest.mark.parametrize("guard", ["freeze", "systemic", "quarantine", "cool-down", "in-flight", "per-hour", "per-target-day"])
def test_a_guard_that_people_may_pass_is_named_in_the_order(guard):
    assert ways(guard) == [f"{PASSING} --reason '...' --override {guard}"]


@pytest.mark.parametrize("guard", ["mode", "suspects", "acknowledged", "give-up", "rejected", "by-hand"])
def test_what_holds_no_order_of_people_is_not_passed(guard):
    assert ways(guard) == [f"{ORDER} --reason '...'"]


def test_the_pause_is_never_passed_and_has_to_be_lifted():
    assert ways("pause") == ["to do it all the same, once the pause is lifted (rollbackd resume): rollbackd rollback checkout --reason '...'"]


@pytest.mark.parametrize(
    ("events", "policy", "order"),
    [
        pytest.param(FLAG_TRIED, POLICY, f"{PASSING} --rung 2 --reason '...' --override freeze", id="the-next-one"),
        pytest.param((), RESTORE_FIRST, f"{PASSING} --rung 2 --reason '...' --override freeze", id="no-restore"),
        pytest.param((*FLAG_TRIED, *REVERT_TRIED), WITH_RESTORE, f"{ANEW} --override cool-down", id="only-a-restore-is-left"),
        pytest.param((*FLAG_DONE, *REVERT_TRIED), POLICY, f"{ANEW} --override cool-down", id="none-is-left"),
    ],
)
def test_the_rung_is_one_that_may_be_ordered_and_where_none_is_left_the_incident_is_ended_first(events, policy, order):
    assert ways("freeze", *events, policy=policy) == [order]


def test_no_cool_down_is_passed_that_no_act_began():
    nothing = [Stopped("inc-1", AT, rung, target, RungEnd.NO_SUSPECT, "no change") for rung, target in enumerate((FLAGS, TARGET))]
    assert ways("ladder", *nothing) == [ANEW]


@pytest.mark.parametrize(
    ("events", "policy"),
    [
        pytest.param((*FLAG_DONE, *REVERT_DONE), POLICY, id="everything-was-done"),
        pytest.param(RESTORED, replace(WITH_RESTORE, ladder=(*WITH_RESTORE.ladder, FlagsRung(FLAGS))), id="it-is-with-people"),
        pytest.param(FLAG_TRIED[:1], POLICY, id="nobody-knows-whether-it-wrote"),
        pytest.param(FLAG_DONE[:2], POLICY, id="what-it-wrote-is-not-complete"),
        pytest.param((), None, id="its-policy-is-gone"),
        pytest.param((), replace(POLICY, ladder=()), id="no-remedy"),
    ],
)
def test_no_order_is_named_that_would_not_be_taken(events, policy):
    assert ways("give-up", *events, policy=policy) == []


@pytest.mark.parametrize("events", [FLAG_TRIED[:1], FLAG_DONE[:2]], ids=["nobody-knows-whether-it-wrote", "what-it-wrote-is-not-complete"])
def test_whoever_lifts_what_held_it_is_not_told_to_order_beside_a_write_either(events):
    incident = fold((OPENED, *events, Held("inc-1", AT, "pause", "it is")))
    said = f"inc-1 on {TARGET} stays held by pause, and a write of it may be under way: rollbackd explain {TARGET}"
    assert stays_held(incident, POLICY) == said
