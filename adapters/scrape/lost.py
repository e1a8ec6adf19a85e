"""What was let go before its time, to make room for living endpoints: the answers that it would have been part of are unknown. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import assert_never

from rollbackd.adapters.base.source import Answer, Expression, Increases, Levels, Query, Row, RowKey, Slower
from rollbackd.adapters.scrape.answer import Asked, buckets_of
from rollbackd.adapters.scrape.ring import Lost


def without(lost: Iterable[Lost], found: Answer, query: Query, asked: Asked) -> Answer:
    """The answer ``found`` to the query; a workload that something lost would have told of is a fault of its own, never a smaller count."""
    touched = [each for each in lost if not each.metrics.isdisjoint(_metrics(query))]
    if not touched:
        return found
    faults = {key: fault for key in query.only for fault in _faults(touched, key, found.rows.get(key), query, asked)}
    return replace(found, rows={key: row for key, row in found.rows.items() if key not in faults}, faults={**found.faults, **faults})


def _faults(lost: Sequence[Lost], key: RowKey, row: Row | None, query: Query, asked: Asked) -> Iterator[str]:
    begin = _begin(query, row, asked)
    derived = query.identity.derived
    # A label that is computed is none of a page's own.
    shown = {label: value for label, value in zip(query.identity.labels, key, strict=True) if derived is None or label != derived.label}
    newest = max((each.newest for each in lost if each.newest >= begin and each.endpoint.may_show(shown)), default=None)
    if newest is not None:
        yield (
            f"what endpoints that left by {datetime.fromtimestamp(newest, UTC):%H:%M:%S} had told made room for living ones; "
            "the workload is unknown while that is part of its window; raise max_series or expose fewer"
        )


def _begin(query: Query, row: Row | None, asked: Asked) -> float:
    """Since when a scrape takes part in this row."""
    match query:
        case Increases() | Slower():
            start = asked.at - query.window.total_seconds()
            # What says whether growth counts is a level.
            return min(start, asked.at - asked.freshness) if isinstance(query, Increases) and query.where is not None else start
        case Levels():
            return (asked.at if row is None else row.newest.timestamp()) - asked.freshness
        case Expression():
            return asked.at
    assert_never(query)


def _metrics(query: Query) -> frozenset[str]:
    match query:
        case Increases():
            return frozenset(selector.metric for selector in (*(each for _, each in query.parts), query.where) if selector is not None)
        case Slower():
            return frozenset((buckets_of(query.histogram).metric,))
        case Levels():
            return frozenset(selector.metric for selector in (query.value, query.of) if selector is not None)
        case Expression():
            return frozenset()
    assert_never(query)
