"""Which events of an incident are one and the same transition, and which come too late. It decides only; ``transaction`` writes."""

from typing import assert_never

from rollbackd.policies.known.events import (
    Acked,
    Applied,
    Approved,
    Closed,
    Held,
    IncidentEvent,
    Intended,
    Joined,
    Offered,
    Opened,
    Ordered,
    Settled,
    Stopped,
)
from rollbackd.policies.known.incident import Incident, Phase


def key_of(kind: str, event: IncidentEvent, incident: Incident | None = None) -> str | None:
    """What makes a second row of the same transition impossible; an incident may be held more than once.

    A step whose write was found accepted after its end is waited for anew, and may end once more: ``incident``, as it stands, tells.
    """
    match event:
        case Stopped() if incident is not None and event.rung in incident.unsettled and incident.was_stopped(event.rung, event.target):
            return f"{event.incident}/{kind}/{event.rung}/{event.target}/again"
        case Opened() | Closed():
            return f"{event.incident}/{kind}"
        case Joined():
            return f"{event.incident}/{kind}/{event.policy}/{event.condition}/{event.mode.name.lower()}"
        case Intended() | Applied() | Settled() | Stopped():
            return f"{event.incident}/{kind}/{event.rung}/{event.target}"
        case Offered():
            return f"{event.incident}/{kind}/{event.rung}/{event.plan_digest}"
        case Approved():
            return f"{event.incident}/{kind}/{event.plan_digest}/{event.who}"
        case Held() | Ordered() | Acked():
            return None
        case _:
            assert_never(event)


def is_stale(incident: Incident, event: IncidentEvent) -> bool:
    """Did the incident come further already, or this far? What was done outside is never stale."""
    if isinstance(event, Applied | Stopped):
        return False
    if isinstance(event, Held) and incident.phase is Phase.HELD and incident.held is not None:
        return incident.held.guard == event.guard
    if isinstance(event, Offered):
        return incident.phase in (Phase.HELD, Phase.CLOSED)
    return not incident.is_open
