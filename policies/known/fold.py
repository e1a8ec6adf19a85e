"""How an incident comes of its journal rows: what each of them makes of it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from rollbackd.policies.known.events import (
    Acked,
    Applied,
    Approved,
    Blame,
    Closed,
    Held,
    IncidentEvent,
    Intended,
    Joined,
    Offered,
    Opened,
    Ordered,
    PersonsEvent,
    Settled,
    Stopped,
)
from rollbackd.policies.known.incident import Incident, Phase, has_ended, is_final
from rollbackd.policies.model.policy import Mode


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
    if is_final(incident, event):
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
    if incident.phase is not Phase.PROPOSED:
        return incident
    if event.mode < Mode.APPROVE:
        return incident if event.blame is None else _suggested(incident, event.blame)
    # The opener may not act and this one may: its ladder is the remedy, for what it blames.
    raised = replace(incident, phase=Phase.OPEN, mode=event.mode, policy=event.policy, raised_at=event.at)
    if (blame := event.blame) is None:
        return raised
    known = tuple(dict.fromkeys((*incident.known, *incident.suspects, *blame.known)))  # what it was about before is no news
    return replace(raised, suspects=blame.suspects, onset=blame.onset, known=known, reason=event.reason)


def _suggested(incident: Incident, blame: Blame) -> Incident:
    """What else is blamed is suggested beside what was: people may order what undoes any of it."""
    return replace(incident, suspects=tuple(dict.fromkeys((*blame.suspects, *incident.suspects))))


def _by_people(incident: Incident, event: PersonsEvent) -> Incident:
    match event:
        case Approved():
            return replace(incident, approvals=(*incident.approvals, event)) if incident.lacks(event) else incident
        case Ordered():
            known = tuple(dict.fromkeys((*incident.known, *event.known)))
            return replace(_decided(incident), phase=Phase.OPEN, order=event, is_ordered=True, known=known)
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
