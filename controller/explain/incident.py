"""An incident as people follow it: what happened, what was done, what it waits for."""

from rollbackd.controller.answers.status import ClaimLine, IncidentLine, OfferLine, WriteLine
from rollbackd.controller.notify.written import DOING, DONE, written
from rollbackd.policies.decide.hands import short
from rollbackd.policies.known.incident import Incident


def incident_line(incident: Incident, claim: ClaimLine | None = None, go_on: str = "") -> IncidentLine:
    """The incident as people follow it. ``claim``: what it waits for; ``go_on``: how they go on where it is held."""
    writes = written(incident)
    done = [write.summary for write, how in writes if write in incident.writes and how in (DOING, DONE)]
    return IncidentLine(
        id=incident.id,
        target=incident.target,
        policy=incident.policy,
        phase=incident.phase.value,
        mode=incident.mode.name.lower(),
        opened_at=incident.opened_at,
        onset=incident.onset,
        reason=incident.reason,
        rung=(incident.rung if incident.offer is None else incident.offer.rung) + 1,
        doing="; ".join(done) or None,
        evidence_from=incident.evidence_from,
        held_by=incident.held.guard if incident.held else None,
        held_because=incident.held.reason if incident.held else None,
        stopped=tuple(f"rung {s.rung + 1} {s.target}: {s.how.value}: {s.reason}" for s in incident.stopped),
        offer=_offer(incident),
        acked_by=incident.acked.who if incident.acked else None,
        opened_by=incident.opened_by or None,
        writes=tuple(WriteLine(write.rung + 1, write.target, how, write.summary) for write, how in writes),
        claim=claim,
        go_on=go_on,
    )


def _offer(incident: Incident) -> OfferLine | None:
    offer = incident.offer
    if offer is None:
        return None
    approved_by = tuple(approval.who for approval in incident.approvals)
    return OfferLine(short(offer), offer.summary, offer.steps, offer.not_undone, offer.needed, approved_by, offer.expires_at)
