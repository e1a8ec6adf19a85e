"""Which events of an incident are one and the same transition, and which come too late. It decides only; ``transaction`` writes."""

import hashlib
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
from rollbackd.policies.known.incident import AT_WORK, Incident, Phase
from rollbackd.policies.model.policy import Mode


def key_of(kind: str, event: IncidentEvent, incident: Incident | None = None) -> str | None:
    """What makes a second row of the same transition impossible. An incident may be held more than once, and a plan put to people again that was
    withdrawn or replaced: ``is_stale`` asks how it stands.

    A step whose write was found accepted after its end is waited for anew, and may end once more: ``incident``, as it stands, tells.
    """
    match event:
        case Stopped() if incident is not None and event.rung in incident.unsettled and incident.was_stopped(event.rung, event.target):
            return f"{event.incident}/{kind}/{event.rung}/{event.target}/again"
        case Opened() | Closed():
            return f"{event.incident}/{kind}"
        case Joined():
            key = f"{event.incident}/{kind}/{event.policy}/{event.condition}/{event.mode.name.lower()}"
            # What may only suggest may come to blame something else as well, once for each set of suspects.
            more = event.blame.suspects if event.blame is not None and event.mode < Mode.APPROVE else ()
            return f"{key}/{hashlib.sha256(' '.join(more).encode()).hexdigest()[:12]}" if more else key
        case Intended() | Applied() | Settled() | Stopped():
            return f"{event.incident}/{kind}/{event.rung}/{event.target}"
        case Held() | Ordered() | Acked() | Offered() | Approved():
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
        asked = incident.offer if incident.phase is Phase.AWAITING else None
        is_asked = asked is not None and (asked.rung, asked.plan_digest) == (event.rung, event.plan_digest)
        return is_asked or incident.order is not None or incident.phase in (*AT_WORK, Phase.HELD, Phase.CLOSED)
    if isinstance(event, Approved):
        return not incident.lacks(event)
    return not incident.is_open
