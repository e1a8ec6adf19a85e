"""The guard table: what may hold an action, each with its value, for deciding and for explaining."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.policies.changes import Change
from rollbackd.policies.fleet import Fleet
from rollbackd.policies.incident import Incident
from rollbackd.policies.keys import namespace_of
from rollbackd.policies.model import Policy

ALWAYS_ASKED = frozenset({"pause"})
"""What no person passes by naming it: they have to lift it."""
PASSABLE = ("systemic", "quarantine", "cool-down", "in-flight-namespace", "in-flight", "per-hour", "per-target-day")
"""What a person may pass by name, with a reason."""
SYSTEMIC_TARGETS = 2
"""So many targets in breach without a change of their own are a common cause (S22)."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard as it stands: ``value`` for people; ``blocks`` names why it holds an action now, None where it does not."""

    name: str
    value: str
    blocks: str | None = None


def guards(policy: Policy, suspects: Sequence[Change], fleet: Fleet, at: datetime, incident: Incident | None = None) -> tuple[Guard, ...]:
    """Every guard for acting on ``policy``'s target now, in the order in which they are asked. ``incident`` does not count against itself."""
    return (
        *running_guards(suspects, fleet, policy, incident),
        _quarantine(suspects, fleet),
        _cooldown(policy, fleet, at),
        *_in_flight(policy, fleet, incident),
        _per_hour(fleet),
        _per_day(policy, fleet),
    )


def running_guards(suspects: Sequence[Change], fleet: Fleet, policy: Policy, incident: Incident | None = None) -> tuple[Guard, ...]:
    """The guards that are asked again before each further rung; the budgets were spent by the first."""
    return (_pause(fleet), _systemic(policy, fleet), _acknowledged(incident), _irreversible(suspects))


def first_block(found: Sequence[Guard]) -> Guard | None:
    """The guard that holds the action, if one does."""
    return next((guard for guard in found if guard.blocks is not None), None)


def _pause(fleet: Fleet) -> Guard:
    return Guard("pause", f"paused: {fleet.paused}" if fleet.paused else "not paused", f"paused: {fleet.paused}" if fleet.paused else None)


def _systemic(policy: Policy, fleet: Fleet) -> Guard:
    others = sorted(fleet.unexplained - {policy.target})
    is_systemic = len(others) >= SYSTEMIC_TARGETS
    value = f"{len(others)} of {max(fleet.watched - 1, 0)} other targets in breach without a change; holds at {SYSTEMIC_TARGETS}"
    named = ", ".join(others[:5])
    return Guard("systemic", value, f"{value}: {named}: a common cause is likelier than this change" if is_systemic else None)


def _acknowledged(incident: Incident | None) -> Guard:
    acked = incident.acked if incident is not None else None
    if incident is None or acked is None:
        return Guard("acknowledged", "nobody has taken the incident" if incident else "no incident is open")
    why = f"{acked.who} has taken the incident at {acked.at:%H:%M:%S}: what is done next is theirs to order"
    return Guard("acknowledged", why, why)


def irreversible(suspects: Sequence[Change]) -> Change | None:
    """The newest suspect that no revert can safely cross."""
    return next((change for change in suspects if change.irreversible is not None), None)


def _irreversible(suspects: Sequence[Change]) -> Guard:
    found = irreversible(suspects)
    if found is None:
        return Guard("irreversible", "no suspect is irreversible")
    return Guard("irreversible", f"change {found.id} of {found.target} is irreversible: {found.irreversible}; a revert across it needs approval")


def _quarantine(suspects: Sequence[Change], fleet: Fleet) -> Guard:
    found = next((c for c in suspects if (c.target, c.revision) in fleet.quarantined), None)
    if found is None:
        return Guard("quarantine", "no suspect revision is quarantined")
    again = f"`rollbackd rearm {found.target} {found.revision}` allows a second rollback"
    why = f"revision {found.revision} was rolled back before and is live again; {again}"
    return Guard("quarantine", why, why)


def destination(target: str, revision: str, fleet: Fleet) -> Guard:
    """The guard on where a person's order would put a target: a quarantined revision is gone back to only by name (I5)."""
    if (target, revision) not in fleet.quarantined:
        return Guard("quarantine", f"{revision} is not quarantined")
    why = f"revision {revision} of {target} was rolled back before: going back to it has to be said in so many words"
    return Guard("quarantine", why, why)


def cooldown_of(policy: Policy, fleet: Fleet) -> timedelta:
    """The policy's own cool-down, not shorter than the daemon's floor; else the daemon's."""
    own = policy.timing.cooldown
    if own is None:
        return fleet.limits.cooldown
    return max(own, fleet.limits.cooldown_floor or timedelta(0))


def _cooldown(policy: Policy, fleet: Fleet, at: datetime) -> Guard:
    closed, length = fleet.closed.get(policy.target), cooldown_of(policy, fleet)
    if closed is None:
        return Guard("cool-down", "no incident closed on this target")
    until = closed + length
    value = f"last incident closed {closed:%H:%M:%S}, cool-down until {until:%H:%M:%S}"
    return Guard("cool-down", value, value if at < until else None)


def _in_flight(policy: Policy, fleet: Fleet, incident: Incident | None) -> tuple[Guard, Guard]:
    flights = [f for f in fleet.flights if incident is None or f.incident != incident.id]
    space = namespace_of(policy.target)
    here = [f for f in flights if f.namespace == space]
    return (
        _counted("in-flight-namespace", f"incidents in flight in {space}", len(here), fleet.limits.in_flight_per_namespace),
        _counted("in-flight", "incidents in flight", len(flights), fleet.limits.in_flight),
    )


def _per_hour(fleet: Fleet) -> Guard:
    return _counted("per-hour", "incidents that acted in the last hour", fleet.acted_in_hour, fleet.limits.per_hour)


def _per_day(policy: Policy, fleet: Fleet) -> Guard:
    acted = fleet.acted_in_day.get(policy.target, 0)
    return _counted("per-target-day", "incidents that acted on this target in the last day", acted, fleet.limits.per_target_per_day)


def _counted(name: str, what: str, used: int, limit: int) -> Guard:
    value = f"{used} of {limit} {what}"
    return Guard(name, value, value if used >= limit else None)
