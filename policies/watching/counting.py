"""Brings the counts of every bounded condition up to date with the newest readings. Decides nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rollbackd.policies.judge.bursts import Calm, calmer
from rollbackd.policies.judge.tally import Tally, add, ahead, begin
from rollbackd.policies.judge.verdict import share_limit
from rollbackd.policies.known.changes import Change, is_watched
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.watch import Track, Watch
from rollbackd.policies.model.policy import Bound, Condition, Policy
from rollbackd.policies.model.readings import Counts, Reading
from rollbackd.policies.watching.since import counts_from, is_watching, watch_of

SETTLES = timedelta(minutes=3)
"""So long after a block it is known whether a breach began with it; where less of the past is kept (``over``), the oldest that is has to do."""


def counted(
    policy: Policy, watch: Watch, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, since: datetime | None, at: datetime
) -> Watch:
    """The watch with its newest readings counted, where something may be acted on; elsewhere what is seen tells how bursty calm is.

    Counting them again changes nothing.
    """
    start = counts_from(policy, since, at) if is_watching(policy, incident, changes, fleet, at) else None
    is_over = _over(policy, changes, fleet, at) if start is not None and incident is None else frozenset()
    tracks = []
    for condition, track in zip(policy.conditions, watch.tracks, strict=True):
        length = watch_of(policy, condition)
        begins = None if length in is_over else start
        tracks.append(track if condition.bound is None else _count(condition, condition.bound, track, begins, length))
    return Watch(watch.digest, tuple(tracks), watch.revision, watch.clean_since, watch.baked)


def _over(policy: Policy, changes: Sequence[Change], fleet: Fleet, at: datetime) -> frozenset[timedelta]:
    """The shorter watches that have closed while the longest is still open: what they watched for is judged look by look again."""
    if policy.watch is None or {condition.watch for condition in policy.conditions} == {None}:
        return frozenset()
    answered = fleet.answered_on(policy.target)
    lengths = {watch_of(policy, condition) for condition in policy.conditions}
    return frozenset([each for each in lengths if not is_watched(changes, each, answered, at)])


def _count(condition: Condition, bound: Bound, track: Track, start: datetime | None, length: timedelta) -> Track:
    if start is None:
        return _seen_calm(track)
    if condition.limit.of_old is not None:
        return track  # old and new pods are tried against each other instead
    tally = track.tally
    if tally is None or tally.since != start:
        tally, blocks = begin(start, length, track.calm), track.readings
    else:
        blocks = track.readings[-1:]
    for block in blocks:
        if isinstance(block, Counts):
            tally = add(tally, block)
    newest = track.readings[-1] if track.readings else None
    if isinstance(newest, Counts):
        tally = ahead(tally, newest, share_limit(condition), bound)
    return track if tally is track.tally else _with(track, tally, track.calm)


def _seen_calm(track: Track) -> Track:
    newest, calm = (track.readings[-1] if track.readings else None), track.calm
    if isinstance(newest, Counts):
        calm = calmer(calm, _settled(track.readings, newest)) if track.onset is None else _passed(calm, newest)
    if calm is track.calm and track.tally is None:
        return track
    return _with(track, None, calm)


def _passed(calm: Calm | None, block: Counts) -> Calm | None:
    """A breach that no change explains is no calm: it would make the next release look bursty, and its errors like chance."""
    return None if calm is None else calm._replace(end=max(calm.end, block.end))


def _settled(readings: Sequence[Reading], newest: Counts) -> Counts:
    """The newest that lies a while back, or else the oldest: what breaks just now is not how calm is, though it is not proven yet."""
    counted = [reading for reading in readings if isinstance(reading, Counts)]
    return next((block for block in reversed(counted) if newest.end - block.end >= SETTLES), counted[0])


def _with(track: Track, tally: Tally | None, calm: Calm | None) -> Track:
    seen = track.run, track.recent, track.onset, track.last_breach, track.ok_since, track.ok_last, track.had_data
    return Track(track.readings, *seen, tally, calm, track.beside)
