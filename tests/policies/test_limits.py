"""What is proven exactly at a limit and just beside it, by one look or by all of them together, and what no evidence can prove."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.policies.judge.evidence import Happened, Nothing, Share, Sums, Z, wilson
from rollbackd.policies.judge.trial import Side, Trial
from rollbackd.policies.judge.verdict import RISE, State, Verdict, has_risen, is_doubted, is_out, judge, log_chance_of_so_few, share_limit
from rollbackd.policies.model.policy import Bound, Limit, Mode
from rollbackd.policies.model.readings import Counts, Events, Flow, Lack, Level, Told, Unknown
from rollbackd.policies.model.signals import Count, Latency, PromQL, Rate, Selector, Traffic
from tests.policies.literals import ERRORS, MEMORY, MINUTE, SECOND, T0, counts, level

BOUNDED = replace(ERRORS, bound=Bound(0.01))
AT_LEAST = replace(BOUNDED, limit=Limit(low=0.95, unit="%"))
ROLLOUT = replace(ERRORS, name="rollout", limit=Limit(), min_volume=0)
FAILURES = replace(ERRORS, name="failures", signal=Count(Selector("e")), limit=Limit(high=5), window=2 * MINUTE, min_volume=0)
RATE = replace(FAILURES, name="rate", signal=Rate(Selector("e")), limit=Limit(high=0.5))
DROP = replace(ERRORS, name="traffic-drop", signal=Traffic(Selector("r")), limit=Limit(low=0.3, unit="%"), window=2 * MINUTE)
SIXTY = wilson(60, 600).low, wilson(60, 600).high
STEP = 1e-9


def judged(condition, *readings, since=None, trial=None):
    return judge(condition, readings, since, None, T0, trial)


def tried(is_enough=True):
    """All evidence since the change together."""
    sums = Sums(60, 60, 600)
    return Trial(T0, math.log(100), 0, sums, (Side(0.05, False, sums, (), 0, 1.0 if is_enough else 100.0),))


def share(bad, total=600):
    return Share(bad, bad, total, wilson(bad, total), T0 - MINUTE, T0, T0)


# --- one look -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param(Limit(high=SIXTY[0]), State.UNPROVEN, id="no-more-than-the-lower-bound"),
        pytest.param(Limit(high=SIXTY[0] - STEP), State.BREACH, id="beyond-the-lower-bound"),
        pytest.param(Limit(high=SIXTY[1]), State.UNPROVEN, id="no-less-than-the-upper-bound"),
        pytest.param(Limit(high=SIXTY[1] + STEP), State.OK, id="within-by-the-upper-bound"),
        pytest.param(Limit(low=SIXTY[1]), State.UNPROVEN, id="low-no-less-than-the-upper-bound"),
        pytest.param(Limit(low=SIXTY[1] + STEP), State.BREACH, id="low-beyond-the-upper-bound"),
        pytest.param(Limit(low=SIXTY[0]), State.UNPROVEN, id="low-no-more-than-the-lower-bound"),
        pytest.param(Limit(low=SIXTY[0] - STEP), State.OK, id="low-within-by-the-lower-bound"),
        pytest.param(Limit(high=0.2, low=0.01), State.OK, id="within-a-range"),
        pytest.param(Limit(high=0.05, low=0.01), State.BREACH, id="above-a-range"),
        pytest.param(Limit(high=0.2, low=0.15), State.BREACH, id="below-a-range"),
        pytest.param(Limit(high=0.1, low=0.01), State.UNPROVEN, id="at-the-high-end-of-a-range"),
        pytest.param(Limit(high=0.2, low=0.1), State.UNPROVEN, id="at-the-low-end-of-a-range"),
    ],
)
def test_a_share_is_proven_only_beyond_its_bounds(limit, expected):
    assert judged(replace(ERRORS, limit=limit), counts(T0, 60, 600)).state is expected


@pytest.mark.parametrize(("bad", "total", "expected"), [(10, 50, State.BREACH), (10, 49, State.UNPROVEN)])
def test_the_volume_that_a_policy_asks_for_is_enough(bad, total, expected):
    assert judged(ERRORS, counts(T0, bad, total)).state is expected


@given(st.integers(1, 10_000), st.data())
def test_wilson_bounds_solve_their_equation(total, data):
    bad = data.draw(st.integers(0, total))
    bounds, seen = wilson(bad, total), bad / total
    for bound in (bounds.low, bounds.high):
        assert (seen - bound) ** 2 == pytest.approx(Z * Z * bound * (1 - bound) / total, abs=1e-12)
    assert (bounds.low == 0) == (bad == 0)
    assert (bounds.high == 1) == (bad == total)


def test_z_is_one_sided_99_percent():
    assert 1 - math.erfc(Z / math.sqrt(2)) / 2 == pytest.approx(0.99, abs=1e-5)


def test_only_what_is_proven_is_known():
    assert [state for state in State if state.is_known] == [State.OK, State.BREACH]


def test_before_anything_was_read_nothing_is_known():
    assert judged(ERRORS).state is State.NODATA


def test_a_limit_that_cannot_be_reckoned_proves_nothing_and_hides_no_failure_to_read():
    lacking = replace(ERRORS, limit=Limit(high=0.05, lack="no time before the change is known"))
    assert judged(lacking, counts(T0, 600, 600)) == Verdict(State.UNPROVEN, Nothing("no time before the change is known"))
    assert judged(lacking, Unknown(T0, Lack.ERROR, "refused")).state is State.ERROR


# --- all of them together -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "bad", "expected"),
    [
        pytest.param(BOUNDED, 30, State.UNPROVEN, id="exactly-at-the-limit"),
        pytest.param(BOUNDED, 31, State.BREACH, id="above-it"),
        pytest.param(AT_LEAST, 570, State.UNPROVEN, id="exactly-at-a-low-limit"),
        pytest.param(AT_LEAST, 569, State.BREACH, id="below-it"),
        pytest.param(AT_LEAST, 571, State.UNPROVEN, id="within-a-low-limit"),
    ],
)
def test_what_is_proven_is_a_breach_only_while_the_newest_window_is_out_of_its_limit(condition, bad, expected):
    verdict = judged(condition, counts(T0, bad, 600), trial=tried())
    assert verdict.state is expected
    assert is_out(condition, verdict) is (expected is State.BREACH)


def test_what_all_evidence_does_not_prove_is_no_breach_whatever_one_look_shows():
    verdict = judged(BOUNDED, counts(T0, 60, 600), trial=tried(is_enough=False))
    assert (verdict.state, is_out(BOUNDED, verdict), is_doubted(BOUNDED, verdict)) == (State.UNPROVEN, True, True)


def test_health_is_proven_by_one_look():
    assert judged(BOUNDED, counts(T0, 0, 600), trial=tried()).state is State.OK


@pytest.mark.parametrize(
    ("verdict", "out", "doubted"),
    [
        pytest.param(Verdict(State.UNPROVEN, share(60), tried()), True, True, id="one-look-would-prove-it"),
        pytest.param(Verdict(State.UNPROVEN, share(31), tried()), True, False, id="out-by-little"),
        pytest.param(Verdict(State.UNPROVEN, share(10, 49), tried()), True, False, id="too-few"),
        pytest.param(Verdict(State.UNPROVEN, share(10, 50), tried()), True, True, id="just-enough"),
        pytest.param(Verdict(State.BREACH, share(60), tried()), True, False, id="proven"),
        pytest.param(Verdict(State.OK, share(60), tried()), False, False, id="well"),
        pytest.param(Verdict(State.NODATA, share(60), tried()), False, False, id="silent"),
        pytest.param(Verdict(State.UNPROVEN, share(60)), False, False, id="no-bound"),
        pytest.param(Verdict(State.BREACH, share(60)), False, False, id="proven-without-a-bound"),
        pytest.param(Verdict(State.UNPROVEN, Nothing("no full block"), tried()), False, False, id="nothing-counted"),
    ],
)
def test_what_is_out_of_its_limit_and_what_is_doubted(verdict, out, doubted):
    assert (is_out(BOUNDED, verdict), is_doubted(BOUNDED, verdict)) == (out, doubted)


def test_a_limit_beyond_the_buckets_claims_no_health_whatever_is_proven():
    slow = replace(BOUNDED, signal=Latency(Selector("h"), 0.95, 2.0), limit=Limit(high=2.0, unit="s"))
    block = Counts(T0 - MINUTE, T0, 0, 0, 600, T0, 1.0, math.inf)
    assert judged(slow, block, trial=tried()).state is State.UNPROVEN
    assert judged(slow, block, trial=tried()).trial == tried()


def test_the_limit_on_slow_requests_is_what_the_quantile_leaves_unless_a_share_is_said():
    slow = replace(ERRORS, signal=Latency(Selector("h"), 0.95, 2.0), limit=Limit(high=2.0, unit="s", note="200 % of 1 s before"))
    assert share_limit(slow).high == pytest.approx(0.05)
    assert (share_limit(slow).unit, share_limit(slow).note) == ("%", "200 % of 1 s before")
    assert share_limit(replace(slow, limit=replace(slow.limit, share=0.2))).high == 0.2
    assert share_limit(ERRORS) is ERRORS.limit


# --- which blocks count ---------------------------------------------------------------------------------------------------------


def counted(*blocks, condition=ERRORS, since=None):
    found = judged(condition, *blocks, since=since).evidence
    assert isinstance(found, Share)
    return found


def test_a_block_that_began_with_the_change_counts():
    assert counted(counts(T0, 1, 100), since=T0 - MINUTE).total == 100


def test_blocks_that_touch_are_both_counted():
    found = counted(counts(T0 - MINUTE, 1, 100), counts(T0, 2, 100))
    assert (found.least, found.most, found.total, found.start, found.end) == (3, 3, 200, T0 - 2 * MINUTE, T0)


def test_a_gap_among_the_blocks_is_passed_over():
    assert counted(counts(T0 - 2 * MINUTE, 1, 100), Unknown(T0 - MINUTE, Lack.NODATA, "no series"), counts(T0, 1, 100)).total == 200


def test_the_window_is_filled_and_not_overfilled():
    blocks = [counts(T0 - i * MINUTE, 1, 100) for i in reversed(range(9))]
    assert counted(*blocks).start == T0 - 5 * MINUTE


def test_a_window_that_has_its_volume_widens_no_further():
    blocks = [counts(T0 - i * MINUTE, 1, 10) for i in reversed(range(9))]
    assert counted(*blocks).total == 50


def test_a_share_of_nothing_is_anything_between_none_and_all():
    nothing = counted(counts(T0, 0, 0))
    assert (nothing.bounds.low, nothing.bounds.high) == (0.0, 1.0)


def test_extrapolated_counts_never_show_more_bad_than_there_were_events():
    found = counted(Counts(T0 - MINUTE, T0, 2.0, 3.0, 2.5, T0))
    assert (found.least, found.most, found.total) == (2, 2, 2)
    assert found.bounds == found.bounds._replace(low=wilson(2, 3).low, high=wilson(2, 2).high)


def test_what_rounding_left_of_a_whole_count_is_whole():
    found = counted(Counts(T0 - MINUTE, T0, 40 - 1e-12, 41 + 1e-12, 412 - 1e-12, T0))
    assert (found.least, found.most, found.total, found.bounds.low) == (40, 41, 412, wilson(40, 412).low)
    assert counted(Counts(T0 - MINUTE, T0, 40, 41, 412 + 1e-12, T0)).bounds.low == wilson(40, 412).low


def happened(condition, *numbers, length=MINUTE, since=None):
    blocks = [Events(T0 - (back + 1) * length, T0 - back * length, count, T0) for back, count in reversed(list(enumerate(reversed(numbers))))]
    return judged(condition, *blocks, since=since)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        pytest.param((5,), State.UNPROVEN, id="exactly-at-the-limit-in-part-of-the-window"),
        pytest.param((3, 2), State.OK, id="exactly-at-the-limit"),
        pytest.param((3, 3), State.BREACH, id="above"),
        pytest.param((5.9,), State.UNPROVEN, id="a-part-of-an-event-is-none"),
        pytest.param((6 - 1e-12,), State.BREACH, id="what-rounding-left-of-six"),
    ],
)
def test_events_are_too_many_only_above_the_limit(numbers, expected):
    assert happened(FAILURES, *numbers).state is expected


@pytest.mark.parametrize(
    ("numbers", "length", "complete"),
    [
        pytest.param((1, 1), MINUTE, True, id="two-minutes-of-two"),
        pytest.param((1,), MINUTE, False, id="one-minute-of-two"),
        pytest.param((1, 1), 45 * SECOND, True, id="no-further-block-would-fit"),
        pytest.param((1, 1), 40 * SECOND, False, id="one-more-fits-exactly"),
    ],
)
def test_a_window_is_complete_where_no_further_block_fits(numbers, length, complete):
    seen = happened(FAILURES, *numbers, length=length).evidence
    assert isinstance(seen, Happened)
    assert (seen.is_complete, seen.count) == (complete, sum(numbers))


def test_a_rate_is_events_a_second_over_the_whole_window():
    assert happened(RATE, 30, 30).state is State.OK
    assert happened(RATE, 30, 31).state is State.BREACH


def test_events_from_before_the_change_do_not_count():
    assert happened(FAILURES, 9, 2, since=T0 - MINUTE).evidence == Happened(2, MINUTE, T0 - MINUTE, T0, T0, is_complete=False)
    assert happened(FAILURES, 9, since=T0).evidence == Nothing("no full block of evidence yet")


def test_too_few_events_are_judged_once_the_window_is_complete():
    alive = replace(FAILURES, limit=Limit(low=3))
    assert [happened(alive, *numbers).state for numbers in ((1,), (1, 1), (1, 2))] == [State.UNPROVEN, State.BREACH, State.OK]


# --- levels ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "value", "expected"),
    [
        pytest.param(Limit(low=0.1), 0.1, State.OK, id="exactly-at-a-low-limit"),
        pytest.param(Limit(low=0.1), 0.09, State.BREACH, id="below"),
        pytest.param(Limit(high=0.9, low=0.1), 0.5, State.OK, id="within-a-range"),
        pytest.param(Limit(high=0.9, low=0.1), 0.95, State.BREACH, id="above-a-range"),
        pytest.param(Limit(high=0.9, low=0.1), 0.05, State.BREACH, id="below-a-range"),
        pytest.param(Limit(high=0.9), -math.inf, State.NODATA, id="minus-infinity"),
    ],
)
def test_a_level_is_out_only_beyond_its_limit(limit, value, expected):
    assert judged(replace(MEMORY, limit=limit), level(T0, value)).state is expected


def test_a_sample_taken_as_the_evidence_begins_counts():
    assert judged(MEMORY, level(T0, 0.99), since=T0).state is State.BREACH
    assert judged(MEMORY, Level(T0, 0.99, T0 - SECOND), since=T0).state is State.UNPROVEN


def test_a_query_is_judged_once_its_ranges_begin_with_the_change():
    query = replace(MEMORY, signal=PromQL("max_over_time(x[5m])", 5 * MINUTE))
    states = [judged(query, level(T0, 0.99), since=T0 - reach).state for reach in (5 * MINUTE, 5 * MINUTE - SECOND)]
    assert states == [State.BREACH, State.UNPROVEN]
    assert judged(query, level(T0, 0.99)).state is State.BREACH


def test_a_level_has_risen_where_it_is_more_than_days_differ():
    assert [has_risen(value, 100.0) for value in (100 * RISE, 100 * RISE + 1)] == [False, True]
    assert pytest.approx(1.1) == RISE


# --- what the target said -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_bad", "expected"), [(True, State.BREACH), (False, State.OK), (None, State.UNPROVEN)])
def test_what_the_target_says_of_itself_is_believed(is_bad, expected):
    assert judged(ROLLOUT, Told(T0, is_bad, "1 of 3 ready")).state is expected


def test_what_the_target_said_before_the_change_proves_nothing():
    told = Told(T0, is_bad=True, said="1 of 3 ready")
    assert [judged(ROLLOUT, told, since=T0 + late * SECOND).state for late in (0, 1)] == [State.BREACH, State.UNPROVEN]


# --- traffic --------------------------------------------------------------------------------------------------------------------


def flowed(count, before=1.0, *, start=T0 - 2 * MINUTE, since=None, condition=DROP, **more):
    return judged(condition, Flow(start, T0, count, T0, before, **{"wanted": 3, "ready": 0, **more}), since=since)


@pytest.mark.parametrize(
    ("count", "expected"), [pytest.param(300, State.OK, id="exactly-at-the-limit"), pytest.param(200, State.BREACH, id="well-below")]
)
def test_traffic_is_low_only_below_the_share_of_what_was_to_be_expected(count, expected):
    verdict = flowed(count, 1000 / 120)
    assert (verdict.state, verdict.most) == (expected, Mode.AUTO)


def test_what_was_to_be_expected_has_to_be_as_much_as_the_policy_asks_for():
    assert [flowed(0, expected / 120).state for expected in (50, 49)] == [State.BREACH, State.UNPROVEN]


def test_traffic_of_a_window_that_began_with_the_change_counts():
    assert [flowed(0, since=T0 - 2 * MINUTE + late * SECOND).state for late in (0, 1)] == [State.BREACH, State.UNPROVEN]


def test_the_chance_of_none_among_so_many_is_a_thousandth_at_seven():
    assert log_chance_of_so_few(0, 7.0) == pytest.approx(-7)
    assert log_chance_of_so_few(3, 10.0) == pytest.approx(3 - 10 - 3 * math.log(0.3))
    few = replace(DROP, min_volume=0)
    assert [flowed(0, mean / 0.3 / 120, condition=few).state for mean in (6.9, 6.91)] == [State.UNPROVEN, State.BREACH]


def test_a_service_scaled_to_one_pod_is_watched_as_any_other():
    assert flowed(0, wanted=1, ready=0).state is State.BREACH
    assert flowed(0, wanted=0).state is State.UNPROVEN


def test_a_warm_up_ends_with_its_moment():
    assert [judge(ERRORS, [counts(T0, 60, 600)], None, T0 + wait * timedelta(seconds=1), T0).state for wait in (0, 1)] == [
        State.BREACH,
        State.UNPROVEN,
    ]
