"""What ``max_false_rollback`` promises, through everything from a reading to an order, on services of known truth. Every seed is fixed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from rollbackd.policies.decisions import Act
from rollbackd.policies.evaluate import evaluate
from rollbackd.policies.model import Bound, For, Policy
from rollbackd.policies.watch import new_watch
from tests.policies.literals import CALM, ERRORS, EVERY, MINUTE, POLICY, RELEASE, T0, counts

BLOCK = 4
"""Slots in a block: four scrapes of fifteen seconds."""
BEFORE = 24
"""Slots that are seen before the release."""
HEALTHY = 0.01


def policy(bound: Bound | None) -> Policy:
    """The library's error rate, above 5 % for a minute."""
    return replace(POLICY, conditions=(replace(ERRORS, confirm=For(MINUTE), bound=bound),))


ONE_PERCENT = policy(Bound(0.01))
NO_BOUND = policy(None)


def rolled_back(judged: Policy, dice: random.Random, per_minute: float, share: Callable[[float], float], minutes: int = 60) -> float | None:
    """Minutes from the release to the rollback; None without one. ``share``: the true share of errors by minutes since the release."""
    watch = new_watch(judged)
    for at, bad, total in blocks(dice, per_minute, share, minutes):
        found = evaluate(judged, watch, None, (counts(at, bad, total),), (RELEASE,), CALM, at)
        watch = found.watch
        if any(isinstance(decision, Act) for decision in found.decisions):
            return (at - T0) / MINUTE
    return None


def blocks(dice: random.Random, per_minute: float, share: Callable[[float], float], minutes: int) -> Iterator[tuple[datetime, int, int]]:
    """What each slot's block counted: requests come as they like (Poisson), and each fails by itself."""
    seen: list[tuple[int, int]] = []
    for slot in range(-BEFORE, minutes * 4):
        total = arrivals(dice, per_minute / 4)
        seen.append((sum(dice.random() < share(slot / 4) for _ in range(total)), total))
        if len(seen) >= BLOCK:
            newest = seen[-BLOCK:]
            yield T0 + (slot + 1) * EVERY, sum(bad for bad, _ in newest), sum(total for _, total in newest)


def arrivals(dice: random.Random, mean: float) -> int:
    """How many come in a stretch in which so many come on average."""
    found, until = 0, dice.expovariate(mean)
    while until < 1:
        found, until = found + 1, until + dice.expovariate(mean)
    return found


def steady(share: float) -> Callable[[float], float]:
    return lambda minutes: share


def from_minute(onset: float, share: float) -> Callable[[float], float]:
    return lambda minutes: share if minutes >= onset else HEALTHY


def times(judged: Policy, releases: int, per_minute: float, share: Callable[[float], float]) -> list[float]:
    """Minutes to the rollback of each release, the shortest first; infinite without one."""
    dice = random.Random(20261126)
    found = [rolled_back(judged, dice, per_minute, share) for _ in range(releases)]
    return sorted(float("inf") if minutes is None else minutes for minutes in found)


def rollbacks(judged: Policy, releases: int, per_minute: float, share: float) -> int:
    return sum(minutes < float("inf") for minutes in times(judged, releases, per_minute, steady(share)))


# --- healthy releases, looked at every 15 seconds for an hour -------------------------------------------------------------------


@pytest.mark.parametrize("share", [pytest.param(0.02, id="healthy"), pytest.param(0.05, id="at-its-limit")])
@pytest.mark.parametrize(("per_minute", "releases"), [(4, 50), (20, 60), (100, 30)])
def test_a_release_within_its_limit_stays(per_minute, releases, share):
    assert rollbacks(ONE_PERCENT, releases, per_minute, share) == 0


@pytest.mark.parametrize(("per_minute", "releases"), [(20, 60), (100, 30)])
def test_looks_judged_by_themselves_break_the_promise_at_the_limit(per_minute, releases):
    """The same releases without a bound: what shows that the tests above can fail."""
    assert rollbacks(NO_BOUND, releases, per_minute, 0.05) > 0.1 * releases


# --- bad releases ---------------------------------------------------------------------------------------------------------------


def test_a_fifth_of_errors_at_20_a_minute_is_found_in_three_minutes():
    found = times(ONE_PERCENT, 60, 20, from_minute(0, 0.2))
    assert (found[30] <= 3, found[-1] <= 15) == (True, True)


def test_nothing_but_errors_is_found_in_two_minutes_however_little_comes():
    found = times(ONE_PERCENT, 60, 4, from_minute(0, 1.0))
    assert found[30] <= 2


def test_a_late_onset_is_found_by_the_later_starts():
    found = times(ONE_PERCENT, 40, 20, from_minute(40, 0.2))
    assert found[0] > 40
    assert (found[20] - 40 <= 5, found[37] - 40 <= 10) == (True, True)
