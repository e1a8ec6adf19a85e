"""What may be read of a running daemon from another thread. The engine's dictionaries are copied before they are walked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from rollbackd.controller.answers.status import ClaimLine, Reload
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.slots import Standing
from rollbackd.controller.notify.store_trouble import StoreTrouble
from rollbackd.controller.observe.changes import ChangeBook
from rollbackd.policies.known.changes import Change, watched
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.model.keys import namespace_of
from rollbackd.policies.model.policy import Mode, Policy
from rollbackd.policies.watching.since import watch_length


class EngineView(Protocol):
    """The engine as others see it. Nothing here is written by anyone but the engine thread."""

    policies: dict[str, Policy]
    standings: dict[str, Standing]
    fleet: Fleet
    incidents: tuple[Incident, ...]
    settings: Settings
    book: ChangeBook
    trouble: StoreTrouble
    spared: int
    last_slot: datetime | None
    slots: int
    verdicts: Counter[str]

    def wake(self, target: str) -> None:
        """The policies of this target will be decided again."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What only the daemon knows of itself. ``lateness``: how late the newest slot began.

    ``unread``: the names of policies whose files have faults; ``claimed``: targets that such policies name, and the names of these.
    """

    version: str
    replica: str
    started_at: datetime
    reload: Reload
    missed_slots: int = 0
    lateness: timedelta = timedelta(0)
    unread: frozenset[str] = frozenset()
    claimed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyView:
    """One policy as it stands: its last slot (None before the first), the changes of its targets, its target's open incident.

    ``claim``: what the incident waits for. ``owner``: the policy whose ladder runs in it, None where that is not loaded.
    """

    policy: Policy
    standing: Standing | None
    changes: tuple[Change, ...]
    incident: Incident | None
    fleet: Fleet
    mode: Mode
    revision: str | None
    target_fault: str | None
    now: datetime
    claim: ClaimLine | None = None
    owner: Policy | None = None

    @property
    def watch_until(self) -> datetime | None:
        """Until when a breach may still be laid to a change; None where no watch window is open."""
        length = watch_length(self.policy)
        return max((c.window_end(length) for c in self.watched), default=None)

    @property
    def watched(self) -> tuple[Change, ...]:
        """The changes whose watch window is open now, newest first."""
        return watched(self.changes, watch_length(self.policy), self.fleet.answered_on(self.policy.target), self.now)


def policy_views(engine: EngineView, paused: str | None, claims: Mapping[str, ClaimLine], now: datetime) -> dict[str, PolicyView]:
    """Every loaded policy, by name. ``paused`` is asked for anew: the switch may have been thrown since the last slot. ``claims``: by incident."""
    standings, sightings, policies = dict(engine.standings), dict(engine.book.sightings), dict(engine.policies)
    incidents = {incident.target: incident for incident in engine.incidents}
    fleet = replace(engine.fleet, paused=paused)
    return {
        policy.name: PolicyView(
            policy=policy,
            standing=standings.get(policy.name),
            changes=engine.book.of(policy.targets),
            incident=(incident := incidents.get(policy.target)),
            fleet=fleet,
            mode=effective_mode(policy, engine.settings),
            revision=sighting.state.revision if (sighting := sightings.get(policy.target)) and sighting.state else None,
            target_fault=sighting.fault if sighting else None,
            now=now,
            claim=claims.get(incident.id) if incident is not None else None,
            owner=policies.get(incident.policy) if incident is not None else None,
        )
        for policy in by_name(policies)
    }


def by_name(policies: Mapping[str, Policy]) -> Sequence[Policy]:
    """The policies in the order of their names."""
    return [policy for _, policy in sorted(dict(policies).items())]


def effective_mode(policy: Policy, settings: Settings) -> Mode:
    """The most that the policy may do here: the lowest of daemon, namespace and policy."""
    return min(settings.mode_cap, settings.namespace_caps.get(namespace_of(policy.target), Mode.AUTO), policy.mode)
