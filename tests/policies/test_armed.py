"""Limits as they are for one change, where they are limits from below, at their edges, and where nothing can be compared."""

from dataclasses import replace
from datetime import datetime

import pytest

from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.judge.tally import NOTHING
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.watch import Look, Run, new_watch
from rollbackd.policies.model.policy import Bound, Condition, Limit, OfBefore, Policy
from rollbackd.policies.model.signals import Gauge, Latency, OfTarget, Probe, PromQL, Selector, Signal
from rollbackd.policies.watching.armed import RISK, UNKNOWN, armed, edge, rearmed
from rollbackd.policies.watching.baseline import Before, Season, Shift, unread
from tests.policies.literals import ERRORS, MINUTE, POLICY, T0, counts, level
from tests.policies.test_baseline import AFTER, verdict

HITS = replace(ERRORS, name="hits", limit=Limit(unit="%", of_before=OfBefore(0.8, is_above=False)), bound=Bound(0.02))
MORE = replace(ERRORS, name="errors", limit=Limit(unit="%", of_before=OfBefore(2.0, is_above=True)), bound=Bound(0.02))
DEPTH = replace(ERRORS, name="depth", signal=PromQL("depth"), limit=Limit(of_before=OfBefore(0.5, is_above=False)), min_volume=0)
FREE = replace(ERRORS, name="free", signal=Gauge(Selector("free")), limit=Limit(low=20.0), min_volume=0)
SERVED = replace(ERRORS, name="served", limit=Limit(low=0.9, unit="%"), bound=Bound(0.02))
NEVER_RUN = Run(T0 - 9 * MINUTE, T0 - MINUTE, 9, T0 - 9 * MINUTE, T0 - MINUTE)


def now(condition: Condition, before: Before | None, at: datetime = AFTER) -> Condition:
    """The condition with the limits that hold for this change."""
    return armed(alone(condition), None if before is None else (before,), at).conditions[0]


def alone(condition: Condition) -> Policy:
    return replace(POLICY, conditions=(condition,))


def shares(bad: float, total: float, *shifts: Shift, spread: float = 1.0) -> Before:
    return Before(T0, sums=Sums(bad, bad, total), spread=spread, shifts=shifts)


def was(*recent: float, part: float = 1.0, sums: Sums = NOTHING) -> Before:
    """What was read shortly before the change, and as much of that time is known."""
    return Before(T0, centre=recent[-1] if recent else 0.0, recent=recent, recent_part=part, recent_sums=sums)


# --- edges of a share -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [1, 60, 6000])
def test_the_edge_of_none_and_of_all_is_where_their_likelihood_is_the_risk(total: int) -> None:
    """None of n has a likelihood of (1 - p)^n."""
    assert edge(Sums(0, 0, total), 1.0, 0.02, is_above=True) == pytest.approx(1 - 0.02 ** (1 / total), abs=1e-9)
    assert edge(Sums(total, total, total), 1.0, 0.02, is_above=False) == pytest.approx(0.02 ** (1 / total), abs=1e-9)


@pytest.mark.parametrize(("spread", "as_many"), [(0.25, 600), (1.0, 600), (4.0, 150)])
def test_bursts_count_as_fewer_events_and_less_than_chance_as_chance(spread: float, as_many: int) -> None:
    assert edge(Sums(0, 0, 600), spread, 0.02, is_above=True) == pytest.approx(1 - 0.02 ** (1 / as_many), abs=1e-9)


def test_of_a_bracket_the_edge_is_that_of_its_own_side() -> None:
    bracket = Sums(100, 200, 1000)
    assert edge(bracket, 1.0, 0.02, is_above=True) == edge(Sums(200, 200, 1000), 1.0, 0.02, is_above=True)
    assert edge(bracket, 1.0, 0.02, is_above=False) == edge(Sums(100, 100, 1000), 1.0, 0.02, is_above=False)


def test_of_nothing_a_share_may_be_anything_and_more_bad_than_all_is_all() -> None:
    assert (edge(Sums(), 1.0, 0.02, is_above=False), edge(Sums(), 1.0, 0.02, is_above=True)) == (pytest.approx(0, abs=1e-9), 1)
    assert edge(Sums(10, 10.4, 10), 1.0, 0.02, is_above=True) == 1


# --- shares of what was before --------------------------------------------------------------------------------------------------------


def test_a_share_that_must_not_fall_is_tested_against_what_it_was_at_least() -> None:
    found, least = now(HITS, shares(9000, 10_000)), edge(Sums(9000, 9000, 10_000), 1.0, 0.01, is_above=False)
    assert (found.limit.low, found.limit.high) == (pytest.approx(0.8 * least), None)
    assert found.limit.note == f"80 % of at least {100 * least:.3g} % before (9000/10000)"
    assert (found.bound, found.limit.of_before) == (Bound(0.01), None)


def test_without_a_bound_the_share_before_is_as_sure_as_one_in_a_hundred() -> None:
    found = now(replace(HITS, bound=None), shares(9000, 10_000))
    assert RISK == 0.01
    assert (found.limit.low, found.bound) == (pytest.approx(0.8 * edge(Sums(9000, 9000, 10_000), 1.0, 0.01, is_above=False)), None)


def test_a_share_that_an_earlier_day_saw_fall_may_fall_so_far() -> None:
    known = shares(9000, 10_000, Shift("yesterday", 0.05, -0.1), Shift("last week", 0.0, -0.2))
    found, least = now(HITS, known), edge(Sums(9000, 9000, 10_000), 1.0, 0.01, is_above=False)
    assert found.limit.low == pytest.approx(0.8 * (least - 0.2))
    assert found.limit.note.endswith("(9000/10000; last week it fell by 20 %)")


def test_of_earlier_days_that_rose_the_highest_counts() -> None:
    found = now(MORE, shares(100, 10_000, Shift("yesterday", 0.05, -0.1), Shift("last week", 0.02, 0.0)))
    assert found.limit.high == pytest.approx(2 * (edge(Sums(100, 100, 10_000), 1.0, 0.01, is_above=True) + 0.05))
    assert found.limit.note.endswith("yesterday it rose by 5 %)")


def test_an_earlier_day_that_went_the_other_way_changes_nothing() -> None:
    up, down = Shift("yesterday", 0.1, 0.0), Shift("yesterday", 0.0, -0.1)
    assert now(HITS, shares(9000, 10_000, up)).limit == now(HITS, shares(9000, 10_000)).limit
    assert now(MORE, shares(100, 10_000, down)).limit == now(MORE, shares(100, 10_000)).limit


@pytest.mark.parametrize(("low", "wanted"), [(0.5, 0.5), (0.9, None)])
def test_a_share_has_to_fall_below_the_fixed_limit_as_well(low: float, wanted: float | None) -> None:
    found = now(replace(HITS, limit=replace(HITS.limit, low=low)), shares(9000, 10_000))
    assert found.limit.low == pytest.approx(wanted or 0.8 * edge(Sums(9000, 9000, 10_000), 1.0, 0.01, is_above=False))


@pytest.mark.parametrize(("high", "wanted"), [(0.5, 0.5), (0.001, None)])
def test_a_share_has_to_rise_above_the_fixed_limit_as_well(high: float, wanted: float | None) -> None:
    found = now(replace(MORE, limit=replace(MORE.limit, high=high)), shares(100, 10_000))
    assert found.limit.high == pytest.approx(wanted or 2 * edge(Sums(100, 100, 10_000), 1.0, 0.01, is_above=True))


def test_without_a_fixed_limit_a_share_has_to_fall_by_a_point() -> None:
    hardly = replace(HITS, limit=replace(HITS.limit, of_before=OfBefore(0.999, is_above=False)))
    assert now(hardly, shares(9000, 10_000)).limit.low == pytest.approx(edge(Sums(9000, 9000, 10_000), 1.0, 0.01, is_above=False) - 0.01)


def test_where_no_share_is_out_of_the_limit_nothing_is_proven_and_it_is_said_of_what() -> None:
    """The counts go on against a limit that nothing is out of."""
    less, more = now(HITS, shares(0, 10_000)), now(MORE, shares(6000, 10_000))
    assert (less.limit.low, less.limit.high, less.bound) == (0.0, None, HITS.bound)
    assert less.limit.lack == "no limit can be reckoned: 80 % of at least 0 % before (0/10000) is less than none of them"
    assert (more.limit.high, more.limit.low) == (1.0, None)
    assert more.limit.lack.endswith("before (6000/10000) is more than all of them")


@pytest.mark.parametrize("factor", [1.0 / 0.64, 1.0])
def test_a_share_of_exactly_all_is_no_limit(factor: float) -> None:
    """All of so many may be 100 % at most; twice a share that comes to all of them is more than any share."""
    condition = replace(MORE, limit=replace(MORE.limit, of_before=OfBefore(factor, is_above=True)))
    assert now(condition, shares(10_000, 10_000)).limit.lack.endswith("is more than all of them")


def test_a_share_without_a_baseline_goes_on_against_a_limit_that_none_exceeds() -> None:
    assert now(MORE, None).limit == Limit(1.0, unit="%", lack=UNKNOWN)
    assert now(HITS, None).limit == Limit(low=0.0, unit="%", lack=UNKNOWN)
    slow = replace(MORE, signal=Latency(Selector("seconds"), 0.95, 0.5), limit=replace(MORE.limit, high=0.5, unit="s"))
    assert now(slow, None).limit == Limit(0.5, unit="s", lack=UNKNOWN, share=1.0)
    assert now(DEPTH, None).limit == replace(DEPTH.limit, lack=UNKNOWN)  # of a level nothing is counted


def test_where_nothing_is_compared_the_policy_is_as_it_is_written() -> None:
    assert armed(alone(ERRORS), None, AFTER) == alone(ERRORS)
    both = replace(POLICY, conditions=(ERRORS, MORE))
    assert [condition.limit.lack for condition in armed(both, None, AFTER).conditions] == ["", UNKNOWN]


# --- levels of what was before --------------------------------------------------------------------------------------------------------


def test_a_level_that_fell_by_half_is_a_breach_and_says_so() -> None:
    known = Before(T0, centre=40.0)
    assert verdict(DEPTH, level(AFTER, 19), known) == (State.BREACH, "depth 19 < 20, 50 % of 40 before")
    assert verdict(DEPTH, level(AFTER, 21), known)[0] is State.OK


def test_the_lowest_that_any_day_leaves_counts() -> None:
    seasons = tuple(Season(name, T0 - T0, 40.0, (AFTER,), (value,)) for name, value in (("yesterday", 36.0), ("last week", 50.0)))
    found = now(DEPTH, Before(T0, centre=40.0, seasons=seasons))
    assert found.limit.low == 18
    assert found.limit.note == "50 % of 36 expected, 40 before (yesterday at this time 36, last week at this time 50)"


def test_a_level_has_to_fall_below_the_fixed_limit_as_well() -> None:
    known = Before(T0, centre=40.0)
    assert now(replace(DEPTH, limit=replace(DEPTH.limit, low=5.0)), known).limit.low == 5
    assert now(replace(DEPTH, limit=replace(DEPTH.limit, low=35.0)), known).limit.low == 20


def test_of_a_level_that_was_always_none_the_key_that_helps_is_named() -> None:
    assert now(DEPTH, Before(T0)).limit.lack == "no limit can be reckoned: it was 0 before, and always so; write 'at_most'"


@pytest.mark.parametrize(
    ("centre", "noise", "is_told"),
    [
        pytest.param(10.0, 10.0, False, id="the-limit-would-be-none"),
        pytest.param(10.0, 9.9, True, id="just-above-none"),
        pytest.param(-10.0, 4.0, True, id="what-is-below-none-may-fall-further"),
        pytest.param(0.0, 4.0, False, id="none-with-noise"),
    ],
)
def test_a_fall_to_nothing_that_chance_may_be_is_not_told(centre: float, noise: float, is_told: bool) -> None:
    found = now(DEPTH, Before(T0, centre=centre, noise=noise))
    assert (found.limit.lack == "") is is_told, found.limit


def test_what_the_season_takes_below_nothing_is_not_what_it_was_before() -> None:
    """Expected is less than nothing, though it was more before: a fall of the season's own is no lack of it."""
    falls = Season("yesterday", T0 - T0, 40.0, (AFTER,), (-8.0,))
    assert now(DEPTH, Before(T0, centre=40.0, seasons=(falls,))).limit.low == -12


# --- in breach already ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recent", "part", "is_raised"),
    [
        pytest.param((10.0, 10.0), 1.0, False, id="too-little-read"),
        pytest.param((10.0,) * 3, 1.0, True, id="all-of-three"),
        pytest.param((10.0, 10.0, 30.0, 30.0), 1.0, True, id="exactly-half"),
        pytest.param((10.0, 30.0, 30.0, 30.0), 1.0, False, id="a-quarter"),
        pytest.param((20.0,) * 4, 1.0, False, id="at-the-limit-is-within-it"),
        pytest.param((10.0,) * 4, 0.5, True, id="all-of-the-half-that-is-known"),
        pytest.param((10.0,) * 4, 0.4, False, id="all-of-too-little"),
        pytest.param((10.0,) * 4, 0.0, False, id="of-no-time"),
    ],
)
def test_a_level_that_was_out_of_its_limit_half_of_the_time_has_to_become_worse(recent: tuple[float, ...], part: float, is_raised: bool) -> None:
    for sign in (1, -1):  # a limit from below, and the same from above
        side = {"low": 20.0} if sign > 0 else {"high": -20.0}
        found = now(replace(FREE, limit=Limit(**side)), was(*(sign * value for value in recent), part=part))
        assert found.limit.is_raised is is_raised, found.limit


def test_a_lower_limit_moves_below_what_was_read_in_the_middle() -> None:
    found = now(FREE, was(10.0, 12.0, 30.0, 12.0, 10.0))
    assert found.limit.low == pytest.approx(12 - 0.3 * 12)
    assert found.limit.note == "worse than before: 1.3 times 12 shortly before the change, when it was beyond 20 already"


def test_a_raised_limit_is_never_nearer_than_the_written_one() -> None:
    near = was(19.0, 19.0, 30.0, 30.0)
    assert now(FREE, near).limit.low == 20  # the middle of what was read is 30
    assert now(replace(FREE, limit=Limit(high=20.0)), was(21.0, 21.0, 1.0, 1.0)).limit.high == pytest.approx(21 * 1.3)
    assert now(replace(FREE, limit=Limit(high=20.0)), was(1.0, 1.0, 1.0, 21.0, 21.0, 21.0, 1.0, 21.0)).limit.high == pytest.approx(21 * 1.3)


def test_a_share_that_was_too_low_already_has_to_fall_further() -> None:
    sums = Sums(800, 800, 1000)
    found = now(SERVED, was(0.8, 0.8, 0.8, sums=sums))
    least = edge(sums, 1.0, 0.01, is_above=False)
    assert (found.limit.low, found.bound) == (pytest.approx(0.7 * least), Bound(0.01))
    assert found.limit.note.startswith(f"worse than before: 1.3 times at least {100 * least:.3g} % shortly before the change")
    assert "beyond 90 % already" in found.limit.note


def test_without_a_bound_a_share_that_was_too_low_is_as_sure_as_one_in_a_hundred() -> None:
    found = now(replace(SERVED, bound=None), was(0.8, 0.8, 0.8, sums=Sums(800, 800, 1000)))
    assert found.limit.low == pytest.approx(0.7 * edge(Sums(800, 800, 1000), 1.0, 0.01, is_above=False))


def test_a_share_that_was_none_already_cannot_fall_further() -> None:
    found = now(SERVED, was(0.0, 0.0, 0.0, sums=Sums(0, 0, 1000)))
    assert (found.limit.low, found.bound) == (0.0, SERVED.bound)
    assert found.limit.lack.startswith("in breach before the change already, and nothing is worse than before: 1.3 times at least 0 %")


def test_the_share_of_slow_requests_that_was_too_high_moves_and_the_limit_of_seconds_stays() -> None:
    slow = replace(ERRORS, signal=Latency(Selector("seconds"), 0.95, 0.5), limit=Limit(0.5, unit="s"), bound=Bound(0.02))
    found = now(slow, was(0.1, 0.1, 0.1, sums=Sums(100, 100, 1000)))
    assert (found.limit.high, found.limit.is_raised) == (0.5, True)
    assert found.limit.share == pytest.approx(1.3 * edge(Sums(100, 100, 1000), 1.0, 0.01, is_above=True))


# --- what a breach before the change leaves behind --------------------------------------------------------------------------------------


def test_a_rearmed_condition_forgets_what_began_before_the_change_and_nothing_later() -> None:
    policy, known = alone(FREE), (was(10.0, 10.0, 10.0),)
    told, watch = armed(policy, known, AFTER), new_watch(policy)
    (track,) = watch.tracks
    seen = track._replace(last_breach=T0 - MINUTE, run=NEVER_RUN, recent=(Look(T0 - MINUTE, True, T0 - MINUTE),), had_data=True)
    for onset, is_kept in ((T0 - MINUTE, False), (T0, True), (T0 + MINUTE, True)):
        old = replace(watch, tracks=(seen._replace(onset=onset),))
        (left,) = rearmed(policy, told, old, known).tracks
        assert left == (old.tracks[0] if is_kept else seen._replace(onset=None, last_breach=None, run=None, recent=()))


def test_a_condition_that_is_as_written_forgets_nothing() -> None:
    policy, known = alone(FREE), (was(30.0, 30.0, 30.0),)
    watch = new_watch(policy)
    old = replace(watch, tracks=(watch.tracks[0]._replace(onset=T0 - MINUTE),))
    assert rearmed(policy, armed(policy, known, AFTER), old, known) == old
    assert rearmed(policy, policy, old, known) is old
    assert rearmed(policy, armed(policy, known, AFTER), old, None) is old


def test_a_share_too_low_before_is_no_breach_until_it_falls_further() -> None:
    known = was(0.8, 0.8, 0.8, sums=Sums(800, 800, 1000))
    plain = replace(SERVED, bound=None)
    assert verdict(plain, counts(AFTER, 78, 100), None)[0] is State.BREACH
    assert verdict(plain, counts(AFTER, 78, 100), known)[0] is not State.BREACH
    assert verdict(plain, counts(AFTER, 20, 100), known)[0] is State.BREACH


# --- while the time before a change is asked for ------------------------------------------------------------------------------------------


def test_until_it_is_read_whether_it_was_in_breach_before_no_breach_is_proven_and_health_is() -> None:
    known = unread(T0)
    assert verdict(ERRORS, counts(AFTER, 20, 100), known) == (
        State.UNPROVEN,
        "error-rate unproven: what was before the change at 14:00:00 is not read yet",
    )
    assert verdict(ERRORS, counts(AFTER, 0, 1000), known)[0] is State.OK
    assert verdict(MORE, counts(AFTER, 0, 1000), known)[0] is State.UNPROVEN  # without a baseline there is no limit either


@pytest.mark.parametrize("signal", [OfTarget("rollout"), Probe("front")])
def test_what_keeps_no_past_is_judged_at_once(signal: Signal) -> None:
    told = replace(ERRORS, signal=signal)
    assert now(told, unread(T0)) is told


def test_a_condition_that_may_be_rearmed_yet_keeps_its_onset() -> None:
    policy = alone(FREE)
    known, watch = (unread(T0),), new_watch(policy)
    old = replace(watch, tracks=(watch.tracks[0]._replace(onset=T0 - MINUTE),))
    assert rearmed(policy, armed(policy, known, AFTER), old, known) == old
