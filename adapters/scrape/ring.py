"""What was scraped lately: per endpoint the times of its scrapes, per series its value and how much it grew. Bounded in time and in series.

Times are seconds since the epoch. A series that appears on an endpoint scraped before was born and counts in full; one of the first scrape does not.
"""

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.scrape.page import Endpoint, Sample, labels_of, process_start
from rollbackd.adapters.scrape.series import Process, Series

_TRIM_EVERY = 32
Identified: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
"""Name and labels of a series, in no order."""


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

    @property
    def metrics(self) -> frozenset[str]:
        """The names of its series."""
        return frozenset(self._by_name)

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
        is_baseline = not self.scrapes or process is Process.SWAPPED
        self.is_shared = process is Process.SWAPPED
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

    def _compare(self, started: float | None) -> Process:
        former, self._process = self._process, started
        # Some compute the start of their process anew each time, a fraction of a second off.
        if started is None or former is None or abs(started - former) <= 1:
            return Process.SAME
        # Clocks of two machines may differ by so much.
        return Process.SWAPPED if started < self.scrapes[-1] - 60 else Process.RESTARTED

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


_Labels: TypeAlias = tuple[tuple[str, str], ...]
_Key: TypeAlias = tuple[str, _Labels]


def _labels(endpoint: Endpoint) -> _Labels:
    return tuple(sorted(endpoint.labels.items()))


def _key(endpoint: Endpoint) -> _Key:
    return endpoint.url, _labels(endpoint)


@dataclass(frozen=True, slots=True)
class Lost:
    """What departed endpoints with the labels of ``endpoint`` told of these ``metrics``, up to ``newest``."""

    endpoint: Endpoint
    metrics: frozenset[str]
    newest: float

    def joined(self, other: "Lost") -> "Lost":
        """Both, of endpoints with the same labels."""
        return replace(self, metrics=self.metrics | other.metrics, newest=max(self.newest, other.newest))


class Ring:
    """The tracks of all endpoints. Not locked: its owner sees to that."""

    def __init__(self, retention: float, max_series: int) -> None:
        self._retention = retention
        self._max_series = max_series
        self._tracks: dict[_Key, Track] = {}
        self._departed: list[Track] = []
        self._lost: dict[_Labels, Lost] = {}
        self._let_go: dict[_Key, float] = {}

    def track(self, endpoint: Endpoint) -> Track:
        """The endpoint's track; an address that comes with other labels is another endpoint."""
        return self._tracks.setdefault(_key(endpoint), Track(endpoint))

    def gather(self, endpoints: Sequence[Endpoint], now: float, unsure: float = 0.0) -> list[Track]:
        """The tracks of the endpoints of this moment. All others have departed, if they were not scraped for ``unsure`` seconds.

        What was not scraped within the retention is dropped, and what departed without ever being scraped.
        """
        here, oldest = {_key(endpoint) for endpoint in endpoints}, now - self._retention
        self._lost = {labels: lost for labels, lost in self._lost.items() if lost.newest > oldest}
        self._let_go = {key: newest for key, newest in self._let_go.items() if newest > oldest}
        self._tracks = {key: track for key, track in self._tracks.items() if track.newest > oldest or (key in here and not track.scrapes)}
        departed = [track for key, track in self._tracks.items() if key not in here and track.newest <= now - unsure]
        self._departed = sorted(departed, key=lambda track: track.newest)
        return [self.track(endpoint) for endpoint in endpoints]

    def take(self, track: Track, samples: Sequence[Sample], unknown: Mapping[str, Identified], time: float) -> None:
        """Keep a scrape. Raises Transient, and keeps nothing of it, if that were too many series or its time is not new."""
        if track.scrapes and time <= track.scrapes[-1]:
            raise Transient(
                f"{track.endpoint.place} was not scraped: the clock stands or went back; its workload is unknown until the clock has caught up"
            )
        if not self._make_room(len(unknown)):
            raise Transient(
                f"{track.endpoint.place} was not scraped: with its {len(unknown)} new series there were more than {self._max_series}; "
                "its workload is unknown; raise max_series or expose fewer"
            )
        track.take(samples, unknown, time)
        if self._let_go.pop(_key(track.endpoint), None) is not None:
            # It is back: what it counted while it was away would be growth of this scrape.
            self._lose(track)
        track.trim(time - self._retention)

    def _make_room(self, more: int) -> bool:
        """So many more series may be kept: those that departed longest ago were let go for them. Nothing was, where that would not do."""
        lacking, leaving = self.series + more - self._max_series, 0
        while lacking > 0 and leaving < len(self._departed):
            lacking -= len(self._departed[leaving])
            leaving += 1
        if lacking > 0:
            return False
        for track in self._departed[:leaving]:
            self._lose(track)
            key = _key(track.endpoint)
            self._let_go[key] = track.newest
            del self._tracks[key]
        del self._departed[:leaving]
        return True

    def _lose(self, track: Track) -> None:
        """What the endpoint told up to now is not known any more."""
        labels, lost = _labels(track.endpoint), Lost(track.endpoint, track.metrics, track.newest)
        self._lost[labels] = self._lost[labels].joined(lost) if labels in self._lost else lost

    @property
    def lost(self) -> Sequence[Lost]:
        """What was let go within the retention."""
        return tuple(self._lost.values())

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
