"""What a bounded condition is said to find, it finds: the preview against the test itself."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.judge.tally import add, begin, tried
from rollbackd.policies.known.events import Opened
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Bound, Breaches, For, Limit
from rollbackd.policies.model.readings import Counts
from rollbackd.policies.watching.power import SURE, asked_of, power, shares
from rollbackd.policies.watching.power import preview as preview_by
from tests.policies.literals import CALM, EVERY, POLICY, RELEASE, T0

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
BOUND = Bound(0.01)


def preview(policy, per_minute, bound=BOUND):
    return preview_by(policy, policy.conditions[0], 0.05, bound, per_minute, None, random.Random(0).random)


def bounded(confirm, every=EVERY):
    return replace(POLICY, every=every, conditions=(replace(POLICY.conditions[0], confirm=confirm, watch=None, bound=BOUND),))


def found(share, per_minute, spread=None, bound=BOUND):
    policy = replace(bounded(For(timedelta(0))), timing=replace(POLICY.timing, warmup=timedelta(0)))
    return power(share, asked_of(policy, policy.conditions[0], 0.05, bound, per_minute, spread), random.Random(0).random)


def real(share, per_minute, within, runs=400):
    """In how many of seeded runs the test itself has proven it by then."""
    dice, proven = random.Random(7), 0
    for _ in range(runs):
        tally = begin(T0, HOUR, None)
        for minute in range(within // MINUTE):
            bad = sum(dice.random() < share for _ in range(per_minute))
            block = Counts(T0 + minute * MINUTE, T0 + (minute + 1) * MINUTE, bad, bad, per_minute, T0)
            tally = add(tally, block)
            if tried(tally, Limit(high=0.05), BOUND).is_proven:
                proven += 1
                break
    return proven / runs


@pytest.mark.parametrize(("share", "per_minute"), [(0.2, 20), (0.1, 100), (1.0, 4)])
def test_what_is_promised_is_kept_by_the_test_itself(share, per_minute):
    said = found(share, per_minute)
    assert said.within is not None
    assert said.probability >= SURE
    assert real(share, per_minute, said.within) >= SURE - 0.03  # 400 runs


def test_it_does_not_promise_far_too_little():
    said = found(0.2, 20)
    assert said.within is not None
    assert real(0.2, 20, said.within // 3) < SURE


def test_more_traffic_and_a_larger_share_are_found_sooner():
    times = [found(share, per_minute).within for share, per_minute in [(0.1, 20), (0.2, 20), (0.2, 200)]]
    assert times == sorted(times, reverse=True)
    assert times[0] > times[-1]


def test_what_the_watch_is_too_short_for_is_said_with_its_chance():
    said = found(0.06, 20)
    assert said.within is None
    assert 0 < said.probability < 0.5


def test_a_healthy_share_is_proven_in_less_than_the_bound():
    assert found(0.05, 100).probability <= BOUND.alpha


def test_without_traffic_nothing_is_found():
    assert (found(1.0, 0.0).within, found(1.0, 0.0).probability) == (None, 0.0)


def test_bursts_and_a_least_volume_make_it_later():
    assert found(0.2, 20, spread=3.0).within > found(0.2, 20).within
    assert found(1.0, 20, bound=Bound(0.01, 300)).within > 15 * MINUTE


def decided(policy, share, per_minute):
    """How long after the change an incident is opened where every block holds exactly this share."""
    watch, at = new_watch(policy), T0
    while at < T0 + HOUR:
        at += policy.every
        total = per_minute * (policy.every / MINUTE)
        block = Counts(at - policy.every, at, total * share, total * share, total, at)
        slot = evaluate(policy, watch, None, (block,), (RELEASE,), CALM, at)
        if any(isinstance(decision, Opened) for decision in slot.decisions):
            return at - T0
        watch = slot.watch
    return None


CONFIRMED = [
    pytest.param(For(MINUTE), EVERY, 2 * MINUTE, id="for-1m"),
    pytest.param(For(45 * SECOND), EVERY, 105 * SECOND, id="for-45s"),
    pytest.param(For(45 * SECOND), MINUTE, 2 * MINUTE, id="for-45s-asked-each-minute"),
    pytest.param(For(5 * MINUTE), EVERY, 6 * MINUTE, id="for-5m"),
    pytest.param(Breaches(3, 5), EVERY, 90 * SECOND, id="3-of-5"),
]


@pytest.mark.parametrize(("confirm", "every", "soonest"), CONFIRMED)
def test_what_is_proven_at_once_is_decided_when_warm_up_and_confirmation_are_over(confirm, every, soonest):
    policy = bounded(confirm, every)
    said = preview(policy, 2000.0)
    assert [one.share for one in said] == pytest.approx([0.06, 0.1, 0.2, 0.5, 1.0])
    assert (said[-1].within, decided(policy, 1.0, 2000)) == (soonest, soonest)


def opened(policy, share, per_minute, until, dice, total=None):
    """Whether an incident is opened by then in one watch of independent events, as many in each slot as ``total`` says."""
    watch, at = new_watch(policy), T0
    while at < T0 + until:
        at += policy.every
        events = per_minute * policy.every // MINUTE if total is None else total(dice, per_minute * (policy.every / MINUTE))
        bad = sum(dice.random() < share for _ in range(events))
        slot = evaluate(policy, watch, None, (Counts(at - policy.every, at, bad, bad, events, at),), (RELEASE,), CALM, at)
        if any(isinstance(decision, Opened) for decision in slot.decisions):
            return True
        watch = slot.watch
    return False


def poisson(dice, mean):
    """As many as come at random where so many are usual."""
    events, left = -1, mean
    while left > 0:
        events, left = events + 1, left - dice.expovariate(1)
    return events


def kept(policy, said, per_minute, runs, total=None):
    """In how many of seeded watches an incident is opened as soon as it is said, or in the whole watch."""
    dice = random.Random(7)
    return sum(opened(policy, said.share, per_minute, said.within or HOUR, dice, total) for _ in range(runs)) / runs


LONG = [
    pytest.param(For(5 * MINUTE), 2, 20, 400, id="for-5m"),
    pytest.param(For(30 * MINUTE), 1, 20, 100, id="for-half-the-watch"),
    pytest.param(Breaches(10, 10), 2, 20, 200, id="10-of-10"),
]


@pytest.mark.parametrize(("confirm", "row", "per_minute", "runs"), LONG)
def test_what_is_said_of_a_long_confirmation_is_kept_by_the_engine(confirm, row, per_minute, runs):
    policy = bounded(confirm, EVERY)
    said = preview(policy, per_minute)[row]
    assert kept(policy, said, per_minute, runs) >= min(said.probability, SURE) - 0.03


def test_a_run_that_begins_before_the_proof_is_not_counted_from_the_proof_on():
    policy = bounded(For(5 * MINUTE), EVERY)
    said = preview(policy, 20)[2]
    assert said.within <= 7 * MINUTE


def test_a_least_volume_is_reached_as_soon_as_is_said_by_traffic_that_comes_at_random():
    policy, bound = bounded(For(45 * SECOND), EVERY), Bound(0.01, 200)
    policy = replace(policy, conditions=(replace(policy.conditions[0], bound=bound),))
    said = preview(policy, 20, bound)[-2]
    assert kept(policy, said, 20, 100, poisson) >= SURE - 0.03


def test_looks_are_counted_from_the_proof_on_and_a_run_from_the_first_that_is_out():
    runs, looks = bounded(For(45 * SECOND), EVERY), bounded(Breaches(4, 5), EVERY)
    (proven, *_), (late, *_) = (preview(policy, 2000.0) for policy in (runs, looks))
    assert late.within - proven.within >= 45 * SECOND
    assert decided(looks, 0.06, 2000) - decided(runs, 0.06, 2000) == 45 * SECOND


def test_a_proof_that_the_watch_leaves_no_time_to_confirm_is_none():
    policy = replace(bounded(Breaches(3, 5), EVERY), watch=10 * MINUTE)
    first, *_ = preview(policy, 2000.0)
    assert first.within is None


def test_shares_of_a_high_limit_stay_shares():
    assert shares(0.6) == pytest.approx((0.72, 1.0))
