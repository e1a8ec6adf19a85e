"""Which readings a bounded condition counts: since a change each as it ends, outside of watches how bursty calm is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from rollbackd.policies.decide.evaluate import Evaluation, evaluate
from rollbackd.policies.judge.bursts import Calm
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.watch import Track, Watch, new_watch
from rollbackd.policies.model.policy import Bound, Group, Leaf, Limit, Policy
from rollbackd.policies.model.readings import Counts, Reading
from tests.policies.literals import CALM, ERRORS, EVERY, HOUR, MINUTE, POLICY, RELEASE, SECOND, T0, counts, level, no_data, slots, verifying

DAY = timedelta(days=1)
BOUND = replace(ERRORS, bound=Bound(0.01))
BOUNDED = replace(POLICY, conditions=(BOUND,))
TWO = replace(POLICY, conditions=(replace(BOUND, watch=30 * MINUTE), replace(BOUND, name="slow", watch=DAY)), trigger=Group((Leaf(0), Leaf(1)), 1))
"""Errors are watched for half an hour after a change, something else for a day."""


def looked(
    policy: Policy, *readings: Reading, changes: Sequence[Change] = (RELEASE,), incident: Incident | None = None, watch: Watch | None = None
) -> Evaluation:
    """The last slot's evaluation; each reading is of the slot at its end, and the same for every condition."""
    watch = watch or new_watch(policy)
    for reading in readings:
        found = evaluate(policy, watch, incident, (reading,) * len(policy.conditions), changes, CALM, reading.end)
        watch = found.watch
    return found


def quiet(*readings: Reading, watch: Watch | None = None) -> Track:
    """The condition's memory after these, where nothing changed."""
    return looked(BOUNDED, *readings, changes=(), watch=watch).watch.tracks[0]


def calm_of(track: Track) -> Calm:
    assert track.calm is not None
    return track.calm


def minutes(begin: datetime, number: int, bad: float = 1, total: float = 100) -> list[Reading]:
    return [counts(begin + n * MINUTE, bad, total) for n in range(number)]


# --- in a watch -----------------------------------------------------------------------------------------------------------------------


def test_what_happened_since_the_last_block_is_tried_at_each_look() -> None:
    """Blocks of a minute are read every quarter of one: the second overlaps the first, and what it has beyond it is the proof."""
    first, open_ = counts(T0 + MINUTE, 0, 20), counts(T0 + MINUTE + EVERY, 14, 20)
    assert looked(BOUNDED, first, open_).verdicts[0].state is State.BREACH
    (track,) = looked(BOUNDED, first, open_).watch.tracks
    assert track.tally is not None
    assert (track.tally.sums.least, track.tally.newer is not None) == (0, True)
    closes = looked(BOUNDED, first, open_, counts(T0 + 2 * MINUTE, 14, 20)).watch.tracks[0].tally
    assert closes is not None
    assert (closes.sums.least, closes.newer) == (14, None)


def test_what_was_proven_against_a_limit_that_was_raised_since_is_tried_anew() -> None:
    """What was before the change is read after the first looks at it; no block has ended in between."""
    raised = replace(BOUNDED, conditions=(replace(BOUND, limit=Limit(0.3, unit="%")),))
    block = counts(T0 + 2 * MINUTE, 20, 100)
    found = looked(BOUNDED, block)
    assert found.verdicts[0].state is State.BREACH
    again = looked(raised, counts(T0 + 2 * MINUTE, 20, 100), watch=found.watch)
    assert again.watch.tracks[0].tally is not None
    assert again.verdicts[0].trial == looked(raised, block).verdicts[0].trial
    halved = replace(BOUNDED, conditions=(replace(BOUND, bound=Bound(0.005)),))
    tried = looked(halved, block, watch=found.watch).verdicts[0].trial
    assert tried is not None
    assert tried.needed == looked(halved, block).verdicts[0].trial.needed  # type: ignore[union-attr]


def test_a_look_without_an_answer_leaves_the_counts_as_they_were() -> None:
    found = looked(BOUNDED, *minutes(T0 + MINUTE, 3), no_data(T0 + 4 * MINUTE)).watch.tracks[0].tally
    assert found == looked(BOUNDED, *minutes(T0 + MINUTE, 3)).watch.tracks[0].tally


def test_before_the_first_block_is_over_nothing_is_counted_but_the_count_is_there() -> None:
    found = looked(BOUNDED, no_data(T0 + MINUTE)).watch.tracks[0].tally
    assert found is not None
    assert found.sums.total == 0


@pytest.mark.parametrize(
    ("policy", "incident", "are_counted"),
    [
        pytest.param(TWO, None, [False, True], id="the-shorter-watch-is-over"),
        pytest.param(TWO, verifying(T0 + 35 * MINUTE), [True, True], id="an-incident-is-open"),
        pytest.param(replace(TWO, watch=None), None, [True, True], id="always-watched"),
    ],
)
def test_what_has_a_shorter_watch_is_counted_until_that_is_over(policy: Policy, incident: Incident | None, are_counted: list[bool]) -> None:
    found = looked(policy, *minutes(T0 + 33 * MINUTE, 8), incident=incident)
    assert [track.tally is not None for track in found.watch.tracks] == are_counted


def test_what_is_compared_with_old_pods_is_not_tried_alone() -> None:
    of_old = replace(BOUND, limit=Limit(high=0.01, unit="%", of_old=3.0))
    assert looked(replace(POLICY, conditions=(of_old,)), *minutes(T0 + MINUTE, 3)).watch.tracks[0].tally is None


def test_a_level_is_not_counted() -> None:
    assert looked(POLICY, level(T0 + MINUTE, 0.5)).watch.tracks[0].tally is None


# --- outside of watches ---------------------------------------------------------------------------------------------------------------


def test_calm_is_learnt_from_what_ended_three_minutes_before_the_newest() -> None:
    """What breaks just now is not how calm is: 9 of 100 come in the last three minutes."""
    track = quiet(*minutes(T0, 10), *minutes(T0 + 10 * MINUTE, 3, bad=9))
    assert calm_of(track).end == T0 + 9 * MINUTE
    assert calm_of(track).bad == pytest.approx(sum((1 - 1 / 120) ** n for n in range(10)))


def test_where_less_of_the_past_is_kept_the_oldest_has_to_do() -> None:
    first, second = counts(T0, 1, 100), counts(T0 + MINUTE, 9, 100)
    assert calm_of(quiet(first, second)).end == T0
    assert calm_of(quiet(first, second)).bad == 1


def test_a_breach_that_no_change_explains_is_no_calm() -> None:
    before = quiet(*minutes(T0, 10))
    after = quiet(*minutes(T0, 10), *minutes(T0 + 10 * MINUTE, 20, bad=60))
    assert (after.onset is not None, calm_of(after).end) == (True, T0 + 29 * MINUTE)
    assert calm_of(after).bad < calm_of(before).bad + 3  # the minutes that were not yet a proven breach are all that came


def test_a_change_keeps_what_calm_was_and_its_end_begins_it_anew() -> None:
    calm = looked(BOUNDED, *minutes(T0 - 20 * MINUTE, 15), changes=())
    during = looked(BOUNDED, *minutes(T0 + MINUTE, 5), watch=calm.watch)
    assert during.watch.tracks[0].calm == calm.watch.tracks[0].calm
    assert during.watch.tracks[0].tally is not None
    over = looked(BOUNDED, counts(T0 + 2 * HOUR, 1, 100), changes=(), watch=during.watch)
    assert over.watch.tracks[0].tally is None


def test_a_look_that_tells_nothing_ends_the_counts_of_a_watch_that_is_over() -> None:
    during = looked(BOUNDED, *minutes(T0 + MINUTE, 5)).watch
    assert looked(BOUNDED, no_data(T0 + 2 * HOUR), changes=(), watch=during).watch.tracks[0].tally is None


def test_readings_every_few_seconds_are_counted_once_each_minute() -> None:
    told = [counts(at, 1, 100) for at in slots(T0 + MINUTE, T0 + 5 * MINUTE, 15 * SECOND)]
    tally = looked(BOUNDED, *told).watch.tracks[0].tally
    assert tally is not None
    assert tally.sums.total == 500


# --- what is kept of a quiet service ------------------------------------------------------------------------------------------------------


def test_a_quiet_service_in_calm_is_kept_in_no_more_than_its_window_and_a_block_for_each_of_the_others() -> None:
    track = quiet(*(counts(at, 0, 20) for at in slots(T0 - 3 * HOUR, T0, MINUTE)))
    assert len(track.readings) <= 5 + 8 + 2
    assert sum(block.total for block in track.readings if isinstance(block, Counts)) >= 30 * 20


def test_in_a_watch_no_two_blocks_beyond_the_window_overlap_and_none_is_put_together() -> None:
    track = looked(BOUNDED, *(counts(at, 0, 20) for at in slots(T0, T0 + HOUR))).watch.tracks[0]
    old = [block for block in track.readings if isinstance(block, Counts) and block.end <= T0 + HOUR - BOUND.window]
    assert all(earlier.end <= later.start for earlier, later in pairwise(old))
    assert {block.end - block.start for block in old} == {MINUTE}
    assert len(track.readings) <= 20 + 35


@pytest.mark.parametrize("a_minute", [10, 20, 60])
def test_health_is_proven_as_soon_by_what_is_kept(a_minute: int) -> None:
    """In calm the only evidence, in a watch all since the change: a fifth of the limit is bad."""
    for changes, begin in (((), T0 - 2 * HOUR), ((RELEASE,), T0)):
        at = slots(begin, begin + 40 * MINUTE)
        found = looked(BOUNDED, *(counts(each, a_minute / 100, a_minute) for each in at), changes=changes)
        assert found.verdicts[0].state is State.OK


def test_what_was_not_counted_or_by_another_bucket_is_not_put_together() -> None:
    gap = [counts(T0 - back * MINUTE, 0, 20) for back in reversed(range(60)) if back % 3]
    assert {block.end - block.start for block in quiet(*gap).readings if isinstance(block, Counts)} == {MINUTE, 2 * MINUTE}
    buckets = [replace(counts(T0 - back * MINUTE, 0, 20), low=back % 2, high=back % 2) for back in reversed(range(60))]
    assert {block.end - block.start for block in quiet(*buckets).readings if isinstance(block, Counts)} == {MINUTE}


def test_what_leaves_the_window_at_once_after_a_silence_is_thinned_from_its_beginning() -> None:
    before = [counts(at, 0, 9) for at in slots(T0, T0 + 6 * MINUTE)]
    track = looked(BOUNDED, *before, *(counts(T0 + 12 * MINUTE + at, 0, 9) for at in (timedelta(0), EVERY, MINUTE))).watch.tracks[0]
    assert sum(block.total for block in track.readings if isinstance(block, Counts) and block.end <= T0 + 6 * MINUTE) == 7 * 9
