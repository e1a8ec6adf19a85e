"""What the local API answers: the shape of every document, shared by the daemon that writes it and the command that shows it.

A field may be added; none is renamed or removed without a new ``apiVersion``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from rollbackd.controller.journal.codec import Json, plain, revived

API_VERSION = "rollbackd/v1"
A = TypeVar("A")


# --- status ----------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reload:
    """The newest attempt to read the policies. ``fault`` names what was refused; the last good set runs on."""

    at: datetime | None
    is_ok: bool
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class DaemonLine:
    """The daemon itself. ``paused`` and ``store_fault`` are reasons, None where all is well."""

    version: str
    replica: str
    started_at: datetime
    mode_cap: str
    paused: str | None
    store_fault: str | None
    slots: int
    missed_slots: int
    last_slot: datetime | None
    reload: Reload
    outbox_pending: int
    outbox_oldest: datetime | None
    outbox_dead: int


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A metric source. ``seen``: when it last answered; ``fault``: why it does not now."""

    name: str
    seen: datetime | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class ConditionBrief:
    """A condition's verdict in a word."""

    name: str
    state: str
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class OfferLine:
    """A plan that waits for people: ``plan`` names it to `approve` and `reject`."""

    plan: str
    summary: str
    steps: tuple[str, ...]
    not_undone: tuple[str, ...]
    needed: int
    approved_by: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An open incident. ``rung`` counts from 1, 0 before the first; ``doing``: what was last written; ``stopped``: what did not help.

    ``acked_by``: who has taken it. ``opened_by``: who ordered it, None where a breach did.
    """

    id: str
    target: str
    policy: str
    phase: str
    mode: str
    opened_at: datetime
    onset: datetime
    reason: str
    rung: int
    doing: str | None
    evidence_from: datetime | None
    held_by: str | None
    held_because: str | None
    stopped: tuple[str, ...]
    offer: OfferLine | None = None
    acked_by: str | None = None
    opened_by: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A policy in one row. ``watch_until``: until when a breach may still be laid to a change, None where no watch window is open."""

    name: str
    target: str
    mode: str
    is_always_watched: bool
    watch_until: datetime | None
    at: datetime | None
    revision: str | None
    target_fault: str | None
    conditions: tuple[ConditionBrief, ...]
    incident: IncidentLine | None


@dataclass(frozen=True, slots=True)
class FleetLine:
    """A fleet in one row. ``members``: who is watched by it; ``found``: what its selector found when it was last read.

    ``doubt``: why what was found is not believed, so that the members are those from before; ``fault``: why it could not be read.
    """

    name: str
    members: int
    found: int | None
    expect_min: int
    expect_max: int
    opted_out: int
    own_policy: int
    findings: int
    read_at: datetime | None
    doubt: str | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at a glance."""

    now: datetime
    daemon: DaemonLine
    sources: tuple[SourceLine, ...]
    policies: tuple[PolicyLine, ...]
    fleets: tuple[FleetLine, ...] = ()


@dataclass(frozen=True, slots=True)
class CoverageLine:
    """A target. ``standing``: watched, opted-out, own-policy (a fleet found it, and its own policy wins) or unwatched.

    ``fleet``: the fleet that found it; ``policy``: the one that watches it; ``notes``: what its annotations changed, and what is wrong with them.
    """

    target: str
    standing: str
    fleet: str | None
    policy: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeCover:
    """A change of the last 30 days. ``hindrance``: the first reason why it could not have been rolled back by itself, None where it could."""

    target: str
    id: str
    revision: str
    at: datetime
    hindrance: str | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which targets are watched, and which are not. ``faults``: clusters that could not be asked what else runs there.

    ``changes``: newest first, those of other writers than rollbackd.
    """

    now: datetime
    fleets: tuple[FleetLine, ...]
    items: tuple[CoverageLine, ...]
    faults: tuple[str, ...]
    changes: tuple[ChangeCover, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyList:
    """The loaded policies."""

    items: tuple[PolicyLine, ...]


# --- explain ---------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConditionLine:
    """A condition with its arithmetic. ``reason`` has the counts and how far the confirmation is; ``suspects`` those of its onset."""

    name: str
    mode: str
    state: str
    reason: str
    confirmation: str
    is_confirmed: bool
    onset: datetime | None
    suspects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GuardLine:
    """A guard with its value; ``blocks`` says why it holds an action now, None where it does not."""

    name: str
    value: str
    blocks: str | None


@dataclass(frozen=True, slots=True)
class RungLine:
    """A rung of the ladder. ``needs``: what has to be true for it to be tried; ``is_ready``: all of that is true now."""

    number: int
    what: str
    mode: str
    needs: str
    is_ready: bool


@dataclass(frozen=True, slots=True)
class PowerRow:
    """A ``share`` of bad events is proven within so many ``seconds`` of its change in ``probability`` of all cases.

    ``seconds`` None: not in 95 of 100 cases in the whole watch; ``probability`` is then that of the whole watch.
    """

    share: float
    seconds: float | None
    probability: float


@dataclass(frozen=True, slots=True)
class PowerLine:
    """What a condition with a bound finds at the last week's traffic: events ``per_minute`` (the median), and in the quietest tenth of the week.

    ``spread``: how bursty bad events are, None where too few were seen. ``why``: why nothing can be said.
    """

    condition: str
    per_minute: float | None = None
    quiet_per_minute: float | None = None
    spread: float | None = None
    rows: tuple[PowerRow, ...] = ()
    why: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyExplained:
    """Why a policy acts or does not. Evidence counts from ``evidence_from``; no verdict is given before ``warm_at``.

    ``notes``: the fleet that it is of, and what its target's annotations changed.
    """

    policy: str
    target: str
    file: str
    mode: str
    at: datetime | None
    revision: str | None
    target_fault: str | None
    watch_until: datetime | None
    evidence_from: datetime | None
    warm_at: datetime | None
    decisions: tuple[str, ...]
    conditions: tuple[ConditionLine, ...]
    guards: tuple[GuardLine, ...]
    ladder: tuple[RungLine, ...]
    incident: IncidentLine | None
    notes: tuple[str, ...] = ()
    power: tuple[PowerLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every policy that watches the asked target, or the one asked for."""

    now: datetime
    asked: str
    items: tuple[PolicyExplained, ...]


# --- changes, history, plan ------------------------------------------------------------------------------------------------------------------


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
    """What a rung would write now. ``outcome``: planned, nothing, refused, unreachable or failed; ``reason`` explains all but the first."""

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


# --- what was done ---------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PauseState:
    """Whether anything may be acted on. ``paused`` is the reason; ``was_changed``: by this request; ``warning``: what did not work beside it."""

    paused: str | None
    was_changed: bool
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """How a revision stands after a request; ``was_changed`` by it."""

    target: str
    revision: str
    standing: str | None
    was_changed: bool
    said: str


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
class Audit:
    """Whether the chain holds. ``fault``: where it does not; ``heads``: each writer's newest hash; ``missing``: known hashes that are gone."""

    rows: int
    heads: Mapping[str, str]
    fault: str | None
    missing: tuple[str, ...] = ()


# --- to and from JSON ------------------------------------------------------------------------------------------------------------------------


def document(answer: object) -> dict[str, Json]:
    """The answer as a versioned JSON document."""
    body = plain(answer)
    return {"apiVersion": API_VERSION, "kind": type(answer).__name__, **(body if isinstance(body, dict) else {})}


def read(kind: type[A], body: Mapping[str, Json]) -> A:
    """The answer that ``document`` made this of; keys of a newer version are left out. Raises ValueError where one is missing."""
    return revived(kind, _known(kind, body))


def _known(kind: Any, value: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        return None if value is None else _known(next(arg for arg in get_args(kind) if arg is not type(None)), value)
    if get_origin(kind) is tuple and isinstance(value, list):
        return [_known(get_args(kind)[0], item) for item in value]
    if is_dataclass(kind) and isinstance(value, Mapping):
        hints = get_type_hints(kind)
        return {each.name: _known(hints[each.name], value[each.name]) for each in fields(kind) if each.name in value}
    return value
