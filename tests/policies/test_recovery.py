"""From when on a breach is over: the rule for leaving (S4)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.policies.decide.events import Closed, Held
from rollbackd.policies.decide.watch import Track, new_watch
from rollbackd.policies.judge.evidence import Share, wilson
from rollbackd.policies.judge.recovery import as_left
from rollbackd.policies.judge.tally import Calm
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.model.policy import Bound, Limit
from tests.policies.literals import ERRORS, MINUTE, POLICY, T0, counts, kinds, only, run, slots, verifying

BOUNDED = replace(ERRORS, bound=Bound(0.01))
CLOSE = replace(POLICY, conditions=(BOUNDED,))
"""Errors above 5 %: recovered below 4 %."""


def before(bad, total=100_000.0):
    """The time before the change, with this share of bad events."""
    return Calm(T0, 60.0, bad * total, total, 0.0)


def verified(share, calm=None, minutes=6, policy=CLOSE):
    """The decisions after so long of this share of 60,000 requests a minute since the rung settled, and what was known of before."""
    watch = new_watch(policy)
    watch = replace(watch, tracks=(replace(watch.tracks[0], calm=calm),))
    at = slots(T0 + 7 * MINUTE, T0 + (7 + minutes) * MINUTE)
    return run(policy, {moment: counts(moment, share * 60_000, 60_000) for moment in at}, incident=verifying(), watch=watch).decisions


def test_a_share_well_within_its_limit_has_recovered():
    assert "Closed" in kinds(verified(0.038))


def test_a_share_only_just_within_its_limit_has_not():
    assert kinds(verified(0.045)) == ["Wait"]


def test_what_is_missing_is_said():
    (wait,) = verified(0.045)
    assert "(within its limit; recovered once it is below 4 %, or as before the change)" in wait.reason


def test_a_service_that_was_no_better_before_the_change_has_recovered():
    assert "Closed" in kinds(verified(0.045, before(0.045)))


def test_a_service_that_was_better_before_is_given_up_and_paged():
    assert only(verified(0.045, before(0.01), minutes=15), Held).guard == "give-up"


def test_without_a_bound_nothing_is_known_of_before_and_the_limit_itself_counts():
    assert only(verified(0.045, policy=POLICY), Closed)


@pytest.mark.parametrize(
    ("good", "expected"),
    [pytest.param(0.93, State.OK, id="well-above"), pytest.param(0.91, State.UNPROVEN, id="only-just-above")],
)
def test_a_lower_limit_is_left_by_the_share_that_it_allows_to_be_bad(good, expected):
    condition = replace(BOUNDED, limit=Limit(low=0.9, unit="%"))
    bad, total = round(good * 100_000), 100_000
    share = Share(bad, bad, total, wilson(bad, total), T0, T0 + MINUTE, T0 + MINUTE)
    assert as_left(condition, Track(), Verdict(State.OK, share)).state is expected


@given(st.integers(0, 500), st.integers(1, 5_000), st.one_of(st.none(), st.floats(0, 0.2)), st.sampled_from(State))
def test_leaving_never_asks_for_less_than_health(bad, total, level, state):
    bad = min(bad, total)
    share = Share(bad, bad, total, wilson(bad, total), T0, T0 + MINUTE, T0 + MINUTE)
    track = Track(calm=None if level is None else before(level))
    after = as_left(BOUNDED, track, Verdict(state, share)).state
    assert after is state or (state, after) == (State.OK, State.UNPROVEN)
