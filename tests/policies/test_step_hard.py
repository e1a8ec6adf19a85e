"""Stories of several slots in which a single look would be right and the whole would be wrong: evidence, ladders and bakes over time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from rollbackd.policies.decide.decisions import Act, Decision, Wait
from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.known.events import Applied, Closed, Held, IncidentEvent, Joined, Opened, RungEnd, Settled, Stopped
from rollbackd.policies.known.fold import advance, fold, opened
from rollbackd.policies.known.incident import Incident, Phase
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Breaches, Group, Leaf, Mode, RevertRung, Timing
from rollbackd.policies.model.readings import Level
from tests.policies.literals import (
    CALM,
    ERRORS,
    EVERY,
    FLIP,
    MEMORY,
    MINUTE,
    OPENED,
    POLICY,
    RELEASE,
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
LATE_RELEASE = replace(RELEASE, started_early=LATER, started_late=LATER, first_seen=LATER, ready=LATER)
LATE_FLIP = replace(FLIP, started_early=LATER, started_late=LATER, first_seen=LATER)
EITHER = replace(POLICY, conditions=(ERRORS, MEMORY), trigger=Group((Leaf(0), Leaf(1)), 1))
BOTH = replace(POLICY, conditions=(ERRORS, MEMORY), trigger=Group((Leaf(0), Leaf(1)), 2))


def settled_at_once(act: Act) -> tuple[IncidentEvent, ...]:
    """The rung was written, and its end state was complete a minute later."""
    here = (act.incident, act.at, act.rung, act.remedy.target)
    return (
        replace(intended(act.rung, act.at, act.remedy.target), incident=act.incident),
        Applied(*here, "accepted"),
        Settled(*here, act.at + MINUTE, "complete"),
    )


def refused(act: Act) -> tuple[IncidentEvent, ...]:
    return (Stopped(act.incident, act.at, act.rung, act.remedy.target, RungEnd.REFUSED, "read-only file system"),)


def play(policy, at_each, readings, changes, outcome: Callable[[Act], tuple[IncidentEvent, ...]] = settled_at_once, fleet=CALM) -> list[Decision]:
    """Every decision but the waits, each carried out: rows are folded in, and a rung ends as ``outcome`` says.

    ``readings(at, incident)``: what is read at a slot, for each condition.
    """
    watch, incident, decided = new_watch(policy), None, []
    for at in at_each:
        found = evaluate(policy, watch, incident, readings(at, incident), [c for c in changes if c.first_seen <= at], fleet, at)
        watch = found.watch
        for decision in found.decisions:
            incident = carried_out(decision, incident, outcome)
            if isinstance(decision, Opened):
                fleet = replace(fleet, answered={policy.target: frozenset(decision.suspects)})
            if not isinstance(decision, Wait):
                decided.append(decision)
    return decided


def carried_out(decision: Decision, incident: Incident | None, outcome: Callable[[Act], tuple[IncidentEvent, ...]]) -> Incident | None:
    match decision:
        case Opened():
            return opened(decision)
        case Joined() | Held() | Closed() | Stopped():
            return advance(incident, decision)
        case Act():
            return fold_on(incident, outcome(decision))
        case _:
            return incident


def fold_on(incident: Incident, events: tuple[IncidentEvent, ...]) -> Incident:
    for event in events:
        incident = advance(incident, event)
    return incident


def rungs(decided: list[Decision]) -> list[int]:
    return [decision.rung for decision in decided if isinstance(decision, Act)]


def decided_on_two(policy, errors, memory, incident, at: datetime) -> list[str]:
    found = evaluate(policy, new_watch(policy), incident, (errors, memory), (RELEASE,), CALM, at)
    return kinds(found.decisions)


# --- a mode that is lowered while an incident is open --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "fleet"),
    [
        pytest.param(replace(POLICY, mode=Mode.OBSERVE), CALM, id="policy"),
        pytest.param(POLICY, replace(CALM, mode_cap=Mode.OBSERVE), id="daemon"),
        pytest.param(POLICY, replace(CALM, namespace_caps={"shop": Mode.SUGGEST}), id="namespace"),
    ],
)
def test_a_mode_lowered_during_an_incident_stops_the_next_rung(policy, fleet):
    at = T0 + 10 * MINUTE
    climbed = replace(verifying(T0 + 6 * MINUTE, 0), rung=0)
    answered = replace(fleet, answered={TARGET: frozenset({"uid:7"})})
    assert "Act" not in kinds(run(policy, {at: bad(at)}, incident=climbed, fleet=answered).decisions)


def test_a_cap_lowered_before_the_first_rung_stops_it():
    at = T0 + 6 * MINUTE
    decisions = run(POLICY, {at: bad(at)}, incident=opened(OPENED), fleet=replace(CALM, mode_cap=Mode.OBSERVE)).decisions
    assert "Act" not in kinds(decisions)


def test_a_joined_condition_that_may_only_suggest_does_not_climb_the_ladder():
    policy = replace(EITHER, conditions=(ERRORS, replace(MEMORY, mode=Mode.SUGGEST)))
    incident = verifying(T0 + 6 * MINUTE, 0, Joined("inc-1", T0 + 5 * MINUTE, "checkout", "memory", Mode.SUGGEST, ""))
    at = T0 + 10 * MINUTE
    assert "Act" not in decided_on_two(policy, good(at), level(at, 0.99), incident, at)


# --- the next rung is begun on evidence of its own ---------------------------------------------------------------------------------------


def test_the_whole_trigger_is_asked_again_before_the_next_rung():
    incident = verifying(T0 + 6 * MINUTE, 0, Joined("inc-1", T0 + 5 * MINUTE, "checkout", "memory", Mode.AUTO, ""))
    at = T0 + 10 * MINUTE
    assert "Act" not in decided_on_two(BOTH, good(at), level(at, 0.99), incident, at)


@pytest.mark.parametrize("mode", [Mode.SUGGEST, Mode.OBSERVE])
def test_one_that_may_not_act_beside_one_that_may_is_part_of_the_proof_and_does_not_stop_it(mode):
    at_each, changes = slots(T0, T0 + 10 * MINUTE), (RELEASE,)
    policy = replace(BOTH, conditions=(ERRORS, replace(MEMORY, mode=mode)))
    assert rungs(play(policy, at_each, lambda at, _: (bad(at), level(at, 0.99)), changes)) != []
    assert rungs(play(policy, at_each, lambda at, _: (bad(at), level(at, 0.5)), changes)) == []


def test_two_of_which_none_may_act_do_not_act_together():
    policy = replace(BOTH, conditions=(replace(ERRORS, mode=Mode.SUGGEST), replace(MEMORY, mode=Mode.SUGGEST)))
    assert rungs(play(policy, slots(T0, T0 + 10 * MINUTE), lambda at, _: (bad(at), level(at, 0.99)), (RELEASE,))) == []


def test_a_breach_older_than_the_change_does_not_join_and_climb():
    def memory_was_bad_before_and_errors_end_with_the_write(at, incident):
        is_broken = at > LATER and (incident is None or not incident.acted)
        return bad(at) if is_broken else good(at), level(at, 0.99)

    changes = (LATE_RELEASE, LATE_FLIP)
    decided = play(EITHER, slots(T0, LATER + 20 * MINUTE), memory_was_bad_before_and_errors_end_with_the_write, changes)
    assert rungs(decided) == [0]


def test_the_rung_after_a_refused_one_is_not_delayed_by_older_evidence():
    decided = play(
        POLICY,
        slots(T0, LATER + 10 * MINUTE),
        lambda at, _: (counts(at, 60 if at > LATER else 0, 600, EVERY),),
        (LATE_RELEASE, LATE_FLIP),
        refused,
    )
    first, second = [decision.at for decision in decided if isinstance(decision, Act)]
    assert second - first <= MINUTE


def test_an_outcome_that_comes_late_leaves_a_held_incident_held():
    gone = Held("inc-1", LATER, "policy-removed", "policy checkout is no longer loaded")
    late = Stopped("inc-1", LATER, 0, TARGET, RungEnd.FAILED, "0 of 3 ready")
    assert fold((OPENED, intended(0), gone, late)).phase is Phase.HELD


def test_a_flag_elsewhere_in_the_ladder_does_not_resolve_a_held_release():
    held = fold((OPENED, Held("inc-1", LATER, "ladder", "no known good")))
    at = LATER + 3 * MINUTE
    flip = replace(FLIP, id="f3@x", started_early=at - EVERY, started_late=at, first_seen=at)
    fleet = replace(CALM, answered={TARGET: frozenset({"uid:7"})})
    assert "Closed" not in kinds(run(POLICY, {at: bad(at)}, incident=held, changes=(RELEASE, flip), fleet=fleet).decisions)


# --- evidence never crosses a change -------------------------------------------------------------------------------------------------------


def test_requests_from_before_the_release_do_not_recover_its_incident():
    policy = replace(POLICY, mode=Mode.SUGGEST, timing=Timing(recover_for=MINUTE))
    decided = play(
        policy,
        slots(T0, LATER + 10 * MINUTE),
        lambda at, _: (counts(at, 48 if at > LATER else 0, 600, EVERY),),
        (LATE_RELEASE,),
    )
    assert kinds(decided) == ["Opened"]


def test_three_of_five_looks_are_looks_at_this_change():
    policy = replace(POLICY, every=MINUTE, conditions=(replace(MEMORY, confirm=Breaches(3, 5)),))
    values = {-3: 0.99, -2: 0.99, -1: 0.5, 0: 0.5, 1: 0.99}
    readings = {LATER + n * MINUTE: level(LATER + n * MINUTE, value) for n, value in values.items()}
    assert "Act" not in kinds(run(policy, readings, changes=(LATE_RELEASE,)).decisions)


def test_one_scrape_is_not_three_looks():
    policy = replace(POLICY, conditions=(replace(MEMORY, confirm=Breaches(3, 5)),))
    frozen = {at: Level(at, 0.99, LATER) for at in slots(LATER, LATER + 2 * EVERY)}
    assert "Act" not in kinds(run(policy, frozen).decisions)


# --- what is known good ----------------------------------------------------------------------------------------------------------------------


def test_silence_bakes_nothing():
    silent_after_one_look = {LATER: good(LATER)} | {at: no_data(at) for at in slots(LATER + EVERY, LATER + 31 * MINUTE)}
    decided = play(POLICY, sorted(silent_after_one_look), lambda at, _: (silent_after_one_look[at],), (RELEASE,))
    assert decided == []


def test_a_target_of_the_ladder_that_changed_is_known_good_only_after_a_bake_of_its_own():
    other = "command:config"
    policy = replace(POLICY, ladder=(RevertRung(other), RevertRung(TARGET)))
    changed = LATER + 29 * MINUTE
    moved = replace(RELEASE, target=other, id="c2@x", revision="c2", started_early=changed, started_late=changed, first_seen=changed, ready=changed)
    fleet = replace(CALM, revisions={TARGET: "bad7", other: "c2"})
    decided = play(policy, slots(LATER, changed + 35 * MINUTE), lambda at, _: (good(at),), (RELEASE, moved), fleet=fleet)
    assert [bake.at >= changed + policy.timing.bake for bake in decided if (other, "c2") in bake.targets] == [True]


# --- the first rung and the others -------------------------------------------------------------------------------------------------------------

BEFORE_THE_BREACH = replace(CALM, oldest_look=LATER - EVERY)
BREACHED_ONCE = {LATER: bad(LATER)}


def test_the_first_rung_waits_until_every_other_target_was_looked_at():
    decisions = run(POLICY, BREACHED_ONCE, fleet=BEFORE_THE_BREACH).decisions
    assert only(decisions, Wait).reason == "the other targets are looked at first: a breach that they share has a common cause"


def test_the_first_rung_is_begun_once_every_other_target_was_looked_at():
    assert "Act" in kinds(run(POLICY, BREACHED_ONCE, fleet=replace(CALM, oldest_look=LATER)).decisions)


def test_the_first_rung_waits_two_slots_for_a_target_that_cannot_be_looked_at():
    decided = [kinds(run(POLICY, series, fleet=BEFORE_THE_BREACH).decisions) for series in growing(3)]
    assert ["Act" in names for names in decided] == [False, False, True]


def growing(looks: int):
    return [{at: bad(at) for at in slots(LATER, LATER + n * EVERY)} for n in range(looks)]
