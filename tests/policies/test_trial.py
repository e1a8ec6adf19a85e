"""A trial decides by bounds what the exact e-value would decide."""

import math
from itertools import accumulate

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rollbackd.policies.judge.bursts import BURSTIEST, spreads
from rollbackd.policies.judge.evalue import least_log_evalue, log_evalue, mixed, most_log_evalue
from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.judge.trial import Heavy, Side, Trial
from tests.policies.literals import T0

LIMITS = st.floats(0.001, 0.999)


@given(st.integers(1, 10**6), st.floats(0, 1), LIMITS)
@settings(max_examples=300, deadline=None)
def test_the_bounds_enclose_the_e_value_wherever_the_share_is_out_of_its_limit(total, share, limit):
    bad = round(total * share)
    assume(bad > total * limit)
    exact = log_evalue(bad, total, limit)
    assert least_log_evalue(bad, total, limit) <= exact + 1e-9
    assert exact <= most_log_evalue(bad, total, limit) + 1e-9


@pytest.mark.parametrize(
    ("counts", "least", "most"),
    [
        pytest.param((10, 100, 0.05), -0.6784, 2.0654, id="a-low-limit"),
        pytest.param((60, 100, 0.5), -0.5721, 2.0136, id="a-high-limit"),
        pytest.param((6, 100, 0.05), -2.7992, 0.0992, id="a-peak-that-reaches-the-limit"),
        pytest.param((9, 10, 0.05), 20.1348, 23.7621, id="nearly-nothing-but-bad-events"),
        pytest.param((4, 4, 0.05), 8.4932, 11.9829, id="nothing-but-bad-events"),
    ],
)
def test_the_bounds_are_near_enough_to_spare_the_exact_value(counts, least, most):
    assert (least_log_evalue(*counts), most_log_evalue(*counts)) == (pytest.approx(least, abs=1e-4), pytest.approx(most, abs=1e-4))


@pytest.mark.parametrize(
    ("limit", "of_good", "left", "spread"),
    [
        pytest.param(0.29, False, Sums(29, 29, 100), 1.0, id="29-of-100"),
        pytest.param(1 - 0.9, True, Sums(801, 801, 890), 1.3, id="as-many-good-ones-in-bursts"),
    ],
)
def test_what_is_out_of_its_limit_by_rounding_alone_proves_nothing(limit, of_good, left, spread):
    """Beside the heaviest block the share is the limit itself, and a number of events that is larger than the product of both."""
    block = Sums(0, 0, 300) if of_good else Sums(300, 300, 300)
    sums = Sums(*(before + more for before, more in zip(left, block, strict=True)))
    side = Side(limit, of_good, sums, (Sums(), Sums()), 12, spread, (Heavy(2, 300, block),))
    assert not side.reaches(math.log(100))
    assert side.log_e < math.log(100)


def heaviest(*blocks: Sums) -> tuple[Heavy, ...]:
    """Of each later start, the heaviest block since."""
    return tuple(Heavy(starts, block.least, block) for starts, block in enumerate(blocks, 1))


@st.composite
def sides(draw):
    """Counts since a change, with later starts, of which some have come."""
    sums, begun, blocks = (0.0, 0.0), [], []
    for _ in range(draw(st.integers(1, 16))):
        begun.append(Sums(sums[0], sums[0], sums[1]))
        total = draw(st.integers(0, 3000))
        bad = draw(st.integers(0, total)) * draw(st.sampled_from([0.02, 0.06, 0.2, 1.0]))
        sums = sums[0] + bad, sums[1] + total
        blocks.append(Sums(bad, bad, total))
    later = len(begun) - 1
    heavy = heaviest(*(max(blocks[first:], key=lambda block: block.least) for first in range(1, later + 1)))
    counts = Sums(sums[0], sums[0], sums[1]), tuple(begun[1:])
    return Side(draw(LIMITS), False, *counts, later + draw(st.integers(0, 3)), draw(st.none() | st.floats(1, 5)), draw(st.sampled_from([(), heavy])))


@given(sides(), st.floats(0.7, 12))
@settings(max_examples=400, deadline=None)
def test_what_bounds_decide_is_what_the_mixture_says(side, needed):
    exact = side.log_e
    assume(abs(exact - needed) > 1e-6)
    assert side.reaches(needed) == (exact >= needed)


def test_a_share_of_nothing_allowed_is_proven_by_one_event_and_one_of_everything_never():
    counts = Sums(1.0, 1.0, 1000.0)
    assert Side(0.0, False, counts, (), 0, 1.0).reaches(4.6)
    assert Side(0.0, False, counts, (), 0, 1.0).log_e == math.inf
    assert not Side(1.0, False, Sums(9.0, 9.0, 9.0), (), 0, 1.0).reaches(0.1)


def test_once_the_second_later_start_has_come_each_counts_at_most_eight_fifths_of_what_is_left_without_its_heaviest_block():
    begun = Sums(5, 5, 60), Sums(10, 10, 100), Sums(18, 18, 300)
    side = Side(0.05, False, Sums(40, 40, 400), begun, 3, 1.0, heaviest(Sums(12, 12, 20), Sums(12, 12, 20), Sums(9, 9, 10)))
    whole = [log_evalue(40, 400, 0.05), log_evalue(35, 340, 0.05), log_evalue(30, 300, 0.05), log_evalue(22, 100, 0.05)]
    capped = [1.6 * log_evalue(bad, total, 0.05) for bad, total in ((28, 380), (23, 320), (18, 280), (13, 90))]
    assert all(less < log_e for less, log_e in zip(capped, whole, strict=True))
    assert side.log_e == pytest.approx(mixed(capped, 3))


def test_what_is_left_out_beside_the_strongest_start_does_not_show():
    side = Side(0.05, False, Sums(301, 301, 310), (Sums(300, 300, 300),), 3, 1.0)
    assert side.log_e == pytest.approx(mixed([log_evalue(301, 310, 0.05), log_evalue(1, 10, 0.05)], 3))


def test_of_a_range_the_burstiness_of_the_side_that_is_further_out_is_told():
    counts = Sums(50, 50, 100)
    within, out = Side(0.9, False, counts, (), 0, 2.0), Side(0.05, False, counts, (), 0, 3.0)
    assert [Trial(T0, 1.0, 0, counts, sides).bursts for sides in ((within, out), (out, within))] == [3.0, 3.0]


def test_a_known_burstiness_divides_all_counts():
    assert Side(0.05, False, Sums(30, 30, 100), (), 0, 3.0).log_e == pytest.approx(log_evalue(10, 100 / 3, 0.05))


BURSTY = tuple(Sums(each, each, 100.0 * number) for number, each in enumerate(accumulate((0.0, 0.0, 15.0, 0.0, 0.0, 0.0) * 3)))
"""What had been counted when each of eighteen later starts began: nothing that is bad in five pieces of six, and 15 of 100 in the others."""


def proof(bad: float, total: float, scale: float) -> float:
    return log_evalue(bad / scale, total / scale, 0.05) if bad > 0.05 * total else -math.inf


@pytest.mark.parametrize("heavy", [0, 70], ids=["bursts-known-before", "a-heaviest-block"])
def test_each_later_start_is_divided_by_the_bursts_that_were_known_when_it_began(heavy):
    block = Sums(heavy, heavy, heavy)
    side = Side(0.05, False, Sums(145, 145, 1900), BURSTY, 18, 1.0, (Heavy(18, heavy, block),) if heavy else ())
    scales = [1.0, *(known or 1.0 for known in spreads(BURSTY, 1.0))]
    assert (scales[10], scales[-1]) == (1.0, BURSTIEST)
    since = [(145 - each.least, 1900 - each.total, scale) for each, scale in zip((Sums(), *BURSTY), scales, strict=True)]
    rests = [1.6 * proof(bad - heavy, total - heavy, scale) for bad, total, scale in since]
    whole = [proof(*each) for each in since]
    assert side.log_e == pytest.approx(mixed([min(pair) for pair in zip(whole, rests, strict=True)] if heavy else whole, 18))


@pytest.mark.parametrize("begun", [(Sums(1, 1, 80),), (Sums(1, 1, 80), Sums(1, 1, 100))], ids=["one-later-start", "two"])
def test_one_heavy_block_counts_while_one_later_start_has_come_and_adds_nothing_once_two_have(begun):
    side = Side(0.05, False, Sums(11, 11, 110), begun, 4, 1.0, heaviest(Sums(10, 10, 10), Sums(10, 10, 10)))
    seen = [log_evalue(11, 110, 0.05), log_evalue(10, 30, 0.05)] if len(begun) == 1 else [-math.inf] * 3
    assert side.log_e == pytest.approx(mixed(seen, 4))


@pytest.mark.parametrize(("begun", "reached"), [(1, True), (2, False)], ids=["one-later-start", "two"])
def test_one_heavy_block_is_proof_while_one_later_start_has_come_and_not_once_two_have(begun, reached):
    """Within its limit since the change: all else that is out of it is in the heaviest block."""
    healthy, burst = Sums(10, 10, 2000), Sums(15, 15, 20)
    starts = (Sums(0, 0, 10), healthy)[-begun:]
    side = Side(0.05, False, Sums(25, 25, 2020), starts, 12, 1.0, (Heavy(begun, 15, burst),))
    assert (side.reaches(math.log(100)), side.log_e >= math.log(100)) == (reached, reached)


def test_little_that_is_left_without_the_heaviest_block_counts_as_the_little_it_is():
    begun, burst = (Sums(0, 0, 20), Sums(24, 24, 1190)), Sums(10, 10, 10)
    side = Side(0.05, False, Sums(40, 40, 1300), begun, 2, 1.0, heaviest(burst, burst))
    assert side.log_e == pytest.approx(mixed([-math.inf, -math.inf, 1.6 * log_evalue(6, 100, 0.05)], 2))


def test_however_strong_it_is_with_its_heaviest_block_the_little_that_is_left_proves_nothing():
    """What is left since the second start is a little beyond the limit; with the block it would be proof many times over."""
    begun, burst = (Sums(0, 0, 20), Sums(24, 24, 1190)), Sums(200, 200, 200)
    side = Side(0.05, False, Sums(235, 235, 1490), begun, 2, 1.0, heaviest(burst, burst))
    assert side.log_e == pytest.approx(mixed([-math.inf, -math.inf, 1.6 * log_evalue(11, 100, 0.05)], 2))
    assert side.reaches(0.8)
    assert not side.reaches(1.0)


def test_good_events_too_many_are_counted_since_each_start_as_well():
    side = Side(0.05, True, Sums(15, 20, 100), (Sums(15, 18, 30),), 2, 1.0)
    assert side.log_e == pytest.approx(mixed([log_evalue(80, 100, 0.05), log_evalue(68, 70, 0.05)], 2))


def test_where_nothing_is_allowed_no_heaviest_block_takes_the_proof_away():
    begun, burst = (Sums(0, 0, 2), Sums(0, 0, 5)), Sums(1, 1, 2)
    assert Side(0.0, False, Sums(3, 3, 10), begun, 2, 1.0, heaviest(burst, burst)).log_e == math.inf


FOUR = Sums(4, 4, 4)
SOON = Side(0.05, False, Sums(31, 31, 2100), (Sums(1, 1, 2000),), 1, 1.0, heaviest(Sums(20, 20, 20)))
"""Within its limit since the change; since the first later start it comes to ln E of 30 in 100, however heavy one block is."""
LATER = SOON._replace(begun=(Sums(0, 0, 10), Sums(1, 1, 2000)), starts=2, heavy=heaviest(Sums(20, 20, 20), Sums(20, 20, 20)))
"""Within its limit since the change and the first later start; since the second it comes to 1.6 times ln E of 10 in 80."""


@pytest.mark.parametrize(
    ("side", "comes_to"),
    [
        pytest.param(Side(0.05, False, FOUR, (), 0, 1.0), 9.4994, id="the-bounds-leave-it-open"),
        pytest.param(Side(0.05, False, FOUR, (), 0, None), 9.4994, id="bursts-that-are-not-known-are-taken-as-none"),
        pytest.param(Side(0.05, False, FOUR, (), 11, 1.0), 8.8064, id="half-of-it-since-the-change"),
        pytest.param(Side(0.5, False, Sums(1, 1, 1), (), 0, 1.0), 0.3665, id="one-event"),
        pytest.param(Side(0.001, False, Sums(1, 1, 1), (), 0, 1.0), 4.9741, id="less-than-one-event-too-many"),
        pytest.param(Side(0.999, False, Sums(10_000, 10_000, 10_000), (), 0, 1.0), 7.7019, id="nearly-everything-is-allowed"),
        pytest.param(SOON, 29.6289, id="half-of-it-since-the-only-later-start"),
        pytest.param(SOON._replace(starts=2), 28.9357, id="a-quarter-of-it-since-the-first-of-two"),
        pytest.param(LATER, 1.8327, id="a-quarter-of-it-since-the-second-of-two"),
        pytest.param(LATER._replace(starts=5), 0.5597, id="a-sixteenth-of-it-since-the-second-of-five"),
    ],
)
def test_it_reaches_what_it_comes_to_and_not_more(side, comes_to):
    assert side.log_e == pytest.approx(comes_to, abs=1e-4)
    assert side.reaches(comes_to - 0.01)
    assert not side.reaches(comes_to + 0.05)
