"""What a signal was before a change, and at the same clock time a day and a week earlier. Pure memory: it decides nothing.

The time before ends early enough that no window reaches into the change, and begins after the change before that one, so that it holds one state
of the target only.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from rollbackd.policies.judge.bursts import calmer, spread
from rollbackd.policies.judge.evidence import Sums, wilson
from rollbackd.policies.judge.tally import NOTHING
from rollbackd.policies.known.changes import Change, watched
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident, suspects_of
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import COUNTED, Counts, Events, Level, Reading
from rollbackd.policies.model.signals import Rate
from rollbackd.policies.watching.since import watch_length

LENGTH = timedelta(hours=1)
LEAST = timedelta(minutes=15)
"""A shorter time before is too little to compare with; of a reference as well."""
FEWEST = 3
SHORTLY = timedelta(minutes=15)
"""So long before a change is looked at for a breach that was there already."""
SMOOTH = timedelta(minutes=5)
"""Over so much an excursion has to last to be no outlier, and by so much a season may come early or late."""
DEVIATIONS = 5 * 1.4826
"""So many median deviations are the noise of a level."""
CHANCE = 4
"""So many roots of the expected count may a number of events be off by chance."""
REFERENCES = (("yesterday", timedelta(days=1)), ("last week", timedelta(days=7)))
_SURE = 2.576


@dataclass(frozen=True, slots=True)
class Reference:
    """The readings of an earlier day from the hour before the change's clock time on, in order; they lie ``lag`` in the past."""

    name: str
    lag: timedelta
    readings: Sequence[Reading]


@dataclass(frozen=True, slots=True)
class Season:
    """How a level was on an earlier day: ``centre`` in the hour before, then smoothed ``values`` at ``ends``."""

    name: str
    lag: timedelta
    centre: float
    ends: tuple[datetime, ...]
    values: tuple[float, ...]

    def near(self, at: datetime) -> Sequence[float]:
        """The values around this clock time; none where there are no data."""
        then = at - self.lag
        return self.values[bisect_right(self.ends, then - SMOOTH) : bisect_right(self.ends, then + SMOOTH)]


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much at most the share of bad events rose and fell on an earlier day after the change's clock time: what is no chance of it."""

    name: str
    up: float
    down: float


@dataclass(frozen=True, slots=True)
class Before:
    """What a signal was before the change that began at ``anchor``. ``lack``: why that says nothing; ``is_read``: False while it is asked for.

    Of a level ``centre``, ``noise`` and ``seasons``; of a share ``sums``, the burstiness ``spread`` and ``shifts``. ``recent``: the values shortly
    before the change, in order, which tell of ``recent_part`` of that time; ``recent_sums``: of a share.
    """

    anchor: datetime
    lack: str = ""
    centre: float = 0.0
    noise: float = 0.0
    seasons: tuple[Season, ...] = ()
    sums: Sums = NOTHING
    spread: float = 1.0
    shifts: tuple[Shift, ...] = ()
    recent: tuple[float, ...] = ()
    recent_part: float = 0.0
    recent_sums: Sums = NOTHING
    is_read: bool = True


def unread(anchor: datetime, why: str = "") -> Before:
    """What is known of the time before ``anchor`` while it is asked for. ``why``: what kept it from being told."""
    return Before(anchor, f"what was before the change at {anchor:%H:%M:%S} is not read yet{why and ': '}{why}", is_read=False)


def anchor(policy: Policy, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, at: datetime) -> datetime | None:
    """When the first of the changes began that are judged now; what was before it is what they are compared with. None: there is none."""
    judged = suspects_of(incident, changes) if incident is not None else watched(changes, watch_length(policy), fleet.answered_on(policy.target), at)
    return min((change.started_early for change in judged), default=None)


def clean_from(changes: Iterable[Change], anchor: datetime) -> datetime | None:
    """Since when the targets had been in one state when the change at ``anchor`` came."""
    return max((change.effective for change in changes if change.started_early < anchor), default=None)


def span(condition: Condition, anchor: datetime, block: timedelta) -> tuple[datetime, datetime]:
    """The hour before, of which no window of the condition reaches into the change."""
    end = anchor - condition.window - block
    return end - LENGTH, end


def look_back(condition: Condition, anchor: datetime, block: timedelta, clean: datetime | None, readings: Sequence[Reading]) -> Before:
    """What these readings, from before ``anchor`` and in order, tell of the time before it."""
    begin, end = span(condition, anchor, block)
    begin = begin if clean is None else max(begin, clean + block)
    before = _within(readings, begin, end)
    until = _within(readings, begin, anchor)
    recent = [reading for reading in until if _start(reading) >= anchor - SHORTLY]
    blocks = [reading for reading in recent if isinstance(reading, Counts) and reading.total > 0]
    # Of a share what is certain: inside a bucket nobody knows whether a limit was kept.
    values = tuple([b.least / b.total for b in blocks]) if blocks else tuple(_looked(condition, recent, until))
    known = recent[-1].end - _start(recent[0]) + (block if isinstance(recent[0], Level) else timedelta(0)) if recent else timedelta(0)
    common = Before(anchor, _lack(before, clean, end), recent=values, recent_part=min(1.0, known / SHORTLY), recent_sums=_sums(blocks))
    return common if common.lack else _summed(condition, common, before)


def _looked(condition: Condition, recent: Sequence[Reading], until: Sequence[Reading]) -> Iterator[float]:
    """What a look at each of the recent readings would have found: a level, or what a whole window that ends with it held."""
    events = [reading for reading in until if isinstance(reading, Events)]
    for reading in recent:
        if isinstance(reading, Level) and math.isfinite(reading.value):
            yield reading.value
        if isinstance(reading, Events) and events[0].start <= (begin := min(reading.start, reading.end - condition.window)):
            held = [block for block in events if begin <= block.start and block.end <= reading.end]
            seen = sum([block.end - block.start for block in held], timedelta(0))
            yield _as_limited(condition, sum(block.count for block in held), seen)


def _as_limited(condition: Condition, count: float, seen: timedelta) -> float:
    """So many events in the time that was seen, as the condition's limit has them: a second, or in a window."""
    rate = count / seen.total_seconds()
    return rate if isinstance(condition.signal, Rate) else rate * condition.window.total_seconds()


def with_reference(condition: Condition, before: Before, block: timedelta, reference: Reference) -> Before:
    """What is known, and the season of an earlier day; as it was where that day has no data of the same hour before."""
    begin, end = (moment - reference.lag for moment in span(condition, before.anchor, block))
    then = _within(reference.readings, begin, end)
    after = [reading for reading in reference.readings if reading.end > before.anchor - reference.lag]
    if before.lack or _is_short(then) or not after:
        return before
    if isinstance(then[0], Counts):
        return replace(before, shifts=(*before.shifts, _shift(reference.name, then, after)))
    earlier = [value for _, value in levels(condition, then)]
    points = _smoothed(list(levels(condition, after)))
    if len(earlier) < FEWEST or not points:
        return before
    season = Season(reference.name, reference.lag, median(earlier), tuple(end for end, _ in points), tuple(value for _, value in points))
    return replace(before, seasons=(*before.seasons, season))


def _within(readings: Sequence[Reading], begin: datetime, end: datetime) -> list[Reading]:
    """What was measured between the two, without what is not known."""
    return [r for r in readings if begin <= (r.start if isinstance(r, COUNTED) else r.end) and r.end <= end and isinstance(r, (*COUNTED, Level))]


def _lack(before: Sequence[Reading], clean: datetime | None, end: datetime) -> str:
    needed = f"{LEAST // timedelta(minutes=1)} minutes are needed"
    if clean is not None and end - clean < LEAST:
        return f"no baseline: the change before this one was at {clean:%H:%M:%S}, too shortly before; {needed}"
    if not before:
        return "no baseline: the source tells nothing of the hour before the change (a scrape source keeps no such history)"
    if _is_short(before):
        return f"no baseline: what is known of the hour before the change begins at {_start(before[0]):%H:%M:%S}; {needed}"
    if all(isinstance(reading, Counts) and not reading.total for reading in before):
        return "no baseline: there was no traffic in the hour before the change"
    return ""


def _is_short(readings: Sequence[Reading]) -> bool:
    return len(readings) < FEWEST or readings[-1].end - _start(readings[0]) < LEAST


def _start(reading: Reading) -> datetime:
    return reading.start if isinstance(reading, COUNTED) else reading.end


def _summed(condition: Condition, common: Before, before: Sequence[Reading]) -> Before:
    blocks = [reading for reading in before if isinstance(reading, Counts)]
    if blocks:
        calm = None
        for block in blocks:
            calm = calmer(calm, block)
        bursts = spread(calm) if calm is not None else None
        return replace(common, sums=_sums(blocks), spread=bursts or 1.0)
    points = list(levels(condition, before))
    if len(points) < FEWEST:
        return replace(common, lack="no baseline: too little is known of the hour before the change")
    centre = median(value for _, value in points)
    return replace(common, centre=centre, noise=_noise(condition, points, centre, isinstance(before[0], Events)))


def levels(condition: Condition, readings: Sequence[Reading]) -> Iterator[tuple[datetime, float]]:
    """A value for each level read; of events one for each five minutes or window, as the condition would have it."""
    piece, count, seen = min(condition.window, SMOOTH), 0.0, timedelta(0)
    started: datetime | None = None
    for reading in readings:
        if isinstance(reading, Level) and math.isfinite(reading.value):
            yield reading.end, reading.value
        if not isinstance(reading, Events):
            continue
        started = started or reading.start
        count, seen = count + reading.count, seen + (reading.end - reading.start)
        if reading.end - started >= piece:
            yield reading.end, _as_limited(condition, count, seen)
            count, seen, started = 0.0, timedelta(0), None


def _noise(condition: Condition, points: list[tuple[datetime, float]], centre: float, is_counted: bool) -> float:
    """What a level strays by itself: five median deviations, or as far as it once stayed away for minutes, whichever is more."""
    values = [value for _, value in points]
    strayed = max(DEVIATIONS * median(abs(value - centre) for value in values), _stayed_away(points, centre))
    if not is_counted:
        return strayed
    per = condition.window.total_seconds() if isinstance(condition.signal, Rate) else 1.0
    return max(strayed, CHANCE * math.sqrt(max(centre * per, 1.0)) / per)


def _stayed_away(points: list[tuple[datetime, float]], centre: float) -> float:
    """How far the level was from its centre throughout some five minutes: a run rule would have taken as much for a breach."""
    size = sum(end < points[0][0] + SMOOTH for end, _ in points)
    values = [value for _, value in points]
    runs = [values[first : first + size] for first in range(len(values) - size + 1)]
    return max(max(map(min, runs)) - centre, centre - min(map(max, runs)), 0.0)


def _smoothed(points: list[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    """The median of each value and its two neighbours."""
    return [(end, median(value for _, value in points[max(0, index - 1) : index + 2])) for index, (end, _) in enumerate(points)]


def _sums(blocks: Iterable[Counts]) -> Sums:
    found, border = Sums(), None
    for block in blocks:
        if border is None or block.start >= border:
            found, border = Sums(found.least + block.least, found.most + block.most, found.total + block.total), block.end
    return found


def _shift(name: str, then: Sequence[Reading], after: Sequence[Reading]) -> Shift:
    """How the share moved on the earlier day, by pieces: what is no chance by Newcombe's interval of a difference."""
    base = _sums(block for block in then if isinstance(block, Counts))
    up = down = 0.0
    for piece in _pieces([block for block in after if isinstance(block, Counts)]):
        moved = piece.share - base.share
        low, high = _newcombe(base, piece)
        up, down = (max(up, moved), down) if low > 0 else (up, min(down, moved) if high < 0 else down)
    return Shift(name, up, down)


def _pieces(blocks: Sequence[Counts]) -> Iterator[Sums]:
    begun: list[Counts] = []
    for block in blocks:
        begun.append(block)
        if block.end - begun[0].start >= SHORTLY:
            yield _sums(begun)
            begun = []
    if begun:
        yield _sums(begun)


def _newcombe(first: Sums, second: Sums) -> tuple[float, float]:
    """Newcombe's hybrid score interval of the difference of two shares (1998, method 10)."""
    if not first.total or not second.total:
        return -1.0, 1.0
    one, two = first.share, second.share
    (low_1, high_1), (low_2, high_2) = _score(one, first.total), _score(two, second.total)
    return two - one - math.hypot(two - low_2, high_1 - one), two - one + math.hypot(high_2 - two, one - low_1)


def _score(share: float, total: float) -> tuple[float, float]:
    among = math.ceil(total)
    bad = min(among, round(share * among))
    return wilson(bad, among, _SURE)
