"""When a breach becomes an incident, a word to people, or waits: for a target that could not be read, and beside what was only suggested."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rollbackd.policies.decide.decisions import Outside, Wait
from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.decide.opening import UNREAD, neighbours
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.fold import opened
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Group, Leaf, Mode, Policy, RestoreRung
from tests.policies.literals import (
    CALM,
    ERRORS,
    EVERY,
    FLAGS,
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
    kinds,
    level,
    no_data,
    only,
    run,
    slots,
)

LATER = T0 + 5 * MINUTE
BREACHED_ONCE = {LATER: bad(LATER)}


# --- a target that could not be read ---------------------------------------------------------------------------------------------------


def unread(last: datetime, target: str = TARGET) -> Fleet:
    return replace(CALM, unread={target: last})


def opens(policy: Policy, fleet: Fleet, looks: int) -> list[bool]:
    """In which of so many looks at a standing breach an incident opens."""
    watch, found = new_watch(policy), []
    for at in slots(LATER, LATER + (looks - 1) * policy.every, policy.every):
        evaluation = evaluate(policy, watch, None, (bad(at),), (RELEASE,), fleet, at)
        watch = evaluation.watch
        found.append("Opened" in kinds(evaluation.decisions))
    return found


UNSEEN = LATER - EVERY


@pytest.mark.parametrize("target", [pytest.param(TARGET, id="watched"), pytest.param(FLAGS, id="of-the-ladder")])
def test_a_breach_is_laid_to_nothing_before_what_it_may_be_laid_to_is_read(target: str):
    decisions = run(POLICY, BREACHED_ONCE, fleet=unread(UNSEEN, target)).decisions
    until = LATER + max(2 * EVERY, UNREAD)
    assert only(decisions, Wait).reason == f"{target} could not be read since the breach began: what changed there shows until {until:%H:%M:%S}"


def test_of_several_conditions_that_wait_for_a_target_one_says_so():
    policy = replace(POLICY, conditions=(ERRORS, MEMORY), trigger=Group((Leaf(0), Leaf(1)), 1))
    decisions = evaluate(policy, new_watch(policy), None, (bad(LATER), level(LATER, 0.99)), (RELEASE,), unread(UNSEEN), LATER).decisions
    assert kinds(decisions) == ["Wait"]


def test_a_breach_that_no_known_change_explains_is_told_to_nobody_before_its_target_is_read():
    assert kinds(run(POLICY, BREACHED_ONCE, fleet=unread(UNSEEN), changes=()).decisions) == ["Wait"]


@pytest.mark.parametrize(
    "fleet",
    [
        pytest.param(unread(LATER), id="read-since"),
        pytest.param(unread(UNSEEN, "command:zoo"), id="another-target"),
        pytest.param(unread(LATER - 5 * MINUTE), id="lost-long-ago"),
    ],
)
def test_what_was_read_since_the_breach_began_or_is_lost_is_not_waited_for(fleet: Fleet):
    assert "Opened" in kinds(run(POLICY, BREACHED_ONCE, fleet=fleet).decisions)


def test_a_database_that_cannot_be_read_and_is_to_be_restored_is_not_waited_for():
    policy = replace(POLICY, ladder=(*POLICY.ladder, RestoreRung("rds:prod/shop")))
    assert "Opened" in kinds(run(policy, BREACHED_ONCE, fleet=unread(UNSEEN, "rds:prod/shop")).decisions)


@pytest.mark.parametrize(("seconds", "waits"), [pytest.param(1, 30, id="half-a-minute"), pytest.param(60, 2, id="two-looks")])
def test_a_target_that_stays_unread_is_waited_for_two_looks_and_half_a_minute_at_least(seconds: int, waits: int):
    policy = replace(POLICY, every=seconds * SECOND)
    assert opens(policy, unread(UNSEEN), waits + 1) == [False] * waits + [True]


def test_a_target_is_waited_for_no_longer_than_five_minutes_from_when_it_was_last_read():
    policy = replace(POLICY, every=5 * SECOND)
    assert opens(policy, unread(LATER - 5 * MINUTE + 10 * SECOND), 3) == [False, False, True]


def test_a_breach_from_before_the_target_was_last_read_opens_for_none_that_began_since():
    """Each condition waits for itself: memory was out of its limit when the target could still be read, and may only be observed."""
    policy = replace(POLICY, conditions=(ERRORS, replace(MEMORY, mode=Mode.OBSERVE)), trigger=Group((Leaf(0), Leaf(1)), 1))
    early = slots(LATER - 10 * MINUTE, LATER)
    watch, decided = new_watch(policy), ()
    for at in early:
        evaluation = evaluate(policy, watch, None, (bad(at) if at == LATER else no_data(at), level(at, 0.99)), (RELEASE,), unread(UNSEEN), at)
        watch, decided = evaluation.watch, evaluation.decisions
    assert ([verdict.state for verdict in evaluation.verdicts], kinds(decided)) == ([State.BREACH] * 2, ["Outside"])


def test_what_was_only_suggested_is_raised_by_no_breach_that_began_since_its_target_was_last_read():
    suggested = replace(opened(replace(OPENED, mode=Mode.SUGGEST, condition="memory")), phase=Phase.PROPOSED)
    assert "Joined" in kinds(run(POLICY, BREACHED_ONCE, incident=suggested).decisions)
    assert "Joined" not in kinds(run(POLICY, BREACHED_ONCE, incident=suggested, fleet=unread(UNSEEN)).decisions)


# --- what no change explains ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modes", "told"),
    [
        pytest.param((Mode.SUGGEST, Mode.SUGGEST, Mode.AUTO), ["third"], id="that-may-do-most"),
        pytest.param((Mode.SUGGEST, Mode.APPROVE, Mode.APPROVE), ["second"], id="the-first-of-equals"),
        pytest.param((Mode.SUGGEST, Mode.SUGGEST, Mode.OBSERVE), ["second"], id="not-what-was-suggested-already"),
        pytest.param((Mode.APPROVE, Mode.SUGGEST, Mode.OBSERVE), ["error-rate"], id="what-may-do-more-though-it-was-suggested"),
        pytest.param((Mode.SUGGEST, Mode.OBSERVE, Mode.OBSERVE), [], id="not-what-is-only-observed"),
    ],
)
def test_beside_a_suggestion_one_breach_that_no_change_explains_is_told(modes: tuple[Mode, ...], told: list[str]):
    conditions = (ERRORS, replace(MEMORY, name="second"), replace(MEMORY, name="third"))
    each = tuple(replace(condition, mode=mode) for condition, mode in zip(conditions, modes, strict=True))
    policy, at = replace(POLICY, conditions=each, trigger=Group((Leaf(0), Leaf(1), Leaf(2)), 1)), T0 + 2 * HOUR
    suggested = replace(opened(replace(OPENED, mode=Mode.SUGGEST)), phase=Phase.PROPOSED)
    decided = evaluate(policy, new_watch(policy), suggested, (bad(at), level(at, 0.99), level(at, 0.99)), (), CALM, at).decisions
    assert [decision.condition for decision in decided if isinstance(decision, Outside)] == told


@pytest.mark.parametrize("every", [pytest.param(EVERY, id="at-least-a-minute"), pytest.param(2 * MINUTE, id="two-minutes")])
def test_a_breach_outside_the_watch_has_a_key_that_a_replica_a_look_apart_finds(every: timedelta):
    policy, at = replace(POLICY, every=every), T0 + 2 * HOUR
    apart = max(every, MINUTE)
    early, late = [only(run(policy, {moment: bad(moment)}).decisions, Outside) for moment in (at, at + apart)]
    assert early.key != late.key
    assert (early.key, late.key) == (neighbours(policy, late)[0], neighbours(policy, early)[1])
    again = only(run(policy, {at + apart - SECOND: bad(at + apart - SECOND)}).decisions, Outside)
    assert again.key == early.key
