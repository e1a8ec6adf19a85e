"""Answers from the ring: the four queries over what was scraped, exact where it reaches, silent where it does not. Pure."""

import functools
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeAlias

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Answer, Derived, Expression, Identity, Increases, Levels, Matcher, Query, Row, RowKey, Selector, Slower
from rollbackd.adapters.scrape.ring import Ring, Track
from rollbackd.adapters.scrape.series import Series


@dataclass(frozen=True, slots=True)
class Asked:
    """A ring, the moment it is asked for, and the least pause between two scrapes that is a gap; in seconds."""

    ring: Ring
    at: float
    gap: float
    freshness: float


@dataclass(frozen=True, slots=True)
class _Found:
    """One series that answers, of one workload."""

    track: Track
    series: Series
    labels: Mapping[str, str]


@dataclass(slots=True)
class _Sum:
    """What was counted for one workload. ``covers``: an endpoint was watched over the whole window. ``fault``: why it cannot be counted."""

    parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    newest: float = -math.inf
    covers: bool = False
    fault: str = ""

    def add(self, part: str, found: _Found, asked: Asked, window: float, *, counts: bool = True) -> None:
        start, whole = found.track.start(asked.at - window, asked.at, asked.gap)
        self.parts[part] += found.series.growth(start, asked.at) if counts else 0.0
        # A sum without it would be too small: where it counts errors, that would prove health.
        if counts and not self.fault and (odd := found.series.oddity(start, asked.at)) is not None:
            self.fault = f"{_named(found.series)} showed {odd:g}: what is below zero or no finite number counts nothing"
        self.newest = max(self.newest, found.series.newest(found.track.scrapes, asked.at))
        self.covers |= whole


def answer(query: Query, asked: Asked) -> Answer:
    """The answer from what was scraped at or before ``asked.at``. Raises Permanent for what scraping cannot answer."""
    match query:
        case Increases():
            return _increases(query, asked)
        case Slower():
            return _slower(query, asked)
        case Levels():
            return _levels(query, asked)
        case Expression():
            raise Permanent(
                "the scrape source has no PromQL; nothing was asked; write the signal as ratio, latency, gauge, count or rate, or use Prometheus"
            )


def _increases(query: Increases, asked: Asked) -> Answer:
    window = query.window.total_seconds()
    sums: dict[RowKey, _Sum] = defaultdict(_Sum)
    known: set[str] = set()
    for part, selector in query.parts:
        counts = _chooser(query, selector, asked)
        for key, found in _workloads(selector, query.identity, asked.ring):
            if found.series.is_part_of(asked.at - window, asked.at):
                known.add(part)
                if key in query.only:
                    sums[key].add(part, found, asked, window, counts=counts(found))
    rows = {key: Row(dict(counted.parts), _moment(counted.newest)) for key, counted in sums.items() if counted.covers and not counted.fault}
    return Answer(rows, {key: counted.fault for key, counted in sums.items() if counted.fault}, known_parts=frozenset(known))


def _chooser(query: Increases, counter: Selector, asked: Asked) -> Callable[[_Found], bool]:
    """Whether a counter's growth counts: always, or where a series of ``where`` is above zero."""
    if query.where is None:
        return lambda found: True
    ignored = {one.label for one in query.where.matchers} - {one.label for one in counter.matchers}

    def rest(found: _Found) -> frozenset[tuple[str, str]]:
        return frozenset((label, value) for label, value in found.series.labels.items() if label not in ignored)

    chosen = {rest(found) for _, found in _workloads(query.where, query.identity, asked.ring) if (_value(found, asked) or 0.0) > 0}
    return lambda found: rest(found) in chosen


def _slower(query: Slower, asked: Asked) -> Answer:
    window = query.window.total_seconds()
    buckets = buckets_of(query.histogram)
    sums: dict[RowKey, _Sum] = defaultdict(_Sum)
    layouts: dict[RowKey, dict[object, _Layout]] = defaultdict(lambda: defaultdict(dict))
    for key, found in _workloads(buckets, query.identity, asked.ring):
        if key in query.only and found.series.is_part_of(asked.at - window, asked.at):
            bound = found.labels.get("le", "")
            sums[key].add(bound, found, asked, window)
            stretch = tuple(found.series.value(moment) is not None for moment in (asked.at - window, asked.at))
            layouts[key][id(found.track), frozenset(item for item in found.labels.items() if item[0] != "le")][_bound(bound)] = stretch
    rows, faults = {}, {}
    for key, counted in sums.items():
        if not counted.covers and not counted.fault:
            continue
        shared = counted.fault or _shared(tuple(layouts[key].values()))
        if isinstance(shared, str):
            faults[key] = shared
        else:
            rows[key] = Row(_bracketed(_cumulative(counted.parts, shared), query.limit), _moment(counted.newest))
    return Answer(rows, faults, known_parts=frozenset({"total"} if sums else ()))


def buckets_of(histogram: Selector) -> Selector:
    """The series that a histogram consists of, whichever way it is named."""
    return replace(histogram, metric=f"{histogram.metric.removesuffix('_bucket')}_bucket")


_Layout: TypeAlias = dict[float | None, tuple[bool, ...]]
"""The bounds of one histogram, each with whether it was there where the window begins and where it ends."""


def _shared(layouts: Sequence[_Layout]) -> frozenset[float] | str:
    """The bounds that all of a workload's histograms have had for as long as their totals; a fault where that is none."""
    if any(None in layout or math.inf not in layout for layout in layouts):
        return 'its histogram has no bucket le="+Inf", or one whose bound is no number: correct what it exposes'
    # A bucket that a restart brought or took away inside the window has counted less than the total: its requests would look slow.
    steady = [frozenset(bound for bound, stretch in layout.items() if bound is not None and stretch == layout[math.inf]) for layout in layouts]
    shared = frozenset.intersection(*steady)
    if len(shared) == 1 and any(len(layout) > 1 for layout in layouts):
        return "its series have different buckets, as while a release changes them, and share none: their sum says nothing"
    return shared


def _cumulative(parts: Mapping[str, float], shared: frozenset[float]) -> Mapping[float, float]:
    """The sums at these bounds, however they are spelt."""
    sums: dict[float, float] = defaultdict(float)
    for text, count in parts.items():
        if (bound := _bound(text)) in shared and bound is not None:
            sums[bound] += count
    return sums


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _bracketed(cumulative: Mapping[float, float], limit: float) -> dict[str, float]:
    total = cumulative[math.inf]
    low = max((bound for bound in cumulative if bound <= limit), default=0.0)
    high = min(bound for bound in cumulative if bound >= limit)
    most = max(total - cumulative.get(low, 0.0), 0.0)
    return {"total": total, "most": most, "least": min(max(total - cumulative[high], 0.0), most), "low": low, "high": high}


def _levels(query: Levels, asked: Asked) -> Answer:
    limits = (
        None if query.of is None else [found for _, found in _workloads(query.of, query.identity, asked.ring) if _value(found, asked) is not None]
    )
    by_row: dict[RowKey, list[_Found]] = defaultdict(list)
    for key, found in _workloads(query.value, query.identity, asked.ring):
        if key in query.only and _value(found, asked) is not None:
            by_row[key].append(found)
    limit_of = _joined([found for several in by_row.values() for found in several], limits)
    rows, faults = {}, {}
    for key, several in by_row.items():
        level = _level(query, several, limit_of, asked)
        if isinstance(level, str):
            faults[key] = level
        elif level is not None:
            rows[key] = level
    return Answer(rows, faults, known_parts=frozenset({"value"} if by_row else ()))


def _level(query: Levels, several: Sequence[_Found], limit_of: Callable[[_Found], list[_Found]] | None, asked: Asked) -> Row | str | None:
    newest = {id(found): found.series.newest(found.track.scrapes, asked.at) for found in several}
    latest = max(newest.values())
    values = []
    by_unit: dict[str, list[float]] = defaultdict(list)
    for found in several:
        # A pod that no longer answers must not hold the row at its last value while others go on.
        if newest[id(found)] < latest - asked.freshness:
            continue
        value = _value(found, asked)
        if limit_of is not None:
            limits = limit_of(found)
            if len(limits) > 1:
                return (
                    f"{len(limits)} series of {query.of.metric if query.of else ''} match one of {query.value.metric}: add matchers until one is left"
                )
            divisor = _value(limits[0], asked) if limits else None
            # No limit is no limit breached.
            value = value / divisor if value is not None and divisor is not None and divisor > 0 else None
        if value is not None:
            values.append(value)
            by_unit[found.labels.get(query.per or "", "")].append(value)
    finite = [value for value in values if math.isfinite(value)]
    if not finite or len(finite) < len(values):
        return None
    if query.per is None:
        return Row({"value": _pick(query.pick, finite)}, _moment(latest))
    highest = sorted(map(max, by_unit.values()), reverse=True)
    return Row({"value": highest[:2][-1], "units": float(len(highest))}, _moment(latest))


def _joined(values: Sequence[_Found], limits: Sequence[_Found] | None) -> Callable[[_Found], list[_Found]] | None:
    """Which of ``limits`` belong to a series: those equal in every label that both sides have anywhere."""
    if limits is None:
        return None
    shared = sorted({label for found in values for label in found.series.labels} & {label for found in limits for label in found.series.labels})
    by_labels: dict[tuple[str, ...], list[_Found]] = defaultdict(list)
    for found in limits:
        by_labels[tuple(found.series.labels.get(label, "") for label in shared)].append(found)
    return lambda found: by_labels.get(tuple(found.series.labels.get(label, "") for label in shared), [])


def _value(found: _Found, asked: Asked) -> float | None:
    return found.series.value(asked.at) if found.track.was_scraped(asked.at) else None


def _pick(pick: str, values: Sequence[float]) -> float:
    match pick:
        case "max":
            return max(values)
        case "min":
            return min(values)
        case "sum":
            return math.fsum(values)
    return math.fsum(values) / len(values)


def _workloads(selector: Selector, identity: Identity, ring: Ring) -> Iterator[tuple[RowKey, _Found]]:
    tests = [_test(matcher) for matcher in selector.matchers]
    for track, series in ring.named(selector.metric):
        if not all(test(series.labels) for test in tests):
            continue
        labels = series.labels if identity.derived is None else _with(identity.derived, series.labels)
        if labels is not None:
            yield tuple(labels.get(name, "") for name in identity.labels), _Found(track, series, labels)


def _with(derived: Derived, labels: Mapping[str, str]) -> Mapping[str, str] | None:
    match = _pattern(derived.pattern).fullmatch(labels.get(derived.source, ""))
    return {**labels, derived.label: match[1] or ""} if match and match.re.groups else None


def _test(matcher: Matcher) -> Callable[[Mapping[str, str]], bool]:
    label, value = matcher.label, matcher.value
    match matcher.op:
        case "=":
            return lambda labels: labels.get(label, "") == value
        case "!=":
            return lambda labels: labels.get(label, "") != value
        case "=~":
            wanted = _pattern(value)
            return lambda labels: wanted.fullmatch(labels.get(label, "")) is not None
        case "!~":
            unwanted = _pattern(value)
            return lambda labels: unwanted.fullmatch(labels.get(label, "")) is None


@functools.lru_cache(1024)
def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.DOTALL)
    except re.error as error:
        raise Permanent(f"{text[:80]!r} is no regular expression ({error}); nothing was asked; correct the policy or the metric profile") from error


def _named(series: Series) -> str:
    labels = ",".join(f'{label}="{value}"' for label, value in sorted(series.labels.items()))
    return f"{series.name}{{{labels}}}"[:200]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
