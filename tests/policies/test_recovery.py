"""From when on a breach is over: the rule for leaving."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.policies.judge.bursts import Calm
from rollbackd.policies.judge.evidence import Bounds, Nothing, Share, wilson
from rollbackd.policies.judge.verdict import GOOD, LEAVE, State, Verdict, health_volume
from rollbackd.policies.known.events import Closed, Held
from rollbackd.policies.known.watch import Track, new_watch
from rollbackd.policies.model.policy import Bound, Limit
from rollbackd.policies.watching.recovery import as_left, leave_text, recovers_after
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
    watch = replace(watch, tracks=(watch.tracks[0]._replace(calm=calm),))
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


@pytest.mark.parametrize(("limit", "a_minute", "ends"), [(0.05, 20, 12), (0.01, 100, 12), (0.001, 1000, 12)])
def test_a_service_without_errors_recovers_in_time_at_traffic_that_fills_no_window(limit, a_minute, ends):
    policy = replace(CLOSE, conditions=(replace(BOUNDED, limit=Limit(high=limit, unit="%")),))
    at = slots(T0 + 7 * MINUTE, T0 + (6 + ends) * MINUTE)
    found = run(policy, {moment: counts(moment, 0, a_minute) for moment in at}, incident=verifying())
    assert "healthy for" in only(found.decisions, Closed).reason


@given(st.floats(0.001, 0.9), st.floats(1.01, 20))
def test_the_volume_of_health_proves_a_share_of_a_fifth_of_the_limit_to_have_recovered(limit, more):
    condition = replace(BOUNDED, limit=Limit(high=limit, unit="%"), min_volume=0)
    total = math.ceil(health_volume(condition) * more)
    assert wilson(math.floor(GOOD * limit * total), total).high < LEAVE * limit
    one_less = math.floor(health_volume(condition)) - 1
    assert wilson(math.ceil(GOOD * limit * one_less), one_less).high > LEAVE * limit


@given(st.floats(0.001, 0.9), st.integers(0, 2000))
def test_the_volume_of_health_is_the_same_for_a_share_that_must_not_fall(limit, least):
    above, below = (replace(BOUNDED, limit=side, min_volume=least) for side in (Limit(high=limit, unit="%"), Limit(low=1 - limit, unit="%")))
    assert health_volume(below) == pytest.approx(health_volume(above), rel=1e-6)
    assert health_volume(above) >= least


@pytest.mark.parametrize(
    ("per_minute", "least", "minutes"),
    [
        pytest.param(10, 0, 24, id="a-fifth-of-the-limit"),
        pytest.param(10, 300, 30, id="the-least-volume"),
        pytest.param(4, 0, 40, id="what-its-widest-window-holds"),
        pytest.param(3, 50, None, id="more-than-that"),
        pytest.param(0, 0, None, id="no-traffic"),
    ],
)
def test_recovery_takes_what_proves_it_with_a_fifth_of_the_limit_bad(per_minute, least, minutes):
    after = recovers_after(replace(BOUNDED, min_volume=least), per_minute)
    assert (None if after is None else math.ceil(after / MINUTE)) == minutes


@given(st.floats(0.01, 0.9), st.floats(5, 1000))
def test_recovery_takes_as_long_for_a_share_that_must_not_fall(limit, per_minute):
    above, below = (replace(BOUNDED, limit=side, min_volume=0) for side in (Limit(high=limit, unit="%"), Limit(low=1 - limit, unit="%")))
    assert (recovers_after(above, per_minute) or MINUTE) / MINUTE == pytest.approx((recovers_after(below, per_minute) or MINUTE) / MINUTE)


@pytest.mark.parametrize("limit", [Limit(unit="%"), Limit(high=0.0, unit="%"), Limit(low=1.0, unit="%")])
def test_without_a_limit_that_can_be_kept_no_volume_is_enough(limit):
    assert math.isinf(health_volume(replace(BOUNDED, limit=limit)))


@pytest.mark.parametrize(
    ("good", "expected"),
    [pytest.param(0.93, State.OK, id="well-above"), pytest.param(0.91, State.UNPROVEN, id="only-just-above")],
)
def test_a_lower_limit_is_left_by_the_share_that_it_allows_to_be_bad(good, expected):
    condition = replace(BOUNDED, limit=Limit(low=0.9, unit="%"))
    bad, total = round(good * 100_000), 100_000
    share = Share(bad, bad, total, wilson(bad, total), T0, T0 + MINUTE, T0 + MINUTE)
    assert as_left(condition, Track(), Verdict(State.OK, share)).state is expected


RANGE = Limit(high=0.5, low=0.1, unit="%")
ABOVE, BELOW = Limit(high=0.05, unit="%"), Limit(low=0.9, unit="%")


def proven(low, high):
    """A share that is proven to lie between these."""
    return Share(1, 1, 100, Bounds(low, high), T0, T0 + MINUTE, T0 + MINUTE)


@pytest.mark.parametrize(
    ("limit", "bounds", "level", "expected"),
    [
        pytest.param(ABOVE, (0.01, LEAVE * 0.05), None, State.UNPROVEN, id="no-less-than-four-fifths"),
        pytest.param(ABOVE, (0.01, LEAVE * 0.05 - 1e-9), None, State.OK, id="less-than-four-fifths"),
        pytest.param(Limit(low=0.5), (0.6, 0.9), None, State.UNPROVEN, id="low-no-more-than-its-share"),
        pytest.param(Limit(low=0.5), (0.6 + 1e-9, 0.9), None, State.OK, id="low-more-than-its-share"),
        pytest.param(RANGE, (0.3, 0.39), None, State.OK, id="well-within-a-range"),
        pytest.param(RANGE, (0.3, 0.41), None, State.UNPROVEN, id="at-the-high-end-of-a-range"),
        pytest.param(RANGE, (0.27, 0.39), None, State.UNPROVEN, id="at-the-low-end-of-a-range"),
        pytest.param(ABOVE, (0.01, 0.045), 0.01, State.OK, id="no-worse-than-before"),
        pytest.param(ABOVE, (0.01, 0.045), 0.0099, State.UNPROVEN, id="worse-than-before"),
        pytest.param(BELOW, (0.905, 0.95), 0.95, State.OK, id="low-no-worse-than-before"),
        pytest.param(BELOW, (0.905, 0.95), 0.951, State.UNPROVEN, id="low-worse-than-before"),
        pytest.param(RANGE, (0.2, 0.3), 0.25, State.OK, id="in-a-range-as-before"),
        pytest.param(RANGE, (0.2, 0.3), 0.31, State.UNPROVEN, id="in-a-range-less-than-before"),
        pytest.param(RANGE, (0.2, 0.3), 0.19, State.UNPROVEN, id="in-a-range-more-than-before"),
    ],
)
def test_a_limit_is_left_well_within_it_or_where_it_was_no_better_before(limit, bounds, level, expected):
    track = Track(calm=None if level is None else before(level))
    verdict = as_left(replace(BOUNDED, limit=limit), track, Verdict(State.OK, proven(*bounds)))
    assert verdict == Verdict(expected, proven(*bounds))


def test_of_a_time_before_without_a_request_nothing_is_known():
    assert as_left(BOUNDED, Track(calm=Calm(T0)), Verdict(State.OK, proven(0.01, 0.045))).state is State.UNPROVEN


@pytest.mark.parametrize(
    ("limit", "bounds", "said"),
    [
        pytest.param(ABOVE, (0.01, 0.045), "below 4 %", id="high"),
        pytest.param(BELOW, (0.905, 0.99), "above 92 %", id="low"),
        pytest.param(RANGE, (0.2, 0.45), "below 40 % and above 28 %", id="range"),
        pytest.param(ABOVE, (0.01, 0.05), None, id="not-within-its-limit"),
        pytest.param(BELOW, (0.9, 0.99), None, id="not-within-its-low-limit"),
        pytest.param(RANGE, (0.2, 0.6), None, id="above-its-range"),
        pytest.param(RANGE, (0.05, 0.3), None, id="below-its-range"),
    ],
)
def test_it_says_what_is_missing_only_of_what_is_within_its_limit(limit, bounds, said):
    text = leave_text(replace(BOUNDED, limit=limit), Verdict(State.UNPROVEN, proven(*bounds)))
    assert text == (f" (within its limit; recovered once it is {said}, or as before the change)" if said else "")


def test_nothing_is_missing_of_what_is_well_or_has_no_bound_or_was_not_counted():
    close = Verdict(State.UNPROVEN, proven(0.01, 0.045))
    assert leave_text(BOUNDED, close)
    assert not any(
        (leave_text(BOUNDED, close._replace(state=State.OK)), leave_text(ERRORS, close), leave_text(BOUNDED, close._replace(evidence=Nothing(""))))
    )


@given(st.integers(0, 500), st.integers(1, 5_000), st.one_of(st.none(), st.floats(0, 0.2)), st.sampled_from(State))
def test_leaving_never_asks_for_less_than_health(bad, total, level, state):
    bad = min(bad, total)
    share = Share(bad, bad, total, wilson(bad, total), T0, T0 + MINUTE, T0 + MINUTE)
    track = Track(calm=None if level is None else before(level))
    after = as_left(BOUNDED, track, Verdict(state, share)).state
    assert after is state or (state, after) == (State.OK, State.UNPROVEN)


def test_an_incident_whose_conditions_were_renamed_is_over_when_all_that_its_policy_asks_now_is_well():
    renamed = replace(CLOSE, digest="d2", conditions=(replace(BOUNDED, name="failed-requests"),))
    assert "Closed" in kinds(verified(0.01, policy=renamed))
    assert "failed-requests" in only(verified(0.01, policy=renamed), Closed).reason


def test_a_condition_that_took_the_place_of_another_joins_the_incident_before_it_takes_a_step():
    renamed = replace(CLOSE, digest="d2", conditions=(replace(BOUNDED, name="failed-requests"),))
    assert kinds(verified(0.3, policy=renamed, minutes=3))[0] == "Joined"
