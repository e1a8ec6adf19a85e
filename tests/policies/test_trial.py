"""A trial decides by bounds what the exact e-value would decide."""

import math

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rollbackd.policies.judge.evalue import least_log_evalue, log_evalue, most_log_evalue
from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.judge.trial import Heavy, Side

LIMITS = st.floats(0.001, 0.999)


@given(st.integers(1, 10**6), st.floats(0, 1), LIMITS)
@settings(max_examples=300, deadline=None)
def test_the_bounds_enclose_the_e_value_wherever_the_share_is_out_of_its_limit(total, share, limit):
    bad = round(total * share)
    assume(bad > total * limit)
    exact = log_evalue(bad, total, limit)
    assert least_log_evalue(bad, total, limit) <= exact + 1e-9
    assert exact <= most_log_evalue(bad, total, limit) + 1e-9


@st.composite
def sides(draw):
    """Counts since a change, with later starts, of which some have come."""
    sums, begun, blocks = (0.0, 0.0), [], []
    for _ in range(draw(st.integers(1, 6))):
        begun.append(Sums(sums[0], sums[0], sums[1]))
        total = draw(st.integers(0, 3000))
        bad = draw(st.integers(0, total)) * draw(st.sampled_from([0.02, 0.06, 0.2, 1.0]))
        sums = sums[0] + bad, sums[1] + total
        blocks.append(Sums(bad, bad, total))
    later = len(begun) - 1
    heaviest = (max(blocks[first:], key=lambda block: block.least) for first in range(1, later + 1))
    heavy = tuple(Heavy(starts, block.least, block) for starts, block in enumerate(heaviest, 1))
    counts = Sums(sums[0], sums[0], sums[1]), tuple(begun[1:])
    return Side(draw(LIMITS), False, *counts, later + draw(st.integers(0, 3)), draw(st.floats(1, 5)), draw(st.sampled_from([(), heavy])))


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
