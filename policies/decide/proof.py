"""What one slot proves of an incident: that it still breaches, that it has recovered, or neither. Decides nothing."""

from collections.abc import Collection
from datetime import datetime

from rollbackd.policies.decide.slot import Slot
from rollbackd.policies.judge.composite import contributors, is_met
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.known.changes import Change, newest_foreign
from rollbackd.policies.known.events import Closed, CloseHow, Held
from rollbackd.policies.known.incident import Incident, Phase, suspects_of
from rollbackd.policies.known.reasons import duration_text, verdict_reason
from rollbackd.policies.model.policy import Mode
from rollbackd.policies.watching.recovery import leave_text

OTHER_WRITER = "other-writer"
"""Holds an incident where somebody else wrote after us."""


def acting_mode(slot: Slot, incident: Incident) -> Mode | None:
    """The most that the breaches which are proven now allow: what the one of them that may do most may do, where the trigger is met by them all.

    None: no rung may begin on them.

    What people have taken on is judged by every condition, whatever its mode: they have decided already.
    """
    allowed = (Mode.AUTO, Mode.APPROVE, *([Mode.OBSERVE] if incident.is_in_hands else []))
    return next((mode for mode in allowed if _is_breaching(slot, incident, mode)), None)


def _is_breaching(slot: Slot, incident: Incident, mode: Mode) -> bool:
    modes = [min(c.mode, v.most) for c, v in zip(slot.policy.conditions, slot.verdicts, strict=True)]
    joined = set(own_joined(slot, incident))
    # What is only observed joins no incident, and neither does what broke before the change; beside another both are part of what proves the breach.
    beside = [mode is Mode.OBSERVE or is_older(slot, incident, index) for index, mode in enumerate(modes)]
    standings = [_proven(verdict, index in joined or beside[index]) for index, verdict in enumerate(slot.verdicts)]
    if is_met(slot.policy.trigger, standings) is not True:
        return False
    return any(modes[index] >= mode for index in contributors(slot.policy.trigger, standings) if index in joined)


def is_older(slot: Slot, incident: Incident, index: int) -> bool:
    """Whether the condition's breach began before every suspect."""
    onset, blamed = slot.watch.tracks[index].onset, suspects_of(incident, slot.changes)
    return onset is not None and bool(blamed) and onset <= min(change.started_early for change in blamed)


def _proven(verdict: Verdict, counts: bool) -> bool | None:
    return (verdict.state is State.BREACH and counts) if verdict.state.is_known else None


def own_joined(slot: Slot, incident: Incident) -> list[int]:
    """The conditions of this policy that the incident is about; one that a person opened is about all that are known now."""
    joined = [i for i, c in enumerate(slot.policy.conditions) if (slot.policy.name, c.name) in incident.joined]
    return joined if joined or not incident.opened_by else _known(slot)


def _known(slot: Slot) -> list[int]:
    return [i for i, verdict in enumerate(slot.verdicts) if verdict.state.is_known]


def _to_be_well(slot: Slot, incident: Incident) -> list[int]:
    """The conditions of this policy that have to be well again: all that are known, where those of the incident were renamed or left out since."""
    return own_joined(slot, incident) or _known(slot)


def proven_breaches(slot: Slot, incident: Incident) -> str:
    """The breaches that are proven now, with their arithmetic."""
    indexes = own_joined(slot, incident)
    return "; ".join(verdict_reason(slot.policy.conditions[i], slot.verdicts[i]) for i in indexes if slot.verdicts[i].state is State.BREACH)


def all_reasons(slot: Slot, incident: Incident) -> str:
    """Every condition that has to be well again, with its arithmetic."""
    found = ((slot.policy.conditions[i], slot.verdicts[i]) for i in _to_be_well(slot, incident))
    return (
        "; ".join(verdict_reason(condition, verdict) + leave_text(condition, verdict) for condition, verdict in found)
        or "nothing is known of its conditions"
    )


def recovered(slot: Slot, incident: Incident, start: datetime) -> Closed | None:
    """The incident's end, where everything that it is about was proven well for ``recover_for`` since ``start``."""
    since = [slot.watch.tracks[i].ok_since if slot.verdicts[i].state is State.OK else None for i in _to_be_well(slot, incident)]
    others = (pair for pair in incident.joined if pair[0] != slot.policy.name)
    known = slot.fleet.healthy_since
    since += [known[incident.target, *pair] for pair in others if (incident.target, *pair) in known]  # one that is gone proves nothing any more
    healthy = [moment for moment in since if moment is not None]
    if not healthy or len(healthy) < len(since):
        return None
    lasted = slot.at - max(start, *healthy)
    if lasted < slot.policy.timing.recover_for:
        return None
    return Closed(incident.id, slot.at, CloseHow.RECOVERED, f"healthy for {duration_text(lasted)}: {all_reasons(slot, incident)}")


def is_over(slot: Slot, incident: Incident) -> Closed | None:
    """The incident's end, where nobody acts: its target moved on to a revision of another writer, or all is well again."""
    if newer := foreign(slot, incident, {incident.target}):
        reason = f"{newer.target} went to revision {newer.revision} by another writer; it gets a watch window of its own"
        return Closed(incident.id, slot.at, CloseHow.SUPERSEDED, reason)
    return recovered(slot, incident, incident.evidence_from or incident.opened_at)


def other_writer(slot: Slot, incident: Incident) -> Held | None:
    """What ends an incident that has written, where somebody else changed what it wrote to or watches after that (I10)."""
    under_way = [write.target for write in incident.writes] if incident.phase is Phase.VERIFYING else []
    newer = foreign(slot, incident, {incident.target, *incident.touched, *under_way}) if incident.touched or under_way else None
    if newer is None:
        return None
    reason = f"{newer.target} went to revision {newer.revision} by another writer after our change; nothing is repeated"
    return Held(incident.id, slot.at, OTHER_WRITER, reason)


def foreign(slot: Slot, incident: Incident, targets: Collection[str]) -> Change | None:
    """The newest change of these targets by another writer since the incident was opened."""
    return newest_foreign(slot.changes, targets, incident.opened_at, {*incident.suspects, *incident.known})
