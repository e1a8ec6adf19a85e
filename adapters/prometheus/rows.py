"""From the series of an answer to one row per workload."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import inf, isfinite
from operator import itemgetter
from typing import TypeAlias

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.source import Answer, Row, RowKey
from rollbackd.adapters.prometheus.questions import NEWEST, NEWEST_OF_ALL, UNEVEN, Question

Sample: TypeAlias = tuple[Mapping[str, str], str | None]
"""A series' labels and its value at one instant; None where the value is no number (a native histogram)."""


@dataclass(slots=True)
class Sorted:
    """The samples of one instant, sorted by workload. Values that are no finite number are not among ``values``."""

    values: dict[RowKey, dict[str, float]]
    stamps: dict[RowKey, float]
    newest_of_all: float | None
    faults: dict[RowKey, str]
    known: set[str]


def sort_samples(samples: Iterable[Sample], question: Question) -> Sorted:
    """The samples of the asked workloads. A second series for one part of a workload is a fault of that workload.

    NaN and Inf are no data, so such values are left out.
    """
    found = Sorted({}, {}, None, {}, set())
    values, stamps, known, only = found.values, found.stamps, found.known, question.only
    labels, part_label, key_of = question.labels, question.part_label, _key_of(question.labels)
    spoilt: set[RowKey] = set()
    for metric, text in samples:
        part = metric[part_label]
        if part == NEWEST_OF_ALL:
            found.newest_of_all = float(text or "nan")
            continue
        key = key_of(metric)
        if part == NEWEST:
            stamps[key] = float(text or "nan")
            continue
        known.add(part)
        row = values.get(key)
        if row is None:
            if key not in only:
                continue
            row = values[key] = {}
        if part in row:
            found.faults[key] = _two_series(key, labels)
        if text is None:
            found.faults[key] = f"{_named(key, labels)} has a native histogram where a number was expected"
        value = row[part] = float(text or "nan")
        if not isfinite(value):
            spoilt.add(key)
    for key in spoilt:
        values[key] = {part: value for part, value in values[key].items() if isfinite(value)}
    return found


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


def rows_of(found: Sorted, question: Question, at: datetime, infos: tuple[str, ...]) -> Answer:
    """One row per workload that has a value and no fault."""
    oldest = at - question.unstamped
    fallback = oldest if found.newest_of_all is None or found.stamps.keys() & question.only else moment(found.newest_of_all)
    rows: dict[RowKey, Row] = {}
    for key, values in found.values.items():
        if values and key not in found.faults:
            stamp = found.stamps.get(key)
            rows[key] = Row(values, fallback if stamp is None else moment(stamp))
    return Answer(rows, found.faults, infos, frozenset(found.known))


def bracket(found: Sorted, limit: float, wanted: frozenset[float]) -> set[RowKey]:
    """Each workload's buckets become ``total``, ``most``, ``least``, ``low`` and ``high``; those whose buckets differ among themselves get a fault.

    Returns the workloads that have no bucket at one of the ``wanted`` bounds, though others may.
    """
    bounds = {part: float(part) for part in found.known if part != UNEVEN}
    lacking = set()
    for key, cumulative in found.values.items():
        if UNEVEN in cumulative:
            found.faults[key] = "its series have different buckets, as while a release changes them: their sum says nothing"
            continue
        own = {bounds[part]: count for part, count in cumulative.items()}
        if inf in own and not wanted <= own.keys():
            lacking.add(key)
        found.values[key] = _bracketed(own, limit)
    found.known = {"total"} if bounds else set()
    return lacking


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


@lru_cache(maxsize=20_000)
def moment(seconds: float) -> datetime:
    """The time of a sample; one object for the signals that were scraped together, since readings are kept."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Transient(f"a sample is said to be of the time {seconds}, so the answer was not used: look at the source") from error


def _two_series(key: RowKey, labels: tuple[str, ...]) -> str:
    return f"two series for {_named(key, labels)}: aggregate the expression by ({', '.join(labels)})"


def _named(key: RowKey, labels: tuple[str, ...]) -> str:
    return ", ".join(f"{label}={value!r}" for label, value in zip(labels, key, strict=True))
