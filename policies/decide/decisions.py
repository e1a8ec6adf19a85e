"""What ``step`` may decide. The controller journals each one; only Act has an effect outside."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from rollbackd.policies.known.events import Closed, Held, Intended, Joined, Opened, Stopped
from rollbackd.policies.model.policy import OutsideWatch, Rung


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is done now, and why: ``said``, or what each ``of`` says. All of a fleet may wait, so words are made where somebody reads them."""

    said: str = ""
    of: tuple[object, ...] = ()

    @property
    def reason(self) -> str:
        """The words."""
        return self.said or "; ".join(str(part) for part in self.of)


@dataclass(frozen=True, slots=True)
class WouldAct:
    """Mode observe: what would have been done. ``key`` is the same for the same breach of the same change."""

    key: str
    policy: str
    target: str
    condition: str
    at: datetime
    reason: str
    onset: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outside:
    """A confirmed breach that no change in a watch window explains. Told to people at most once per ``key``."""

    key: str
    policy: str
    target: str
    condition: str
    at: datetime
    how: OutsideWatch
    reason: str


@dataclass(frozen=True, slots=True)
class Act:
    """Try a rung of the incident's ladder. ``from_revision``: what was judged (None: whatever stands there; the rung always runs).

    ``only``: the parts that the suspect changes touched. ``plan_digest``: people saw this plan, and no other may be carried out (None: the machine
    decides alone). ``by``: these people. ``overrides``: guards that they passed by name. ``undo``: the earlier write to take back.
    """

    incident: str
    at: datetime
    rung: int
    remedy: Rung
    from_revision: str | None
    only: tuple[str, ...] | None
    suspect: str | None
    reason: str
    evidence_digest: str
    plan_digest: str | None = None
    by: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    undo: Intended | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """Make the plan for ``act``, and for ``others`` that would begin at once with it, and put it to people; write nothing."""

    act: Act
    others: tuple[Act | Stopped, ...] = ()


@dataclass(frozen=True, slots=True)
class Bake:
    """The revision served the bake time without a breach under our observation: it is known good."""

    targets: tuple[tuple[str, str], ...]
    at: datetime
    reason: str


Decision: TypeAlias = Wait | WouldAct | Outside | Opened | Joined | Act | Offer | Stopped | Held | Closed | Bake
