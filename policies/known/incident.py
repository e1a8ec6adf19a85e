"""An incident as the fold of its journal rows: the only state that replicas share about it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import (
    Acked,
    Approved,
    CloseHow,
    Held,
    Intended,
    Offered,
    Ordered,
    RungEnd,
    Stopped,
)
from rollbackd.policies.model.policy import Mode


class Phase(Enum):
    """Where an incident stands. The transition table of ``step`` has one row for each."""

    PROPOSED = "proposed"  # people were told; the mode allows nothing more
    OPEN = "open"  # opened to act, or ordered to; no intent is durable yet
    AWAITING = "awaiting"  # a plan was put to people; nothing is done before they approve it
    ACTING = "acting"  # an intent is durable, its outcome is not known yet
    SETTLING = "settling"  # accepted; the end state is not complete yet
    VERIFYING = "verifying"  # complete; evidence counts from evidence_from
    STOPPED = "stopped"  # the last rung ended without settling
    HELD = "held"  # people were told; nothing more is done by itself
    CLOSED = "closed"


AT_WORK = (Phase.ACTING, Phase.SETTLING)
"""An actor has it."""
UNDER_WAY = (*AT_WORK, Phase.VERIFYING)
"""What was written is not judged yet."""


class Mended(NamedTuple):
    """What an incident did: evidence began anew at ``evidence_from``, by what was ``written`` before."""

    evidence_from: datetime
    written: datetime


def incident_id(target: str, change_id: str) -> str:
    """The same id on every replica and after every restart: a digest of the watched target and its newest suspect's change id."""
    return "inc-" + hashlib.sha256(f"{target}\n{change_id}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Incident:
    """The state of one incident. ``rung``: index of the last rung tried, -1 before the first. ``joined``: (policy, condition) pairs.

    ``offer``: the plan that people are asked about; ``approvals``: of exactly this plan. ``order``: what a person ordered and nobody began yet.
    ``opened_by``: the person who opened it by hand. ``intent``: the newest write; ``writes``: it and those that began at once with it;
    ``begun``: all; ``accepted``: those of them that a target took so far. ``unsettled``: the rungs of those whose end state is not complete yet.
    ``known``: ids of the changes that were new when it was opened, or came to light until it was raised. ``raised_at``: when a condition that may act
    joined what was only proposed. ``is_ordered``: a person has ordered something in it. ``is_adopted``: its own policy is gone, and another one of
    its target watches over it; no row says so.
    """

    id: str
    target: str
    policy: str
    change_id: str
    revision: str
    suspects: tuple[str, ...]
    mode: Mode
    onset: datetime
    opened_at: datetime
    reason: str
    joined: tuple[tuple[str, str], ...]
    phase: Phase
    notify: tuple[str, ...] = ()
    rung: int = -1
    acted: bool = False
    intent: Intended | None = None
    writes: tuple[Intended, ...] = ()
    begun: tuple[Intended, ...] = ()
    accepted: tuple[Intended, ...] = ()
    unsettled: tuple[int, ...] = ()
    evidence_from: datetime | None = None
    stopped: tuple[Stopped, ...] = ()
    held: Held | None = None
    closed_at: datetime | None = None
    how: CloseHow | None = None
    opened_by: str = ""
    known: tuple[str, ...] = ()
    offer: Offered | None = None
    approvals: tuple[Approved, ...] = ()
    order: Ordered | None = None
    acked: Acked | None = None
    raised_at: datetime | None = None
    is_ordered: bool = False
    is_adopted: bool = False

    @property
    def is_open(self) -> bool:
        """True until it is closed; a held incident is open."""
        return self.phase is not Phase.CLOSED

    @property
    def about(self) -> tuple[str, ...]:
        """The ids of the changes that it answers once it has acted; where it has no suspect (``watch: always``), what stands for one."""
        return self.suspects or (self.change_id,)

    @property
    def touched(self) -> frozenset[str]:
        """The targets that took a write so far."""
        return frozenset(write.target for write in self.accepted)

    @property
    def mended(self) -> Mended | None:
        """When evidence began anew by what it did; None where no target took anything of it."""
        began = self.evidence_from or (self.closed_at if self.accepted else None)
        return None if began is None else Mended(began, min(began, *(write.at for write in self.accepted[-1:])))

    def has_stopped(self, rung: int, target: str) -> bool:
        """True where this step is on record as ended, and is not waited for again: its write may have been found accepted since."""
        return rung not in self.unsettled and self.was_stopped(rung, target)

    def was_stopped(self, rung: int, target: str) -> bool:
        """True where this step was ever on record as ended without its end state."""
        return any((end.rung, end.target) == (rung, target) for end in self.stopped)

    @property
    def rested_at(self) -> datetime:
        """When anything was last done in it: it was opened or raised then, a step ended or its end state settled, or somebody approved of a plan."""
        some = filter(None, [self.raised_at, self.evidence_from])
        return max([self.opened_at, *(end.at for end in self.stopped), *(one.at for one in self.approvals), *some])

    def orders_else(self, by: tuple[str, ...], rung: int, plan_digest: str | None) -> bool:
        """True where a person's order waits that is not this step, by this plan: what they had approved before is another one."""
        order = self.order
        return order is not None and (by, rung, plan_digest) != ((order.who,), order.rung, order.plan_digest)

    def lacks(self, event: Approved) -> bool:
        """True for one more approval: of the plan at hand, by somebody who had not approved it before."""
        is_of_it = self.offer is not None and self.offer.plan_digest == event.plan_digest
        return is_of_it and event.who not in {approval.who for approval in self.approvals}

    @property
    def is_in_hands(self) -> bool:
        """True where only people may begin anything: they opened it or ordered in it, or its mode allows the machine no more than a word."""
        return bool(self.opened_by) or self.is_ordered or self.mode < Mode.APPROVE


def has_ended(incident: Incident) -> bool:
    """True where no further rung may follow: another writer was there (I10), or what was judged is gone."""
    return incident.phase is Phase.STOPPED and is_final(incident, incident.stopped[-1])


def is_final(incident: Incident, event: Stopped) -> bool:
    """True for an end after which no further rung may follow."""
    return event.how is RungEnd.OVERTAKEN or (event.how is RungEnd.SUPERSEDED and event.target == incident.target)


def suspects_of(incident: Incident, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes that the incident was opened for, newest first."""
    known = {change.id: change for change in changes}  # ids are unique among all targets
    return tuple(known[change_id] for change_id in incident.suspects if change_id in known)
