"""What a backtest is given, and what it comes to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from rollbackd.policies.judge.verdict import Verdict
from rollbackd.policies.model.policy import Condition, Policy

Word: TypeAlias = Literal["rollback", "ok", "inconclusive", "held"]
Truth: TypeAlias = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class GivenChange:
    """A change as it was written. ``number``: its own among all of the file.

    ``rolled_back_at``: when people took it back. ``replicaset``: what its pods are named after. ``early``: where nobody saw it begin, the last sight
    of what was before it: it began after that, and by ``at``.
    """

    number: int
    target: str
    at: datetime
    ready: datetime | None = None
    revision: str | None = None
    outcome: Truth | None = None
    rolled_back_at: datetime | None = None
    replicaset: str | None = None
    early: datetime | None = None

    @property
    def began(self) -> datetime:
        """When it began at the earliest."""
        return self.early or self.at

    @property
    def id(self) -> str:
        """What tells it from all other changes of the file."""
        return f"{self.revision or 'change'}#{self.number}"


@dataclass(frozen=True, slots=True)
class Look:
    """One look within a change's watch window: each condition's verdict. ``is_known``: enough was proven to say whether the trigger is met.

    ``conditions``: with the limits that were judged, which are those of the policy unless what was before the change, or old pods, raised them.
    """

    at: datetime
    is_known: bool
    verdicts: tuple[Verdict, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Something would have been done, or was held: which condition, since when, and what decided it."""

    word: Literal["rollback", "held"]
    condition: str
    onset: datetime
    at: datetime
    reason: str
    blocked_by: str | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A confirmed breach that no change of the file explains."""

    policy: str
    target: str
    condition: str
    onset: datetime
    confirmed_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What a policy would have made of one change. ``began``/``ended``: the window in which it could be judged.

    ``is_censored``: people took the change back before the policy had come to anything, so nobody can know.
    """

    policy: Policy
    change: GivenChange
    word: Word
    reason: str
    began: datetime
    ended: datetime
    looks: tuple[Look, ...]
    found: Found | None = None
    is_censored: bool = False
