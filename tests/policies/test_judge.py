"""One condition's verdict on literal evidence."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations, groupby, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.policies.judge.evidence import Happened, Share, wilson
from rollbackd.policies.judge.verdict import State, is_level_out, judge
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.model.policy import Limit
from rollbackd.policies.model.readings import Counts, Events, Lack, Level, Unknown
from rollbackd.policies.model.signals import Count, Latency, Rate, Selector
from tests.policies.literals import ERRORS, MEMORY, MINUTE, SECOND, T0, counts, level, no_data, slots

SLOW = replace(ERRORS, name="p95-latency", signal=Latency(Selector("h"), 0.95, 2.0), limit=Limit(high=2.0, unit="s"), min_volume=200)
FAILURES = replace(ERRORS, name="database-failures", signal=Count(Selector("e")), limit=Limit(high=5), window=2 * MINUTE, min_volume=0)
HITS = replace(ERRORS, name="cache-hits", limit=Limit(low=0.2, high=0.8, unit="%"))
RATE = replace(FAILURES, name="rate", signal=Rate(Selector("e")), limit=Limit(high=0.5))


@pytest.mark.parametrize(
    ("bad", "total", "expected"),
    [
        pytest.param(41, 412, State.BREACH, id="ten-percent-of-412-proves-over-five"),
        pytest.param(30, 600, State.UNPROVEN, id="exactly-at-the-limit-is-not-proven"),
        pytest.param(0, 600, State.OK, id="no-errors-proves-health"),
        pytest.param(5, 20, State.UNPROVEN, id="too-few-requests-prove-nothing"),
        pytest.param(2, 60, State.UNPROVEN, id="between-the-bounds"),
        pytest.param(0, 0, State.UNPROVEN, id="no-traffic-is-not-health"),
        pytest.param(60, 60, State.BREACH, id="all-errors"),
    ],
)
def test_a_ratio_is_judged_by_its_bounds(bad, total, expected):
    assert judge(ERRORS, [counts(T0, bad, total)], None, None, T0).state is expected


@pytest.mark.parametrize(
    ("bad", "total", "low"),
    [pytest.param(60, 1000, 0.045, id="six-percent"), pytest.param(103 * 0.1, 103, 0.05, id="ten-percent-of-103-only-just")],
)
def test_wilson_bound_agrees_with_its_published_table(bad, total, low):
    assert wilson(round(bad), total).low == pytest.approx(low, abs=0.003)


@given(st.integers(1, 10_000), st.data())
def test_bounds_always_enclose_the_share(total, data):
    bad = data.draw(st.integers(0, total))
    bounds = wilson(bad, total)
    assert 0 <= bounds.low <= bad / total <= bounds.high <= 1


def test_fractional_counts_round_against_the_claim_of_a_breach():
    share = judge(ERRORS, [counts(T0, 40.9, 411.2)], None, None, T0).evidence
    assert isinstance(share, Share)
    assert share.least == 40
    assert share.bounds.low == wilson(40, 412).low
    assert share.bounds.high == wilson(41, 411).high


def test_overlapping_blocks_are_counted_once():
    readings = [
        counts(T0 - MINUTE, 0, 100),
        counts(T0 - 45 * SECOND, 50, 100),
        no_data(T0 - 30 * SECOND),
        counts(T0 - 15 * SECOND, 50, 100),
        counts(T0, 0, 100),
    ]
    share = judge(replace(ERRORS, min_volume=150), readings, None, None, T0).evidence
    assert isinstance(share, Share)
    assert (share.least, share.total) == (0, 200)


def test_a_look_without_an_answer_does_not_end_what_is_counted():
    readings = [counts(T0 - 2 * MINUTE, 0, 100), no_data(T0 - MINUTE), counts(T0, 0, 100)]
    share = judge(replace(ERRORS, min_volume=150), readings, None, None, T0).evidence
    assert isinstance(share, Share)
    assert share.total == 200


def test_blocks_that_began_before_the_evidence_do_not_count():
    readings = [counts(T0 - MINUTE, 100, 100), counts(T0, 0, 600)]
    assert judge(ERRORS, readings, T0 - MINUTE, None, T0).state is State.OK
    assert judge(ERRORS, readings, T0 - 30 * SECOND, None, T0).state is State.UNPROVEN


def test_low_traffic_widens_the_window_until_the_volume_is_reached():
    readings = [counts(T0 - i * MINUTE, 2, 6) for i in reversed(range(12))]
    share = judge(ERRORS, readings, None, None, T0).evidence
    assert isinstance(share, Share)
    assert share.total == 54
    assert share.start == T0 - 9 * MINUTE


def test_the_window_never_widens_beyond_eight_times_its_length():
    readings = [counts(T0 - i * MINUTE, 1, 1) for i in reversed(range(60))]
    share = judge(ERRORS, readings, None, None, T0).evidence
    assert isinstance(share, Share)
    assert share.total == 40


def seen_of(*of_ten: int) -> tuple[State, int]:
    """What so many bad ones of the ten of each minute, the newest last, come to, and of how many events that is."""
    readings = [counts(T0 - back * MINUTE, bad, 10) for back, bad in reversed(list(enumerate(reversed(of_ten))))]
    found = judge(ERRORS, readings, None, None, T0)
    assert isinstance(found.evidence, Share)
    return found.state, found.evidence.total


def test_health_that_a_window_is_too_short_to_prove_is_proven_by_more_of_the_past():
    assert seen_of(*[0] * 10) == (State.UNPROVEN, 100)
    assert seen_of(*[0] * 11) == (State.OK, 110)
    assert seen_of(*[0] * 40) == (State.OK, 240)  # no more of it than it takes


def test_what_is_out_of_its_limit_now_is_not_healthy_for_its_past():
    assert seen_of(*[0] * 30, 0, 0, 0, 1, 2) == (State.UNPROVEN, 50)


def test_health_that_is_proven_by_a_window_is_not_unproven_by_its_past():
    many = [counts(T0 - back * MINUTE, 7 if back == 5 else 0, 40) for back in reversed(range(6))]
    assert judge(ERRORS, many, None, None, T0).state is State.OK


def test_no_verdict_is_given_before_the_warm_up_is_over():
    readings = [counts(T0, 100, 100)]
    assert judge(ERRORS, readings, None, T0 + SECOND, T0).state is State.UNPROVEN
    assert judge(ERRORS, readings, None, T0, T0).state is State.BREACH


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [
        pytest.param(200, 200, State.BREACH, id="the-bucket-ends-at-the-limit"),
        pytest.param(0, 200, State.UNPROVEN, id="the-limit-lies-inside-a-bucket"),
        pytest.param(0, 0, State.OK, id="all-fast"),
        pytest.param(150, 900, State.BREACH, id="even-the-lower-count-proves-it"),
    ],
)
def test_a_latency_is_a_share_bracketed_by_its_buckets(least, most, expected):
    reading = Counts(T0 - MINUTE, T0, least, most, 1000, T0, 1.0, 2.5)
    assert judge(SLOW, [reading], None, None, T0).state is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.96, State.BREACH, id="above"),
        pytest.param(0.95, State.OK, id="exactly-at-the-limit-is-within"),
        pytest.param(math.nan, State.NODATA, id="nan"),
        pytest.param(math.inf, State.NODATA, id="inf"),
    ],
)
def test_a_level_is_compared_with_its_limit(value, expected):
    assert judge(MEMORY, [level(T0, value)], None, None, T0).state is expected


def test_a_level_is_out_above_its_limit_and_not_at_it():
    assert is_level_out(MEMORY, level(T0, 0.96))
    assert not is_level_out(MEMORY, level(T0, 0.95))


def test_a_sample_from_before_the_evidence_proves_nothing():
    assert judge(MEMORY, [Level(T0, 0.99, T0 - MINUTE)], T0 - SECOND, None, T0).state is State.UNPROVEN


@pytest.mark.parametrize(
    ("lack", "expected"), [pytest.param(Lack.NODATA, State.NODATA, id="no-data"), pytest.param(Lack.ERROR, State.ERROR, id="error")]
)
def test_what_could_not_be_read_is_unknown_even_after_proven_errors(lack, expected):
    readings = [counts(T0 - MINUTE, 100, 100), Unknown(T0, lack, "refused")]
    assert judge(ERRORS, readings, None, None, T0).state is expected


def events(at, count):
    return Events(at - MINUTE, at, count, at)


def test_events_are_counted_once_and_across_a_look_without_an_answer():
    readings = [events(T0 - MINUTE, 2), no_data(T0 - 30 * SECOND), events(T0 - 15 * SECOND, 2), events(T0, 2)]
    happened = judge(FAILURES, readings, None, None, T0).evidence
    assert isinstance(happened, Happened)
    assert (happened.count, happened.start, happened.is_complete) == (4, T0 - 2 * MINUTE, True)


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        pytest.param([6], State.BREACH, id="part-of-the-window-is-enough-to-exceed"),
        pytest.param([2], State.UNPROVEN, id="part-of-the-window-cannot-prove-health"),
        pytest.param([3, 3], State.BREACH, id="summed-over-the-window"),
        pytest.param([2, 2], State.OK, id="within"),
        pytest.param([90, 2, 2], State.OK, id="older-than-the-window-does-not-count"),
        pytest.param([8 / 3, 8 / 3], State.OK, id="a-third-of-an-event-is-none"),
    ],
)
def test_events_are_counted_over_the_window(blocks, expected):
    readings = [events(T0 - (len(blocks) - 1 - i) * MINUTE, count) for i, count in enumerate(blocks)]
    assert judge(FAILURES, readings, None, None, T0).state is expected


@pytest.mark.parametrize(("blocks", "expected"), [([1, 1], State.BREACH), ([4 / 3, 4 / 3], State.OK), ([2, 1], State.OK)])
def test_too_few_events_are_proven_by_whole_ones(blocks, expected):
    too_few = replace(FAILURES, limit=Limit(low=3))
    readings = [events(T0 - (1 - i) * MINUTE, count) for i, count in enumerate(blocks)]
    assert judge(too_few, readings, None, None, T0).state is expected


def test_a_rate_needs_the_whole_window():
    assert judge(RATE, [events(T0, 100)], None, None, T0).state is State.UNPROVEN
    assert judge(RATE, [events(T0 - MINUTE, 100), events(T0, 100)], None, None, T0).state is State.BREACH


@pytest.mark.parametrize("condition", [RATE, FAILURES])
def test_what_was_not_scraped_is_no_fall(condition):
    """Sixty a minute, and two of five minutes without a look."""
    falls = replace(condition, limit=Limit(low=0.8 if condition is RATE else 240), window=5 * MINUTE)
    looked_at = [events(T0 - n * MINUTE, 60) for n in (4, 3, 0)]
    assert judge(falls, looked_at, None, None, T0).state is State.UNPROVEN
    whole = [events(T0 - n * MINUTE, 60) for n in (4, 3, 2, 1, 0)]
    assert judge(falls, whole, None, None, T0).state is State.OK


TINY = replace(ERRORS, limit=Limit(high=0.0001, unit="%"))


def test_what_was_not_scraped_thins_no_rate():
    often = replace(RATE, limit=Limit(high=0.9), window=5 * MINUTE)
    assert judge(often, [events(T0 - n * MINUTE, 60) for n in (4, 3, 0)], None, None, T0).state is State.UNPROVEN


@pytest.mark.parametrize(
    ("condition", "readings", "text"),
    [
        pytest.param(ERRORS, [counts(T0, 41, 412)], "error-rate 41/412 = 9.95 % > 5 % (lower bound 7.02 %)", id="breach"),
        pytest.param(HITS, [counts(T0, 25, 500)], "cache-hits 25/500 = 5 % < 20 % (upper bound 7.79 %)", id="below-a-range"),
        pytest.param(HITS, [counts(T0, 450, 500)], "cache-hits 450/500 = 90 % > 80 % (lower bound 86.4 %)", id="above-a-range"),
        pytest.param(ERRORS, [counts(T0, 2, 20)], "error-rate 2/20 = 10 %: 20 events prove nothing, 50 are needed", id="too-few"),
        pytest.param(ERRORS, [counts(T0, 3, 60)], "error-rate 3/60 = 5 %, proven 1.43 % to 16 %, not proven <= 5 %", id="between"),
        pytest.param(TINY, [counts(T0, 200, 500_000)], "error-rate 200/500000 = 0.04 % > 0.01 % (lower bound 0.0339 %)", id="tiny"),
        pytest.param(
            replace(RATE, limit=Limit(high=0.9, unit="/s"), window=5 * MINUTE),
            [events(T0 - n * MINUTE, 120) for n in (4, 3, 1, 0)],
            "rate 2/s in 4m0s not proven <= 0.9 /s",
            id="a-rate-of-what-was-seen",
        ),
        pytest.param(MEMORY, [level(T0, 0.97)], "memory 97 % > 95 %", id="level"),
        pytest.param(FAILURES, [events(T0, 9)], "database-failures 9 events in 1m0s > 5", id="events"),
        pytest.param(
            SLOW,
            [Counts(T0 - timedelta(minutes=1), T0, 300, 400, 1000, T0, 1.0, 2.5)],
            "p95-latency slower than 2 s (buckets 1 to 2.5 s): 300 to 400/1000 = 30 % > 5 % (lower bound 26.7 %)",
            id="latency",
        ),
    ],
)
def test_every_verdict_says_its_arithmetic(condition, readings, text):
    assert verdict_reason(condition, judge(condition, readings, None, None, T0)) == text


@pytest.mark.parametrize(
    ("low", "said"),
    [
        pytest.param(1.0, "slower than 2 s: can never fire: the largest bucket ends at 1 s; add one that ends at 2 s", id="limit-beyond-the-buckets"),
        pytest.param(0.0, "slower than 2 s: can never fire: there is no finite bucket; add one that ends at 2 s", id="no-finite-bucket"),
    ],
)
def test_a_latency_limit_beyond_the_largest_bucket_is_never_called_healthy(low, said):
    block = Counts(T0 - MINUTE, T0, 0, 0, 600, T0, low, math.inf)
    verdict = judge(SLOW, [block], None, None, T0)
    assert verdict.state is State.UNPROVEN
    assert verdict_reason(SLOW, verdict) == f"p95-latency {said}"


def test_a_burst_at_the_start_of_the_evidence_is_seen_by_every_look_while_it_is_in_the_window():
    """Blocks of a minute each 15 s: those that end with the newest may leave out the first of all."""
    often = replace(FAILURES, window=5 * MINUTE)
    blocks = [Events(at - MINUTE, at, 8.0 if at - MINUTE < T0 + 10 * SECOND <= at else 0.0, at) for at in slots(T0 + MINUTE, T0 + 5 * MINUTE)]
    for end in range(1, len(blocks) + 1):
        seen = judge(often, blocks[:end], T0, None, blocks[end - 1].end)
        assert (seen.state, seen.evidence.count >= 6) == (State.BREACH, True)


def extrapolated(events: Sequence[datetime], at: datetime) -> Events:
    """What Prometheus says of a minute: four scrapes of each 15 s, and what lies between the first and the last of them for all of it."""
    begin = at - MINUTE
    first = begin + 7 * SECOND
    return Events(begin, at, sum(first < event <= first + 45 * SECOND for event in events) * 4 / 3, at)


def confirmed(seed: int, failures: int) -> bool:
    """Whether so many failures at random times in four minutes are above a limit of nine at five looks in a row: as ``for: 1m`` wants it."""
    dice, nine = Random(seed), replace(FAILURES, window=5 * MINUTE, limit=Limit(high=9))
    happened = [T0 + dice.uniform(0, 240) * SECOND for _ in range(failures)]
    blocks = [extrapolated(happened, at) for at in slots(T0 + MINUTE, T0 + 5 * MINUTE)]
    looks = (judge(nine, blocks[:end], T0, None, blocks[end - 1].end).state is State.BREACH for end in range(1, len(blocks) + 1))
    return max((len(list(run)) for is_out, run in groupby(looks) if is_out), default=0) >= 5


def test_as_many_events_as_the_limit_allows_are_no_breach_though_a_source_extrapolates_them():
    assert sum(confirmed(seed, 9) for seed in range(40)) <= 1
    assert sum(confirmed(seed, 16) for seed in range(40)) >= 36


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6), st.integers(0, 9)), min_size=1, max_size=9))
def test_of_blocks_that_overlap_three_quarters_of_the_best_choice_count_at_least_and_no_event_twice(written):
    """Choices of which no two overlap, as trying every one of them says."""
    blocks = sorted({Events(T0 + a * MINUTE, T0 + (a + n) * MINUTE, float(count), T0) for a, n, count in written}, key=lambda block: block.end)
    chosen = [
        sum(block.count for block in some)
        for size in range(len(blocks) + 1)
        for some in combinations(blocks, size)
        if all(one.end <= two.start for one, two in pairwise(some))
    ]
    most = replace(FAILURES, window=60 * MINUTE)
    assert 0.75 * max(chosen) <= judge(most, blocks, None, None, T0).evidence.count <= max(chosen)


def test_a_rate_and_what_must_not_be_too_few_are_counted_from_the_newest_block_on():
    blocks = [events(T0 - MINUTE, 9), Events(T0 - 90 * SECOND, T0 - 30 * SECOND, 1.0, T0), Events(T0 - MINUTE, T0, 0.0, T0)]
    rate, few = replace(RATE, window=2 * MINUTE), replace(FAILURES, limit=Limit(low=3), window=2 * MINUTE)
    assert judge(rate, blocks, None, None, T0).evidence.count == 9
    assert judge(few, blocks[1:], None, None, T0).evidence.count == 0
