"""From the series of an answer to one row per workload."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import inf, isfinite, nan
from operator import itemgetter
from typing import Any, TypeAlias

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.source import Answer, Buckets, Row, RowKey
from rollbackd.adapters.prometheus.buckets import bound_of
from rollbackd.adapters.prometheus.questions import NEWBORN, NEWEST, NEWEST_OF_ALL, SAMPLES, UNEVEN, Question

Native: TypeAlias = Mapping[str, Any]
"""A native histogram as the API writes it: ``count`` and ``buckets``."""
Sample: TypeAlias = tuple[Mapping[str, str], str | Native]
"""A series' labels and its value at one instant."""


@dataclass(slots=True)
class Sorted:
    """The samples of one instant, sorted by workload. Values that are no finite number are not among ``values``.

    ``has_births``: there are newborn series, as only the answer to a calm question says.
    """

    values: dict[RowKey, dict[str, float]]
    stamps: dict[RowKey, float]
    newest_of_all: float | None
    faults: dict[RowKey, str]
    known: set[str]
    has_births: bool = False

    @property
    def is_calm(self) -> bool:
        """Whether the answer to a calm question is that to the whole one."""
        return not self.has_births and self.values.keys() <= self.stamps.keys()


def sort_samples(samples: Iterable[Sample], question: Question) -> Sorted:
    """The samples of the asked workloads. A second series for one part of a workload is a fault of that workload.

    NaN and Inf are no data, so a workload with such a value has none.
    """
    found = nothing()
    values, stamps, known, only = found.values, found.stamps, found.known, question.only
    labels, part_label, key_of = question.labels, question.part_label, _key_of(question.labels)
    spoilt: set[RowKey] = set()
    for metric, text in samples:
        part = metric[part_label]
        if part == NEWEST_OF_ALL:
            found.newest_of_all = number(text)
            continue
        if part == NEWBORN:
            found.has_births = True
            continue
        key = key_of(metric)
        if part == NEWEST:
            stamps[key] = number(text)
            continue
        known.add(part)
        row = values.get(key)
        if row is None:
            if key not in only:
                continue
            row = values[key] = {}
        if part in row:
            found.faults[key] = _two_series(key, labels)
        if not isinstance(text, str):
            found.faults[key] = f"{_named(key, labels)} has a native histogram where a number was expected"
        value = row[part] = number(text)
        if not isfinite(value):
            spoilt.add(key)
    for key in spoilt:
        # Not only that part: without it, errors that cannot be counted would look like errors that never were.
        values[key] = {}
    return found


def nothing() -> Sorted:
    """What no sample says."""
    return Sorted({}, {}, None, {}, set())


def number(value: str | Native) -> float:
    """The number that a sample is; NaN for a histogram."""
    return float(value) if isinstance(value, str) else nan


def _key_of(labels: tuple[str, ...]) -> Callable[[Mapping[str, str]], RowKey]:
    """A function from a series' labels to its workload; a label that it lacks is empty, as in Prometheus."""
    if not labels:
        return lambda metric: ()
    if len(labels) == 1:
        (label,) = labels
        return lambda metric: (metric.get(label, ""),)
    present = itemgetter(*labels)

    def key(metric: Mapping[str, str]) -> RowKey:
        try:
            found: RowKey = present(metric)
        except KeyError:
            return tuple([metric.get(label, "") for label in labels])
        return found

    return key


def rows_of(found: Sorted, question: Question, at: datetime) -> Answer:
    """One row per workload that has a value and no fault."""
    oldest, known = at - question.unstamped, _moments(at)
    fallback = oldest if found.newest_of_all is None or found.stamps.keys() & question.only else _moment(found.newest_of_all, known)
    rows: dict[RowKey, Row] = {}
    for key, values in found.values.items():
        if values and key not in found.faults:
            stamp = found.stamps.get(key)
            rows[key] = Row(values, fallback if stamp is None else _moment(stamp, known))
    return Answer(rows, found.faults, frozenset(found.known))


def bracket(found: Sorted, limit: float, wanted: frozenset[float]) -> set[RowKey]:
    """Each workload's buckets become ``total``, ``most``, ``least``, ``low`` and ``high``.

    Returns the workloads that have to be judged by buckets of their own: they have none at one of the ``wanted`` bounds, though others may,
    or their series have not all the same.
    """
    bounds = {part: bound_of(part) for part in found.known if part != UNEVEN}
    lacking = set()
    for key, cumulative in found.values.items():
        if UNEVEN in cumulative:
            lacking.add(key)
            continue
        own = {bounds[part]: count for part, count in cumulative.items()}
        if inf in own and not wanted <= own.keys():
            lacking.add(key)
        found.values[key] = _bracketed(own, limit)
    found.known = {"total"} if bounds else set()
    return lacking


def bracket_by_shared(found: Sorted, limit: float) -> None:
    """As ``bracket``, of the answer that has all buckets with their samples: by those that all series of a workload have had all the time.

    Workloads whose series share none get a fault.
    """
    for key, parts in found.values.items():
        if buckets_in(parts) == Buckets((), is_mixed=True):
            found.faults[key] = "its series have different buckets, as while a release changes them, and share none: their sum says nothing"
        else:
            found.values[key] = _bracketed(_shared(parts)[0], limit)


def buckets_in(parts: Mapping[str, float]) -> Buckets:
    """The buckets of one workload, out of the answer that has all of them with their samples."""
    shared, has_more = _shared(parts)
    return Buckets(tuple(sorted(bound for bound in shared if isfinite(bound))), has_more)


def _shared(parts: Mapping[str, float]) -> tuple[Mapping[float, float], bool]:
    """The buckets whose series have as many samples as those of the total, however they are spelt, and whether there are others."""
    grown: dict[float, float] = defaultdict(float)
    samples: dict[float, float] = defaultdict(float)
    for part, count in parts.items():
        sums = samples if part.startswith(SAMPLES) else grown
        sums[bound_of(part.removeprefix(SAMPLES))] += count
    shared = {bound: count for bound, count in grown.items() if samples[bound] == samples[inf]}
    return shared, len(shared) < len(grown)


def _bracketed(cumulative: Mapping[float, float], limit: float) -> dict[str, float]:
    total = cumulative.get(inf)
    if total is None:
        return {}
    low = max([bound for bound in cumulative if bound <= limit], default=0.0)
    high = min([bound for bound in cumulative if bound >= limit])
    # Each bucket is extrapolated by itself, so a smaller one can come out a little above a larger one.
    most = min(max(total - cumulative.get(low, 0.0), 0.0), total)
    least = most if high == low else min(max(total - cumulative[high], 0.0), most)  # one object: there are many, and they are kept
    return {"total": total, "most": most, "least": least, "low": low, "high": high}


@lru_cache(maxsize=8)
def _moments(at: datetime) -> dict[float, datetime]:
    """The times of the samples that the slot ``at`` was answered with: one object for signals that were scraped together, since readings are kept."""
    return {}


def _moment(seconds: float, known: dict[float, datetime]) -> datetime:
    found = known.get(seconds)
    if found is None:
        try:
            found = known[seconds] = datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise Transient(f"a sample is said to be of the time {seconds}, so the answer was not used: look at the source") from error
    return found


def _two_series(key: RowKey, labels: tuple[str, ...]) -> str:
    return f"two series for {_named(key, labels)}: aggregate the expression by ({', '.join(labels)})"


def _named(key: RowKey, labels: tuple[str, ...]) -> str:
    return ", ".join(f"{label}={value!r}" for label, value in zip(labels, key, strict=True))
