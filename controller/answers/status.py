"""At a glance: what `status` and `status --coverage` answer."""

from dataclasses import dataclass
from datetime import datetime


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
class WriteLine:
    """A write of an incident. ``rung`` counts from 1. ``came_of``: doing, done, tried (it failed or was refused) or, not known, begun and so on."""

    rung: int
    target: str
    came_of: str
    summary: str


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """The claim on a write of which no outcome is known yet: nothing else is begun before. ``rung`` counts from 1; ``said``: for people.

    ``until``: its end on the database's clock. Where ``claimant``, a replica, has died, another takes the write over then.
    """

    rung: int
    target: str
    claimant: str
    until: datetime
    said: str


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An open incident. ``rung`` counts from 1, 0 before the first; ``doing``: what is being written, or was last; ``stopped``: what did not help.

    ``writes``: what was written or begun so far, oldest first, with what came of it. ``acked_by``: who has taken it.
    ``opened_by``: who ordered it, None where a breach did. ``claim``: what it waits for. ``go_on``: how a person goes on where it is held.
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
    writes: tuple[WriteLine, ...] = ()
    claim: ClaimLine | None = None
    go_on: str = ""


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
class FreezeLine:
    """A freeze that is on. ``namespaces``: where, as guards count them; none: everywhere."""

    reason: str
    until: datetime
    namespaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndedLine:
    """An incident that is over. ``how``: recovered, superseded or acked; ``said``: the title of its last message; ``reason``: why it was opened."""

    id: str
    target: str
    policy: str
    at: datetime
    how: str
    said: str
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at a glance. ``ended``: the newest incidents that ended in the last 12 hours, newest first; ``ended_more``: how many more did."""

    now: datetime
    daemon: DaemonLine
    sources: tuple[SourceLine, ...]
    policies: tuple[PolicyLine, ...]
    fleets: tuple[FleetLine, ...] = ()
    freezes: tuple[FreezeLine, ...] = ()
    ended: tuple[EndedLine, ...] = ()
    ended_more: int = 0


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
