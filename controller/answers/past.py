"""What changed, what was written down, and what would be written now: what `changes`, `history` and `plan` answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A change. ``by``: rollbackd, a pipeline that posted it, or who wrote it, where known. ``standing``: good, bad or quarantined.

    ``warning``: what is doubtful about a change that was just posted.
    """

    target: str
    id: str
    revision: str
    predecessor: str | None
    started_early: datetime
    started_late: datetime
    first_seen: datetime
    ready: datetime | None
    by: str | None
    is_first_sight: bool
    is_posted: bool
    irreversible: str | None
    parts: tuple[str, ...]
    note: str
    standing: str | None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeList:
    """Changes, newest first."""

    items: tuple[ChangeLine, ...]


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A journal row. ``text`` is for people, ``body`` for programs."""

    seq: int
    at: datetime
    writer: str
    kind: str
    target: str | None
    incident: str | None
    text: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """Journal rows, newest first."""

    items: tuple[HistoryLine, ...]


@dataclass(frozen=True, slots=True)
class RungPlan:
    """What a rung would write now. ``outcome``: planned, nothing, ordered, refused, unreachable or failed; ``reason`` explains all but the first.

    Ordered: a person has, and that is under way.
    """

    number: int
    what: str
    outcome: str
    from_revision: str | None = None
    to_revision: str | None = None
    summary: str = ""
    steps: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    command: str = ""
    digest: str = ""
    reason: str = ""
    advice: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DryRun:
    """What each rung of a policy's ladder would write now. Nothing was written."""

    policy: str
    target: str
    rungs: tuple[RungPlan, ...]
