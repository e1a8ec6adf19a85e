"""Whose turn it is: what is under way in an incident, for which a person's order has to wait, and what it waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.past import RungPlan
from rollbackd.controller.explain.claim import waits_for
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.transaction import Transaction
from rollbackd.policies.known.events import Intended, Ordered
from rollbackd.policies.known.incident import AT_WORK, UNDER_WAY, Incident

FOLLOW = "follow it: rollbackd status"


def newest_order(read: Reading, incident: Incident) -> Ordered | None:
    """What a person ordered last in the incident."""
    return next((event for event in reversed(read.events(incident.id)) if isinstance(event, Ordered)), None)


def order_under_way(read: Reading, incident: Incident) -> Ordered | None:
    """The person's order of a rung that is what is under way in the incident: whoever orders the same once more is told of it."""
    order = newest_order(read, incident) if incident.phase in UNDER_WAY else None
    return order if order is not None and order.undo is None and order.rung == incident.rung else None


def ask_new(read: Reading, incident: Incident, rung: int) -> None:
    """Raises Denied where a person has ordered the rung of this index before, and that is what is under way."""
    order = order_under_way(read, incident)
    if order is not None and order.rung == rung:
        raise Denied("blocked", f"{_ordered_before(order)}{waits_for(read, incident)}", FOLLOW)


def ask_turn(read: Reading, incident: Incident, rung: int) -> None:
    """Raises Denied unless a person may order the rung of this index in the open incident."""
    over = f"when it is over, order anew; to end it: rollbackd ack {incident.id} --close"
    if incident.phase in UNDER_WAY:
        why = f"{incident.id} is {incident.phase.value}: its rung {incident.rung + 1} is not finished"
        raise Denied("blocked", f"{why}{waits_for(read, incident)}", over)
    if rung <= incident.rung:
        raise Denied("blocked", f"{incident.id} has tried rung {incident.rung + 1} already: no rung is repeated in an incident", over)


def ask_rest(read: Reading, incident: Incident, hint: str = "") -> None:
    """Raises Denied while a write is under way in the incident. ``hint``: what may be done meanwhile."""
    if incident.phase in AT_WORK:
        why = f"{incident.id} is {incident.phase.value}: what is under way has to end first"
        raise Denied("blocked", f"{why}{waits_for(read, incident)}", hint)


def ask_unmoved(tx: Transaction, incident: Incident) -> None:
    """Raises Denied if the incident writes, or has written, since the person was shown what it had written."""
    found = tx.incident(incident.id) or incident
    ask_rest(tx, found)
    if found.accepted != incident.accepted:
        raise Denied("blocked", f"{incident.id} has written more meanwhile; nothing was ordered", f"look at it: rollbackd history {incident.id}")


def as_ordered(rung: RungPlan, order: Ordered, waits: str = "") -> RungPlan:
    """The plan of a rung that a person's order is carrying out: it is not planned anew. ``waits``: what that waits for."""
    return RungPlan(rung.number, rung.what, "ordered", rung.from_revision, reason=f"{_ordered_before(order)}{waits}", advice=FOLLOW)


def as_begun(rung: RungPlan, incident: Incident, waits: str = "") -> RungPlan:
    """The plan of a rung that is under way by itself, or since people approved of it."""
    why = f"it is under way in {incident.id}, which is {incident.phase.value}"
    return RungPlan(rung.number, rung.what, "ordered", rung.from_revision, reason=f"{why}{waits}", advice=FOLLOW)


def as_undo(rung: RungPlan, write: Intended, orders: Sequence[Ordered]) -> RungPlan:
    """The plan as one of an undo; one of ``orders``, which are under way, may be taking the same write back already."""
    # Of flags the revisions are digests, which say nothing to people.
    what = write.summary if isinstance(write.record.get("after"), Mapping) else f"{write.to_revision} -> {write.from_revision}"
    rung = replace(rung, what=f"of {write.incident}, to be undone: {what}")
    same = (write.incident, write.rung, write.target)
    before = next((each for each in orders if each.undo is not None and (each.undo.incident, each.undo.rung, each.undo.target) == same), None)
    return rung if before is None else as_ordered(rung, before)


def _ordered_before(order: Ordered) -> str:
    return f"already ordered by {order.who} at {order.at:%H:%M:%S} UTC in {order.incident}"
