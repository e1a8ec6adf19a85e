"""Times in which nothing is done by itself: once, or each week, in the zone of the people who set them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import TypeAlias

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Once:
    """From ``begins`` until ``ends``, both aware; the end does not belong to it."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Weekly:
    """From ``begins`` until ``ends`` by the clocks of ``zone`` on each of ``days`` (Monday is 0); until the next day where ``ends`` is earlier."""

    days: frozenset[int]
    begins: time
    ends: time
    zone: tzinfo


When: TypeAlias = Once | Weekly


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing is done by itself, and why. ``namespaces``: as guards count them; none: everywhere."""

    reason: str
    when: When
    namespaces: frozenset[str] = field(default_factory=frozenset)


def frozen(freezes: Iterable[Freeze], namespace: str, at: datetime) -> tuple[Freeze, datetime] | None:
    """The freeze that is on in the namespace at ``at`` and ends last, with its end; None where none is."""
    ends = [(end, freeze) for freeze in freezes if _is_of(freeze, namespace) and (end := _end(freeze.when, at)) is not None]
    if not ends:
        return None
    end, freeze = max(ends, key=lambda each: each[0])
    return freeze, end


def _is_of(freeze: Freeze, namespace: str) -> bool:
    return not freeze.namespaces or namespace in freeze.namespaces


def _end(when: When, at: datetime) -> datetime | None:
    """When it ends; None where it is not on at ``at``."""
    spans = (when,) if isinstance(when, Once) else _spans_near(when, at)
    return next((span.ends for span in spans if span.begins <= at < span.ends), None)


def _spans_near(when: Weekly, at: datetime) -> tuple[Once, ...]:
    """Those that may be on at ``at``: of the day before, which may last into this one, and of this one."""
    today = at.astimezone(when.zone).date()
    spans = []
    for day in (today - DAY, today):
        if day.weekday() in when.days:
            last = day if when.ends > when.begins else day + DAY
            # In UTC from here on: two times of one zone are compared by their clocks, which a change of summer time sets back.
            begins, ends = (datetime.combine(d, clock, when.zone).astimezone(UTC) for d, clock in ((day, when.begins), (last, when.ends)))
            spans.append(Once(begins, ends))
    return tuple(spans)
