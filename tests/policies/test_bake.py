"""When a revision is known good: what it takes, what begins it anew, and of which targets."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rollbackd.policies.decide.bake import bake, contested
from rollbackd.policies.judge.evidence import Bounds, Nothing, Share
from rollbackd.policies.judge.tally import begin, tried
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.watch import Watch, new_watch
from rollbackd.policies.model.policy import Bound, Policy, RevertRung
from rollbackd.policies.model.signals import OfTarget, Selector, Signal, Vanished
from tests.policies.literals import CALM, ERRORS, FLAGS, FLIP, HOUR, MEMORY, MINUTE, POLICY, RELEASE, SECOND, T0, TARGET, verifying

BAKE = POLICY.timing.bake
SETTLED = T0 + 2 * HOUR
"""Nothing changed for so long."""
OK, BREACH, UNPROVEN = (Verdict(state, Nothing("")) for state in (State.OK, State.BREACH, State.UNPROVEN))
TWO = replace(POLICY, conditions=(ERRORS, MEMORY))


def watched(clean: datetime | None, *healthy: datetime | None, policy: Policy = POLICY, baked: str | None = None) -> Watch:
    """``bad7`` has run without a breach since ``clean``, each condition healthy since its time."""
    watch = new_watch(policy)
    tracks = tuple(track._replace(ok_since=since) for track, since in zip(watch.tracks, healthy, strict=True))
    return replace(watch, tracks=tracks, revision="bad7", clean_since=clean, baked=baked)


def told(
    watch: Watch, *verdicts: Verdict, policy: Policy = POLICY, changes: Sequence[Change] = (RELEASE,), at: datetime = SETTLED, running: str = "bad7"
) -> tuple[Watch, list[tuple[str, str]]]:
    """The watch after it, and every target with its revision that is known good from now on."""
    fleet = replace(CALM, revisions={**CALM.revisions, TARGET: running})
    after, bakes = bake(policy, watch, verdicts, changes, fleet, at)
    return after, [good for one in bakes for good in one.targets]


# --- how long -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lasted", "is_good"), [(BAKE, True), (BAKE - SECOND, False)])
@pytest.mark.parametrize("which", ["clean", "healthy"])
def test_it_takes_the_bake_time_without_a_breach_and_in_proven_health(lasted: timedelta, is_good: bool, which: str) -> None:
    begun, long = SETTLED - lasted, T0
    watch = watched(begun, long) if which == "clean" else watched(long, begun)
    after, good = told(watch, OK)
    assert good == ([(TARGET, "bad7")] if is_good else [])
    assert after.baked == ("bad7" if is_good else None)


def test_the_reason_says_how_long_it_was_well() -> None:
    _, (one,) = bake(POLICY, watched(T0, SETTLED - 45 * MINUTE), (OK,), (RELEASE,), CALM, SETTLED)
    assert (one.at, one.reason) == (SETTLED, "no breach in 45m0s under watch of policy checkout (bake 30m0s)")


def test_the_condition_that_was_proven_longest_speaks_for_it() -> None:
    """One that is healthy for less, or only unproven, is no breach."""
    assert told(watched(T0, T0, SETTLED - MINUTE, policy=TWO), OK, OK, policy=TWO)[1] == [(TARGET, "bad7")]
    assert told(watched(T0, SETTLED - MINUTE, T0, policy=TWO), OK, OK, policy=TWO)[1] == [(TARGET, "bad7")]
    assert told(watched(T0, None, T0, policy=TWO), UNPROVEN, OK, policy=TWO)[1] == [(TARGET, "bad7")]


def test_what_is_not_proven_now_bakes_nothing_however_long_it_was() -> None:
    assert told(watched(T0, T0), UNPROVEN)[1] == []
    assert told(watched(T0, None), OK)[1] == []
    assert told(watched(T0, T0, SETTLED - MINUTE, policy=TWO), UNPROVEN, OK, policy=TWO)[1] == []


@pytest.mark.parametrize("signal", [OfTarget("rollout"), Vanished(Selector("http_requests_total"))])
def test_a_rollout_that_went_well_and_a_metric_that_is_there_prove_no_health(signal: Signal) -> None:
    policy = replace(POLICY, conditions=(replace(ERRORS, signal=signal),))
    assert told(watched(T0, T0, policy=policy), OK, policy=policy)[1] == []


# --- what begins it anew --------------------------------------------------------------------------------------------------------------


def test_a_breach_of_any_condition_begins_it_anew() -> None:
    after, good = told(watched(T0, T0, T0, policy=TWO), OK, BREACH, policy=TWO)
    assert (good, after.clean_since) == ([], None)
    again, _ = told(after, OK, OK, policy=TWO, at=SETTLED + MINUTE)
    assert again.clean_since == SETTLED + MINUTE


def test_what_is_no_worse_than_before_and_out_of_its_written_limit_proves_nothing_good() -> None:
    policy = replace(POLICY, conditions=(replace(ERRORS, limit=replace(ERRORS.limit, is_raised=True)),))
    after, good = told(watched(T0, T0, policy=policy), OK, policy=policy)
    assert (good, after.clean_since) == ([], None)


@pytest.mark.parametrize(("bad", "is_clean"), [(40, False), (1, True)])
def test_a_look_that_would_be_a_breach_by_itself_begins_it_anew(bad: int, is_clean: bool) -> None:
    bounded = replace(ERRORS, bound=Bound(0.01))
    trial = tried(begin(T0, HOUR, None), bounded.limit, Bound(0.01))
    low = 0.3 if bad == 40 else 0.0
    doubt = Verdict(State.UNPROVEN, Share(bad, bad, 100, Bounds(low, 0.5), T0, SETTLED, SETTLED), trial)
    policy = replace(POLICY, conditions=(bounded,))
    after, _ = told(watched(T0, T0, policy=policy), doubt, policy=policy)
    assert (after.clean_since == T0) is is_clean
    untried, _ = told(watched(T0, T0, policy=policy), doubt._replace(trial=None), policy=policy)
    assert untried.clean_since == T0  # nothing is watched: by itself it is what it is


def test_another_revision_begins_anew_and_may_be_told_again() -> None:
    after, good = told(watched(T0, T0, baked="bad7"), OK, running="new8")
    assert (good, after.revision, after.clean_since, after.baked) == ([], "new8", SETTLED, None)


def test_a_revision_is_told_once() -> None:
    watch = watched(T0, T0, baked="bad7")
    assert told(watch, OK) == (watch, [])
    assert told(watched(T0, T0, baked="good6"), OK)[1] == [(TARGET, "bad7")]


def test_what_was_told_stays_told_after_a_breach() -> None:
    after, _ = told(watched(T0, T0, baked="bad7"), BREACH)
    assert after.baked == "bad7"


def test_where_it_is_not_known_what_runs_nothing_is_good() -> None:
    fleet = replace(CALM, revisions={})
    watch = replace(watched(T0, T0), revision=None)
    assert bake(POLICY, watch, (OK,), (RELEASE,), fleet, SETTLED) == (watch, ())


# --- what others know of it -----------------------------------------------------------------------------------------------------------


def known(fleet: Fleet, policy: Policy = POLICY) -> tuple[Watch, list[tuple[str, str]]]:
    after, bakes = bake(policy, watched(T0, T0, policy=policy), (OK,), (RELEASE,), fleet, SETTLED)
    return after, [good for one in bakes for good in one.targets]


@pytest.mark.parametrize(("ago", "is_good"), [(BAKE, True), (BAKE - SECOND, False)])
def test_a_breach_that_another_policy_proved_begins_it_anew_too(ago: timedelta, is_good: bool) -> None:
    after, good = known(replace(CALM, proven={TARGET: SETTLED - ago}))
    assert good == ([(TARGET, "bad7")] if is_good else [])
    assert after.clean_since == SETTLED - ago


def test_what_ran_before_is_not_held_against_another_revision() -> None:
    fleet = replace(CALM, revisions={TARGET: "new8"}, proven={TARGET: SETTLED - MINUTE})
    after, _ = bake(POLICY, watched(T0, T0), (OK,), (RELEASE,), fleet, SETTLED)
    assert after.clean_since == SETTLED


def test_what_an_open_incident_is_about_is_not_good_and_may_be_once_it_is_closed() -> None:
    after, good = known(replace(CALM, contested=contested((verifying(),), (RELEASE,))))
    assert (good, after.baked) == ([], None)
    assert told(after, OK)[1] == [(TARGET, "bad7")]


@pytest.mark.parametrize(
    "fleet",
    [
        pytest.param(replace(CALM, proven={FLAGS: SETTLED - MINUTE}), id="in-breach"),
        pytest.param(replace(CALM, contested=frozenset({(FLAGS, CALM.revisions[FLAGS])})), id="a-suspect"),
    ],
)
def test_what_the_ladder_reverts_is_not_good_by_the_health_of_another_target(fleet: Fleet) -> None:
    policy = replace(POLICY, ladder=(RevertRung(FLAGS), RevertRung(TARGET)))
    assert known(fleet, policy)[1] == [(TARGET, "bad7")]


def test_an_incident_is_about_what_was_judged_and_about_every_suspect() -> None:
    both = replace(verifying(), revision="bad7", suspects=(RELEASE.id, FLIP.id))
    assert contested((both,), (RELEASE, FLIP)) == {(TARGET, "bad7"), (FLAGS, "f2")}
    assert contested((both,), ()) == {(TARGET, "bad7")}
    assert contested((), (RELEASE, FLIP)) == frozenset()


# --- of which targets -----------------------------------------------------------------------------------------------------------------


def changed(target: str, before: timedelta) -> Change:
    at = SETTLED - before
    return replace(RELEASE, target=target, id=f"{target}@{before}", started_early=at, started_late=at, first_seen=at, ready=at)


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        pytest.param((), [TARGET, FLAGS], id="nothing"),
        pytest.param((changed(TARGET, BAKE),), [TARGET, FLAGS], id="just-long-enough-ago"),
        pytest.param((changed(TARGET, BAKE - SECOND),), [FLAGS], id="the-watched-target-just-now"),
        pytest.param((changed(FLAGS, BAKE - SECOND), changed(TARGET, HOUR)), [TARGET], id="one-of-the-ladder"),
        pytest.param((changed(TARGET, MINUTE), changed(FLAGS, MINUTE)), [], id="both"),
        pytest.param((changed("alb:edge/shop", MINUTE),), [TARGET, FLAGS], id="another"),
    ],
)
def test_what_the_ladder_reverts_is_good_with_it_unless_it_changed_meanwhile(changes: Sequence[Change], good: list[str]) -> None:
    policy = replace(POLICY, ladder=(RevertRung(FLAGS), RevertRung(TARGET)))
    found = told(watched(T0, T0), OK, policy=policy, changes=changes)[1]
    assert found == [(target, CALM.revisions[target]) for target in good]


def test_flags_that_are_switched_off_have_no_good_of_their_own() -> None:
    assert told(watched(T0, T0), OK)[1] == [(TARGET, "bad7")]  # its ladder has flags before the revert


def test_of_a_target_whose_revision_is_not_known_nothing_is_said() -> None:
    policy = replace(POLICY, ladder=(RevertRung("kubernetes:default/shop/deployment/cart"),))
    assert told(watched(T0, T0), OK, policy=policy)[1] == [(TARGET, "bad7")]


def test_a_release_of_which_no_replica_was_ever_ready_is_not_good() -> None:
    """The old pods serve on, and were healthy all the while: what is healthy is not what was released."""
    stuck = replace(RELEASE, ready=None)
    assert told(watched(T0, T0), OK, changes=(stuck,))[1] == []
