"""What ``max_false_rollback`` promises, through everything from a reading to an order, on services of known truth. Every seed is fixed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from rollbackd.policies.decide.decisions import Act
from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Bound, For, Policy
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


@dataclass(frozen=True)
class Service:
    """``share``: the true share of errors by minutes since the release. Errors come ``together``, so many at a time. Seen since ``before`` it."""

    per_minute: float
    share: Callable[[float], float]
    together: int = 1
    before: int = BEFORE


def rolled_back(judged: Policy, dice: random.Random, service: Service, minutes: int = 60) -> float | None:
    """Minutes from the release to the rollback; None without one."""
    watch = new_watch(judged)
    for at, bad, total in blocks(dice, service, minutes):
        found = evaluate(judged, watch, None, (counts(at, bad, total),), (RELEASE,), CALM, at)
        watch = found.watch
        if any(isinstance(decision, Act) for decision in found.decisions):
            return (at - T0) / MINUTE
    return None


def blocks(dice: random.Random, service: Service, minutes: int) -> Iterator[tuple[datetime, int, int]]:
    """What each slot's block counted: requests come as they like (Poisson)."""
    seen: list[tuple[int, int]] = []
    for slot in range(-service.before, minutes * 4):
        total = arrivals(dice, service.per_minute / 4)
        chance = service.share(slot / 4) / service.together
        bad = sum(service.together for _ in range(total) if dice.random() < chance)
        seen.append((min(bad, total), total))
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


def times(judged: Policy, releases: int, service: Service) -> list[float]:
    """Minutes to the rollback of each release, the shortest first; infinite without one."""
    dice = random.Random(20261126)
    found = [rolled_back(judged, dice, service) for _ in range(releases)]
    return sorted(float("inf") if minutes is None else minutes for minutes in found)


def rollbacks(judged: Policy, releases: int, service: Service) -> int:
    return sum(minutes < float("inf") for minutes in times(judged, releases, service))


# --- healthy releases, looked at every 15 seconds for an hour -------------------------------------------------------------------


@pytest.mark.parametrize("share", [pytest.param(0.02, id="healthy"), pytest.param(0.05, id="at-its-limit")])
@pytest.mark.parametrize(("per_minute", "releases"), [(4, 50), (20, 60), (100, 30)])
def test_a_release_within_its_limit_stays(per_minute, releases, share):
    assert rollbacks(ONE_PERCENT, releases, Service(per_minute, steady(share))) == 0


@pytest.mark.parametrize(("per_minute", "releases"), [(20, 60), (100, 30)])
def test_looks_judged_by_themselves_break_the_promise_at_the_limit(per_minute, releases):
    """The same releases without a bound: what shows that the tests above can fail."""
    assert rollbacks(NO_BOUND, releases, Service(per_minute, steady(0.05))) > 0.1 * releases


def test_a_release_whose_errors_come_in_bursts_stays_where_the_bursts_were_seen_before():
    """Ten errors at a time, 4 % in all: taken as independent they look like 5 % proven."""
    seen, unseen = (Service(100, steady(0.04), together=10, before=before) for before in (240, BEFORE))
    assert rollbacks(ONE_PERCENT, 25, unseen) > 2
    assert rollbacks(ONE_PERCENT, 25, seen) == 0


# --- bad releases ---------------------------------------------------------------------------------------------------------------


def test_a_fifth_of_errors_at_20_a_minute_is_found_in_three_minutes():
    found = times(ONE_PERCENT, 60, Service(20, from_minute(0, 0.2)))
    assert (found[30] <= 3, found[-1] <= 15) == (True, True)


def test_nothing_but_errors_is_found_in_two_minutes_however_little_comes():
    found = times(ONE_PERCENT, 60, Service(4, from_minute(0, 1.0)))
    assert found[30] <= 2


def test_a_late_onset_is_found_by_the_later_starts():
    found = times(ONE_PERCENT, 40, Service(20, from_minute(40, 0.2)))
    assert found[0] > 40
    assert (found[20] - 40 <= 5, found[37] - 40 <= 10) == (True, True)
