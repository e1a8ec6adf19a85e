"""What is decided at a slot: opening, acting, climbing, recovering, holding."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.policies.decide.decisions import Act, Bake, Offer, Outside, Wait, WouldAct
from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Closed, CloseHow, Held, Joined, Opened, RungEnd, Stopped
from rollbackd.policies.known.fleet import Fleet, Flight, Limits
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.freeze import Freeze, Once
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Breaches, FlagsRung, For, Group, Leaf, Mode, OnNoData, OutsideWatch, RevertRung
from rollbackd.policies.model.readings import Lack, Unknown
from tests.policies.literals import (
    CALM,
    ERRORS,
    EVERY,
    FLAGS,
    FLIP,
    HOUR,
    MEMORY,
    MINUTE,
    OPENED,
    POLICY,
    RELEASE,
    SECOND,
    T0,
    TARGET,
    bad,
    counts,
    good,
    intended,
    kinds,
    level,
    no_data,
    only,
    run,
    slots,
    verifying,
)

LATER = T0 + 5 * MINUTE


def series(start, end, reading):
    return {at: reading(at) for at in slots(start, end)}


# --- opening --------------------------------------------------------------------------------------------------------------------


def test_a_proven_breach_after_a_release_opens_an_incident_and_reverts():
    decisions = run(POLICY, {LATER: bad(LATER)}).decisions
    assert kinds(decisions) == ["Opened", "Stopped", "Act"]
    act = only(decisions, Act)
    assert (act.rung, act.remedy.target, act.from_revision, act.suspect) == (1, TARGET, "bad7", "uid:7")


def test_the_cheapest_rung_whose_target_changed_comes_first():
    act = only(run(POLICY, {LATER: bad(LATER)}, changes=(RELEASE, FLIP)).decisions, Act)
    assert (act.rung, act.remedy.target, act.only) == (0, FLAGS, ("new-checkout",))


def test_a_flag_that_was_switched_after_the_bad_one_does_not_hide_it():
    later = replace(FLIP, id=f"{FLIP.id}-2", revision="later", started_late=FLIP.started_late + MINUTE, parts=("banner",))
    act = only(run(POLICY, {LATER: bad(LATER)}, changes=(FLIP, later)).decisions, Act)
    assert (act.from_revision, act.only, act.suspect) == ("later", ("banner", "new-checkout"), later.id)


def test_a_rung_that_always_runs_needs_no_suspect():
    policy = replace(POLICY, ladder=(replace(POLICY.ladder[0], always=True), POLICY.ladder[1]))
    act = only(run(policy, {LATER: bad(LATER)}).decisions, Act)
    assert (act.rung, act.from_revision, act.only) == (0, None, None)


def test_the_reason_carries_the_arithmetic_and_the_suspect():
    opened = only(run(POLICY, {LATER: bad(LATER)}).decisions, Opened)
    assert opened.reason == (
        "error-rate 60/600 = 10 % > 5 % (lower bound 7.5 %) since 14:05:00; kubernetes:default/shop/deployment/checkout revision bad7 ready 14:00:00"
    )


def test_the_same_breach_has_the_same_incident_id_on_every_replica():
    first = only(run(POLICY, {LATER: bad(LATER)}).decisions, Opened)
    second = only(run(POLICY, {LATER + MINUTE: bad(LATER + MINUTE)}).decisions, Opened)
    assert first.incident == second.incident


def test_a_breach_shorter_than_its_for_only_waits():
    policy = replace(POLICY, conditions=(replace(ERRORS, confirm=For(5 * MINUTE)),))
    decisions = run(policy, series(LATER, LATER + 4 * MINUTE, bad)).decisions
    (wait,) = decisions
    assert isinstance(wait, Wait)
    assert wait.reason.endswith("since 14:05:00, breached 4m0s of 5m0s")


def test_a_breach_as_long_as_its_for_acts():
    policy = replace(POLICY, conditions=(replace(ERRORS, confirm=For(5 * MINUTE)),))
    assert "Act" in kinds(run(policy, series(LATER, LATER + 5 * MINUTE, bad)).decisions)


def test_one_proven_ok_starts_the_for_anew():
    policy = replace(POLICY, conditions=(replace(ERRORS, confirm=For(2 * MINUTE)),))
    readings = series(LATER, LATER + 3 * MINUTE, bad) | {LATER + 90 * SECOND: counts(LATER + 90 * SECOND, 0, 60_000)}
    assert "Act" not in kinds(run(policy, readings).decisions)


def test_a_gap_longer_than_two_looks_starts_the_for_anew():
    policy = replace(POLICY, conditions=(replace(ERRORS, confirm=For(2 * MINUTE)),))
    readings = series(LATER, LATER + MINUTE, bad) | series(LATER + 105 * SECOND, LATER + 2 * MINUTE, bad)
    assert "Act" not in kinds(run(policy, readings).decisions)


@pytest.mark.parametrize(("on_no_data", "confirms"), [(OnNoData.UNPROVEN, False), (OnNoData.HOLD, True)])
def test_a_silence_ends_the_for_unless_the_policy_holds_it(on_no_data, confirms):
    policy = replace(POLICY, conditions=(replace(ERRORS, confirm=For(MINUTE), on_no_data=on_no_data),))
    silence = series(LATER + 4 * EVERY, LATER + 7 * EVERY, no_data)
    readings = series(LATER, LATER + 3 * EVERY, bad) | silence | series(LATER + 8 * EVERY, LATER + 9 * EVERY, bad)
    assert ("Act" in kinds(run(policy, readings).decisions)) is confirms


def test_one_scrape_never_serves_as_two_points_of_a_for():
    policy = replace(POLICY, conditions=(replace(ERRORS, confirm=For(2 * MINUTE)),))
    frozen = {at: replace(bad(at), newest=LATER) for at in slots(LATER, LATER + 3 * MINUTE)}
    assert "Act" not in kinds(run(policy, frozen).decisions)


def test_three_of_five_looks_confirm():
    policy = replace(POLICY, conditions=(replace(MEMORY, confirm=Breaches(3, 5)),))
    values = [0.99, 0.5, 0.99, 0.5, 0.99]
    readings = {LATER + i * EVERY: level(LATER + i * EVERY, value) for i, value in enumerate(values)}
    assert "Act" in kinds(run(policy, readings).decisions)
    del readings[LATER]
    assert "Act" not in kinds(run(policy, readings).decisions)


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(no_data(LATER), id="no-data"),
        pytest.param(Unknown(LATER, Lack.ERROR, "refused"), id="error"),
        pytest.param(counts(LATER, 10, 20), id="too-few"),
        pytest.param(counts(LATER, 30, 600), id="between-the-bounds"),
    ],
)
def test_unknown_never_acts(reading):
    assert run(POLICY, {LATER: reading}).decisions == ()


@pytest.mark.parametrize("on_no_data", list(OnNoData))
def test_absent_data_never_acts_whatever_the_policy_says(on_no_data):
    policy = replace(POLICY, conditions=(replace(ERRORS, on_no_data=on_no_data),))
    assert run(policy, series(LATER, LATER + 20 * MINUTE, no_data)).decisions == ()


def test_a_breach_that_began_before_the_change_is_not_blamed_on_it():
    late = replace(RELEASE, started_early=LATER, started_late=LATER, first_seen=LATER, ready=LATER)
    readings = series(T0, LATER + 3 * MINUTE, bad)
    decisions = run(replace(POLICY, watch=HOUR), readings, changes=(late,)).decisions
    assert kinds(decisions) == ["Outside"]


def test_an_onset_after_the_watch_window_is_told_and_not_acted_on():
    at = T0 + HOUR + MINUTE
    (outside,) = run(POLICY, {at: bad(at)}).decisions
    assert isinstance(outside, Outside)
    assert outside.how is OutsideWatch.PAGE
    assert "nothing was undone" in outside.reason


def test_an_onset_at_the_very_end_of_the_watch_window_still_counts():
    at = T0 + HOUR
    assert "Act" in kinds(run(POLICY, {at: bad(at)}).decisions)


def test_outside_the_watch_window_can_be_ignored():
    at = T0 + 2 * HOUR
    assert kinds(run(replace(POLICY, outside_watch=OutsideWatch.IGNORE), {at: bad(at)}).decisions) == ["Wait"]


def test_watch_always_acts_without_a_suspect_on_rungs_that_always_run():
    policy = replace(POLICY, watch=None, ladder=(replace(POLICY.ladder[1], always=True),))
    at = T0 + 9 * HOUR
    decisions = run(policy, {at: bad(at)}, changes=()).decisions
    assert kinds(decisions) == ["Opened", "Act"]
    assert only(decisions, Opened).change_id == "bad7@20261122T230000"


def test_our_own_write_is_no_suspect():
    assert kinds(run(POLICY, {LATER: bad(LATER)}, changes=(replace(RELEASE, ours=True),)).decisions) == ["Outside"]


def test_a_change_that_an_incident_answered_is_no_suspect():
    fleet = replace(CALM, answered={TARGET: frozenset({"uid:7"})})
    assert "Opened" not in kinds(run(POLICY, {LATER: bad(LATER)}, fleet=fleet).decisions)


def test_only_suspects_that_nothing_can_undo_are_held_and_named():
    posted = replace(RELEASE, id="db-42", posted=True, note="database upgrade to 16")
    decisions = run(POLICY, {LATER: bad(LATER)}, changes=(posted,)).decisions
    held = only(decisions, Held)
    assert "nothing here can undo the suspects" in held.reason
    assert "database upgrade to 16" in held.reason


def test_no_verdict_is_reached_before_the_warm_up_is_over():
    at = T0 + 59 * SECOND
    assert run(POLICY, {at: counts(at, 60, 600, 30 * SECOND)}).decisions == ()


# --- composites --------------------------------------------------------------------------------------------------------------------


def both(needed):
    return replace(POLICY, conditions=(ERRORS, MEMORY), trigger=Group((Leaf(0), Leaf(1)), needed))


def evaluate_two(policy, errors, memory):
    return evaluate(policy, new_watch(policy), None, (errors, memory), (RELEASE,), CALM, LATER).decisions


def test_any_of_acts_on_one():
    assert "Act" in kinds(evaluate_two(both(1), bad(LATER), level(LATER, 0.5)))


def test_all_of_needs_every_one():
    assert "Act" not in kinds(evaluate_two(both(2), bad(LATER), level(LATER, 0.5)))
    assert "Act" in kinds(evaluate_two(both(2), bad(LATER), level(LATER, 0.99)))


def test_all_of_with_an_unknown_part_does_not_act():
    assert "Act" not in kinds(evaluate_two(both(2), bad(LATER), no_data(LATER)))


# --- modes --------------------------------------------------------------------------------------------------------------------------


def test_observe_says_what_it_would_have_done_and_opens_nothing():
    (would,) = run(replace(POLICY, mode=Mode.OBSERVE), {LATER: bad(LATER)}).decisions
    assert isinstance(would, WouldAct)


@pytest.mark.parametrize("mode", [Mode.SUGGEST, Mode.APPROVE])
def test_below_auto_an_incident_is_proposed_and_nothing_is_done(mode):
    decisions = run(replace(POLICY, mode=mode), {LATER: bad(LATER)}).decisions
    assert only(decisions, Opened).mode is mode
    assert "Act" not in kinds(decisions)


@pytest.mark.parametrize(
    "fleet",
    [
        pytest.param(replace(CALM, mode_cap=Mode.OBSERVE), id="daemon"),
        pytest.param(replace(CALM, namespace_caps={"shop": Mode.OBSERVE}), id="namespace"),
    ],
)
def test_the_effective_mode_is_the_lowest(fleet):
    assert kinds(run(POLICY, {LATER: bad(LATER)}, fleet=fleet).decisions) == ["WouldAct"]


def test_a_condition_may_be_less_bold_than_its_policy():
    policy = replace(POLICY, conditions=(replace(ERRORS, mode=Mode.SUGGEST),))
    assert only(run(policy, {LATER: bad(LATER)}).decisions, Opened).mode is Mode.SUGGEST


def test_a_rung_may_be_less_bold_than_its_policy():
    policy = replace(POLICY, ladder=(replace(POLICY.ladder[1], mode=Mode.SUGGEST),))
    assert only(run(policy, {LATER: bad(LATER)}).decisions, Held).guard == "mode"


# --- guards -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guard", "fleet"),
    [
        pytest.param("pause", replace(CALM, paused="game day"), id="pause"),
        pytest.param("freeze", replace(CALM, limits=Limits(freezes=(Freeze("sale", Once(T0 - HOUR, T0 + HOUR)),))), id="freeze"),
        pytest.param("systemic", replace(CALM, unexplained=frozenset({"a", "b"})), id="systemic"),
        pytest.param("quarantine", replace(CALM, quarantined=frozenset({(TARGET, "bad7")})), id="quarantine"),
        pytest.param("cool-down", replace(CALM, closed={TARGET: T0 - 20 * MINUTE}), id="cool-down"),
        pytest.param("in-flight-namespace", replace(CALM, flights=(Flight("i", "t", "shop"),)), id="in-flight-namespace"),
        pytest.param("in-flight", replace(CALM, flights=tuple(Flight(f"i{n}", f"t{n}", f"n{n}") for n in range(3))), id="in-flight"),
        pytest.param("per-hour", replace(CALM, acted_in_hour=10), id="per-hour"),
        pytest.param("per-target-day", replace(CALM, acted_in_day={TARGET: 2}), id="per-target-day"),
    ],
)
def test_a_guard_holds_the_incident_by_name(guard, fleet: Fleet):
    decisions = run(POLICY, {LATER: bad(LATER)}, fleet=fleet).decisions
    assert only(decisions, Held).guard == guard
    assert "Act" not in kinds(decisions)


def test_a_revert_across_an_irreversible_change_is_put_to_people_and_names_the_migration():
    decisions = run(POLICY, {LATER: bad(LATER)}, changes=(replace(RELEASE, irreversible="migration 0042"),)).decisions
    offered = only(decisions, Offer).act
    assert offered.remedy == RevertRung(TARGET)
    assert "migration 0042" in offered.reason
    assert "Act" not in kinds(decisions)


def test_flags_are_switched_off_whether_or_not_another_suspect_is_irreversible():
    decisions = run(POLICY, {LATER: bad(LATER)}, changes=(replace(RELEASE, irreversible="migration 0042"), FLIP)).decisions
    assert only(decisions, Act).remedy == FlagsRung(FLAGS)


def test_a_pause_during_an_incident_stops_the_next_rung():
    incident = verifying(T0 + 6 * MINUTE, 0)
    at = T0 + 8 * MINUTE
    decisions = run(POLICY, {at: bad(at)}, incident=incident, fleet=replace(CALM, paused="hands off")).decisions
    assert only(decisions, Held).guard == "pause"


# --- the ladder --------------------------------------------------------------------------------------------------------------------


def test_nothing_is_judged_while_the_target_settles():
    incident = fold((OPENED, intended()))
    assert kinds(run(POLICY, {LATER: bad(LATER)}, incident=incident).decisions) == ["Wait"]


def test_evidence_from_before_the_settling_ended_does_not_climb():
    at = T0 + 6 * MINUTE + 30 * SECOND
    assert kinds(run(POLICY, {at: bad(at)}, incident=verifying(T0 + 6 * MINUTE, 0)).decisions) == ["Wait"]


def test_a_breach_proven_on_fresh_evidence_climbs_at_once():
    incident = fold((replace(OPENED, suspects=("uid:7", "f2@x")), *_settled_flags()))
    at = T0 + 7 * MINUTE
    act = only(run(POLICY, {at: bad(at)}, incident=incident, changes=(RELEASE, FLIP)).decisions, Act)
    assert (act.rung, act.remedy.target) == (1, TARGET)
    assert act.reason.startswith("rung 1 did not help: error-rate 60/600")


def _settled_flags():
    from rollbackd.policies.known.events import Applied, Settled

    at = T0 + 6 * MINUTE
    return (intended(0, target=FLAGS), Applied("inc-1", at, 0, FLAGS, "written"), Settled("inc-1", at, 0, FLAGS, at, "complete"))


def test_after_the_last_rung_a_breach_is_held():
    at = T0 + 7 * MINUTE
    held = only(run(POLICY, {at: bad(at)}, incident=verifying()).decisions, Held)
    assert held.guard == "ladder"
    assert "no rung is left" in held.reason


def test_health_for_recover_for_closes_the_incident():
    readings = series(T0 + 7 * MINUTE, T0 + 12 * MINUTE, good)
    closed = only(run(POLICY, readings, incident=verifying()).decisions, Closed)
    assert closed.how is CloseHow.RECOVERED
    assert closed.reason.startswith("healthy for 5m0s: error-rate 0/")


def test_health_shorter_than_recover_for_waits():
    readings = series(T0 + 7 * MINUTE, T0 + 11 * MINUTE, good)
    assert kinds(run(POLICY, readings, incident=verifying()).decisions) == ["Wait"]


@pytest.mark.parametrize("on_no_data", list(OnNoData))
def test_silence_is_no_recovery_whatever_on_no_data_says(on_no_data):
    policy = replace(POLICY, conditions=(replace(ERRORS, on_no_data=on_no_data),))
    readings = series(T0 + 7 * MINUTE, T0 + 20 * MINUTE, no_data)
    assert kinds(run(policy, readings, incident=verifying()).decisions) == ["Wait"]


def test_neither_recovery_nor_breach_by_give_up_is_held():
    at = T0 + 21 * MINUTE
    assert only(run(POLICY, {at: no_data(at)}, incident=verifying()).decisions, Held).guard == "give-up"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param(RungEnd.NOTHING, "Act", id="already-there-climbs"),
        pytest.param(RungEnd.REFUSED, "Act", id="refused-climbs"),
        pytest.param(RungEnd.FAILED, "Act", id="failed-climbs"),
        pytest.param(RungEnd.OVERTAKEN, "Held", id="another-writer-holds"),
        pytest.param(RungEnd.SUPERSEDED, "Closed", id="a-newer-revision-closes"),
    ],
)
def test_a_rung_that_stopped_is_followed_by(how, expected):
    target = TARGET if how is RungEnd.SUPERSEDED else FLAGS
    incident = fold((OPENED, Stopped("inc-1", LATER, 0, target, how, "why")))
    assert expected in kinds(run(POLICY, {LATER: bad(LATER)}, incident=incident).decisions)


def test_a_flag_that_moved_before_the_write_leaves_the_release_to_be_reverted():
    incident = fold((OPENED, Stopped("inc-1", LATER - SECOND, 0, FLAGS, RungEnd.SUPERSEDED, "another flag of the scope moved")))
    assert only(run(POLICY, {LATER: bad(LATER)}, incident=incident).decisions, Act).remedy.target == TARGET


def test_a_flag_that_moved_since_the_evidence_was_read_is_looked_at_before_the_release_is_reverted():
    incident = fold((OPENED, Stopped("inc-1", LATER + SECOND, 0, FLAGS, RungEnd.SUPERSEDED, "switched off for a neighbour")))
    (waits,) = run(POLICY, {LATER: bad(LATER)}, incident=incident).decisions
    assert waits == Wait(f"{FLAGS} went elsewhere at {LATER + SECOND:%H:%M:%S}: what that brings is looked at first")


def test_a_flag_that_moved_by_a_clock_far_ahead_of_ours_is_not_waited_for():
    incident = fold((OPENED, Stopped("inc-1", LATER + MINUTE, 0, FLAGS, RungEnd.SUPERSEDED, "by a replica whose clock is wrong")))
    assert "Act" in kinds(run(POLICY, {LATER: bad(LATER)}, incident=incident).decisions)


def test_no_rung_is_ever_repeated():
    incident = fold((OPENED, Stopped("inc-1", LATER, 1, TARGET, RungEnd.FAILED, "image gone")))
    decisions = run(POLICY, {LATER: bad(LATER)}, incident=incident).decisions
    assert kinds(decisions) == ["Held"]
    assert "image gone" in only(decisions, Held).reason


def test_another_writer_after_our_write_holds():
    at = T0 + 8 * MINUTE
    theirs = Change(TARGET, "uid:9", "bad7", "good6", T0 + 7 * MINUTE, T0 + 7 * MINUTE, T0 + 7 * MINUTE)
    held = only(run(POLICY, {at: good(at)}, incident=verifying(), changes=(RELEASE, theirs)).decisions, Held)
    assert held.guard == "other-writer"


def test_a_held_incident_closes_when_a_newer_change_starts():
    incident = fold((OPENED, Held("inc-1", LATER, "pause", "paused")))
    at = T0 + 8 * MINUTE
    fix = Change(TARGET, "uid:8", "fix8", "bad7", T0 + 7 * MINUTE, T0 + 7 * MINUTE, T0 + 7 * MINUTE)
    assert only(run(POLICY, {at: good(at)}, incident=incident, changes=(RELEASE, fix)).decisions, Closed).how is CloseHow.SUPERSEDED


def test_a_held_incident_closes_by_itself_when_healthy():
    incident = fold((OPENED, Held("inc-1", LATER, "pause", "paused")))
    readings = series(LATER, LATER + 5 * MINUTE, good)
    assert only(run(POLICY, readings, incident=incident).decisions, Closed).how is CloseHow.RECOVERED


@pytest.mark.parametrize(
    "incident",
    [
        pytest.param(fold((OPENED,)), id="opened-and-then-restarted"),
        pytest.param(fold((OPENED, Stopped("inc-1", LATER, 0, FLAGS, RungEnd.FAILED, "why"))), id="after-a-failed-rung"),
    ],
)
def test_a_rung_is_begun_only_on_a_breach_proven_now(incident):
    at = T0 + 10 * MINUTE
    assert kinds(run(POLICY, {at: no_data(at)}, incident=incident).decisions) == ["Wait"]
    assert "Act" in kinds(run(POLICY, {at: bad(at)}, incident=incident).decisions)
    assert kinds(run(POLICY, series(at, at + 5 * MINUTE, good), incident=incident).decisions) == ["Closed"]
    late = T0 + 30 * MINUTE
    assert only(run(POLICY, {late: no_data(late)}, incident=incident).decisions, Held).guard == "give-up"


def test_after_a_rung_that_ended_long_after_the_opening_nothing_is_given_up_at_the_first_look_without_data():
    """People had approved it late."""
    late = T0 + 30 * MINUTE
    incident = fold((OPENED, Stopped("inc-1", late, 0, FLAGS, RungEnd.FAILED, "why")))
    end = late + POLICY.timing.give_up
    assert kinds(run(POLICY, {end - EVERY: no_data(end - EVERY)}, incident=incident).decisions) == ["Wait"]
    assert only(run(POLICY, {end: no_data(end)}, incident=incident).decisions, Held).guard == "give-up"


def test_a_held_incident_never_acts_again():
    incident = fold((OPENED, Held("inc-1", LATER, "pause", "paused")))
    assert kinds(run(POLICY, series(LATER, LATER + 20 * MINUTE, bad), incident=incident).decisions) == ["Wait"]


# --- several policies ----------------------------------------------------------------------------------------------------------------


def test_a_second_policy_joins_and_does_not_act():
    other = replace(POLICY, name="other")
    decisions = run(other, {LATER: bad(LATER)}, incident=fold((OPENED,))).decisions
    assert kinds(decisions) == ["Joined"]


def test_the_incident_waits_for_the_conditions_of_others():
    joined = Joined("inc-1", LATER, "other", "latency", Mode.AUTO, "slow")
    readings = series(T0 + 7 * MINUTE, T0 + 12 * MINUTE, good)
    sick = replace(CALM, healthy_since={(TARGET, "other", "latency"): None})
    waiting = run(POLICY, readings, incident=verifying(T0 + 6 * MINUTE, 1, joined), fleet=sick).decisions
    assert kinds(waiting) == ["Wait"]
    healthy = replace(CALM, healthy_since={(TARGET, "other", "latency"): T0 + 7 * MINUTE})
    assert kinds(run(POLICY, readings, incident=verifying(T0 + 6 * MINUTE, 1, joined), fleet=healthy).decisions) == ["Closed"]


# --- known good -----------------------------------------------------------------------------------------------------------------------


def test_a_revision_that_served_the_bake_time_without_a_breach_is_known_good():
    baked = [d for at in slots(T0 + MINUTE, T0 + 31 * MINUTE) for d in _baking(at)]
    assert [bake.targets for bake in baked] == [((TARGET, "bad7"),)]


def _baking(until):
    return [d for d in run(POLICY, series(T0 + MINUTE, until, good)).decisions if isinstance(d, Bake)]


def test_a_breach_starts_the_bake_anew():
    policy = replace(POLICY, mode=Mode.OBSERVE)
    readings = series(T0 + MINUTE, T0 + 31 * MINUTE, good) | {T0 + 20 * MINUTE: counts(T0 + 20 * MINUTE, 600, 600)}
    assert run(policy, readings).decisions == ()


def test_equal_arguments_give_equal_decisions():
    first, second = run(POLICY, {LATER: bad(LATER)}), run(POLICY, {LATER: bad(LATER)})
    assert first == second


def test_every_phase_has_its_row_in_the_transition_table():
    from rollbackd.policies.decide.step import TRANSITIONS

    assert set(TRANSITIONS) == set(Phase)


def test_warm_up_counts_from_ready():
    late = replace(RELEASE, ready=T0 + 10 * MINUTE)
    at = T0 + 10 * MINUTE + 30 * SECOND
    assert run(POLICY, {at: counts(at, 600, 600, timedelta(seconds=10))}, changes=(late,)).decisions == ()


# --- put together with what broke before ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.OBSERVE])
def test_what_broke_before_the_change_is_part_of_the_proof_whatever_its_mode(mode):
    policy = replace(POLICY, conditions=(ERRORS, replace(MEMORY, name="queue", mode=mode)), trigger=Group((Leaf(0), Leaf(1)), 2))
    watch, decided = new_watch(policy), []
    for at in slots(T0 - 30 * MINUTE, T0 + 5 * MINUTE):
        known = (RELEASE,) if at >= RELEASE.first_seen else ()
        found = evaluate(policy, watch, None, (bad(at) if at > T0 else good(at), level(at, 0.99)), known, CALM, at)
        watch, decided = found.watch, kinds(found.decisions)
        if "Opened" in decided:
            break
    assert "Act" in decided


def beside(onset, *, mode=Mode.AUTO, changes=(RELEASE,)):
    """What is decided of an incident about errors, needed beside a queue that has been too long since ``onset`` and is not confirmed."""
    queue = replace(MEMORY, name="queue", confirm=For(12 * HOUR), mode=mode)
    policy = replace(POLICY, conditions=(ERRORS, queue), trigger=Group((Leaf(0), Leaf(1)), 2))
    incident = fold((replace(OPENED, suspects=tuple(change.id for change in changes)),))
    watch = new_watch(policy)
    for at in slots(T0 - HOUR, T0 + 8 * MINUTE):
        known = tuple(change for change in changes if change.first_seen <= at)
        seen = bad(at) if at > T0 else good(at), level(at, 0.99 if at >= onset else 0.1)
        found = evaluate(policy, watch, incident if at >= T0 + 7 * MINUTE else None, seen, known, CALM, at)
        watch = found.watch
    return kinds(found.decisions)


def test_what_began_with_the_change_has_to_join_before_it_is_part_of_the_proof():
    before = RELEASE.started_early - EVERY
    assert "Act" in beside(before)
    seen_late = replace(RELEASE, first_seen=RELEASE.started_early + EVERY)
    assert "Act" in beside(RELEASE.started_early, changes=(seen_late,))
    assert "Act" not in beside(RELEASE.started_early + EVERY)
    assert "Act" in beside(RELEASE.started_early + EVERY, mode=Mode.OBSERVE)


def test_what_began_after_the_first_of_several_suspects_is_not_older_than_they_are():
    first = replace(RELEASE, id="uid:6", started_early=T0 - 20 * MINUTE, started_late=T0 - 20 * MINUTE, first_seen=T0 - 20 * MINUTE)
    between = T0 - 10 * MINUTE
    assert "Act" not in beside(between, changes=(first, RELEASE))
    assert "Act" in beside(between)


def test_what_broke_before_the_change_is_no_proof_alone():
    policy = replace(POLICY, conditions=(ERRORS, replace(MEMORY, name="queue")), trigger=Group((Leaf(0), Leaf(1)), 1))
    watch = new_watch(policy)
    for at in slots(T0 - 30 * MINUTE, T0):
        watch = evaluate(policy, watch, None, (good(at), level(at, 0.99)), (), CALM, at).watch
    for at in slots(T0 + EVERY, T0 + 10 * MINUTE):
        found = evaluate(policy, watch, fold((OPENED,)), (good(at), level(at, 0.99)), (RELEASE,), CALM, at)
        watch = found.watch
        assert "Act" not in kinds(found.decisions)
