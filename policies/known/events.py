"""What the journal says of an incident. An incident is the fold of these, and of nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

from rollbackd.policies.model.policy import Mode


@dataclass(frozen=True, slots=True)
class Opened:
    """A breach was tied to a change of ``target``. ``suspects``: ids of the changes that may have caused it, newest first.

    ``mode`` is the effective one: below APPROVE people are told and nothing is done. ``notify``: who is told, whatever becomes of the policy.
    ``who``: the person who opened it by hand; then no condition did, and ``condition`` is empty. ``known``: ids of the changes that were new then,
    suspects or not: any other is news.
    """

    incident: str
    at: datetime
    target: str
    policy: str
    policy_digest: str
    change_id: str
    revision: str
    suspects: tuple[str, ...]
    condition: str
    mode: Mode
    onset: datetime
    reason: str
    evidence_digest: str
    notify: tuple[str, ...] = ()
    who: str = ""
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blame:
    """What a breach since ``onset`` is laid to, as Opened has it. ``known``: ids of the changes that came to light since the incident opened."""

    suspects: tuple[str, ...]
    onset: datetime
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """A further condition confirmed its breach on the same target: it is evidence now, and has to be OK before the incident may close.

    ``mode`` APPROVE or AUTO raises an incident that was only proposed: it is about what this condition blames from then on, and where the condition
    is another policy's, that one's ladder runs. ``blame``: of a condition that raises (None: in rows of older versions).
    """

    incident: str
    at: datetime
    policy: str
    condition: str
    mode: Mode
    reason: str
    # Left out where there is none: an older version beside this one knows no such key.
    blame: Blame | None = field(default=None, metadata={"sparse": True})


@dataclass(frozen=True, slots=True)
class Intended:
    """Durable before the write it announces. ``deadline``: when the claim on this effect ends, on the database clock.

    ``reverts``: it leaves a revision behind that is quarantined; False for values that recur, as flags do, and for what is undone by hand.
    ``by``: the people who approved or ordered it; empty where the machine decided.
    """

    incident: str
    at: datetime
    rung: int
    target: str
    from_revision: str
    to_revision: str
    plan_digest: str
    evidence_digest: str
    deadline: datetime
    summary: str
    steps: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    command: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    complete_by: datetime | None = None
    settle_seconds: float = 0.0
    reverts: bool = True
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offered:
    """A rung's plan is put to people: nothing is written before ``needed`` of them approve exactly this plan, until ``expires_at``."""

    incident: str
    at: datetime
    rung: int
    target: str
    from_revision: str
    to_revision: str
    plan_digest: str
    evidence_digest: str
    needed: int
    expires_at: datetime
    summary: str
    reason: str
    steps: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Approved:
    """A person wants the plan with this digest carried out. ``overrides``: the guards that may not hold it, each named by the person."""

    incident: str
    at: datetime
    plan_digest: str
    who: str
    reason: str = ""
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ordered:
    """A person ordered one rung, as they saw its plan: ``from_revision`` and ``plan_digest`` are what has to be true still.

    ``undo``: not a rung of the ladder, but this earlier write is to be taken back. ``known``: the changes that had come to light by then, which the
    person took into account.
    """

    incident: str
    at: datetime
    rung: int
    target: str
    from_revision: str
    plan_digest: str
    who: str
    reason: str
    overrides: tuple[str, ...] = ()
    undo: Intended | None = None
    # Left out where there is none: an older version beside this one knows no such key.
    known: tuple[str, ...] = field(default=(), metadata={"sparse": True})


@dataclass(frozen=True, slots=True)
class Acked:
    """A person has taken the incident: from here on the machine begins nothing more in it unless people order or approve it."""

    incident: str
    at: datetime
    who: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """The target accepted the write, or was found carrying it."""

    incident: str
    at: datetime
    rung: int
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The end state is complete; evidence counts from ``evidence_from``."""

    incident: str
    at: datetime
    rung: int
    target: str
    evidence_from: datetime
    reason: str


class RungEnd(Enum):
    """How a rung ended without settling. All but OVERTAKEN may be followed by the next rung; OVERTAKEN holds (I10).

    SUPERSEDED on the watched target itself closes the incident: what was judged is gone.
    """

    NOTHING = "nothing to do"  # already at its end state
    NO_SUSPECT = "no suspect"  # its own target did not change
    REFUSED = "refused"  # preflight or precondition: nothing was written
    FAILED = "failed"  # written, and the end state cannot be reached
    OVERTAKEN = "overtaken"  # another writer was seen after the intent
    SUPERSEDED = "superseded"  # a new revision landed before the write


@dataclass(frozen=True, slots=True)
class Stopped:
    """A rung ended without settling, and why."""

    incident: str
    at: datetime
    rung: int
    target: str
    how: RungEnd
    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing more is done by itself; people were told. ``guard``: what held it, by its name."""

    incident: str
    at: datetime
    guard: str
    reason: str


class CloseHow(Enum):
    """Why an incident is over."""

    RECOVERED = "recovered"
    SUPERSEDED = "superseded"
    ACKED = "acked"


@dataclass(frozen=True, slots=True)
class Closed:
    """The incident is over."""

    incident: str
    at: datetime
    how: CloseHow
    reason: str


PersonsEvent: TypeAlias = Approved | Ordered | Acked
"""What people decided. Nothing of the machine writes these."""

IncidentEvent: TypeAlias = Opened | Joined | Offered | PersonsEvent | Intended | Applied | Settled | Stopped | Held | Closed
