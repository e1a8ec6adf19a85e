"""A replica's memory of one policy's target: readings, breach runs, onsets. Rebuilt from history at start; never shared, never authority."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from rollbackd.policies.judge.beside import Beside
from rollbackd.policies.judge.bursts import Calm
from rollbackd.policies.judge.tally import Tally
from rollbackd.policies.judge.verdict import health_volume
from rollbackd.policies.judge.window import WIDEST
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import COUNTED, Counts, Events, Reading, Unknown


class Run(NamedTuple):
    """An unbroken breach: ``breaches`` looks that saw it from ``start`` to ``last``, the first on the sample ``oldest`` and the last on ``newest``.

    Each proved it; of a condition with a bound, each saw it out of its limit.
    """

    start: datetime
    last: datetime
    breaches: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """What the last look at one sample proved: a breach or health. ``at``: the first look at it. Of a look that proved nothing both are None."""

    at: datetime
    breach: bool | None
    newest: datetime | None


class Track(NamedTuple):
    """One condition's memory.

    ``onset``: first proven breach since it was last proven OK (an unknown does not end a breach, it only ends its run).
    ``ok_since``/``ok_last``: the current stretch of proven health. ``recent``: the last samples of a k-of-n rule, newest last.
    ``tally``: of a bounded condition, what was counted since the change; None where nothing is watched. ``calm``: how bursty it was before.
    ``beside``: what old and new pods counted side by side since the change; None where they did not.
    """

    readings: tuple[Reading, ...] = ()
    run: Run | None = None
    recent: tuple[Look, ...] = ()
    onset: datetime | None = None
    last_breach: datetime | None = None
    ok_since: datetime | None = None
    ok_last: datetime | None = None
    had_data: bool = False
    tally: Tally | None = None
    calm: Calm | None = None
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """The memory of one policy. ``tracks`` stand in the order of its conditions; a policy with another ``digest`` starts anew.

    ``clean_since``: since when ``revision`` has run without a proven breach. ``baked``: already told so.
    """

    digest: str
    tracks: tuple[Track, ...]
    revision: str | None = None
    clean_since: datetime | None = None
    baked: str | None = None


def new_watch(policy: Policy) -> Watch:
    """A watch that has seen nothing."""
    return Watch(policy.digest, tuple(Track() for _ in policy.conditions))


def take(policy: Policy, watch: Watch, readings: Sequence[Reading]) -> Watch:
    """The watch with one more reading for each condition; readings too old to matter are gone."""
    pairs = zip(policy.conditions, watch.tracks, readings, strict=True)
    tracks = tuple([_take_one(condition, track, reading) for condition, track, reading in pairs])
    return Watch(watch.digest, tracks, watch.revision, watch.clean_since, watch.baked)


def _take_one(condition: Condition, track: Track, reading: Reading) -> Track:
    had_data = track.had_data or not isinstance(reading, Unknown)
    counted = _counted(track.readings)
    if isinstance(reading, COUNTED):
        counted = _condensed(condition, _still_useful(condition, counted, reading.end), reading.end, in_calm=_is_calm(condition, track))
    # A gap does not make older counts untrue, so they stay; only the newest gap or level matters.
    kept = (*counted, reading)
    seen = track.run, track.recent, track.onset, track.last_breach, track.ok_since, track.ok_last
    return Track(kept, *seen, had_data, track.tally, track.calm, track.beside)


def _counted(readings: tuple[Reading, ...]) -> tuple[Counts | Events, ...]:
    """The counts among a track's readings: all of them but the newest, which may be a gap or a level."""
    return readings if not readings or isinstance(readings[-1], COUNTED) else readings[:-1]  # type: ignore[return-value]  # as ``take`` leaves them


def _still_useful(condition: Condition, counted: tuple[Counts | Events, ...], end: datetime) -> tuple[Counts | Events, ...]:
    horizon = end - _reach(condition, counted)
    too_old = 0
    while too_old < len(counted) and counted[too_old].start < horizon:
        too_old += 1
    return counted[too_old:]


def _condensed(condition: Condition, counted: tuple[Counts | Events, ...], end: datetime, *, in_calm: bool) -> tuple[Counts | Events, ...]:
    """The same blocks, but of those that have left the window none that overlaps one before; in calm, where evidence begins anew with none of them,
    put together up to a window each. At a block a look, eight windows would take most of a fleet's memory.
    """
    left = bisect_right(counted, end - condition.window, key=_end)
    kept: list[Counts | Events] = []
    for block in counted[:left]:
        if kept and block.start < kept[-1].end:
            continue
        is_near = in_calm and kept and block.end - kept[-1].start <= condition.window
        joined = _joined(kept[-1], block) if is_near else None
        kept = [*kept[:-1], joined] if joined is not None else [*kept, block]
    return (*kept, *counted[left:]) if len(kept) < left else counted


def _is_calm(condition: Condition, track: Track) -> bool:
    """Whether nothing is watched, so far as the track tells: only what is tried has a tally while something is."""
    return track.tally is None and condition.bound is not None and condition.limit.of_old is None


def _end(block: Counts | Events) -> datetime:
    return block.end


def _joined(first: Counts | Events, second: Counts | Events) -> Counts | None:
    """Both as one; None where the time between them, or another bucket, is not counted."""
    if not isinstance(first, Counts) or not isinstance(second, Counts):
        return None
    if first.end != second.start or (first.low, first.high) != (second.low, second.high):
        return None
    sums = first.least + second.least, first.most + second.most, first.total + second.total
    return Counts(first.start, second.end, *sums, second.newest, second.low, second.high)


def _reach(condition: Condition, readings: tuple[Counts | Events, ...]) -> timedelta:
    """How far back a look may draw: the window, and up to eight of them where traffic is too low to prove health in one."""
    block = readings[-1] if readings else None
    if not isinstance(block, Counts):
        return condition.window
    length = block.end - block.start
    per_window = block.total * (condition.window / length) if length else 0.0
    return condition.window if per_window >= 2 * health_volume(condition) else WIDEST * condition.window
