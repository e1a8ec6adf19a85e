"""The commands by which people go on where rollbackd does not: what is said here has to be true of `rollback` and its guards."""

from collections.abc import Collection
from shlex import quote

from rollbackd.controller.notify.written import UNKNOWN, is_with_people, written
from rollbackd.policies.decide.guards import ALWAYS_ASKED, PASSABLE
from rollbackd.policies.known.events import Held
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.model.policy import Policy, RestoreRung


def go_on(event: Held, incident: Incident, policy: Policy | None, holding: Collection[str] | None = None) -> str:
    """How a person has the next rung carried out that the hold keeps back, or an earlier one anew; empty where there is neither.

    ``holding``: every guard that holds now; None where only the one is known that did when it was held.
    """
    if policy is None or is_with_people(incident) or _may_be_writing(incident):
        return ""
    if (command := next_order(incident, policy)) is None:
        return _anew(incident, policy)
    found = (event.guard,) if holding is None else holding
    passing = "".join(f" --override {name}" for name in PASSABLE if name in found)
    if not ALWAYS_ASKED.isdisjoint(found):
        return f"to do it all the same, once the pause is lifted (rollbackd resume): {command}{passing}"
    # Only the first guard that holds is on record: an order that names it alone may be refused for the next.
    others = f" (every guard that holds: rollbackd explain {quote(incident.policy)})" if holding is None and passing else ""
    return f"to do it all the same{others}: {command}{passing}"


def _may_be_writing(incident: Incident) -> bool:
    """Whether a write of it may be under way though it is held: an order beside that is not what a page should advise."""
    return bool(incident.unsettled) or any(came_of == UNKNOWN for _, came_of in written(incident))


def stays_held(incident: Incident, policy: Policy | None) -> str:
    """That it is held for good though what held it is gone, and how a person goes on."""
    guard = incident.held.guard if incident.held is not None else "people"
    held = f"{incident.id} on {incident.target} stays held by {guard}"
    if policy is None:
        return f"{held}; its policy {incident.policy} is not loaded: to end it: rollbackd ack {incident.id} --close"
    if _may_be_writing(incident):
        return f"{held}, and a write of it may be under way: rollbackd explain {quote(incident.target)}"
    command = next_order(incident, policy)
    return f"{held}; {f'to act: {command}' if command is not None else _anew(incident, policy) or 'nothing is left to order in it'}"


def next_order(incident: Incident, policy: Policy) -> str | None:
    """The command that orders the next rung which one person may order in the incident; None where none is left."""
    left = [index for index in _orderable(policy) if index > incident.rung]
    if not left:
        return None
    # Unasked, it takes the first rung that has something to undo: that may be one that was tried, or a restore.
    is_any = incident.rung < 0 and len(left) == len(policy.ladder)
    return f"rollbackd rollback {quote(incident.policy)}{'' if is_any else f' --rung {left[0] + 1}'} --reason '...'"


def _anew(incident: Incident, policy: Policy) -> str:
    """No rung is repeated in an incident, but one whose write no target took may be ordered in another one."""
    taken = {write.rung for write in incident.accepted}
    if not [index for index in _orderable(policy) if index not in taken]:
        return ""
    # The end of an incident that acted begins the cool-down of its target.
    passed = " --override cool-down" if incident.acted else ""
    order = f"rollbackd rollback {quote(incident.policy)} --reason '...'{passed}"
    return f"no rung is left to order in this incident; to try one anew, end it: rollbackd ack {incident.id} --close; then: {order}"


def _orderable(policy: Policy) -> list[int]:
    """The rungs that one person may order: a restore is never among them."""
    return [index for index, rung in enumerate(policy.ladder) if not isinstance(rung, RestoreRung)]
