"""How many breaches without a change are usual, and from how many on a common cause is likelier."""

import math
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.policies.decide.guards import guards
from rollbackd.policies.judge.systemic import (
    NOTHING_KNOWN,
    RECENT,
    Chance,
    Usual,
    begun,
    chance,
    share_needed,
    tail,
    turned_all,
    unlikely,
    watched_until,
)
from tests.policies.literals import CALM, HOUR, MINUTE, POLICY, RELEASE, SECOND, T0, replace

DAY, WEEK = timedelta(days=1), timedelta(days=7)


def lived(targets, per_week, weeks=3, seed=1):
    """What is usual where each target turns to breach so often by itself, independently of the others."""
    draw = random.Random(seed)
    number = round(targets * per_week * weeks)
    onsets = sorted((T0 + draw.random() * weeks * WEEK, f"t{draw.randrange(targets)}") for _ in range(number))
    return watched_until(turned_all(begun(T0), onsets), T0 + weeks * WEEK)


def systemic(usual, in_breach, watched=801):
    unexplained = frozenset(f"s{number}" for number in range(in_breach))
    found = guards(POLICY, (RELEASE,), replace(CALM, usual=usual, unexplained=unexplained, watched=watched), T0)
    return next(guard for guard in found if guard.name == "systemic")


def test_two_others_hold_as_long_as_nothing_is_known():
    assert (systemic(NOTHING_KNOWN, 1).blocks, systemic(watched_until(begun(T0), T0 + 23 * HOUR), 2).blocks is not None) == (None, True)


def test_of_what_was_never_watched_nothing_is_known():
    assert chance(NOTHING_KNOWN) == Chance(expected=None, counted=0.0, observed=timedelta(0), needed=2, within=10 * MINUTE)


def test_after_a_whole_day_without_a_breach_none_is_usual():
    quiet = [chance(watched_until(begun(T0), T0 + DAY + late)).expected for late in (-SECOND, timedelta(0))]
    assert quiet == [None, 0.0]


def test_what_is_watched_begins_with_the_first_look_and_does_not_run_backwards():
    assert watched_until(NOTHING_KNOWN, T0) == begun(T0)
    assert watched_until(begun(T0 + HOUR), T0) == begun(T0 + HOUR)


def test_a_breach_counts_once_and_one_of_the_same_ten_minutes_does_not_count_again():
    once = turned_all(begun(T0), [(T0, "a")])
    assert once == Usual(T0, T0, {"a": 1.0}, 1.0, {"a": T0})
    again = [turned_all(once, [(T0 + 10 * MINUTE + late, "a")]).total for late in (timedelta(0), SECOND)]
    assert again == [1.0, pytest.approx(2.0, abs=0.01)]


def test_of_ten_breaches_within_a_week_six_are_taken_as_usual():
    ten = chance(Usual(T0, T0 + WEEK, {}, 10 * math.e))
    weighed = WEEK * (1 - 1 / math.e)
    assert (ten.counted, ten.expected * (weighed / RECENT)) == (pytest.approx(10), pytest.approx(5.978, abs=0.001))


def test_a_target_that_never_broke_takes_nothing_from_what_the_others_did():
    usual = lived(20, per_week=0.5)
    assert chance(usual, but="steady") == chance(usual)


def test_a_large_scope_does_not_hold_at_what_its_own_history_explains():
    usual = lived(800, per_week=1)
    assert [systemic(usual, number).blocks is not None for number in (2, 3, 4, 20)] == [False, False, True, True]


def test_a_quiet_scope_holds_at_two_others_for_ever():
    assert chance(lived(20, per_week=0.5)).needed == 2


def test_the_hold_is_rarely_on_by_chance_in_a_scope_of_800():
    """The hold that asks for two others is on in a fifth of all ten minutes there."""
    needed = chance(lived(800, per_week=1)).needed
    by_chance = 800 * (RECENT / WEEK)
    assert tail(2, by_chance) == pytest.approx(0.19, abs=0.01)
    assert tail(needed, by_chance) <= 0.01


def test_a_very_large_scope_learns_what_is_usual_although_it_holds_at_first():
    usual = lived(8_000, per_week=1)
    assert chance(usual).expected == pytest.approx(8_000 * (RECENT / WEEK), rel=0.15)


def test_the_share_of_the_scope_holds_however_many_are_usual():
    usual = lived(10, per_week=1000)
    assert (chance(usual).needed > 3, systemic(usual, 3, watched=11).blocks is not None) == (True, True)


def test_an_outage_does_not_make_the_next_one_usual():
    before = lived(800, per_week=0.1)
    outage = turned_all(before, [(before.at + MINUTE, f"t{number}") for number in range(800)])
    assert chance(outage).needed == chance(before).needed


def test_a_target_that_flaps_raises_nobody_elses_hold_by_more_than_itself():
    usual = turned_all(begun(T0), [(T0 + number * 5 * MINUTE, "flapping") for number in range(14 * 24 * 12)])
    assert chance(usual).expected <= 1.0
    assert chance(usual, but="flapping").needed == 2


def test_what_is_usual_fades():
    usual = lived(800, per_week=1)
    assert chance(watched_until(usual, usual.at + 6 * WEEK)).needed == 2


def test_of_what_has_faded_away_none_is_usual_and_not_less():
    once = turned_all(begun(T0), [(T0, "a")])
    assert min(chance(watched_until(once, T0 + weeks * WEEK)).expected for weeks in range(1, 60)) == 0.0


def test_the_guard_says_its_arithmetic():
    assert systemic(lived(800, per_week=1), 3).value == (
        "3 of 800 other targets in breach without a change; 0.73 are usual in 10m0s (from 744 in the last days), "
        "4 or more come by chance in 0.668 % of them; holds at 4"
    )


def test_where_nothing_is_usual_a_single_one_is_no_chance():
    assert (unlikely(0.0), [tail(number, 0.0) for number in range(3)]) == (1, [1.0, 0.0, 0.0])


def test_no_number_has_less_than_no_chance_however_its_sum_is_rounded():
    assert min(tail(number, 1.1) for number in range(60)) == 0.0


@given(st.floats(0, 200))
def test_unlikely_is_the_smallest_number_that_chance_reaches_in_one_of_a_hundred(expected):
    number = unlikely(expected)
    assert tail(number, expected) <= 0.01 + 1e-12
    assert number == 0 or tail(number - 1, expected) > 0.01 - 1e-12


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from("abcdef")), max_size=60))
def test_no_more_is_counted_than_happened_and_one_other_never_holds(breaches):
    onsets = sorted((T0 + DAY + number * MINUTE, target) for number, target in breaches)
    found = chance(watched_until(turned_all(begun(T0), onsets), T0 + 20 * DAY))
    assert found.counted <= len(onsets)
    assert found.needed >= 2


def test_three_are_the_fewest_that_a_share_holds_at():
    assert [share_needed(others) for others in (1, 9, 10, 11, 800)] == [3, 3, 3, 4, 240]
