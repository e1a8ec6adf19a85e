"""Freezes in the daemon's config: as they are written, and as the guards read them."""

import zoneinfo
from collections.abc import Sequence
from datetime import UTC, datetime, time, tzinfo
from typing import Annotated, TypeAlias

from pydantic import Field

from rollbackd.policies.documents.base import Text, Written
from rollbackd.policies.known.freeze import Freeze, Once, Weekly, When
from rollbackd.policies.text.faults import quoted
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.wording import describe_pattern
from rollbackd.policies.text.yaml_text import Path as Trail

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# As guards count: a Kubernetes namespace, or kind and place such as command:deploy.
_SPACE = describe_pattern(
    "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$", "a namespace, or kind and place such as command:deploy"
)
_MOMENT = describe_pattern(
    "^([0-9]{4}-[0-9]{2}-[0-9]{2} )?[0-2][0-9]:[0-5][0-9]$", "a time such as '2026-11-27 00:00', or of each day such as '18:00'"
)
_DAY = describe_pattern("^(mon|tue|wed|thu|fri|sat|sun)$", f"one of {', '.join(DAYS)}")
Space: TypeAlias = Annotated[str, Field(pattern=_SPACE)]
Moment: TypeAlias = Annotated[str, Field(pattern=_MOMENT)]
Day: TypeAlias = Annotated[str, Field(pattern=_DAY)]


class FreezeParts(Written):
    """A time in which nothing is done by itself: with dates once, else on each of its days."""

    reason: Text = Field(description="Why; people read it where it holds something.")
    begins: Moment = Field(alias="from", description="When it begins: '2026-11-27 00:00', or '18:00'.")
    until: Moment = Field(description="When it ends; a time of day earlier than 'from' is on the next day.")
    days: Annotated[list[Day], Field(min_length=1, max_length=7)] | None = Field(
        None, description="The days on which it begins: mon to sun. Default: all."
    )
    zone: Text = Field("UTC", description="Whose clocks are meant, such as Europe/Berlin. Default UTC.")
    namespaces: Annotated[list[Space], Field(max_length=200)] = Field(default_factory=list, description="Where it holds. Default: everywhere.")


def read_freezes(written: Sequence[FreezeParts], findings: Findings) -> tuple[Freeze, ...]:
    """The freezes; what is wrong with them is among the findings."""
    found = []
    for index, parts in enumerate(written):
        trail: Trail = ("guards", "freeze", index)
        zone, when = _zone(parts.zone), None
        if zone is None:
            findings.fault((*trail, "zone"), "a time zone such as UTC or Europe/Berlin", quoted(parts.zone), "see the list at iana.org/time-zones")
        else:
            when = _when(parts, zone, trail, findings)
        if when is not None:
            found.append(Freeze(parts.reason, when, frozenset(parts.namespaces)))
    return tuple(found)


def _zone(name: str) -> tzinfo | None:
    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder, a path out of the database, an unknown name
        return None


def _when(parts: FreezeParts, zone: tzinfo, trail: Trail, findings: Findings) -> When | None:
    is_dated = " " in parts.begins
    if is_dated != (" " in parts.until):
        same = "a date and a time, as 'from' has" if is_dated else "a time of day, as 'from' has"
        findings.fault((*trail, "until"), same, quoted(parts.until))
        return None
    if is_dated and parts.days is not None:
        findings.fault((*trail, "days"), "no days beside dates", "both", "remove 'days', or write times of day")
        return None
    try:
        return _once(parts, zone) if is_dated else _weekly(parts, zone)
    except ValueError as fault:
        findings.fault((*trail, "until"), "an end after the beginning, both times that there are", quoted(parts.until), str(fault))
        return None


def _once(parts: FreezeParts, zone: tzinfo) -> Once:
    begins, ends = (datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) for text in (parts.begins, parts.until))
    if begins >= ends:
        raise ValueError(f"it begins at {parts.begins}")
    return Once(begins, ends)


def _weekly(parts: FreezeParts, zone: tzinfo) -> Weekly:
    begins, ends = time.fromisoformat(parts.begins), time.fromisoformat(parts.until)
    days = frozenset(DAYS.index(day) for day in parts.days or DAYS)
    if begins == ends and len(days) == len(DAYS):
        raise ValueError("it would never end: use mode_cap to stop acting for good")
    return Weekly(days, begins, ends, zone)
