"""What can be put back: how a target is seen, planned for, written once and looked at again."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol, TypeAlias, runtime_checkable

from rollbackd.adapters.base.errors import AdapterError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Interval:
    """Something happened after ``early`` and not later than ``late``. Equal where the moment is known."""

    early: datetime
    late: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rollout is: ``ready`` of ``wanted`` replicas serve, of whichever revision.

    ``unfinished``: what is missing, None once it is complete or where nobody waits for it, as while it is paused. ``overdue``: why it cannot
    complete, once whoever keeps its deadline has ended it. ``allowed``: where nobody keeps one, how long it may have taken to come as far as it
    has; None where somebody does, and once it is no rollout any more.
    """

    wanted: int
    ready: int
    unfinished: str | None = None
    overdue: str | None = None
    allowed: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Sides:
    """What the names of pods begin with, before a dash and five letters: of those of the revision that is to run, and of those of older ones that
    still serve beside them.
    """

    new: str
    old: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TargetState:
    """A target as it stands now.

    ``revision``: identifies what runs. ``change_id`` and ``started``: the change that brought it here, where the target keeps a history
    (None: the caller makes one of the revision and the time it first saw it). ``ready``: when the first replica of this revision served;
    None if none did yet, or if the kind has no such moment. ``stuck``: why the rollout cannot complete, if the target says so.
    ``parts``: what the revision is made of, by name (container images, flag states); never a secret. ``writer``: who wrote it, where known:
    for a write of ours, ``rollbackd:<incident>``. ``irreversible``: why a revert across this change would be unsafe, if the target says so.
    ``doubt``: why that is unknown now; it holds no longer than it is said.
    ``progress``: how far its rollout is, where the kind has rollouts.
    ``sides``: how pods of the new and of an old revision are told apart while both serve; None where only one does. ``past_sides``: the same of
    those that may have served beside it earlier.
    ``touched``: the parts that this change touched, where the target's own history says so; else the caller compares what it saw.
    """

    key: str
    revision: str
    change_id: str | None = None
    started: Interval | None = None
    ready: datetime | None = None
    has_readiness: bool = False
    stuck: str | None = None
    parts: Mapping[str, Json] = field(default_factory=dict)
    writer: str | None = None
    irreversible: str | None = None
    doubt: str | None = None
    touched: tuple[str, ...] = ()
    progress: Progress | None = None
    sides: Sides | None = None
    past_sides: Sides | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """A write as the journal keeps it: enough to recognise its effect after a crash. ``record`` holds the prior state, never a secret."""

    target: str
    incident: str
    from_revision: str
    to_revision: str
    record: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the controller wants undone.

    ``from_revision`` is the judged revision: a target that is elsewhere is Refused. ``candidates`` are known-good revisions, best first
    (workloads and commands); ``only`` names the parts that may be touched (flags; None: all in scope), ``before`` their states before the change.
    ``undo`` (flags): a write of ours to take back: the plan goes to the exact states from before it, whatever their safe states are; a flag that
    is no longer as that write left it was touched by somebody since, is left alone, and is named in ``not_undone``.
    ``moment`` (databases): when the first suspect began, at the earliest; data is wanted as it was then.
    ``change``: the id of the change that was judged, where known: by it a target knows its revision again that goes by another name now.
    """

    target: str
    incident: str
    from_revision: str
    candidates: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    before: Mapping[str, Json] = field(default_factory=dict)
    undo: Intent | None = None
    moment: datetime | None = None
    change: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """One absolute end state and how to reach it.

    ``summary``: one line, imperative. ``steps``: what will be written, for people. ``not_undone``: what stays as it is.
    ``command``: what a person would type to do the same by hand. ``apply_within``: longest time that ``apply`` may take, the claim on the effect.
    ``deadline``: longest time from apply to a completed rollout.
    ``settle``: wait after completion before new evidence counts. ``payload`` is the adapter's own, not journalled, not hashed.
    ``begun``: when whoever applies it last knew that it may, on the monotonic clock; what is sent within a time is sent within it from then on.
    None: from when it is applied.
    """

    intent: Intent
    summary: str
    steps: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    command: str = ""
    apply_within: timedelta = timedelta(seconds=30)
    deadline: timedelta = timedelta(minutes=10)
    settle: timedelta = timedelta(0)
    payload: object = field(default=None, repr=False, compare=False)
    begun: float | None = field(default=None, repr=False, compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the intent and its steps: equal plans have equal digests, on every replica."""
        intent = self.intent
        body = [intent.target, intent.from_revision, intent.to_revision, intent.record, self.steps]
        return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """The target already stands where the plan would put it."""

    reason: str


class Standing(Enum):
    """Where a target stands relative to an intent."""

    BEFORE = "before"  # still at from_revision
    UNDERWAY = "underway"  # accepted, not complete
    THERE = "there"  # at to_revision and complete
    FAILED = "failed"  # at to_revision, and it cannot complete
    ELSEWHERE = "elsewhere"  # another writer has been here


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at the target showed. ``ours``: it carries our mark for this incident (None: this kind cannot carry one)."""

    standing: Standing
    reason: str
    revision: str
    ours: bool | None = None


class Target(Protocol):
    """One kind of target, all keys of it. Every method is safe to call from several threads."""

    kind: str
    """The first word of its keys."""

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """How each target stands now; a target that cannot be read has its error. Never raises an AdapterError."""
        ...

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        """A plan towards one explicit end state, checked against the live target without changing it.

        Raises Refused where acting would be unsafe or pointless, Transient or Permanent where it could not be read.
        """
        ...

    def apply(self, plan: Plan) -> None:
        """Send the plan's write once, under its precondition; never repeat it, but after a definite no.

        Returns once accepted. Raises Refused if the precondition no longer holds, Permanent if it was rejected (nothing changed either way),
        Transient if the outcome is unknown: the caller looks.
        """
        ...

    def look(self, intent: Intent) -> Sight:
        """Where the target stands relative to the intent. Reads only. Raises Transient or Permanent if it cannot be read."""
        ...

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        """What would stop us from acting on these targets, found before the incident; each with what to do."""
        ...


@runtime_checkable
class AnswersAlone(Protocol):
    """A Target each of whose keys answers for itself, as slowly as it likes: a survey of all would be as late as the slowest."""

    advice: str
    """What a person can do about a key that does not answer."""

    def ask(self, key: str, is_over: Callable[[], bool]) -> TargetState | AdapterError:
        """How this one target stands now. Never raises an AdapterError. Ends soon once ``is_over``: nobody waits for the answer any more."""
        ...

    def check(self, keys: Sequence[str], is_over: Callable[[], bool] = ...) -> tuple[str, ...]:
        """See Target.check. Ends soon once ``is_over``, as ``ask`` does."""
        ...
