"""Why a claim is not given: asked inside the transaction that would give it, so that two replicas cannot both pass."""

from collections.abc import Iterator
from datetime import datetime

from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.values import Blocked, Budget, Claim
from rollbackd.policies.known.events import Intended
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.known.incident import Incident, Phase, has_ended
from rollbackd.policies.known.reasons import clock_text


def refusal(read: Reading, event: Intended, limits: Limits, now: datetime) -> Blocked | None:
    """The first thing that stands against the claim, None if nothing does. An incident's first effect spends the budgets of all its rungs."""
    incident = read.incident(event.incident)
    if incident is None or not incident.is_open:
        return Blocked("closed", f"incident {event.incident} is {'closed' if incident else 'unknown'}; nothing more is done for it")
    if incident.phase in (Phase.HELD, Phase.PROPOSED):
        return Blocked("held", f"incident {event.incident} is {incident.phase.value}: people have it, nothing more is done by itself")
    if incident.acked is not None and not event.by:
        who, at = incident.acked.who, incident.acked.at
        return Blocked("acknowledged", f"{who} has taken the incident at {at:%H:%M:%S}: what is done next is theirs to order")
    if incident.order is not None and incident.orders_else(event.by, event.rung, event.plan_digest):
        return Blocked("ordered", f"{incident.order.who} has ordered rung {incident.order.rung + 1} meanwhile: that comes first")
    if (why := _out_of_turn(read, event.rung, incident, now)) is not None:
        return Blocked("claimed", why)
    if event.deadline <= now:
        return Blocked("deadline", f"its deadline {event.deadline:%H:%M:%S} had passed at {now:%H:%M:%S} on the database clock; decide again")
    if incident.acted:
        return None
    return next(_spent(read.budget(now), incident, read.namespace_of(event.incident), limits, now), None)


def _out_of_turn(read: Reading, rung: int, incident: Incident, now: datetime) -> str | None:
    """Why nobody may begin this rung now, or ever."""
    if has_ended(incident):
        return f"incident {incident.id} has come to its end: {incident.stopped[-1].reason}"
    if rung <= incident.rung:  # by this replica or another, and on whatever target that one's policy names for it
        return f"rung {rung} was begun or has ended already, the newest is {incident.rung}; no rung is repeated"
    if incident.phase is Phase.ACTING:
        return f"nobody knows yet what became of rung {incident.rung}; what follows waits for its answer"
    if (claim := writing(read, incident, now)) is not None:
        return f"{claim.claimant} may be writing rung {incident.rung} until its claim ends"
    return None


def writing(read: Reading, incident: Incident, now: datetime) -> Claim | None:
    """The claim under which somebody may be writing in this incident."""
    claim = open_claim(read, incident)
    return claim if claim is not None and now < claim.deadline else None


def open_claim(read: Reading, incident: Incident) -> Claim | None:
    """The claim on the newest write of the incident, until its outcome is known; also if people or a lost policy have held that since."""
    newest = incident.intent
    claim = read.claim_on(incident.id, newest.rung, newest.target) if newest is not None else None
    return claim if claim is not None and claim.ended_at is None else None


def _spent(budget: Budget, incident: Incident, namespace: str, limits: Limits, now: datetime) -> Iterator[Blocked]:
    here = sum(flight.namespace == namespace for flight in budget.flights)
    day = budget.acted_in_day.get(incident.target, 0)
    counts = (
        ("in-flight-namespace", here, limits.in_flight_per_namespace, f"incidents in flight in {namespace}"),
        ("in-flight", len(budget.flights), limits.in_flight, "incidents in flight"),
        ("per-hour", budget.acted_in_hour, limits.per_hour, "incidents that acted in the last hour"),
        ("per-target-day", day, limits.per_target_per_day, "incidents that acted on this target in the last day"),
    )
    for guard, used, limit, what in counts:
        if used >= limit:
            yield Blocked(guard, f"{used} of {limit} {what}")
    closed = budget.closed.get(incident.target)
    # Without a cool-down none is asked for: the closing time is a replica's clock, which may be ahead of this one.
    if closed is not None and limits.cooldown and now < (until := closed + limits.cooldown):
        yield Blocked("cool-down", f"last incident closed {clock_text(closed, now)}, cool-down until {clock_text(until, now)}")
