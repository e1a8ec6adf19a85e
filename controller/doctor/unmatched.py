"""Why a condition written by hand finds nothing of its workload: what it asks and what `match` says go past each other."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Expression, Identity, Increases, Levels, Matcher, Query, RowKey, Selector, Slower, Source
from rollbackd.controller.doctor.labels import main_selector
from rollbackd.controller.doctor.surroundings import ShowsSeries
from rollbackd.policies.text.faults import quoted

LOOKED_THROUGH = 200
_AGGREGATOR = re.compile(r"\b(avg|count|max|min|sum)\b(?=\s*(?:\(|by\b|without\b))")


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is wrong with a condition, and what to do about it."""

    said: str
    hint: str


def mismatch(query: Query, row: RowKey, source: Source, at: datetime) -> Doubt | None:
    """What keeps the question from finding the workload of ``row``; None where that cannot be told, as where the source does not answer."""
    wanted = dict(zip(query.identity.labels, row, strict=True))
    try:
        if isinstance(query, Expression):
            return _of_answer(query, source, at)
        return _contradiction(query, wanted) or _of_series(query, source, at)
    except AdapterError:
        return None


def _of_answer(query: Expression, source: Source, at: datetime) -> Doubt | None:
    labels = query.identity.labels
    lacking = [label for label in labels if _has(query.promql, Identity((label,)), ("",), source, at)]
    if not lacking or not _has(query.promql, Identity(()), (), source, at):
        return None
    found = _AGGREGATOR.search(query.promql)
    said = f"the expression answers, with series that have no {_named(lacking)}, which `match` names"
    example = f"{found[1] if found else 'max'} by ({', '.join(labels)}) (…)"
    return Doubt(said, f"keep what `match` names, as in {example}, or name there what its series have")


def _has(promql: str, identity: Identity, row: RowKey, source: Source, at: datetime) -> bool:
    """Whether the expression answers with one series or several of this row; a label that a series lacks is empty."""
    answer = source.read(Expression(promql, identity, frozenset((row,))), at)
    return row in answer.rows or row in answer.faults


def _contradiction(query: Increases | Slower | Levels, wanted: Mapping[str, str]) -> Doubt | None:
    for selector in _selectors(query):
        for one in selector.matchers:
            if one.label in wanted and not _passes(one, wanted[one.label]):
                both = f"{one.label}{one.op}{quoted(one.value)} by its selector and {one.label}={quoted(wanted[one.label])} by `match`"
                return Doubt(f"no series of {selector.metric} can be {both}", f"take '{one.label}' out of the selector, or correct `match`")
    return None


def _selectors(query: Increases | Slower | Levels) -> Iterator[Selector]:
    match query:
        case Increases(parts=parts):
            yield from (selector for _, selector in parts)
        case Slower(histogram=histogram):
            yield histogram
        case Levels(value=value, of=of):
            yield from (one for one in (value, of) if one is not None)


def _passes(matcher: Matcher, value: str) -> bool:
    if matcher.op in ("=", "!="):
        return (value == matcher.value) is (matcher.op == "=")
    try:
        return (re.fullmatch(matcher.value, value) is not None) is (matcher.op == "=~")
    except re.error:
        return True  # RE2 knows more than Python: the source has judged it


def _of_series(query: Increases | Slower | Levels, source: Source, at: datetime) -> Doubt | None:
    selector = main_selector(query)
    shown = source.series(selector, at, LOOKED_THROUGH) if isinstance(source, ShowsSeries) and selector is not None else ()
    carried = {label for labels in shown for label in labels}
    lacking = [label for label in query.identity.labels if label not in carried]
    if selector is None or not shown or not lacking:
        return None
    return Doubt(
        f"the series of {selector.metric} have no {_named(lacking)}, which `match` names", f"name in `match` what they have: {_some(carried)}"
    )


def _named(labels: list[str]) -> str:
    return f"label {labels[0]}" if len(labels) == 1 else f"labels {' and '.join(labels)}"


def _some(labels: set[str]) -> str:
    return ", ".join(sorted(labels)[:8]) or "no label at all"
