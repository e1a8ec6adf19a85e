"""Incidents whose policy is not loaded here: nobody's ladder runs for them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rollbackd.policies.known.incident import Incident, Phase
from rollbackd.policies.model.policy import Policy


class Orphans:
    """``after``: how long an incident may be one before it is held: another replica may have read a new policy before this one does."""

    def __init__(self, after: timedelta) -> None:
        self._after = after
        self._since: dict[str, datetime] = {}

    def is_due(self, incident: Incident, at: datetime) -> bool:
        """Has this orphan been one for long enough?"""
        return at - self._since.setdefault(incident.id, at) >= self._after

    def is_found(self, incident: Incident) -> None:
        """Its policy is here: the next time that it is not, the waiting begins anew."""
        self._since.pop(incident.id, None)


def is_orphan(incident: Incident, policies: Mapping[str, Policy]) -> bool:
    """Its policy is not there, or watches something else by now."""
    policy = policies.get(incident.policy)
    return policy is None or policy.target != incident.target


def incident_of(policy: Policy, incidents: Sequence[Incident], policies: Mapping[str, Policy]) -> Incident | None:
    """The open incident of the policy's target; an orphan that waits for people is the policy's own from here on."""
    found = next((incident for incident in incidents if incident.target == policy.target), None)
    if found is None or found.phase not in (Phase.HELD, Phase.PROPOSED) or not is_orphan(found, policies):
        return found
    return adopted(found, policy.name, [condition.name for condition in policy.conditions], policies)


def adopted(incident: Incident, policy: str, conditions: Collection[str], loaded: Collection[str]) -> Incident:
    """The incident of a policy that is gone, as another policy of the same target watches over it until it is over."""
    kept = [pair for pair in incident.joined if pair[0] in loaded]
    same = [(policy, condition) for owner, condition in incident.joined if owner not in loaded and condition in conditions]
    joined = tuple(dict.fromkeys((*kept, *same))) or tuple((policy, condition) for condition in conditions)
    return replace(incident, policy=policy, joined=joined, is_adopted=True)
