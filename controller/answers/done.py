"""What a request did: what the commands that write answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PauseState:
    """Whether anything may be acted on. ``paused`` is the reason; ``was_changed``: by this request; ``warning``: what did not work beside it.

    ``notes``: what this does not change, or has replaced.
    """

    paused: str | None
    was_changed: bool
    warning: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """How a revision stands after a request; ``was_changed`` by it; ``warning``: what is doubtful about it; ``notes``: what it does not change."""

    target: str
    revision: str
    standing: str | None
    was_changed: bool
    said: str
    warning: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learnt:
    """A revision that the target still keeps. ``served``: when it last did. ``is_good``: it is known good now. ``said``: the numbers, or why not."""

    revision: str
    served: datetime
    is_good: bool
    said: str


@dataclass(frozen=True, slots=True)
class FromHistory:
    """What a target's own past and the metrics of it tell of its revisions, newest last."""

    target: str
    items: tuple[Learnt, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person decided about an incident; ``was_changed``: by this request."""

    incident: str
    target: str
    was_changed: bool
    said: str


@dataclass(frozen=True, slots=True)
class RevisionStanding:
    """How a revision of a target fares: ``state`` is good, bad, watched, superseded or awaited."""

    target: str
    revision: str
    state: str
    said: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Of one writer, how many rows were exported and removed, and the last of them."""

    rows: int
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Whether the chain holds. ``fault``: where it does not; ``heads``: each writer's newest hash; ``missing``: known hashes that are gone;
    ``exported``: the rows before, which lie in files.
    """

    rows: int
    heads: Mapping[str, str]
    fault: str | None
    missing: tuple[str, ...] = ()
    exported: Mapping[str, Removed] = field(default_factory=dict)
