"""What goes into the journal and comes out of it. Frozen values; no row and no dictionary of columns leaves this package."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from rollbackd.adapters.base.notice import Notice
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Intended
from rollbackd.policies.known.fleet import Flight


@dataclass(frozen=True, slots=True)
class Note:
    """A journal row that belongs to no incident's fold: a change seen, a known good, a pause, a blind source. ``body``: plain JSON values."""

    kind: str
    at: datetime
    body: Mapping[str, Any] = field(default_factory=dict)
    target: str | None = None
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal row for people. ``body`` as JSON values."""

    seq: int
    writer: str
    at: datetime
    kind: str
    target: str | None
    incident: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """One row of the journal, told from another one that was given its number later by its hash."""

    seq: int
    hash: str


START = Mark(0, "")
"""Before the first row."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was removed from the journal of one writer's rows: all up to ``seq``, of which the last had this ``hash``; ``rows`` in all."""

    seq: int
    hash: str
    rows: int
    began: datetime


BEGIN_WITHIN = timedelta(seconds=10)
"""So long after the claim a write may begin."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to one effect: from the durable intent to its outcome, never longer than ``deadline`` on the database clock.

    ``attempts``: how many claimants there were, this one included.
    """

    incident: str
    rung: int
    target: str
    claimant: str
    claimed_at: datetime
    deadline: datetime
    attempts: int
    ended_at: datetime | None
    intended: Intended

    def lets_begin(self, claimant: str, at: datetime) -> bool:
        """May this claimant still begin its write at ``at`` (database time)? Asked immediately before every write.

        Not once ``BEGIN_WITHIN`` is over: the rest of the claim is what the write itself may take, and after it another one may write.
        """
        return self.claimant == claimant and self.ended_at is None and at < min(self.deadline, self.claimed_at + BEGIN_WITHIN)


@dataclass(frozen=True, slots=True)
class Blocked:
    """The claim was not given and nothing was written. ``guard``: its name in the guard table, or ``closed``, ``claimed``, ``deadline``."""

    guard: str
    reason: str


@dataclass(frozen=True, slots=True)
class SeenChange:
    """A change with what only the controller needs. ``parts``: the states it brought, by name: what a later change puts back.

    ``dated``: the target keeps no history, so that the id was made of the revision and the moment of first sight.
    """

    change: Change
    parts: Mapping[str, Any] = field(default_factory=dict)
    writer: str | None = None
    dated: bool = False


class Standing(Enum):
    """What is known of a revision."""

    GOOD = "good"
    BAD = "bad"
    QUARANTINED = "quarantined"


class How(Enum):
    """How it became known."""

    BAKED = "baked"
    DECLARED = "declared"
    ROLLED_BACK = "rolled-back"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Known:
    """One line of a target's ledger. ``last_at``: when the revision last served, as far as is known. Never a template: those may hold secrets."""

    target: str
    revision: str
    standing: Standing
    how: How
    first_at: datetime
    last_at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the counting guards need, as of one moment on the database clock. Only incidents that acted count."""

    flights: tuple[Flight, ...]
    acted_in_hour: int
    acted_in_day: Mapping[str, int]
    closed: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One notice on its way to one channel of one contact. ``channel`` is empty until it is routed."""

    id: str
    contact: str
    channel: str
    notice: Notice
    created_at: datetime
    attempts: int
    last_error: str | None

    def is_older_than(self, age: timedelta, at: datetime) -> bool:
        """Has it waited longer than ``age``?"""
        return at - self.created_at > age


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How the outbox stands: waiting parcels, since when the oldest waits, and how many were given up."""

    waiting: int
    oldest: datetime | None
    dead: int
