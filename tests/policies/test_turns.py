"""What follows what: after a rung, after silence, after what people did, and what opens an incident; each at its edges."""

from dataclasses import replace

import pytest

from rollbackd.policies.decide.decisions import Act, Offer, Outside, Wait, WouldAct
from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.known.changes import SKEW
from rollbackd.policies.known.events import Applied, Approved, Closed, CloseHow, Held, Joined, Offered, Opened, Ordered, RungEnd, Settled, Stopped
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Dependency, FlagsRung, For, Group, Leaf, Mode, OnNoData, OutsideWatch, RevertRung
from rollbackd.policies.model.readings import Level
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
SETTLED = T0 + 6 * MINUTE
ORDER = Ordered("inc-1", LATER, 1, TARGET, "bad7", "p" * 64, "ann", "customers say so")
OTHER = replace(POLICY, name="other")
EITHER = replace(POLICY, conditions=(ERRORS, MEMORY), trigger=Group((Leaf(0), Leaf(1)), 1))
TOLD = replace(OPENED, mode=Mode.SUGGEST)


def unclear(at):
    return counts(at, 30, 600)


def decided(incident, at=LATER, reading=bad, policy=POLICY, changes=(RELEASE,), fleet=CALM):
    return run(policy, {at: reading(at)}, incident=incident, changes=changes, fleet=fleet).decisions


def stopped(how, reason="image gone", rung=0, target=FLAGS, advice=""):
    return Stopped("inc-1", LATER, rung, target, how, reason, advice)


# --- after a rung -------------------------------------------------------------------------------------------------------------------


def test_evidence_counts_from_the_very_end_of_the_settling():
    waits = [only(decided(verifying(SETTLED), at, unclear), Wait).reason for at in (SETTLED - SECOND, SETTLED)]
    assert waits[0] == "settling until 14:06:00"
    assert waits[1].startswith("verifying since 14:06:00: error-rate")


@pytest.mark.parametrize(("waited", "kind"), [(15 * MINUTE - SECOND, "Wait"), (15 * MINUTE, "Held")])
def test_it_is_given_up_at_the_end_of_its_time(waited, kind):
    assert kinds(decided(verifying(SETTLED), SETTLED + waited, no_data)) == [kind]
    opened_and_restarted = fold((OPENED,))
    assert kinds(decided(opened_and_restarted, OPENED.at + waited, no_data)) == [kind]


def test_what_was_given_up_says_after_how_long_and_on_what():
    at = SETTLED + 15 * MINUTE
    assert only(decided(verifying(SETTLED), at, no_data), Held).reason.startswith(
        "neither recovery nor breach was proven within 15m0s: error-rate nodata"
    )
    held = only(decided(fold((OPENED,)), at, no_data), Held)
    assert (held.guard, held.reason.partition(":")[0]) == ("give-up", "the breach could not be proven again within 15m0s")


@pytest.mark.parametrize(("asked", "kind"), [(5 * MINUTE, "Closed"), (5 * MINUTE + SECOND, "Wait")])
def test_it_has_recovered_at_the_end_of_recover_for(asked, kind):
    policy = replace(POLICY, timing=replace(POLICY.timing, recover_for=asked))
    healthy = {at: good(at) for at in slots(SETTLED + MINUTE, SETTLED + 6 * MINUTE)}
    assert kinds(run(policy, healthy, incident=verifying(SETTLED)).decisions) == [kind]


def test_a_target_on_its_way_is_waited_for_by_its_rung():
    assert decided(fold((OPENED, intended()))) == (Wait("rung 2 is acting"),)
    assert decided(fold((OPENED, intended(), Applied("inc-1", LATER, 1, TARGET, "accepted")))) == (Wait("rung 2 is settling"),)


def test_the_last_end_decides_and_not_the_first():
    held = only(decided(fold((OPENED, stopped(RungEnd.FAILED), stopped(RungEnd.OVERTAKEN, "theirs", 1, TARGET)))), Held)
    assert (held.guard, held.reason) == ("other-writer", "theirs")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        pytest.param(RungEnd.FAILED, "image gone", id="failed"),
        pytest.param(RungEnd.REFUSED, "image gone", id="refused"),
        pytest.param(RungEnd.NOTHING, "error-rate 60/600", id="nothing-to-do"),
        pytest.param(RungEnd.NO_SUSPECT, "error-rate 60/600", id="no-suspect"),
    ],
)
def test_the_next_rung_says_why_the_last_one_ended_unless_it_did_nothing(how, why):
    assert only(decided(fold((OPENED, stopped(how)))), Act).reason == why


def test_a_newer_revision_of_the_target_closes_with_its_reason():
    closed = only(decided(fold((OPENED, stopped(RungEnd.SUPERSEDED, "fix8 landed", 1, TARGET)))), Closed)
    assert (closed.how, closed.reason) == (CloseHow.SUPERSEDED, "fix8 landed")


def test_a_target_that_moved_by_what_the_incident_wrote_holds_and_closes_nothing():
    reverted = (intended(0), Applied("inc-1", LATER, 0, TARGET, "ok"), Settled("inc-1", SETTLED, 0, TARGET, SETTLED, "done"))
    again = stopped(RungEnd.SUPERSEDED, "checkout runs good6, not bad7", 1, TARGET)
    held = only(decided(fold((OPENED, *reverted, again)), SETTLED + MINUTE), Held)
    assert (held.guard, held.reason.endswith(": checkout runs good6, not bad7")) == ("policy-changed", True)
    theirs = replace(RELEASE, id="uid:8", revision="fix8", first_seen=SETTLED)
    assert only(decided(fold((OPENED, *reverted, again)), SETTLED + MINUTE, changes=(RELEASE, theirs)), Held).guard == "other-writer"


def test_data_made_ready_beside_a_database_is_handed_over_at_once():
    write = replace(intended(), target="rds:prod/eu-west-1/orders/point-in-time", summary="orders as of 14:00 is ready")
    done = (Applied("inc-1", LATER, 1, write.target, "made"), Settled("inc-1", SETTLED, 1, write.target, SETTLED, "ready"))
    held = only(decided(fold((OPENED, write, *done)), SETTLED), Held)
    assert (held.guard, held.reason) == ("handed-over", "orders as of 14:00 is ready: it was ordered, and it is yours from here; nothing is cut over")


def test_another_writers_change_on_any_target_that_was_written_holds():
    at, theirs = SETTLED + 2 * MINUTE, replace(FLIP, id="f3@x", revision="f3", first_seen=SETTLED + MINUTE)
    written = (intended(0, target=FLAGS), Applied("inc-1", LATER, 0, FLAGS, "written"), Settled("inc-1", SETTLED, 0, FLAGS, SETTLED, "done"))
    held = only(decided(fold((OPENED, *written)), at, good, changes=(RELEASE, theirs)), Held)
    assert held.reason == f"{FLAGS} went to revision f3 by another writer after our change; nothing is repeated"
    assert "Held" not in kinds(decided(verifying(SETTLED), at, good, changes=(RELEASE, theirs)))


def test_another_writers_change_that_a_late_clock_dates_before_the_incident_holds_unless_it_was_known_then():
    at, theirs = SETTLED + 2 * MINUTE, replace(FLIP, id="f3@x", revision="f3", first_seen=OPENED.at - SECOND)
    written = (intended(0, target=FLAGS), Applied("inc-1", LATER, 0, FLAGS, "written"), Settled("inc-1", SETTLED, 0, FLAGS, SETTLED, "done"))
    assert only(decided(fold((OPENED, *written)), at, good, changes=(RELEASE, theirs)), Held).guard == "other-writer"
    knew = replace(OPENED, known=("f3@x",))
    assert "Held" not in kinds(decided(fold((knew, *written)), at, good, changes=(RELEASE, theirs)))


def test_another_writers_change_on_a_target_whose_write_had_no_known_outcome_holds_while_what_began_with_it_is_verified():
    at, theirs = SETTLED + 2 * MINUTE, replace(FLIP, id="f3@x", revision="f3", first_seen=SETTLED + MINUTE)
    accepted = (intended(0), Applied("inc-1", LATER, 0, TARGET, "written"))
    lost = (intended(1, target=FLAGS), Stopped("inc-1", LATER, 1, FLAGS, RungEnd.FAILED, "no answer"))
    verified = fold((OPENED, *accepted, *lost, Settled("inc-1", SETTLED, 0, TARGET, SETTLED, "done")))
    assert (verified.phase, verified.touched) == (Phase.VERIFYING, {TARGET})
    assert only(decided(verified, at, good, changes=(RELEASE, theirs)), Held).guard == "other-writer"


# --- what people have taken on ------------------------------------------------------------------------------------------------------------


def test_after_what_people_ordered_the_next_step_is_theirs():
    ordered = fold((TOLD, ORDER, *_done()))
    held = only(decided(ordered, SETTLED + 2 * MINUTE), Held)
    assert held.guard == "by-hand"
    assert held.reason.startswith("rung 2 did not help: error-rate 60/600")
    assert held.reason.endswith("; the next step is yours to order")


def test_after_an_order_in_an_incident_of_the_machine_the_next_rung_is_peoples_too():
    flags = (intended(0, target=FLAGS), Applied("inc-1", LATER, 0, FLAGS, "ok"), Settled("inc-1", SETTLED, 0, FLAGS, SETTLED, "done"))
    first = replace(ORDER, rung=0, target=FLAGS)
    ended = (fold((OPENED, first, *flags)), fold((OPENED, first, stopped(RungEnd.FAILED))))
    assert [only(decided(incident, SETTLED + 2 * MINUTE), Held).guard for incident in ended] == ["by-hand", "by-hand"]


@pytest.mark.parametrize(("advice", "said"), [("", "rung 2 failed: image gone"), ("push it again", "rung 2 failed: image gone (push it again)")])
def test_what_people_ordered_and_ended_is_told_with_its_advice(advice, said):
    held = only(decided(fold((TOLD, ORDER, stopped(RungEnd.FAILED, rung=1, target=TARGET, advice=advice)))), Held)
    assert (held.guard, held.reason) == ("by-hand", said)


def test_an_incident_that_a_person_opened_is_about_all_that_is_known():
    by_hand = fold((replace(OPENED, who="ann", condition=""), ORDER, *_done()))
    at = SETTLED + 2 * MINUTE
    assert only(decided(by_hand, at), Held).guard == "by-hand"
    assert kinds(decided(by_hand, at, unclear)) == ["Wait"]
    assert only(decided(by_hand, at, no_data), Wait).reason == "verifying since 14:06:00: nothing is known of its conditions"
    healthy = {moment: good(moment) for moment in slots(at, at + 5 * MINUTE)}
    assert only(run(POLICY, healthy, incident=by_hand).decisions, Closed).how is CloseHow.RECOVERED


def test_what_people_have_taken_on_is_judged_by_every_condition_whatever_its_mode():
    shy, at = replace(POLICY, conditions=(replace(ERRORS, mode=Mode.SUGGEST),)), SETTLED + 2 * MINUTE
    assert only(decided(fold((TOLD, ORDER, *_done())), at, policy=shy), Held).guard == "by-hand"
    assert kinds(decided(verifying(SETTLED), at, policy=shy)) == ["Wait"]


def test_an_incident_that_a_person_opened_is_about_what_joined_it_once_something_did():
    policy = replace(EITHER, conditions=(replace(ERRORS, confirm=For(5 * MINUTE)), MEMORY))
    joined = Joined("inc-1", LATER, "checkout", "memory", Mode.AUTO, "")
    incident, at = fold((replace(OPENED, who="ann", condition=""), joined, ORDER, *_done())), SETTLED + 2 * MINUTE
    found = evaluate(policy, new_watch(policy), incident, (bad(at), level(at, 0.5)), (RELEASE,), CALM, at).decisions
    assert kinds(found) == ["Wait"]


def _done():
    return (intended(), Applied("inc-1", LATER, 1, TARGET, "ok"), Settled("inc-1", SETTLED, 1, TARGET, SETTLED, "done"))


# --- the others ---------------------------------------------------------------------------------------------------------------------------


def test_a_first_rung_waits_three_minutes_for_others_that_lean_and_names_five():
    leaning = replace(CALM, leaning=frozenset("fedcba"))
    incident = fold((replace(OPENED, at=LATER, onset=LATER),))
    wait = only(decided(incident, LATER + 3 * MINUTE - EVERY, fleet=leaning), Wait)
    assert "(a, b, c, d, e): whether the cause is common shows until 14:08:00" in wait.reason
    assert "Act" in kinds(decided(incident, LATER + 3 * MINUTE, fleet=leaning))


# --- silence that the policy calls well -----------------------------------------------------------------------------------------------------


def test_silence_that_is_called_well_hides_no_breach():
    policy = replace(POLICY, conditions=(replace(ERRORS, on_no_data=OnNoData.OK),))
    assert "Act" in kinds(run(policy, {LATER: bad(LATER)}).decisions)


@pytest.mark.parametrize(("on_no_data", "ok"), [(OnNoData.OK, LATER), (OnNoData.UNPROVEN, None), (OnNoData.HOLD, None)])
def test_silence_is_health_only_where_the_policy_calls_it_so(on_no_data, ok):
    policy = replace(POLICY, conditions=(replace(ERRORS, on_no_data=on_no_data),))
    assert run(policy, {LATER: no_data(LATER)}).watch.tracks[0].ok_last == ok


# --- who joins ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        pytest.param(Mode.SUGGEST, [], id="that-may-not-act"),
        pytest.param(Mode.APPROVE, ["Joined", "Stopped", "Offer"], id="that-may-ask"),
        pytest.param(Mode.AUTO, ["Joined", "Stopped", "Act"], id="that-may-act"),
    ],
)
def test_a_proposed_incident_is_raised_by_a_policy(mode, expected):
    joined = Joined("inc-1", LATER, "other", "error-rate", Mode.SUGGEST, "")
    assert kinds(decided(fold((TOLD, joined)), policy=replace(OTHER, mode=mode))) == expected


def test_the_opener_itself_raises_only_by_what_compares_and_has_risen():
    assert kinds(decided(fold((TOLD,)))) == ["Wait"]
    compares = replace(POLICY, conditions=(replace(MEMORY, name="error-rate", compares=True),))
    assert kinds(decided(fold((TOLD,)), reading=lambda at: Level(at, 0.97, at, 3, 0.61, MINUTE), policy=compares))[0] == "Joined"
    assert "Joined" not in kinds(decided(fold((OPENED,)), reading=lambda at: Level(at, 0.97, at, 3, 0.61, MINUTE), policy=compares))


def test_a_breach_outside_its_watch_raises_nothing_and_is_told_as_it_would_be_alone():
    at = LATER + 25 * HOUR
    found = decided(fold((TOLD,)), at, policy=OTHER)
    assert kinds(found) == ["Joined", "Outside"]
    assert (found[0].mode, found[0].blame) == (Mode.SUGGEST, None)
    assert kinds(decided(fold((TOLD, found[0])), at, policy=OTHER)) == ["Outside"]
    assert kinds(decided(fold((TOLD,)), at, policy=replace(OTHER, mode=Mode.SUGGEST))) == ["Joined", "Outside"]
    assert kinds(decided(fold((TOLD, found[0])), at, policy=replace(OTHER, mode=Mode.SUGGEST))) == []  # told with the row that it joined by


def test_another_condition_of_the_opener_raises_only_within_its_watch():
    told, suggests = replace(TOLD, condition="memory"), replace(EITHER, conditions=(ERRORS, replace(MEMORY, mode=Mode.SUGGEST)))

    def found(at, incident=told, changes=(RELEASE,)):
        return evaluate(suggests, new_watch(suggests), fold((incident,)), (bad(at), level(at, 0.5)), changes, CALM, at).decisions

    assert kinds(found(LATER)) == ["Joined", "Stopped", "Act"]
    assert kinds(found(LATER + 25 * HOUR)) == ["Joined", "Outside", "Wait"]


def test_what_joined_outside_its_watch_raises_once_a_new_change_explains_it():
    at = LATER + 25 * HOUR
    flip = replace(FLIP, started_early=at - 2 * MINUTE, started_late=at - 2 * MINUTE, first_seen=at - 2 * MINUTE)
    told, joined = replace(TOLD, condition="memory"), Joined("inc-1", at - 10 * MINUTE, "checkout", "error-rate", Mode.SUGGEST, "")
    found = decided(fold((told, joined)), at, changes=(RELEASE, flip))
    assert kinds(found) == ["Joined", "Act"]
    assert (found[0].blame.suspects, found[1].remedy.target) == (("f2@x",), FLAGS)


def test_who_raises_acts_on_what_it_blames_itself_and_finds_no_other_writer_in_it():
    flip = replace(FLIP, first_seen=OPENED.at + MINUTE, started_early=T0 + MINUTE, started_late=T0 + MINUTE)
    at = LATER + 20 * MINUTE
    found = decided(fold((TOLD,)), at, policy=OTHER, changes=(RELEASE, flip))
    assert kinds(found) == ["Joined", "Act"]
    assert (found[0].blame.suspects, found[1].remedy.target, found[1].suspect) == (("f2@x", "uid:7"), FLAGS, "f2@x")
    written = (intended(0, at, FLAGS), Applied("inc-1", at, 0, FLAGS, "ok"), Settled("inc-1", at, 0, FLAGS, at, "ok"))
    verified = decided(fold((TOLD, found[0], *written)), at + MINUTE, policy=OTHER, changes=(RELEASE, flip))
    assert "Held" not in kinds(verified)


def test_a_raised_incident_is_not_given_up_for_the_time_it_was_only_proposed():
    raised = Joined("inc-1", LATER + 25 * MINUTE, "checkout", "memory", Mode.AUTO, "")
    assert kinds(decided(fold((TOLD, raised)), LATER + 26 * MINUTE, reading=no_data)) == ["Wait"]
    assert kinds(decided(fold((TOLD, raised)), LATER + 41 * MINUTE, reading=no_data)) == ["Held"]


def test_what_may_only_observe_does_not_join():
    assert decided(fold((OPENED,)), policy=replace(OTHER, mode=Mode.OBSERVE)) == ()


def test_what_broke_after_any_of_the_suspects_joins():
    late = replace(RELEASE, started_early=LATER, started_late=LATER, first_seen=LATER, ready=LATER)
    both = fold((replace(OPENED, suspects=("uid:7", "f2@x")),))
    since = {at: bad(at) for at in slots(T0 + 2 * MINUTE, LATER + 2 * MINUTE)}
    assert "Joined" in kinds(run(OTHER, since, incident=both, changes=(late, FLIP)).decisions)
    assert "Joined" not in kinds(run(OTHER, since, incident=fold((OPENED,)), changes=(late, FLIP)).decisions)


# --- what opens an incident -------------------------------------------------------------------------------------------------------------------


def both_break(policy, changes=(RELEASE,), at=LATER):
    return evaluate(policy, new_watch(policy), None, (bad(at), level(at, 0.99)), changes, CALM, at).decisions


def test_of_two_breaches_the_bolder_leads_and_of_two_alike_the_first():
    assert only(both_break(EITHER), Opened).condition == "error-rate"
    shy = replace(EITHER, conditions=(replace(ERRORS, mode=Mode.SUGGEST), MEMORY))
    assert only(both_break(shy), Opened).condition == "memory"


def test_an_incident_keeps_which_changes_were_known_when_it_was_opened():
    just_now, before = replace(RELEASE, first_seen=LATER - SKEW + SECOND), replace(FLIP, first_seen=LATER - SKEW)
    opened = only(both_break(EITHER, changes=(just_now, before)), Opened)
    assert sorted(opened.suspects) == ["f2@x", "uid:7"]
    assert opened.known == fold((opened,)).known == ("uid:7",)


def test_a_breach_that_a_change_explains_leads_before_a_bolder_one():
    policy = replace(EITHER, conditions=(replace(ERRORS, watch=MINUTE), replace(MEMORY, mode=Mode.SUGGEST)))
    assert only(both_break(policy), Opened).condition == "memory"


@pytest.mark.parametrize(("always", "expected"), [(False, ["Outside", "WouldAct"]), (True, ["Opened", "Act"])])
def test_what_is_only_observed_hides_no_breach_of_what_may_act(always, expected):
    observed, acts = replace(ERRORS, name="slow", mode=Mode.OBSERVE, watch=24 * HOUR), (FlagsRung(FLAGS, always=True, only_changed=False),)
    policy = replace(EITHER, conditions=(ERRORS, observed), watch=None if always else HOUR, ladder=acts, outside_watch=OutsideWatch.PAGE)
    found = evaluate(policy, new_watch(policy), None, (bad(LATER + 3 * HOUR),) * 2, (RELEASE,), CALM, LATER + 3 * HOUR).decisions
    assert kinds(found) == expected
    assert found[0].condition == "error-rate"


def test_a_waiting_plan_that_nobody_approved_is_held_by_whatever_holds_the_machine():
    """A condition that may act joined it, and a dependency whose change is as likely is in breach too."""
    database = "kubernetes:default/shop/deployment/db"
    asks = replace(ERRORS, name="slow", mode=Mode.APPROVE)
    policy = replace(EITHER, conditions=(asks, ERRORS), ladder=(RevertRung(TARGET),), depends_on=(Dependency(database),))
    upgrade = replace(RELEASE, target=database, id="db:9", revision="db9")
    told = replace(OPENED, condition="slow", mode=Mode.APPROVE, suspects=("uid:7", "db:9"))
    offer = Offered("inc-1", OPENED.at, 0, TARGET, "bad7", "good6", "p", "e", 1, LATER + HOUR, "put back good6", "why")
    waiting = fold((told, offer, Joined("inc-1", LATER, "checkout", "error-rate", Mode.AUTO, "")))
    known = {"shared": (upgrade,), "depends": {TARGET: frozenset({database}), database: frozenset()}, "good": {TARGET: ("good6",)}}

    def found(**onsets):
        fleet = replace(CALM, **known, onsets={TARGET: OPENED.onset, **onsets})
        return evaluate(policy, new_watch(policy), waiting, (bad(LATER),) * 2, (RELEASE,), fleet, LATER).decisions

    assert kinds(found()) == ["Act"]
    assert only(found(**{database: OPENED.at}), Held).guard == "suspects"
    waiting = fold((told, offer, Approved("inc-1", LATER, "p", "ann"), Joined("inc-1", LATER, "checkout", "error-rate", Mode.AUTO, "")))
    assert only(found(**{database: OPENED.at}), Act).by == ("ann",)  # whose fault it is, ann has decided


@pytest.mark.parametrize(
    ("own", "policys", "minutes", "blamed"),
    [
        pytest.param(None, HOUR, 60, True, id="the-policys"),
        pytest.param(None, HOUR, 61, False, id="after-the-policys"),
        pytest.param(10 * MINUTE, HOUR, 10, True, id="its-own"),
        pytest.param(10 * MINUTE, HOUR, 11, False, id="after-its-own"),
        pytest.param(None, None, 60, True, id="an-hour-where-it-always-acts"),
        pytest.param(None, None, 61, False, id="after-that-hour"),
    ],
)
def test_a_condition_blames_changes_of_its_watch(own, policys, minutes, blamed):
    policy = replace(POLICY, conditions=(replace(ERRORS, watch=own),), watch=policys, ladder=(replace(POLICY.ladder[1], always=True),))
    at = T0 + minutes * MINUTE
    found = run(policy, {at: bad(at)}).decisions
    opened = [each for each in found if isinstance(each, Opened)]
    assert [each.suspects for each in opened] == ([("uid:7",)] if blamed else [()] if policys is None else [])


def test_an_incident_carries_what_it_was_opened_on():
    opened = only(run(POLICY, {LATER: bad(LATER)}, changes=(RELEASE, FLIP)).decisions, Opened)
    assert (opened.at, opened.target, opened.policy, opened.policy_digest, opened.onset) == (LATER, TARGET, "checkout", "d1", LATER)
    assert (opened.change_id, opened.revision, opened.suspects) == ("uid:7", "bad7", ("uid:7", "f2@x"))
    assert (opened.condition, opened.mode, opened.notify, opened.who) == ("error-rate", Mode.AUTO, ("oncall",), "")
    assert f"; likeliest first: 0.78 {TARGET} revision bad7" in opened.reason


def test_without_a_suspect_what_runs_is_the_revision():
    policy = replace(POLICY, watch=None, ladder=(replace(POLICY.ladder[1], always=True),))
    opened = only(run(policy, {LATER: bad(LATER)}, changes=()).decisions, Opened)
    assert (opened.change_id, opened.revision, opened.suspects) == ("bad7@20261122T140500", "bad7", ())
    nobody = only(run(policy, {LATER: bad(LATER)}, changes=(), fleet=replace(CALM, revisions={})).decisions, Opened)
    assert (nobody.change_id, nobody.revision) == ("@20261122T140500", "")


def test_what_is_only_observed_has_one_key_for_a_breach_of_a_change():
    would = only(run(replace(POLICY, mode=Mode.OBSERVE), {LATER: bad(LATER)}).decisions, WouldAct)
    incident = only(run(POLICY, {LATER: bad(LATER)}).decisions, Opened).incident
    assert (would.key, would.onset, would.at) == (f"observed:{incident}:checkout:error-rate", LATER, LATER)
    assert (would.policy, would.target, would.condition) == ("checkout", TARGET, "error-rate")


def test_what_no_change_explains_has_one_key_for_a_breach():
    outside = only(run(POLICY, {LATER: bad(LATER)}, changes=()).decisions, Outside)
    assert outside.key == f"outside:checkout:{TARGET}:error-rate:20261122T140500"
    assert (outside.policy, outside.target, outside.condition, outside.at, outside.how) == (
        "checkout",
        TARGET,
        "error-rate",
        LATER,
        OutsideWatch.PAGE,
    )
    assert outside.reason.endswith("; no change of its targets explains it, so nothing was undone")


@pytest.mark.parametrize(
    ("watch", "is_named"), [pytest.param(2 * HOUR, True, id="within-its-watch"), pytest.param(MINUTE, False, id="before-its-watch")]
)
def test_what_it_depends_on_is_named_where_it_changed_within_the_watch(watch, is_named):
    ago = LATER - 90 * MINUTE if is_named else LATER - 2 * MINUTE
    upgrade = replace(RELEASE, target="shared:orders-db", id="p", posted=True, started_early=ago, started_late=ago, first_seen=ago, ready=ago)
    policy = replace(POLICY, watch=watch, depends_on=(Dependency(upgrade.target),))
    outside = only(run(policy, {LATER: bad(LATER)}, changes=(), fleet=replace(CALM, shared=(upgrade,))).decisions, Outside)
    assert ("it depends on what changed: shared:orders-db" in outside.reason) is is_named


def test_what_is_not_confirmed_yet_says_which_breaches_it_waits_for():
    policy = replace(EITHER, trigger=Group((Leaf(0), Leaf(1)), 2))
    found = evaluate(policy, new_watch(policy), None, (bad(LATER), level(LATER, 0.5)), (RELEASE,), CALM, LATER).decisions
    assert only(found, Wait).reason.startswith("error-rate 60/600")
    assert "memory" not in only(found, Wait).reason


# --- what is asked before each rung -----------------------------------------------------------------------------------------------------------


def test_a_plan_is_put_to_people_where_the_breach_allows_no_more():
    policy = replace(EITHER, conditions=(replace(ERRORS, mode=Mode.APPROVE), MEMORY))
    joined = Joined("inc-1", LATER, "checkout", "memory", Mode.AUTO, "")
    incident = fold((OPENED, joined))
    at = LATER + MINUTE
    cases = {(60, 0.5): Offer, (0, 0.99): Act, (60, 0.99): Act}
    for (errors, memory), kind in cases.items():
        found = evaluate(policy, new_watch(policy), incident, (counts(at, errors, 600), level(at, memory)), (RELEASE,), CALM, at).decisions
        assert only(found, kind).__class__ is kind


def test_a_condition_that_did_not_join_begins_no_rung():
    incident, at = fold((OPENED,)), LATER + MINUTE
    policy = replace(EITHER, conditions=(ERRORS, replace(MEMORY, mode=Mode.OBSERVE)))
    found = evaluate(policy, new_watch(policy), incident, (good(at), level(at, 0.99)), (RELEASE,), CALM, at).decisions
    assert kinds(found) == ["Wait"]


def test_its_own_conditions_are_judged_here_whatever_the_fleet_last_knew_of_them():
    healthy = {at: good(at) for at in slots(SETTLED + MINUTE, SETTLED + 6 * MINUTE)}
    stale = replace(CALM, healthy_since={(TARGET, "checkout", "error-rate"): None})
    assert kinds(run(POLICY, healthy, incident=verifying(SETTLED), fleet=stale).decisions) == ["Closed"]


def test_a_condition_that_is_gone_proves_nothing_any_more():
    joined = Joined("inc-1", LATER, "gone", "latency", Mode.AUTO, "slow")
    healthy = {at: good(at) for at in slots(SETTLED + MINUTE, SETTLED + 6 * MINUTE)}
    assert kinds(run(POLICY, healthy, incident=verifying(SETTLED, 1, joined)).decisions) == ["Closed"]


def test_a_held_incident_is_over_by_evidence_from_after_its_rung():
    held = Held("inc-1", SETTLED, "pause", "paused")
    healthy = {at: good(at) for at in slots(LATER, SETTLED + 4 * MINUTE)}
    assert kinds(run(POLICY, healthy, incident=verifying(SETTLED, 1, held)).decisions) == ["Wait"]
    newer = replace(RELEASE, id="uid:8", revision="fix8", first_seen=SETTLED + MINUTE)
    closed = only(decided(verifying(SETTLED, 1, held), SETTLED + 2 * MINUTE, changes=(RELEASE, newer)), Closed)
    assert closed.reason == f"{TARGET} went to revision fix8 by another writer; it gets a watch window of its own"
