"""Pods of the old revision beside those of the new: what both suffer is not the change's doing, and what only the new ones do is found."""

import math
from dataclasses import replace
from datetime import datetime
from random import Random

import pytest

from rollbackd.policies.decide.evaluate import Evaluation
from rollbackd.policies.judge.beside import Beside, Duel, add, trial
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.model.policy import Bound, For, Limit, Policy
from rollbackd.policies.model.readings import Counts
from tests.policies.literals import CALM, ERRORS, EVERY, MINUTE, POLICY, T0, counts, kinds, run, slots, verifying

BOUND = Bound(alpha=0.01)
PLAIN = replace(POLICY, conditions=(replace(ERRORS, bound=BOUND),))
OF_OLD = replace(POLICY, conditions=(replace(ERRORS, bound=BOUND, limit=Limit(high=0.01, unit="%", of_old=3.0)),))
LAST = T0 + 8 * MINUTE


def block(at: datetime, bad: float, total: float, old_bad: float = 0.0, old_total: float = 0.0) -> Counts:
    """What was counted in a minute, and what old pods counted beside it; none ran where they counted nothing."""
    return replace(counts(at, bad, total), old=counts(at, old_bad, old_total) if old_total else None)


def looked(policy: Policy, bad: float, old_bad: float, *, until: datetime = LAST, old_total: float = 100.0) -> Evaluation:
    readings = {at: block(at, bad, 100, old_bad, old_total) for at in slots(T0 + MINUTE, until)}
    return run(policy, readings)


def said(found: Evaluation) -> tuple[State, str]:
    return found.verdicts[0].state, verdict_reason(found.policy.conditions[0], found.verdicts[0])


# --- the limit of the old pods ------------------------------------------------------------------------------------------------------------


def test_new_pods_that_are_worse_than_the_old_ones_are_proven_with_both_counts() -> None:
    found = looked(OF_OLD, 20, 1)
    state, why = said(found)
    assert state is State.BREACH
    assert why.startswith("error-rate 100/500 = 20 % > 3 %, 300 % of 8/800 = 1 % of the old pods beside (over a million to 1 against chance, 100")
    assert "Opened" in kinds(found.decisions)


@pytest.mark.parametrize(
    ("bad", "old_bad", "old_total"),
    [
        pytest.param(20, 20, 100, id="both-alike"),
        pytest.param(20, 8, 100, id="not-three-times-as-bad"),
        pytest.param(20, 0, 0, id="no-old-pods"),
        pytest.param(20, 0, 1, id="next-to-no-traffic-on-the-old-side"),
    ],
)
def test_what_the_old_pods_do_as_well_or_cannot_show_is_no_breach(bad: int, old_bad: int, old_total: int) -> None:
    found = looked(OF_OLD, bad, old_bad, old_total=old_total)
    state, why = said(found)
    assert state is not State.BREACH, why
    assert found.policy.conditions[0].limit.is_raised or not old_bad


def test_worse_than_old_pods_that_fail_next_to_never_is_no_breach_within_the_fixed_limit() -> None:
    assert said(looked(replace(OF_OLD, conditions=(replace(OF_OLD.conditions[0], limit=Limit(high=0.05, unit="%", of_old=3.0)),)), 4, 0))[0] is (
        State.UNPROVEN
    )


def test_where_no_old_pods_run_health_is_what_stays_below_the_fixed_limit() -> None:
    readings = {at: block(at, 0, 200) for at in slots(T0 + MINUTE, LAST)}
    found = run(OF_OLD, readings)
    assert said(found)[0] is State.OK


# --- any limit, where the old pods are out of it as well ----------------------------------------------------------------------------------


def test_a_fault_of_both_sides_is_not_laid_to_the_change_and_the_reason_has_both_counts() -> None:
    found = looked(PLAIN, 20, 20)
    state, why = said(found)
    assert state is not State.BREACH
    assert "Opened" not in kinds(found.decisions)
    assert found.policy.conditions[0].limit.is_raised
    assert "worse than the old pods: 1.3 times at most" in why, why
    assert "as 160/800 = 20 % beside are beyond 5 % as well" in why, why


def test_it_is_not_when_the_old_pods_are_gone_either() -> None:
    both = {at: block(at, 20, 100, 20, 100) for at in slots(T0 + MINUTE, T0 + 4 * MINUTE)}
    alone = {at: block(at, 20, 100) for at in slots(T0 + 4 * MINUTE + EVERY, T0 + 40 * MINUTE)}
    assert said(run(PLAIN, both | alone))[0] is not State.BREACH


@pytest.mark.parametrize("old_bad", [pytest.param(1, id="old-pods-are-well"), pytest.param(8, id="much-worse-than-them")])
def test_new_pods_that_are_worse_than_the_old_ones_are_found_as_before(old_bad: int) -> None:
    assert said(looked(PLAIN, 60, old_bad))[0] is State.BREACH


def test_a_few_unlucky_old_requests_do_not_excuse_the_new_ones() -> None:
    assert said(looked(PLAIN, 20, 1, old_total=10))[0] is State.BREACH


def test_after_a_revert_the_old_pods_are_those_of_the_bad_revision_and_excuse_nothing() -> None:
    incident = verifying(evidence_from=T0 + 6 * MINUTE)
    readings = {at: block(at, 20, 100, 20, 100) for at in slots(T0 + 7 * MINUTE, T0 + 12 * MINUTE)}
    assert not run(PLAIN, readings, incident=incident, fleet=CALM).policy.conditions[0].limit.is_raised


# --- the test itself ------------------------------------------------------------------------------------------------------------------------


def weathered(random: Random, blocks: int, new: float, old: float) -> Beside:
    """Both sides in the same weather: from some block on something breaks, and traffic moves over to the new side meanwhile."""
    known, at, breaks = Beside(T0), T0, random.randrange(blocks)
    for index in range(blocks):
        at += MINUTE
        fault, part = (0.3 if index >= breaks else 0.0), (index + 1) / (blocks + 1)
        new_total, old_total = round(120 * part), round(120 * (1 - part))
        new_bad = sum(random.random() < min(1.0, new + fault) for _ in range(new_total))
        known = add(known, block(at, new_bad, new_total, sum(random.random() < min(1.0, old + fault) for _ in range(old_total)), old_total))
    return known


def test_sides_that_are_alike_are_called_unlike_no_more_often_than_allowed_whatever_happens_to_both() -> None:
    random, false = Random(5), 0
    for _ in range(400):
        known = weathered(random, 12, 0.05, 0.05)
        looks = (Beside(T0, known.pairs[:length]) for length in range(1, len(known.pairs) + 1))
        false += any(trial(seen, 1.0, Bound(alpha=0.05), None).is_proven for seen in looks)
    assert false <= 20  # 5 % of 400


def test_three_times_as_bad_as_the_limit_allows_is_found_in_most_cases() -> None:
    random = Random(6)
    assert sum(trial(weathered(random, 12, 0.3, 0.02), 1.0, BOUND, None).is_proven for _ in range(100)) >= 90


@pytest.mark.parametrize("factor", [1.0, 2.5])
@pytest.mark.parametrize("old", [0.01, 0.2, 0.4])
def test_a_block_is_expected_to_leave_at_most_what_was_staked(factor: float, old: float) -> None:
    """Exactly, over all outcomes of a small block with shares on the border."""
    n, m, new = 4, 3, min(1.0, factor * old)
    expected = 0.0
    for worse in range(n + 1):
        for others in range(m + 1):
            chance = math.comb(n, worse) * new**worse * (1 - new) ** (n - worse) * math.comb(m, others) * old**others * (1 - old) ** (m - others)
            pairs = add(Beside(T0), block(T0 + MINUTE, worse, n, others, m)).pairs
            expected += chance * math.exp(Duel(pairs, factor, 1.0).log_e)
    assert expected <= 1 + 1e-9


def test_blocks_that_overlap_or_began_before_the_change_are_not_counted() -> None:
    known = add(Beside(T0), block(T0 + MINUTE / 2, 5, 50, 5, 50))
    assert known.pairs == ()
    known = add(add(known, block(T0 + MINUTE, 5, 50, 5, 50)), block(T0 + MINUTE + EVERY, 5, 50, 5, 50))
    assert len(known.pairs) == 1


def test_a_confirmation_is_still_asked_for() -> None:
    waits = replace(OF_OLD, conditions=(replace(OF_OLD.conditions[0], confirm=For(60 * MINUTE)),))
    assert "Opened" not in kinds(looked(waits, 20, 1).decisions)
