"""What is counted since a change: each event once, none from before, and what it comes to."""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import reduce

import pytest

from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.judge.bursts import BURSTIEST, Calm, spread, spreads
from rollbackd.policies.judge.evalue import log_evalue, mixed
from rollbackd.policies.judge.evidence import Share, Sums
from rollbackd.policies.judge.tally import Tally, add, ahead, begin, come, more_needed, tried
from rollbackd.policies.judge.trial import Side, Trial
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.known.watch import Watch, new_watch
from rollbackd.policies.model.policy import Bound, Group, Leaf, Limit
from rollbackd.policies.model.readings import Counts
from tests.policies.literals import CALM, ERRORS, EVERY, HOUR, MINUTE, POLICY, RELEASE, SECOND, T0, counts, no_data, slots, verifying
from tests.policies.test_bursts import calm

DAY = timedelta(days=1)
ABOVE = Limit(high=0.05, unit="%")
ONE = Bound(0.01)
BOUND = replace(ERRORS, bound=ONE)
GUARDED = replace(POLICY, conditions=(BOUND,))


EVEN = Calm(T0, 20.0, 20.0, 400.0, 1.0)
"""A time before in which bad events came evenly."""


def of(*blocks: Counts, length: timedelta = HOUR, calm: Calm | None = None) -> Tally:
    return adding(begin(T0, length, calm), *blocks)


def adding(tally: Tally, *blocks: Counts) -> Tally:
    return reduce(add, blocks, tally)


def trial(tally: Tally, limit: Limit = ABOVE, bound: Bound = ONE) -> Trial:
    return tried(tally, limit, bound)


def minute(number: int, bad: float = 1, total: float = 20) -> Counts:
    return counts(T0 + number * MINUTE, bad, total)


def sums(tally: Tally) -> tuple[float, float]:
    return tally.sums.least, tally.sums.total


# --- each event once ------------------------------------------------------------------------------------------------------------


def test_blocks_that_overlap_are_counted_once():
    sliding = [counts(at, 1, 20) for at in slots(T0 + MINUTE, T0 + 5 * MINUTE)]
    assert sums(of(*sliding)) == (5, 100)


def test_a_block_that_began_before_the_change_is_not_counted():
    assert sums(of(counts(T0 + 45 * SECOND, 9, 9), counts(T0 + MINUTE, 1, 20))) == (1, 20)


def test_a_gap_loses_what_nobody_saw_and_nothing_else():
    assert sums(of(minute(1), minute(7))) == (2, 40)


@pytest.mark.parametrize(("own", "is_counted"), [(None, False), (DAY, True)])
def test_what_has_a_shorter_watch_is_judged_by_itself_when_that_is_over(own, is_counted):
    """Errors watch for an hour, or for a day; something else for a day."""
    policy = replace(POLICY, conditions=(replace(BOUND, watch=own), replace(BOUND, name="slow", watch=DAY)), trigger=Group((Leaf(0), Leaf(1)), 1))
    watch, at = new_watch(policy), T0
    for at in slots(T0 + 30 * MINUTE, T0 + 3 * HOUR, MINUTE):
        watch = evaluate(policy, watch, None, (counts(at, 0, 100),) * 2, (RELEASE,), CALM, at).watch
    assert [track.tally is not None for track in watch.tracks] == [is_counted, True]


# --- what it comes to -----------------------------------------------------------------------------------------------------------


def test_it_is_the_mixture_of_all_starts():
    tally = of(*(minute(n, 1 if n <= 5 else 6) for n in range(1, 10)))
    all_of_it, since_one, since_five = log_evalue(29, 180, 0.05), log_evalue(28, 160, 0.05), log_evalue(24, 80, 0.05)
    assert trial(tally).log_e == pytest.approx(mixed([all_of_it, since_one, since_five], 12))


def test_a_start_that_has_seen_nothing_yet_speaks_neither_way():
    assert trial(of(minute(1, 2), minute(6, 0, 0), calm=EVEN)).log_e == pytest.approx(mixed([log_evalue(2, 20, 0.05), 0.0, 0.0], 12))


def test_what_was_still_well_in_the_first_minute_does_not_hide_what_comes_after_it():
    """The old pods serve the first minute: since the change it is 9 of 180, since a minute after it 9 of 30."""
    tally = of(minute(1, 0, 150), minute(2, 9, 30))
    assert trial(tally).log_e == pytest.approx(mixed([-math.inf, log_evalue(9, 30, 0.05)], 12))
    assert trial(tally).is_proven


@pytest.mark.parametrize(
    ("length", "starts", "spacing"),
    [
        (timedelta(0), 0, 5),
        (2 * MINUTE, 1, 5),
        (5 * MINUTE, 1, 5),
        (5 * MINUTE + SECOND, 2, 5),
        (HOUR, 12, 5),
        (6 * HOUR, 72, 5),
        (24 * HOUR, 72, 20),
    ],
)
def test_later_starts_cover_the_watch(length, starts, spacing):
    tally = begin(T0, length, None)
    assert (tally.starts, tally.spacing) == (starts, spacing * MINUTE)


@pytest.mark.parametrize(
    ("length", "age", "expected"),
    [
        (HOUR, timedelta(0), 0),
        (HOUR, 59 * SECOND, 0),
        (HOUR, 60 * SECOND, 1),
        (HOUR, 5 * MINUTE - SECOND, 1),
        (HOUR, 5 * MINUTE, 2),
        (HOUR, 10 * MINUTE, 3),
        (HOUR, 55 * MINUTE, 12),
        (HOUR, 2 * HOUR, 12),
        (24 * HOUR, 19 * MINUTE, 1),
        (24 * HOUR, 20 * MINUTE, 2),
        (2 * MINUTE, 10 * MINUTE, 1),
        (timedelta(0), 10 * MINUTE, 0),
    ],
)
def test_the_first_later_start_comes_after_a_minute_and_the_others_spaced(length, age, expected):
    assert come(begin(T0, length, None), age) == expected


def test_starts_that_nobody_saw_begin_with_the_next_block():
    """After a gap the two that have come meanwhile count from the same block on."""
    assert [begun.total for begun in of(minute(1), minute(7)).begun] == [20, 20]
    late = of(counts(T0 + 75 * SECOND, 1, 20), counts(T0 + 135 * SECOND, 1, 20))
    assert [begun.total for begun in late.begun] == [20]


@pytest.mark.parametrize("length", [timedelta(0), MINUTE, 2 * MINUTE, 6 * MINUTE, HOUR, 24 * HOUR])
@pytest.mark.parametrize("calm", [None, EVEN], ids=["capped", "bursts-known"])
def test_at_the_limit_it_is_expected_to_be_one_at_most_in_a_watch_of_any_length(length, calm):
    """Over all that three blocks of 6, 8 and 5 events can count: of them the second and third begin a later start."""
    sizes, share, found = {1: 6, 2: 8, 7: 5}, 0.3, []
    for bads in itertools.product(*(range(size + 1) for size in sizes.values())):
        blocks = [minute(number, bad, total) for (number, total), bad in zip(sizes.items(), bads, strict=True)]
        chances = (math.comb(total, bad) * share**bad * (1 - share) ** (total - bad) for total, bad in zip(sizes.values(), bads, strict=True))
        found.append(math.prod(chances) * math.exp(trial(of(*blocks, length=length, calm=calm), Limit(high=share)).log_e))
    assert 0.1 < math.fsum(found) <= 1 + 1e-9


def test_what_is_within_the_limit_is_at_most_no_evidence():
    assert trial(of(minute(1, 1, 20))).log_e <= 0


def test_fractions_of_extrapolated_counts_prove_nothing_by_themselves():
    assert trial(of(minute(1, 2.9, 20.2))).log_e == trial(of(minute(1, 2, 21))).log_e
    assert trial(of(minute(1, 0.9, 0.9))).log_e == trial(of(minute(1, 0, 1))).log_e


def test_a_latency_is_proven_by_what_was_surely_slow():
    block = Counts(T0, T0 + MINUTE, 2, 20, 20, T0 + MINUTE, 1.0, 2.5)
    assert trial(of(block)).log_e == trial(of(minute(1, 2, 20))).log_e


def test_a_share_that_is_too_small_is_proven_by_the_rest():
    assert trial(of(minute(1, 2, 20)), Limit(low=0.95)).log_e == pytest.approx(trial(of(minute(1, 18, 20))).log_e)


def test_each_side_of_a_range_has_half_of_the_risk():
    tally = of(minute(1, 18, 20))
    ranged = trial(tally, Limit(low=0.01, high=0.05))
    assert (ranged.log_e, ranged.needed, ranged.is_proven) == (trial(tally).log_e, math.log(200), True)


@pytest.mark.parametrize(("limit", "bad", "proven"), [(0.0, 1, True), (0.0, 0, False), (1.0, 20, False)])
def test_limits_at_the_ends_are_what_they_say(limit, bad, proven):
    assert trial(of(minute(1, bad, 20)), Limit(high=limit)).is_proven is proven


def test_a_written_volume_is_waited_for():
    tally = of(minute(1, 10, 10))
    assert [trial(tally, bound=Bound(0.01, volume)).is_proven for volume in (0, 10, 11)] == [True, True, False]


def test_it_says_how_many_more_would_prove_it():
    tally = of(minute(1, 1, 20))
    more = more_needed(tally, ABOVE, ONE)
    assert more is not None
    assert more > 1
    assert trial(of(minute(1, 1, 20), minute(2, more, more))).is_proven
    assert not trial(of(minute(1, 1, 20), minute(2, more - 1, more - 1))).is_proven
    assert more_needed(of(minute(1, 20, 20)), ABOVE, ONE) == 0
    assert more_needed(tally, Limit(low=0.5), ONE) is None


def test_more_than_a_million_is_not_looked_for():
    tally = of(minute(1, 10, 10))
    assert more_needed(tally, ABOVE, Bound(0.01, 2**20 + 10)) == 2**20
    assert more_needed(tally, ABOVE, Bound(0.01, 2**20 + 11)) is None


# --- the block that is not over -------------------------------------------------------------------------------------------------


def test_what_happened_since_the_last_block_is_counted_before_the_next_is_over():
    healthy = of(*(minute(n, 1, 100) for n in range(1, 7)), calm=EVEN)
    known = ahead(healthy, counts(T0 + 6 * MINUTE + 2 * EVERY, 51, 100), ABOVE, ONE)
    found = trial(known)
    assert (found.is_proven, found.least, found.total) == (True, 6 + 50, 600 + 100)
    assert known._replace(newer=None) == healthy


def test_what_a_look_saw_of_an_open_block_is_replaced_by_the_next():
    healthy = of(*(minute(n, 1, 100) for n in range(1, 7)), calm=EVEN)
    known = ahead(healthy, counts(T0 + 6 * MINUTE + 2 * EVERY, 51, 100), ABOVE, ONE)
    assert known.newer is not None
    assert ahead(known, counts(T0 + 6 * MINUTE + 3 * EVERY, 1, 100), ABOVE, ONE) == healthy


def test_an_open_block_never_counts_more_than_what_happened():
    dice = random.Random(7)
    for share in (0.05, 0.3, 0.9) * 60:
        slots_seen = [(sum(dice.random() < share for _ in range(total)), total) for total in (dice.randrange(1, 30) for _ in range(8))]
        closed = of(minute(1, *summed(slots_seen[:4])))
        for more in (1, 2, 3):
            known = ahead(closed, counts(T0 + MINUTE + more * EVERY, *summed(slots_seen[more : more + 4])), ABOVE, ONE)
            exact = add(closed, Counts(T0 + MINUTE, T0 + MINUTE + more * EVERY, *summed(slots_seen[4 : 4 + more], 3), T0))
            assert known.newer is None or trial(known).log_e <= trial(exact).log_e + 1e-9


def summed(pairs: list[tuple[int, int]], width: int = 2) -> tuple[int, ...]:
    bad, total = sum(bad for bad, _ in pairs), sum(total for _, total in pairs)
    return (bad, total) if width == 2 else (bad, bad, total)


@pytest.mark.parametrize("block", [*(counts(T0 + end, 100, 100) for end in (3 * MINUTE, MINUTE - EVERY)), minute(1, 100, 100), minute(2, 100, 100)])
def test_only_a_block_that_overlaps_the_last_one_tells_what_is_newer(block):
    closed = of(minute(1, 1, 100))
    assert ahead(closed, block, ABOVE, ONE) is closed


def test_a_block_that_began_with_the_last_one_and_ends_later_tells_too():
    closed = of(minute(1, 1, 100), calm=EVEN)
    assert ahead(closed, counts(T0 + MINUTE + EVERY, 61, 100, MINUTE + EVERY), ABOVE, ONE).newer is not None


@pytest.mark.parametrize(("limit", "bad"), [(ABOVE, 1), (Limit(low=0.95), 0)], ids=["bad", "good"])
def test_one_event_more_may_be_the_proof(limit, bad):
    closed = of(minute(1, 2 * bad, 2), minute(2, 0, 0), length=2 * MINUTE, calm=EVEN)
    assert not trial(closed, limit).is_proven
    assert ahead(closed, counts(T0 + 2 * MINUTE + EVERY, bad, 1), limit, ONE).newer is not None


@pytest.mark.parametrize(("bad", "least", "most"), [(1000, 150 + 950, 150 + 1000), (0, 150, 150 + 50)], ids=["too-much", "too-little"])
def test_of_an_open_block_only_what_is_beyond_the_last_one_is_certain(bad, least, most):
    ranged = Limit(low=0.3, high=0.7)
    closed = of(*(minute(n, 50, 100) for n in (1, 2, 3)), calm=EVEN)
    known = ahead(closed, counts(T0 + 3 * MINUTE + 2 * EVERY, bad, 1000), ranged, ONE)
    assert known.newer is not None
    found = trial(known, ranged)
    assert (found.least, found.most, found.total) == (least, most, 300 + 1000)


def test_between_two_layouts_of_buckets_nothing_is_certain():
    old, new = (Counts(T0, T0 + MINUTE + n * EVERY, 5 + 50 * n, 60, 100, T0, 1.0, high) for n, high in ((0, 2.0), (1, 2.5)))
    closed = of(old)
    assert ahead(closed, replace(new, start=T0 + EVERY), ABOVE, ONE) is closed


def test_a_share_that_is_too_small_is_seen_in_an_open_block_too():
    closed = of(*(minute(n, 99, 100) for n in (1, 2, 3)))
    known = ahead(closed, counts(T0 + 3 * MINUTE + 2 * EVERY, 40, 100), Limit(low=0.95), ONE)
    assert trial(known, Limit(low=0.95)).is_proven


# --- bursts ---------------------------------------------------------------------------------------------------------------------


def test_bad_events_that_come_together_are_worth_less():
    scattered, together = calm(*[(2, 100), (1, 100), (3, 100)] * 10), calm(*[(20, 100), *[(0, 100)] * 9] * 3)
    assert spread(scattered) == 1.0
    assert (spread(together) or 0) > 10
    before, after = (begin(T0, HOUR, found) for found in (scattered, together))
    assert trial(add(before, minute(1, 12, 100))).log_e > trial(add(after, minute(1, 12, 100))).log_e


def test_one_burst_long_after_the_change_is_no_proof_where_bursts_are_unknown():
    quiet, burst = [minute(n, 0, 20) for n in range(1, 21)], minute(21, 15, 20)
    assert not trial(of(*quiet, burst)).is_proven
    assert not trial(of(*quiet, burst, *(minute(n, 0, 20) for n in range(22, 32)))).is_proven
    assert trial(of(*quiet, burst, calm=EVEN)).is_proven


def watched(bad: Callable[[int], float], minutes: int, calm: Calm | None = None) -> Tally:
    """A long watch of 20 requests a minute, of which so many are bad in each."""
    return of(*[minute(number, bad(number)) for number in range(1, minutes + 1)], length=6 * HOUR, calm=calm)


def known(tally: Tally) -> list[float | None]:
    return spreads(tally.begun, tally.spread)


def at_once(number: int) -> float:
    """Errors in one minute of twenty only, and then 16: 4 % of all."""
    return 16 if number % 20 == 10 else 0


def evenly(number: int) -> float:
    """As many of them, one by one."""
    return 1 if number % 5 else 0


def test_what_a_watch_shows_of_bursts_counts_for_the_starts_that_began_later():
    bursty, even = watched(at_once, 120), watched(evenly, 120)
    assert known(bursty)[:10] == known(even)[:10] == [None] * 10
    assert (min(each or 0 for each in known(bursty)[11:]), max(each or 9 for each in known(even)[11:])) == (BURSTIEST, 1.0)
    breaking = [minute(number, 7) for number in range(121, 127)]
    assert trial(adding(even, *breaking)).is_proven
    assert not trial(adding(bursty, *breaking)).is_proven


def test_what_a_rollout_brings_in_its_first_minute_is_no_burst_of_the_watch():
    assert known(watched(lambda number: 20 if number == 1 else evenly(number), 120))[-1] == 1.0


def test_a_start_that_began_before_a_fault_knows_no_bursts_of_it():
    failing = watched(lambda number: 20 if number > 100 else evenly(number), 120)
    assert known(failing)[20] == 1.0 < (known(failing)[-1] or 0)
    assert trial(failing).bursts == 1.0


def test_bursts_of_the_time_before_count_for_the_change_and_until_the_watch_has_shown_its_own():
    tally = watched(evenly, 120, calm(*[(20, 100), *[(0, 100)] * 9] * 3))
    assert (tally.spread or 0) > 10
    assert known(tally)[:10] == [tally.spread] * 10
    assert known(tally)[-1] == 1.0


def test_what_was_known_of_bursts_holds_while_too_little_is_seen_to_tell_anew():
    seen = known(watched(lambda number: 11 if number == 30 else 0, 300))
    assert seen[:9] == [None] * 9
    assert (seen[-1] or 0) > 1


def test_of_a_bracket_bursts_are_known_by_its_middle():
    ends = [Sums(2.0 * (number // 4), 6.0 * (number // 4), 100.0 * number) for number in range(25)]
    blocks = [(4.0 if number % 4 == 0 else 0.0, 100.0) for number in range(1, 25)]
    assert spreads(ends, None)[-1] == pytest.approx(spread(calm(*blocks)))


def test_a_watch_is_taken_as_so_bursty_at_most_that_the_next_fault_is_found_all_the_same():
    passed = watched(lambda number: 20 if 61 <= number <= 65 else evenly(number), 180)
    assert known(passed)[-1] == BURSTIEST == 8.0
    assert trial(adding(passed, *[minute(number, 20) for number in range(181, 191)])).is_proven


def heaviest(side: Side) -> list[Sums]:
    """Of each later start, the heaviest block since."""
    return [next(one.block for one in side.heavy if one.starts >= starts) for starts in range(1, len(side.begun) + 1)]


def test_each_later_start_has_the_heaviest_block_since_it_began():
    bad = {1: 9, 3: 8, 6: 4, 7: 7, 11: 5, 12: 5, 16: 2, 17: 1, 21: 3}
    blocks = {n: minute(n, bad.get(n, 0), 10) for n in range(1, 23)}
    above, below = (trial(of(*blocks.values()), limit).sides[0] for limit in (ABOVE, Limit(low=0.5)))
    assert [block.least for block in heaviest(above)] == [8, 7, 5, 3, 3]
    assert [block.total - block.most for block in heaviest(below)] == [10, 10, 10, 10, 10]


def test_a_block_is_kept_while_none_after_it_is_as_heavy_and_one_for_each_start():
    bad = {1: 9, 3: 8, 6: 4, 7: 7, 11: 5, 12: 5, 16: 2, 17: 1, 21: 3}
    tally = of(*(minute(n, bad.get(n, 0), 10) for n in range(1, 23)))
    assert [(one.starts, one.events) for one in tally.heavy] == [(0, 9), (1, 8), (2, 7), (3, 5), (5, 3)]
    assert [(one.starts, one.events) for one in tally.light] == [(5, 10)]


def test_what_weighs_most_is_counted_in_events_of_the_side():
    # Of good events the third block has most, of all events the second.
    blocks = [minute(1, 0, 10), minute(6, 20, 30), minute(7, 0, 15)]
    (side,) = trial(of(*blocks), Limit(low=0.95)).sides
    assert [block.total for block in heaviest(side)] == [15, 15]


def test_two_bursts_in_a_row_are():
    blocks = [*(minute(n, 0, 20) for n in range(1, 21)), minute(21, 15, 20), minute(22, 12, 20)]
    assert trial(of(*blocks)).is_proven


def test_a_burst_of_what_is_too_little_is_none_either():
    above = Limit(low=0.95)
    blocks = [*(minute(n, 20, 20) for n in range(1, 21)), minute(21, 5, 20)]
    assert (trial(of(*blocks), above).is_proven, trial(of(*blocks, minute(22, 8, 20)), above).is_proven) == (False, True)


# --- in the watch ---------------------------------------------------------------------------------------------------------------


def looked(*readings, changes=(RELEASE,), policy=GUARDED, incident=None, fleet: Fleet = CALM, watch: Watch | None = None):
    """The last slot's evaluation; each reading is of the slot at its end."""
    found = watch or new_watch(policy)
    for reading in readings:
        result = evaluate(policy, found, incident, (reading,), changes, fleet, reading.end)
        found = result.watch
    return result


def verdict(*readings, **world) -> Verdict:
    return looked(*readings, **world).verdicts[0]


def test_one_look_that_would_be_a_breach_by_itself_is_none_yet():
    found = verdict(*(minute(n, 1, 20) for n in range(1, 12)), minute(12, 8, 20))
    assert found.state is State.UNPROVEN
    assert isinstance(found.evidence, Share)
    assert found.evidence.bounds.low > 0
    assert verdict_reason(BOUND, found) == (
        "error-rate 12/100 = 12 % > 5 %, lower bound 6.33 %, but not proven since the change: "
        "0.2 to 1 against chance, 100 to 1 needed, 19/240 since 14:00:00, "
        "bursts not measured"
    )


def test_few_events_are_enough_where_they_are_bad_enough():
    found = verdict(minute(1, 4, 4))
    assert found.state is State.BREACH
    assert (
        verdict_reason(BOUND, found)
        == "error-rate 4/4 = 100 % > 5 % (6,677 to 1 against chance, 100 to 1 needed, 4/4 since 14:00:00, bursts not measured)"
    )


def test_what_has_stopped_is_no_breach_however_much_it_was():
    over = [minute(n, 12, 20) for n in range(1, 5)], [minute(n, 0, 20) for n in range(5, 11)]
    assert verdict(*over[0]).state is State.BREACH
    after = verdict(*over[0], *over[1])
    assert after.state is State.UNPROVEN
    assert after.trial is not None
    assert after.trial.is_proven


def test_health_is_proven_by_the_newest_window_whatever_was_counted_before():
    assert verdict(*(minute(n, 50, 100) for n in (1, 2)), *(minute(n, 0, 300) for n in range(3, 10))).state is State.OK


def test_silence_proves_nothing():
    assert verdict(minute(1, 20, 20), no_data(T0 + 2 * MINUTE)).state is State.NODATA


def test_outside_every_watch_a_look_is_judged_by_itself():
    quiet = [replace(RELEASE, started_early=T0 - 9 * HOUR, started_late=T0 - 9 * HOUR, first_seen=T0 - 9 * HOUR, ready=T0 - 9 * HOUR)]
    found = verdict(*(minute(n, 1, 20) for n in range(1, 12)), minute(12, 12, 20), changes=quiet)
    assert (found.state, found.trial) == (State.BREACH, None)


def test_a_change_that_comes_to_light_late_is_counted_from_its_own_time():
    watch = looked(*(counts(at, 1, 20) for at in slots(T0 - 2 * MINUTE, T0 + 2 * MINUTE)), changes=()).watch
    tally = looked(counts(T0 + 2 * MINUTE + EVERY, 1, 20), watch=watch).watch.tracks[0].tally
    assert tally is not None
    assert (tally.since, *sums(tally)) == (T0, 2, 40)


def test_a_newer_change_begins_the_counts_anew():
    newer = replace(RELEASE, id="uid:8", started_early=T0 + 5 * MINUTE, started_late=T0 + 5 * MINUTE, ready=T0 + 5 * MINUTE)
    tally = looked(*(minute(n) for n in range(1, 9)), changes=(RELEASE, newer)).watch.tracks[0].tally
    assert tally is not None
    assert (tally.since, *sums(tally)) == (T0 + 5 * MINUTE, 3, 60)


def test_after_a_rung_the_counts_begin_at_the_end_of_its_settling():
    tally = looked(*(minute(n) for n in range(1, 9)), incident=verifying(T0 + 6 * MINUTE)).watch.tracks[0].tally
    assert tally is not None
    assert (tally.since, *sums(tally)) == (T0 + 6 * MINUTE, 2, 40)


def test_a_policy_that_always_watches_begins_a_test_each_hour():
    always = replace(GUARDED, watch=None)
    watch = looked(*(minute(n) for n in range(50, 60)), policy=always, changes=()).watch
    tally = looked(*(minute(n) for n in range(60, 64)), policy=always, changes=(), watch=watch).watch.tracks[0].tally
    assert tally is not None
    assert (tally.since, *sums(tally)) == (T0 + HOUR, 3, 60)


def test_bursts_are_learnt_before_a_change_and_not_from_a_breach():
    before = [minute(n - 40, 10 if n % 5 == 0 else 0, 100) for n in range(40)]
    track = looked(*before, minute(1), policy=GUARDED).watch.tracks[0]
    assert track.tally is not None
    assert (track.tally.spread or 0) > 5
    outage = looked(*(minute(n - 40, 50, 100) for n in range(40)), policy=GUARDED).watch.tracks[0]
    assert (outage.calm.blocks if outage.calm else 0) <= 1


def test_of_a_breach_nothing_is_learnt_once_it_is_over_either():
    briefly = replace(GUARDED, conditions=(replace(BOUND, window=MINUTE, min_volume=150),))
    seen = [minute(n - 60, 120 if 20 <= n < 30 else 1, 200) for n in range(60)]
    over = looked(*seen, changes=(), policy=briefly).watch.tracks[0]
    assert over.calm is not None
    assert over.calm.blocks > 30
    assert (spread(over.calm) or 9) < 1.5


def test_the_same_slot_decided_again_counts_nothing_twice():
    watch = looked(*(minute(n) for n in range(1, 4))).watch
    again = looked(minute(3), watch=watch).watch
    assert again.tracks[0].tally == watch.tracks[0].tally
