"""From proven looks to a confirmed breach and to lasting health: what a verdict does to a track."""

import math
from dataclasses import replace
from datetime import datetime, timedelta

from rollbackd.policies.judge.evidence import Nothing
from rollbackd.policies.judge.verdict import State, Verdict, is_out
from rollbackd.policies.known.watch import Look, Run, Track
from rollbackd.policies.model.policy import Breaches, Condition, For, OnNoData

COVERAGE = 0.8
"""Share of the looks of a ``for`` that must have proven the breach."""
SPANNED = 0.6
"""Share of a ``for`` that lies between the first and the last sample seen: one scrape must not serve twice, however often it is looked at."""
ONSET_MEMORY = timedelta(minutes=15)
"""A breach that was never proven over keeps its onset through so long a silence (the look back before a change)."""


def mark(condition: Condition, track: Track, verdict: Verdict, every: timedelta, at: datetime) -> Track:
    """The track after one more look. ``every``: the distance between looks."""
    state = verdict.state
    recent = _next_recent(condition, track, verdict, at)
    counted = track.had_data, track.tally, track.calm, track.beside
    if state is State.OK:
        is_lasting = track.ok_last is not None and at - track.ok_last <= 2 * every
        return Track(track.readings, None, recent, None, None, track.ok_since if is_lasting else at, at, *counted)
    run = _next_run(condition, track, verdict, every, at)
    if state is State.BREACH:
        is_old = track.onset is None or track.last_breach is None or at - track.last_breach > ONSET_MEMORY
        return Track(track.readings, run, recent, at if is_old else track.onset, at, None, None, *counted)
    is_lasting = track.ok_last is not None and at - track.ok_last <= 2 * every
    ok_since, ok_last = (track.ok_since, track.ok_last) if is_lasting else (None, None)
    return Track(track.readings, run, recent, track.onset, track.last_breach, ok_since, ok_last, *counted)


def is_confirmed(condition: Condition, track: Track, verdict: Verdict, every: timedelta, since: datetime | None, at: datetime) -> bool:
    """True if this look proves the breach and the condition's confirmation rule is met. ``track`` is the one already marked.

    Looks from before ``since`` confirm nothing about what runs now.
    """
    if verdict.state is not State.BREACH or track.run is None:
        return False
    rule = condition.confirm
    if isinstance(rule, For):
        return _lasted(track.run, rule.duration, every, at)
    looks = [look.breach for look in track.recent[-rule.of :] if since is None or look.at >= since]
    return looks.count(True) >= rule.at_least


def _lasted(run: Run, duration: timedelta, every: timedelta, at: datetime) -> bool:
    if at - run.start < duration or run.newest - run.oldest < SPANNED * duration:
        return False
    return run.breaches >= (math.ceil(COVERAGE * (duration / every + 1)) if duration else 1)


def _next_run(condition: Condition, track: Track, verdict: Verdict, every: timedelta, at: datetime) -> Run | None:
    """The run after a look that did not prove health, which ends any run."""
    run = track.run
    is_fresh = run is not None and at - run.last <= 2 * every
    is_held = condition.on_no_data is OnNoData.HOLD
    if verdict.state is State.BREACH or is_out(condition, verdict):
        newest = _newest(verdict, at)
        if run is None or not (is_fresh or is_held):
            return Run(at, at, 1, newest, newest)
        return Run(run.start, at, run.breaches + 1, run.oldest, max(newest, run.newest))
    return run if is_fresh or (is_held and verdict.state is State.NODATA) else None


def _newest(verdict: Verdict, at: datetime) -> datetime:
    return at if isinstance(verdict.evidence, Nothing) else verdict.evidence.newest


def _next_recent(condition: Condition, track: Track, verdict: Verdict, at: datetime) -> tuple[Look, ...]:
    if not isinstance(condition.confirm, Breaches):
        return ()
    return _looked(track.recent, verdict, at)[-condition.confirm.of :]


def _looked(recent: tuple[Look, ...], verdict: Verdict, at: datetime) -> tuple[Look, ...]:
    """One scrape must not serve as two looks: the last look at it has the last word."""
    if verdict.state not in (State.BREACH, State.OK):
        return (*recent, Look(at, None, None))
    newest, is_breach = _newest(verdict, at), verdict.state is State.BREACH
    seen = max((look.newest for look in recent if look.newest is not None), default=None)
    if seen is None or newest > seen:
        return (*recent, Look(at, is_breach, newest))
    is_again = recent[-1].newest == newest
    return (*recent[:-1], replace(recent[-1], breach=is_breach)) if is_again else recent
