"""An incident as the fold of its journal rows: the only state that replicas share about it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import assert_never

from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import (
    Acked,
    Applied,
    Approved,
    Closed,
    CloseHow,
    Held,
    IncidentEvent,
    Intended,
    Joined,
    Offered,
    Opened,
    Ordered,
    PersonsEvent,
    RungEnd,
    Settled,
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
    joined what was only proposed. ``is_ordered``: a person has ordered something in it.
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

    @property
    def is_open(self) -> bool:
        """True until it is closed; a held incident is open."""
        return self.phase is not Phase.CLOSED

    @property
    def touched(self) -> frozenset[str]:
        """The targets that took a write so far."""
        return frozenset(write.target for write in self.accepted)

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


def opened(event: Opened) -> Incident:
    """The incident that the event begins."""
    return Incident(
        id=event.incident,
        target=event.target,
        policy=event.policy,
        change_id=event.change_id,
        revision=event.revision,
        suspects=event.suspects,
        mode=event.mode,
        onset=event.onset,
        opened_at=event.at,
        reason=event.reason,
        joined=() if event.who else ((event.policy, event.condition),),
        phase=Phase.OPEN if event.mode >= Mode.APPROVE else Phase.PROPOSED,
        notify=event.notify,
        opened_by=event.who,
        known=event.known,
    )


def advance(incident: Incident, event: IncidentEvent) -> Incident:
    """The incident after one more journal row. A row of a closed incident changes nothing, one of an earlier rung only what was accepted.

    A held incident stays held whatever outcome arrives late: held is final for the machine. Only a person's order takes it on, and that waits to be
    begun whatever becomes of earlier writes, unless another writer was there.
    """
    if incident.phase is Phase.CLOSED:
        return incident
    if _is_of_earlier_rung(incident, event):
        return _taken(incident, event) if isinstance(event, Applied) else incident
    after = _advanced(incident, event)
    if incident.phase is Phase.HELD and not isinstance(event, Closed | Ordered):
        return replace(after, phase=Phase.HELD)
    if incident.order is not None and isinstance(event, Applied | Settled | Stopped) and event.rung < incident.order.rung and not has_ended(after):
        return replace(after, phase=Phase.OPEN, order=incident.order)
    return after


def _advanced(incident: Incident, event: IncidentEvent) -> Incident:
    match event:
        case Opened():
            return incident
        case Joined():
            return _joined(incident, event)
        case Offered():
            return replace(incident, phase=Phase.AWAITING, offer=event, approvals=())
        case Approved() | Ordered() | Acked():
            return _by_people(incident, event)
        case Intended():
            writes = (*incident.writes, event) if incident.unsettled else (event,)
            begun = (*incident.begun, event)
            began = replace(incident, rung=event.rung, acted=True, intent=event, writes=writes, begun=begun, evidence_from=None)
            return replace(_decided(began), phase=Phase.ACTING)
        case Applied():
            # What people were asked about meanwhile is asked anew, once it is known whether this helped.
            after = replace(_taken(incident, event), offer=None, approvals=())
            return replace(after, phase=Phase.SETTLING, unsettled=(*incident.unsettled, event.rung))
        case Settled():
            return _settled(incident, event)
        case Stopped():
            return _stopped(incident, event)
        case Held():
            return replace(_decided(incident), phase=Phase.HELD, held=event)
        case Closed():
            return replace(incident, phase=Phase.CLOSED, closed_at=event.at, how=event.how)
        case _:
            assert_never(event)


def fold(events: Iterable[IncidentEvent]) -> Incident:
    """The incident that these rows, in journal order, amount to. Raises ValueError if they do not begin with Opened."""
    rows = iter(events)
    first = next(rows, None)
    if not isinstance(first, Opened):
        raise ValueError(f"an incident begins with 'opened', found {type(first).__name__}")
    incident = opened(first)
    for event in rows:
        incident = advance(incident, event)
    return incident


def has_ended(incident: Incident) -> bool:
    """True where no further rung may follow: another writer was there (I10), or what was judged is gone."""
    return incident.phase is Phase.STOPPED and _is_final(incident, incident.stopped[-1])


def _is_final(incident: Incident, event: Stopped) -> bool:
    return event.how is RungEnd.OVERTAKEN or (event.how is RungEnd.SUPERSEDED and event.target == incident.target)


def _taken(incident: Incident, event: Applied) -> Incident:
    """A target has taken this write: it is ours from now on, also where it is told after a later rung was begun."""
    taken = tuple(write for write in incident.begun if (write.rung, write.target) == (event.rung, event.target))
    return replace(incident, accepted=(*incident.accepted, *taken))


def _settled(incident: Incident, event: Settled) -> Incident:
    """One write is complete; what began at once with it is waited for, and evidence counts from the end of the last."""
    left = tuple(rung for rung in incident.unsettled if rung != event.rung)
    start = max(filter(None, (incident.evidence_from, event.evidence_from)))
    after = replace(incident, unsettled=left, evidence_from=start)
    if _is_of_company(incident, event):
        return after
    return replace(after, phase=Phase.SETTLING if left else Phase.VERIFYING)


def _stopped(incident: Incident, event: Stopped) -> Incident:
    """One rung has ended; one that began at once with it is waited for all the same, unless this end is final."""
    left = tuple(rung for rung in incident.unsettled if rung != event.rung)
    if has_ended(incident):  # the end that holds the incident is the last word on it
        return replace(incident, unsettled=left, stopped=(*incident.stopped[:-1], event, incident.stopped[-1]))
    after = replace(_decided(incident), rung=max(incident.rung, event.rung), stopped=(*incident.stopped, event), unsettled=left)
    if _is_final(incident, event):
        return replace(after, phase=Phase.STOPPED)
    if _is_of_company(incident, event):
        return after
    # What began at once with it may have settled before: while it was written, or is waited for.
    has_settled = incident.evidence_from is not None and (event.rung in incident.unsettled or incident.phase is Phase.ACTING)
    return replace(after, phase=Phase.SETTLING if left else Phase.VERIFYING if has_settled else Phase.STOPPED)


def _is_of_company(incident: Incident, event: Settled | Stopped) -> bool:
    """True for an outcome that changes no phase: the newest write has no answer yet, or an end was final."""
    return has_ended(incident) or (incident.phase is Phase.ACTING and event.rung < incident.rung)


def _joined(incident: Incident, event: Joined) -> Incident:
    pair = (event.policy, event.condition)
    if pair not in incident.joined:
        incident = replace(incident, joined=(*incident.joined, pair))
    if incident.phase is not Phase.PROPOSED or event.mode < Mode.APPROVE:
        return incident
    # The opener may not act and this one may: its ladder is the remedy, for what it blames.
    raised = replace(incident, phase=Phase.OPEN, mode=event.mode, policy=event.policy, raised_at=event.at)
    if (blame := event.blame) is None:
        return raised
    known = tuple(dict.fromkeys((*incident.known, *incident.suspects, *blame.known)))  # what it was about before is no news
    return replace(raised, suspects=blame.suspects, onset=blame.onset, known=known, reason=event.reason)


def _by_people(incident: Incident, event: PersonsEvent) -> Incident:
    match event:
        case Approved():
            return replace(incident, approvals=(*incident.approvals, event)) if incident.lacks(event) else incident
        case Ordered():
            return replace(_decided(incident), phase=Phase.OPEN, order=event, is_ordered=True)
        case Acked():
            return replace(incident, acked=event)


def _decided(incident: Incident) -> Incident:
    """Nothing is put to people any more, and no order waits."""
    return replace(incident, offer=None, approvals=(), order=None)


def _is_of_earlier_rung(incident: Incident, event: IncidentEvent) -> bool:
    """An outcome of what began at once with the newest rung is none of an earlier one."""
    if isinstance(event, Settled | Stopped) and event.rung in incident.unsettled:
        return False
    return isinstance(event, Offered | Intended | Applied | Settled | Stopped) and event.rung < incident.rung


def suspects_of(incident: Incident, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes that the incident was opened for, newest first."""
    known = {change.id: change for change in changes}  # ids are unique among all targets
    return tuple(known[change_id] for change_id in incident.suspects if change_id in known)
