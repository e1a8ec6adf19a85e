"""Limits of what was before a change: reckoned from it, from the same clock time of earlier days, and raised where a breach was there already."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbackd.policies.decide.evaluate import Evaluation, evaluate
from rollbackd.policies.judge.evidence import Sums
from rollbackd.policies.judge.verdict import State, judge
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.model.policy import Bound, Condition, For, Group, Leaf, Limit, Mode, OfBefore, Policy
from rollbackd.policies.model.readings import Counts, Events, Level, Reading
from rollbackd.policies.model.signals import Count, Gauge, Latency, PromQL, Rate, Selector
from rollbackd.policies.resolve.reach import reach_of
from rollbackd.policies.watching.armed import UNKNOWN, armed, edge
from rollbackd.policies.watching.baseline import Before, Reference, anchor, clean_from, look_back, with_reference
from tests.policies.literals import CALM, ERRORS, HOUR, MINUTE, POLICY, RELEASE, SECOND, T0, counts, kinds, level

DAY = timedelta(days=1)
AFTER = T0 + 10 * MINUTE
ENOUGH = replace(ERRORS, name="enough-traffic", signal=Rate(Selector("requests")), limit=Limit(high=1.0, unit="/s"), min_volume=0)
LATENCY = replace(ERRORS, name="latency", signal=PromQL("latency"), limit=Limit(unit="ms", of_before=OfBefore(2.0, is_above=True)), min_volume=0)
TRAFFIC = replace(ERRORS, name="traffic", signal=Rate(Selector("requests")), limit=Limit(unit="/s", of_before=OfBefore(0.3, is_above=False)))
TWICE = replace(ERRORS, limit=Limit(unit="%", of_before=OfBefore(2.0, is_above=True)), bound=Bound(0.01))
SLOW = replace(
    ERRORS,
    name="slow",
    signal=Latency(Selector("seconds"), 0.95, 0.5),
    limit=Limit(0.5, unit="s", of_before=OfBefore(2.0, is_above=True)),
    bound=Bound(0.01),
)


def minutes(begin: datetime, end: datetime) -> list[datetime]:
    return [begin + i * MINUTE for i in range((end - begin) // MINUTE + 1)]


def of(condition: Condition, read: Callable[[datetime], Reading], *earlier: tuple[str, timedelta], until: datetime = T0 + 2 * HOUR) -> Before:
    """What is known of the time before T0, where ``read`` tells of every minute, on the earlier days as well."""
    found = look_back(condition, T0, MINUTE, None, [read(at) for at in minutes(T0 - 90 * MINUTE, T0)])
    for name, lag in earlier:
        told = [read(at) for at in minutes(T0 - 90 * MINUTE - lag, until - lag)]
        found = with_reference(condition, found, MINUTE, Reference(name, lag, told))
    return found


def verdict(condition: Condition, reading: Reading, before: Before | None, at: datetime = AFTER) -> tuple[State, str]:
    (now,) = armed(replace(POLICY, conditions=(condition,)), None if before is None else (before,), at).conditions
    found = judge(now, (reading,), T0, None, at)
    return found.state, verdict_reason(now, found)


# --- levels -------------------------------------------------------------------------------------------------------------------------------


def test_a_level_twice_as_high_as_before_is_a_breach_and_says_so() -> None:
    known = of(LATENCY, lambda at: level(at, 330 if at < T0 - 12 * HOUR else 310), ("yesterday", DAY))
    assert verdict(LATENCY, level(AFTER, 840), known) == (
        State.BREACH,
        "latency 840 ms > 620 ms, 200 % of 310 ms before (yesterday at this time 330 ms)",
    )
    assert verdict(LATENCY, level(AFTER, 600), known)[0] is State.OK


def test_the_smallest_deviation_counts_that_any_day_leaves() -> None:
    rises = of(LATENCY, lambda at: level(at, 310 if at + DAY < T0 or at > T0 - HOUR * 12 else 500), ("yesterday", DAY))
    said = "latency 840 ms <= 1000 ms, 200 % of 500 ms expected, 310 ms before (yesterday at this time 500 ms)"
    assert verdict(LATENCY, level(AFTER, 840), rises) == (State.OK, said)


def test_an_earlier_day_that_fell_lowers_no_upper_limit() -> None:
    fell = of(LATENCY, lambda at: level(at, 310 if at + DAY < T0 or at > T0 - HOUR * 12 else 10), ("yesterday", DAY))
    assert verdict(LATENCY, level(AFTER, 500), fell)[0] is State.OK


def test_a_fixed_limit_beside_it_has_to_be_exceeded_too() -> None:
    condition = replace(LATENCY, limit=replace(LATENCY.limit, high=900.0))
    known = of(condition, lambda at: level(at, 310))
    assert verdict(condition, level(AFTER, 840), known)[0] is State.OK
    assert verdict(condition, level(AFTER, 901), known)[0] is State.BREACH


def test_a_level_that_strays_by_itself_has_to_stray_further() -> None:
    known = of(LATENCY, lambda at: level(at, 900 if at.minute % 20 < 6 else 300))
    assert verdict(LATENCY, level(AFTER, 840), known)[0] is State.OK
    assert "of its own noise" in verdict(LATENCY, level(AFTER, 2000), known)[1]


@pytest.mark.parametrize(
    ("known", "why"),
    [
        pytest.param(None, UNKNOWN, id="not-read-yet"),
        pytest.param(
            look_back(LATENCY, T0, MINUTE, None, []),
            "no baseline: the source tells nothing of the hour before the change (a scrape source keeps no such history)",
            id="nothing-told",
        ),
        pytest.param(
            look_back(LATENCY, T0, MINUTE, None, [level(at, 1) for at in minutes(T0 - 15 * MINUTE, T0)]),
            "no baseline: what is known of the hour before the change begins at 13:45:00; 15 minutes are needed",
            id="too-short",
        ),
        pytest.param(
            look_back(LATENCY, T0, MINUTE, T0 - 10 * MINUTE, [level(at, 1) for at in minutes(T0 - HOUR, T0)]),
            "no baseline: the change before this one was at 13:50:00, too shortly before; 15 minutes are needed",
            id="another-change-shortly-before",
        ),
        pytest.param(
            look_back(LATENCY, T0, MINUTE, None, [level(at, 0) for at in minutes(T0 - 90 * MINUTE, T0)]),
            "no limit can be reckoned: it was 0 before, and always so; write 'at_least'",
            id="always-zero",
        ),
    ],
)
def test_without_a_baseline_nothing_is_proven(known: Before | None, why: str) -> None:
    assert verdict(LATENCY, level(AFTER, 1e9), known) == (State.UNPROVEN, f"latency unproven: {why}")


def test_what_was_before_the_change_before_is_left_out() -> None:
    told = [level(at, 5000 if at < T0 - 50 * MINUTE else 310) for at in minutes(T0 - 90 * MINUTE, T0)]
    known = look_back(LATENCY, T0, MINUTE, T0 - 50 * MINUTE, told)
    assert (known.centre, known.noise) == (310, 0)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.floats(0, 6.28), st.floats(0.1, 3.0))
def test_a_season_that_earlier_days_show_never_fires_and_a_shift_does(seed: int, phase: float, depth: float) -> None:
    random_ = random.Random(seed)

    def season(at: datetime) -> Level:
        hours = at.timestamp() / 3600
        daily = 300 * (1 + depth * (1 + math.sin(hours * 2 * math.pi / 24 * 4 + phase)))
        return level(at, daily * random_.uniform(0.97, 1.03))

    known = of(LATENCY, season, ("yesterday", DAY), ("last week", 7 * DAY))
    for at in minutes(T0 + MINUTE, T0 + HOUR):
        now = season(at).value
        assert verdict(LATENCY, level(at, now), known, at)[0] is State.OK
        assert verdict(LATENCY, level(at, 30 * now), known, at)[0] is State.BREACH


# --- events -------------------------------------------------------------------------------------------------------------------------------


def events(at: datetime, count: float) -> Events:
    return Events(at - 5 * MINUTE if at == AFTER else at - MINUTE, at, count, at)


def test_traffic_that_falls_to_nothing_is_a_breach_where_there_was_enough() -> None:
    busy = of(TRAFFIC, lambda at: events(at, 20))
    assert verdict(TRAFFIC, events(AFTER, 5), busy) == (State.BREACH, "traffic 0.0167/s in 5m0s < 0.1 /s, 30 % of 0.3333 /s before")
    assert verdict(TRAFFIC, events(AFTER, 60), busy)[0] is State.OK


def test_of_too_little_traffic_no_fall_is_told_from_chance() -> None:
    quiet = of(TRAFFIC, lambda at: events(at, 1))
    assert verdict(TRAFFIC, events(AFTER, 0), quiet) == (
        State.UNPROVEN,
        "traffic unproven: 0.01667 /s before is too little to tell a fall from chance",
    )


# --- shares -------------------------------------------------------------------------------------------------------------------------------


def limits(condition: Condition, before: Before) -> Condition:
    return armed(replace(POLICY, conditions=(condition,)), (before,), AFTER).conditions[0]


def test_a_share_is_tested_against_what_it_may_have_been_at_most_before() -> None:
    now = limits(TWICE, of(TWICE, lambda at: counts(at, 1, 100)))
    assert now.limit.high == pytest.approx(2 * edge(Sums(60, 60, 6000), 1.0, 0.005, is_above=True), rel=0.05)
    assert now.limit.note == "200 % of at most 1.48 % before (60/6000)"
    assert now.bound == Bound(0.005)


def test_a_share_near_zero_has_to_rise_by_a_point() -> None:
    assert limits(TWICE, of(TWICE, lambda at: counts(at, 0, 10_000))).limit.high == pytest.approx(0.01, abs=1e-4)


def test_of_a_latency_the_share_of_slow_requests_is_compared() -> None:
    now = limits(SLOW, of(SLOW, lambda at: counts(at, 4, 100)))
    assert now.limit.high == 0.5
    assert now.limit.share == pytest.approx(0.097, abs=0.005)


def test_a_share_that_rose_yesterday_at_this_time_may_rise_again() -> None:
    known = of(TWICE, lambda at: counts(at, 5 if T0 < at + DAY < T0 + 2 * DAY / 2 - 6 * HOUR else 1, 100), ("yesterday", DAY))
    assert known.shifts[0].up == pytest.approx(0.04, abs=0.002)
    assert "yesterday it rose by" in limits(TWICE, known).limit.note


@given(st.integers(0, 400), st.integers(1, 4000), st.floats(1e-6, 0.2))
def test_the_edges_of_a_share_lie_around_it_and_apart_by_what_risk_asks(bad: int, more: int, risk: float) -> None:
    sums = Sums(bad, bad, bad + more)
    low, high = (edge(sums, 1.0, risk, is_above) for is_above in (False, True))
    assert 0 <= low <= bad / (bad + more) <= high <= 1
    assert edge(sums, 1.0, risk / 10, is_above=True) >= high
    assert edge(sums, 4.0, risk, is_above=True) >= high


def test_unchanged_shares_are_called_worse_in_no_more_than_the_promised_part() -> None:
    random_ = random.Random(4)
    false = 0
    for _ in range(60):
        share, at = random_.uniform(0.002, 0.05), T0

        def read(at: datetime, share: float = share) -> Counts:
            return counts(at, sum(random_.random() < share for _ in range(60)), 60)

        policy = replace(POLICY, conditions=(replace(TWICE, limit=replace(TWICE.limit, of_before=OfBefore(1.01, is_above=True), high=0.0001)),))
        known, watch = of(policy.conditions[0], read), new_watch(policy)
        for at in minutes(T0 + 2 * MINUTE, T0 + HOUR):
            found = evaluate(policy, watch, None, (read(at),), (RELEASE,), CALM, at, (known,))
            watch = found.watch
            false += found.verdicts[0].state is State.BREACH
            if found.verdicts[0].state is State.BREACH:
                break
    assert false <= 3  # 1 % of 60, and more than 3 has odds below 1 in 250


def looked(policy: Policy, known: Before, bad: int) -> Evaluation:
    found, watch = None, new_watch(policy)
    for at in minutes(T0 + 2 * MINUTE, T0 + 12 * MINUTE):
        found = evaluate(policy, watch, None, (counts(at, bad, 100),), (RELEASE,), CALM, at, (known,))
        watch = found.watch
        if "Opened" in kinds(found.decisions):
            break
    assert found is not None
    return found


def test_errors_that_doubled_open_an_incident_and_errors_as_before_do_not() -> None:
    policy = replace(POLICY, conditions=(TWICE,))
    known = of(TWICE, lambda at: counts(at, 2, 100))
    assert kinds(looked(policy, known, 2).decisions) == []
    opened = looked(policy, known, 12)
    assert "Opened" in kinds(opened.decisions)
    assert "of at most 2.6" in verdict_reason(opened.policy.conditions[0], opened.verdicts[0])


# --- in breach already ----------------------------------------------------------------------------------------------------------------------


ALREADY = replace(ERRORS, bound=Bound(0.01))


def test_what_was_in_breach_before_has_to_become_worse() -> None:
    policy = replace(POLICY, conditions=(ALREADY,))
    known = of(ALREADY, lambda at: counts(at, 10, 100))
    same, worse = looked(policy, known, 10), looked(policy, known, 30)
    assert same.verdicts[0].state is not State.BREACH
    assert worse.verdicts[0].state is State.BREACH
    assert "worse than before: 1.3 times at most 12.7 % shortly before the change" in verdict_reason(worse.policy.conditions[0], worse.verdicts[0])
    assert "when it was beyond 5 % already" in verdict_reason(worse.policy.conditions[0], worse.verdicts[0])


def test_a_breach_of_before_the_change_is_no_onset_of_a_rearmed_condition() -> None:
    policy = replace(POLICY, conditions=(ALREADY,))
    known, watch = of(ALREADY, lambda at: counts(at, 10, 100)), new_watch(policy)
    for at in minutes(T0 - 10 * MINUTE, T0 - MINUTE):
        watch = evaluate(replace(policy, conditions=(ERRORS,)), watch, None, (counts(at, 10, 100),), (), CALM, at).watch
    assert watch.tracks[0].onset is not None
    for at in minutes(T0 + 2 * MINUTE, T0 + 6 * MINUTE):
        found = evaluate(policy, watch, None, (counts(at, 60, 100),), (RELEASE,), CALM, at, (known,))
        watch = found.watch
    assert watch.tracks[0].onset is not None
    assert watch.tracks[0].onset > T0


def test_a_level_in_breach_before_has_to_become_worse() -> None:
    memory = replace(ERRORS, signal=Gauge(Selector("memory")), limit=Limit(high=100.0), min_volume=0)
    known = of(memory, lambda at: level(at, 110 if at > T0 - 9 * MINUTE else 50))
    assert verdict(memory, level(AFTER, 140), known)[0] is State.OK
    assert verdict(memory, level(AFTER, 144), known)[0] is State.BREACH


def failing(anchor: datetime, window: timedelta, block: timedelta, since: timedelta = 2 * HOUR, *, is_rate: bool = False) -> Condition:
    """A condition whose events came at twice its limit from ``since`` before a change on, as a source on its own grid counts them."""
    limit, condition = window / MINUTE * 10, replace(ERRORS, name="failures", signal=Count(Selector("failures")), window=window, min_volume=0)
    condition = replace(condition, limit=Limit(high=limit))
    if is_rate:
        condition = replace(condition, signal=Rate(Selector("failures")), limit=Limit(high=limit / window.total_seconds(), unit="/s"))
    first = T0 - 2 * HOUR
    ends = [first + i * max(block, MINUTE) for i in range(1, int((anchor - first) / max(block, MINUTE)) + 1)]
    told = [Events(end - block, end, 20 * (block / MINUTE) if end > anchor - since else 0, end) for end in ends]
    before = look_back(condition, anchor, MINUTE, None, told)
    (now,) = armed(replace(POLICY, conditions=(condition,)), (before,), anchor + 5 * MINUTE).conditions
    return now


@pytest.mark.parametrize("is_rate", [False, True], ids=["count", "rate"])
@pytest.mark.parametrize("block", [30 * SECOND, MINUTE, 2 * MINUTE])
@pytest.mark.parametrize("window", [MINUTE, 2 * MINUTE, 5 * MINUTE, 20 * MINUTE])
@pytest.mark.parametrize("off", [0, 1, 29, 59])
def test_events_in_breach_before_have_to_become_worse_whenever_the_change_came(off: int, window: timedelta, block: timedelta, is_rate: bool) -> None:
    found = failing(T0 + off * SECOND, window, block, is_rate=is_rate).limit
    assert found.is_raised
    assert found.high == pytest.approx(26 / 60 if is_rate else 26 * (window / MINUTE))


def test_events_of_the_last_minutes_before_a_change_were_not_in_breach_already() -> None:
    assert not failing(T0, 5 * MINUTE, MINUTE, 4 * MINUTE).limit.is_raised


def test_of_events_a_whole_window_has_to_be_known() -> None:
    condition = replace(ERRORS, name="failures", signal=Count(Selector("failures")), limit=Limit(high=10), window=5 * MINUTE, min_volume=0)
    told = [events(at, 60) for at in minutes(T0 - HOUR, T0)]
    before = look_back(condition, T0, MINUTE, T0 - 9 * MINUTE, told)
    assert (before.recent, before.recent_part) == ((300.0,) * 4, 8 / 15)


def test_requests_inside_the_bucket_of_the_limit_were_no_breach_before() -> None:
    """A fifth of them took 1 to 2.5 s, the limit is 2 s: nobody knows whether it was kept, so that it was out of it is not said."""
    slow = replace(ERRORS, signal=Latency(Selector("seconds"), 0.95, 2.0), limit=Limit(2.0, unit="s"))
    before = of(slow, lambda at: Counts(at - MINUTE, at, 0, 20, 100, at, 1.0, 2.5))
    assert before.recent_sums.most == 20 * len(before.recent)
    assert set(before.recent) == {0.0}
    assert limits(slow, before) is slow


def test_a_breach_of_a_third_of_the_time_before_changes_no_limit() -> None:
    memory = replace(ERRORS, signal=Gauge(Selector("memory")), limit=Limit(high=100.0), min_volume=0)
    known = of(memory, lambda at: level(at, 110 if at > T0 - 5 * MINUTE else 50))
    assert verdict(memory, level(AFTER, 101), known)[0] is State.BREACH


def gated(mode: Mode, needed: int = 2) -> Policy:
    """Errors, and enough traffic: which there was before the change."""
    return replace(POLICY, conditions=(ERRORS, replace(ENOUGH, mode=mode)), trigger=Group((Leaf(0), Leaf(1)), needed))


@pytest.mark.parametrize(
    ("policy", "limit"),
    [
        pytest.param(gated(Mode.OBSERVE), 1.0, id="a-gate-asks-how-it-is"),
        pytest.param(gated(Mode.AUTO), 2.6, id="what-may-act-has-to-become-worse"),
        pytest.param(gated(Mode.OBSERVE, needed=1), 2.6, id="what-stands-alone-too"),
        pytest.param(replace(gated(Mode.OBSERVE), mode=Mode.OBSERVE), 2.6, id="where-nothing-may-act-there-is-no-gate"),
    ],
)
def test_what_is_only_observed_beside_others_is_judged_as_it_is_written(policy: Policy, limit: float) -> None:
    before = of(ERRORS, lambda at: counts(at, 0, 100)), of(ENOUGH, lambda at: Events(at - MINUTE, at, 120, at))
    assert armed(policy, before, AFTER).conditions[1].limit.high == pytest.approx(limit)


def test_a_share_that_cannot_become_so_much_worse_proves_nothing() -> None:
    state, said = verdict(ALREADY, counts(AFTER, 100, 100), of(ALREADY, lambda at: counts(at, 90, 100)))
    assert state is State.UNPROVEN
    assert "in breach before the change already, and nothing is worse than before" in said


# --- which time is before ---------------------------------------------------------------------------------------------------------------------


def test_the_time_before_is_that_of_the_first_change_that_is_judged() -> None:
    second = replace(RELEASE, id="uid:8", started_early=T0 + 20 * MINUTE, started_late=T0 + 20 * MINUTE, ready=T0 + 20 * MINUTE)
    changes = (RELEASE, second)
    assert anchor(POLICY, None, changes, CALM, T0 + 30 * MINUTE) == T0
    assert anchor(POLICY, None, changes, CALM, T0 + 70 * MINUTE) == T0 + 20 * MINUTE
    assert anchor(POLICY, None, changes, CALM, T0 + 3 * HOUR) is None
    assert clean_from(changes, T0) is None
    assert clean_from(changes, T0 + 20 * MINUTE) == T0


def test_confirmation_of_a_level_takes_its_time() -> None:
    policy = replace(POLICY, conditions=(replace(LATENCY, confirm=For(5 * MINUTE)),), every=MINUTE)
    known, watch, opened = of(LATENCY, lambda at: level(at, 310)), new_watch(policy), []
    for at in minutes(T0 + 2 * MINUTE, T0 + 8 * MINUTE):
        found = evaluate(policy, watch, None, (level(at, 840),), (RELEASE,), CALM, at, (known,))
        watch = found.watch
        opened += [at for kind in kinds(found.decisions) if kind == "Opened"]
    assert opened[:1] == [T0 + 7 * MINUTE]


def test_no_revision_is_known_good_on_a_limit_that_was_raised_for_it() -> None:
    policy = replace(POLICY, conditions=(ALREADY,), every=MINUTE)
    baked = {}
    for bad in (0, 10):
        known, watch = of(ALREADY, lambda at, bad=bad: counts(at, bad, 100)), new_watch(policy)
        for at in minutes(T0 + 2 * MINUTE, T0 + 50 * MINUTE):
            found = evaluate(policy, watch, None, (counts(at, bad, 100),), (RELEASE,), CALM, at, (known,))
            watch = found.watch
        baked[bad] = watch.baked
    assert baked == {0: "bad7", 10: None}


# --- what mixes before and after ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "reach"),
    [
        pytest.param("up", timedelta(0), id="no-range"),
        pytest.param('rate(errors{path="/[a-z]"}[5m]) / rate(all[10m])', 10 * MINUTE, id="the-longest"),
        pytest.param("max_over_time(rate(errors[5m])[30m:1m])", 35 * MINUTE, id="a-subquery"),
        pytest.param("rate(errors[1h30m])", 90 * MINUTE, id="of-two-units"),
        pytest.param("rate(errors[5m]) / rate(errors[5m] offset 1w)", 5 * MINUTE, id="what-is-asked-of-the-past-is-meant"),
        pytest.param("rate(errors[300])", 5 * MINUTE, id="seconds-without-a-unit"),
        pytest.param("rate(errors[ 90.5 ])", timedelta(seconds=90.5), id="parts-of-a-second"),
        pytest.param("max_over_time(rate(errors[300])[1800:60])", 35 * MINUTE, id="a-subquery-in-seconds"),
        pytest.param("""rate(errors{code=~"[45]..",path=~'/\\'[600]',at=~`[700]`}[2m]) # [800]""", 2 * MINUTE, id="nothing-in-a-string-is-a-range"),
        pytest.param(f"rate(errors[{10**30}])", timedelta(days=100_000), id="longer-than-time"),
        pytest.param(f"rate(errors[0x{'f' * 400}])", timedelta(days=100_000), id="more-than-a-float-holds"),
        pytest.param("rate(errors[1y2d])", timedelta(days=367), id="longer-than-any-watch"),
        pytest.param("rate(errors[1.5e3])", 25 * MINUTE, id="seconds-with-an-exponent"),
        pytest.param("rate(errors[0x3c])", MINUTE, id="seconds-in-hexadecimal"),
        pytest.param("rate(errors[inf]) + rate(errors[window])", timedelta(0), id="what-is-no-range"),
    ],
)
def test_the_reach_of_an_expression_is_that_of_its_ranges(expression: str, reach: timedelta) -> None:
    assert reach_of(expression) == reach


def test_an_expression_proves_nothing_while_its_ranges_reach_before_the_change() -> None:
    condition = replace(LATENCY, signal=PromQL("rate(x[5m])", 5 * MINUTE), limit=Limit(high=1.0))
    mixed = judge(condition, (level(T0 + 4 * MINUTE, 2),), T0, None, T0 + 4 * MINUTE)
    assert verdict_reason(condition, mixed) == "latency unproven: its ranges reach back before 14:00:00 until 14:05:00"
    assert judge(condition, (level(T0 + 5 * MINUTE, 2),), T0, None, T0 + 5 * MINUTE).state is State.BREACH


def test_nothing_is_compared_before_the_warm_up_is_over() -> None:
    known = of(LATENCY, lambda at: level(at, 310))
    found = evaluate(
        replace(POLICY, conditions=(LATENCY,)),
        new_watch(replace(POLICY, conditions=(LATENCY,))),
        None,
        (level(T0 + 30 * SECOND, 900),),
        (RELEASE,),
        CALM,
        T0 + 30 * SECOND,
        (known,),
    )
    assert found.verdicts[0].state is State.UNPROVEN
