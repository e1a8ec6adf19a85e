"""How bursty bad events are known to be."""

import pytest

from rollbackd.policies.judge.bursts import Calm, calmer, spread
from rollbackd.policies.model.readings import Counts
from tests.policies.literals import MINUTE, SECOND, T0, counts


def minute(number: int, bad: float, total: float) -> Counts:
    return counts(T0 + number * MINUTE, bad, total)


def calm(*blocks: tuple[float, float]) -> Calm:
    found = None
    for number, (bad, total) in enumerate(blocks):
        found = calmer(found, minute(number, bad, total))
    assert found is not None
    return found


@pytest.mark.parametrize("blocks", [[(5, 100)] * 9, [(0, 100)] * 50, [(100, 100)] * 20], ids=["few-blocks", "few-errors", "nothing-but-errors"])
def test_what_was_hardly_seen_says_nothing_of_bursts(blocks):
    assert spread(calm(*blocks)) is None


def test_bursts_are_averaged_over_what_does_not_overlap_and_had_traffic():
    first = calm((2, 100))
    assert calmer(first, counts(T0 + 15 * SECOND, 2, 100)) is first
    assert calmer(first, minute(1, 0, 0)) == first._replace(end=T0 + MINUTE)


@pytest.mark.parametrize(
    ("blocks", "bad", "expected"),
    [(9.5, 10.0, 1.0), (9.4, 10.0, None), (9.5, 9.9, None)],
    ids=["just-enough", "too-few-blocks", "too-few-bad-events"],
)
def test_how_much_tells_bursts_from_chance(blocks, bad, expected):
    assert spread(Calm(T0, blocks, bad, 1000.0, 0.1)) == expected


def test_twenty_that_always_come_at_once_vary_twenty_times_as_much():
    # One block of ten has all of its 20 events bad, the others none.
    assert spread(Calm(T0, 10, 20, 200, 20)) == pytest.approx(20)


def test_of_a_bracket_the_middle_is_learnt_and_each_block_before_weighs_a_little_less():
    first = calmer(None, Counts(T0, T0 + MINUTE, 2, 4, 100, T0 + MINUTE))
    assert first == Calm(T0 + MINUTE, 1, 3, 100, 0.09)
    assert calmer(first, minute(2, 6, 100)).blocks == pytest.approx(1 + 119 / 120)
    assert calmer(first, minute(2, 6, 100)).bad == pytest.approx(6 + 3 * 119 / 120)


def test_old_bursts_fade():
    assert (spread(calm((30, 100), *[(2, 100)] * 12)) or 0) > 5 > (spread(calm((30, 100), *[(2, 100)] * 600)) or 9)
