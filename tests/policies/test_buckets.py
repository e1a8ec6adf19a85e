"""What the buckets around a latency limit let people be told."""

import math
from dataclasses import replace

import pytest

from rollbackd.policies.model.policy import Limit
from rollbackd.policies.model.readings import Counts
from rollbackd.policies.model.signals import Latency, Selector
from rollbackd.policies.watching.buckets import remark
from tests.policies.literals import ERRORS, MINUTE, T0, counts

SLOW = replace(ERRORS, name="slow", signal=Latency(Selector("h"), 0.95, 2.0), limit=Limit(high=2.0, unit="s"))
MILLIS = replace(SLOW, signal=Latency(Selector("h_ms"), 0.995, 2000.0), limit=Limit(high=2000.0, unit="ms"))
ADD = "to the histogram, or move the limit to a bucket's end"


def between(low, high):
    return Counts(T0 - MINUTE, T0, 0, 0, 10, T0, low, high)


@pytest.mark.parametrize(
    ("condition", "low", "high", "said", "is_fatal"),
    [
        pytest.param(
            SLOW,
            1.0,
            2.5,
            "the limit 2 s lies inside a bucket: a p95 between 1 s and 2.5 s proves nothing; "
            "BREACH is proven only by requests slower than 2.5 s, health only by those faster than 1 s",
            False,
            id="inside-a-bucket",
        ),
        pytest.param(
            SLOW,
            0.0,
            2.5,
            "the limit 2 s lies inside a bucket: a p95 between 0 s and 2.5 s proves nothing; "
            "BREACH is proven only by requests slower than 2.5 s, health never: that is the smallest bucket",
            False,
            id="inside-the-smallest-bucket",
        ),
        pytest.param(
            SLOW, 1.0, math.inf, "can never fire: the largest bucket ends at 1 s, so no request can be proven slower than 2 s", True, id="beyond-all"
        ),
        pytest.param(
            SLOW, 0.0, math.inf, 'can never fire: there is no bucket but le="+Inf", so no request can be proven slower than 2 s', True, id="no-bucket"
        ),
        pytest.param(
            MILLIS,
            1000.0,
            2500.0,
            "the limit 2000 ms lies inside a bucket: a p99.5 between 1000 ms and 2500 ms proves nothing; "
            "BREACH is proven only by requests slower than 2500 ms, health only by those faster than 1000 ms",
            False,
            id="milliseconds",
        ),
    ],
)
def test_buckets_around_a_limit_are_told_with_what_they_can_prove(condition, low, high, said, is_fatal):
    found = remark(condition, between(low, high))
    assert found is not None
    assert (found.said, found.is_fatal) == (said, is_fatal)
    assert found.hint == f'add a bucket le="{condition.signal.limit:g}" {ADD}'


@pytest.mark.parametrize(
    ("condition", "reading"),
    [
        pytest.param(SLOW, between(2.0, 2.0), id="a-bucket-ends-at-the-limit"),
        pytest.param(SLOW, between(1.9, 2.2), id="a-narrow-bucket"),
        pytest.param(ERRORS, counts(T0, 1, 10), id="no-latency"),
    ],
)
def test_there_is_nothing_to_say_where_the_limit_can_be_judged_exactly(condition, reading):
    assert remark(condition, reading) is None


def test_differing_layouts_are_told_with_what_they_share():
    found = remark(SLOW, between(1.0, 2.5), shared=(1.0, 2.5))
    assert found is not None
    assert found.said.endswith("; its series have different buckets, and only those that all of them have count (1 s, 2.5 s)")
    exact = remark(SLOW, between(2.0, 2.0), shared=(2.0,))
    assert exact is not None
    assert exact.said == "its series have different buckets, and only those that all of them have count (2 s)"
    assert not exact.is_fatal
