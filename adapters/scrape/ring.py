"""What was scraped lately: per endpoint the times of its scrapes, per series its value and how much it grew. Bounded in time and in series.

Times are seconds since the epoch. Growth is counted exactly, scrape by scrape: a value below the former one, or of another process, is a reset
and counts in full; a series that appears on an endpoint scraped before was born and counts in full; one of the first scrape does not.
A value that no counter can have is kept too: how much was added around it is not known, and ``oddity`` says so.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import TypeAlias

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.scrape.page import Endpoint, Sample, labels_of, process_start

_TRIM_EVERY = 32
Identified: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
"""Name and labels of a series, in no order."""


class _Process(Enum):
    """Whose values a scrape shows, compared with the scrape before."""

    SAME = "same"
    RESTARTED = "restarted"  # it began after the scrape before: all it counted is new
    SWAPPED = "swapped"  # it was running all along, behind the same address: what it counted may be old


class Series:
    """One series of one endpoint. A point is kept only where something changed."""

    __slots__ = ("_alive", "_grown", "_has_oddity", "_times", "_values", "labels", "name", "seen", "stamped")

    def __init__(self, name: str, labels: Mapping[str, str], stamped: bool, time: float, value: float, grown: float) -> None:
        self.name = name
        self.labels = labels
        self.stamped = stamped
        self.seen = 0.0
        self._times = array("d", (time,))
        self._values = array("d", (value,))
        self._grown = array("d", (grown,))
        self._alive = bytearray((1,))
        self._has_oddity = _is_odd(value)

    def take(self, time: float, value: float, process: _Process) -> None:
        """The scrape at ``time`` showed ``value``."""
        former = self._values[-1]
        if value == former and self._alive[-1] and process is not _Process.RESTARTED and not self.stamped:
            return
        growth = value if process is _Process.RESTARTED or value < former else value - former
        growth = 0.0 if process is _Process.SWAPPED else growth
        self._add(time, value, growth if math.isfinite(growth) else 0.0, 1)

    def miss(self, time: float) -> None:
        """The scrape at ``time`` did not show it any more."""
        if self._alive[-1]:
            self._add(time, self._values[-1], 0.0, 0)

    def _add(self, time: float, value: float, growth: float, alive: int) -> None:
        # A page that gives its samples old times adds nothing new.
        if time <= self._times[-1]:
            return
        self._has_oddity |= _is_odd(value)
        self._times.append(time)
        self._values.append(value)
        self._grown.append(self._grown[-1] + growth)
        self._alive.append(alive)

    def growth(self, start: float, at: float) -> float:
        """How much was seen to be added by the scrapes in (start, at]. Means nothing where there is an ``oddity``."""
        first, last = bisect_right(self._times, start) - 1, bisect_right(self._times, at) - 1
        return (self._grown[last] if last >= 0 else 0.0) - (self._grown[first] if first >= 0 else 0.0)

    def oddity(self, start: float, at: float) -> float | None:
        """The first value that its growth over (start, at] rests on though no counter can have it; None if there is none."""
        if not self._has_oddity:  # as nearly always: most series need not be searched
            return None
        first, last = bisect_right(self._times, start) - 1, bisect_right(self._times, at)
        return next(filter(_is_odd, self._values[max(first, 0) : last]), None)

    def is_part_of(self, start: float, at: float) -> bool:
        """It was there at some time in (start, at]."""
        last = bisect_right(self._times, at) - 1
        return last >= 0 and (self._alive[last] == 1 or self._times[last] > start)

    def value(self, at: float) -> float | None:
        """Its value as of ``at``; None if it was not there."""
        last = bisect_right(self._times, at) - 1
        return self._values[last] if last >= 0 and self._alive[last] else None

    def newest(self, scrapes: "array[float]", at: float) -> float:
        """The time of its newest sample as of ``at``; its endpoint was scraped at ``scrapes``."""
        last = bisect_right(self._times, at) - 1
        if not self._alive[last]:
            return scrapes[max(bisect_left(scrapes, self._times[last]) - 1, 0)]
        return self._times[last] if self.stamped else scrapes[bisect_right(scrapes, at) - 1]

    def trim(self, before: float) -> bool:
        """Forget what no window that starts at or after ``before`` needs; False if that is everything."""
        first = bisect_right(self._times, before) - 1
        if first > 0:
            for points in (self._times, self._values, self._grown):
                del points[:first]
            del self._alive[:first]
        return bool(self._alive[-1]) or self._times[-1] > before


def _is_odd(value: float) -> bool:
    """Whether no counter can have this value. NaN is neither below nor above anything."""
    return not 0 <= value < math.inf


class Track:
    """Everything that one endpoint said. Written by one scrape at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.scrapes = array("d")
        self.by_text: dict[str, Series] = {}
        self._by_identity: dict[Identified, Series] = {}
        self._by_name: dict[str, list[Series]] = {}
        self._process: float | None = None
        self.is_shared = False
        """The last scrape was answered by another process than the one before, which was running all along."""

    def __len__(self) -> int:
        return len(self._by_identity)

    def named(self, metric: str) -> Sequence[Series]:
        """Its series of this name."""
        return self._by_name.get(metric, ())

    def unknown(self, samples: Sequence[Sample]) -> dict[str, Identified]:
        """Name and labels of each text that no series was written as before. Raises Transient if one cannot be read."""
        try:
            return {sample.series: self._identified(sample.series) for sample in samples if sample.series not in self.by_text}
        except ValueError as error:
            raise Transient(
                f"{self.endpoint.place} was not scraped: its page is no page of metrics ({str(error)[:100]}); correct the page"
            ) from error

    def _identified(self, text: str) -> Identified:
        name, exposed = labels_of(text)
        own = self.endpoint.labels
        return name, frozenset({**{f"exported_{label}" if label in own else label: value for label, value in exposed.items()}, **own}.items())

    def take(self, samples: Sequence[Sample], unknown: Mapping[str, Identified], time: float) -> None:
        """The scrape at ``time`` showed exactly these samples."""
        process = self._compare(process_start(samples))
        is_baseline = not self.scrapes or process is _Process.SWAPPED
        self.is_shared = process is _Process.SWAPPED
        self.scrapes.append(time)
        for text, identified in unknown.items():
            # Some pages order their labels anew each time: another text is not another series.
            if (known := self._by_identity.get(identified)) is not None:
                self.by_text[text] = known
        for sample in samples:
            moment = time if sample.stamp is None else min(sample.stamp, time)
            series = self.by_text.get(sample.series)
            if series is None:
                series = self._bear(sample, unknown[sample.series], moment, is_baseline)
            else:
                series.take(moment, sample.value, process)
            series.seen = time
        for series in self._by_identity.values():
            if series.seen != time:
                series.miss(time)

    def _compare(self, started: float | None) -> _Process:
        former, self._process = self._process, started
        # Some compute the start of their process anew each time, a fraction of a second off.
        if started is None or former is None or abs(started - former) <= 1:
            return _Process.SAME
        # Clocks of two machines may differ by so much.
        return _Process.SWAPPED if started < self.scrapes[-1] - 60 else _Process.RESTARTED

    def _bear(self, sample: Sample, identified: Identified, moment: float, is_baseline: bool) -> Series:
        name, labels = identified
        grown = 0.0 if is_baseline or not math.isfinite(sample.value) else sample.value
        series = Series(name, dict(labels), sample.stamp is not None, moment, sample.value, grown)
        self.by_text[sample.series] = self._by_identity[identified] = series
        self._by_name.setdefault(name, []).append(series)
        return series

    def trim(self, before: float) -> None:
        """Forget what no window that starts at or after ``before`` needs. Done now and then: it costs a look at every series."""
        if bisect_right(self.scrapes, before) < _TRIM_EVERY:
            return
        del self.scrapes[: bisect_right(self.scrapes, before) - 1]
        self._by_identity = {identified: series for identified, series in self._by_identity.items() if series.trim(before)}
        kept = {id(series) for series in self._by_identity.values()}
        self.by_text = {text: series for text, series in self.by_text.items() if id(series) in kept}
        self._by_name = {}
        for series in self._by_identity.values():
            self._by_name.setdefault(series.name, []).append(series)

    def start(self, start: float, at: float, gap: float) -> tuple[float, bool]:
        """From when on this endpoint's growth belongs to (start, at], and whether that is the whole window.

        Not the whole one if it was not scraped within ``gap`` seconds before ``start``: what grew since the last scrape may be older than the window.
        """
        before = bisect_right(self.scrapes, start) - 1
        if before >= 0 and self.scrapes[before] >= start - gap:
            return start, True
        return (self.scrapes[before + 1] if before + 1 < len(self.scrapes) else at), False

    @property
    def newest(self) -> float:
        """The time of its newest scrape; -inf without one."""
        return self.scrapes[-1] if self.scrapes else -math.inf

    def was_scraped(self, at: float) -> bool:
        """A scrape of ``at`` or before is remembered."""
        return bool(self.scrapes) and self.scrapes[0] <= at


class Ring:
    """The tracks of all endpoints. Not locked: its owner sees to that."""

    def __init__(self, retention: float, max_series: int) -> None:
        self._retention = retention
        self._max_series = max_series
        self._tracks: dict[tuple[str, tuple[tuple[str, str], ...]], Track] = {}

    def track(self, endpoint: Endpoint) -> Track:
        """The endpoint's track; an address that comes with other labels is another endpoint."""
        key = (endpoint.url, tuple(sorted(endpoint.labels.items())))
        return self._tracks.setdefault(key, Track(endpoint))

    def take(self, track: Track, samples: Sequence[Sample], unknown: Mapping[str, Identified], time: float) -> None:
        """Keep a scrape. Raises Transient, and keeps nothing of it, if that were too many series or its time is not new."""
        if self.series + len(unknown) > self._max_series:
            raise Transient(
                f"{track.endpoint.place} was not scraped: with its {len(unknown)} new series there were more than {self._max_series}; "
                "its workload is unknown; raise max_series or expose fewer"
            )
        if track.scrapes and time <= track.scrapes[-1]:
            raise Transient(
                f"{track.endpoint.place} was not scraped: the clock stands or went back; its workload is unknown until the clock has caught up"
            )
        track.take(samples, unknown, time)
        track.trim(time - self._retention)

    def forget(self, now: float) -> None:
        """Drop the endpoints that were not scraped within the retention."""
        self._tracks = {key: track for key, track in self._tracks.items() if not track.scrapes or track.scrapes[-1] > now - self._retention}

    @property
    def series(self) -> int:
        """How many series are kept."""
        return sum(len(track) for track in self._tracks.values())

    @property
    def newest(self) -> float:
        """The time of the newest scrape of all; -inf if nothing was ever scraped, or all of it is forgotten."""
        return max((track.newest for track in self._tracks.values()), default=-math.inf)

    def named(self, metric: str) -> Iterator[tuple[Track, Series]]:
        """Every series of this name, with its track."""
        for track in self._tracks.values():
            for series in track.named(metric):
                yield track, series
