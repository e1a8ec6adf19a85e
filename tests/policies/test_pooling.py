"""A shift of traffic between paths whose healthy shares of errors differ: what a pooled share makes of it, and what conditions by path do."""

from dataclasses import replace

import pytest

from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Bound, Condition, Group, Leaf, Limit
from tests.policies.literals import CALM, ERRORS, MINUTE, POLICY, RELEASE, T0, counts

SEARCH, UPLOAD = 0.01, 0.15
"""The healthy shares of errors of two paths: before the release nine requests of ten are searches, afterwards half of them are."""


def above(name: str, limit: float) -> Condition:
    return replace(ERRORS, name=name, bound=Bound(0.005), limit=Limit(high=limit, unit="%"))


def states(*conditions: Condition, searches: int, search: float = SEARCH) -> list[State]:
    """Ten minutes after the release, a thousand requests each. The conditions are about all requests, or about searches and about uploads."""
    policy = replace(POLICY, conditions=conditions, trigger=Group(tuple(Leaf(index) for index in range(len(conditions))), 1))
    watch, uploads = new_watch(policy), 1000 - searches
    for minute in range(1, 11):
        at = T0 + minute * MINUTE
        bad = searches * search, uploads * UPLOAD
        readings = (counts(at, sum(bad), 1000),) if len(conditions) == 1 else (counts(at, bad[0], searches), counts(at, bad[1], uploads))
        found = evaluate(policy, watch, None, readings, (RELEASE,), CALM, at)
        watch = found.watch
    return [verdict.state for verdict in found.verdicts]


def test_a_pooled_share_is_what_users_meet_and_rises_with_the_mix_alone():
    assert states(above("all", 0.05), searches=900) == [State.OK]
    assert states(above("all", 0.05), searches=500) == [State.BREACH]


@pytest.mark.parametrize("searches", [900, 500, 100])
def test_conditions_by_path_do_not_see_the_mix(searches):
    assert State.BREACH not in states(above("search", 0.05), above("upload", 0.2), searches=searches)


def test_conditions_by_path_see_a_path_that_got_worse_behind_a_mix_that_got_better():
    """The other half of the mistake: pooled, this release looks healthy."""
    assert states(above("all", 0.1), searches=990, search=0.07) == [State.OK]
    assert states(above("search", 0.05), above("upload", 0.2), searches=990, search=0.07)[0] is State.BREACH
