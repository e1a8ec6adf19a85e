"""The one function that decides. Live daemon, explain, backtest and simulation call the same; it reads no clock and touches nothing."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from rollbackd.policies import ladder
from rollbackd.policies.bake import bake
from rollbackd.policies.changes import Change, newest_foreign
from rollbackd.policies.composite import is_met
from rollbackd.policies.confirm import is_confirmed, mark
from rollbackd.policies.decisions import Decision, Wait
from rollbackd.policies.events import Closed, CloseHow, Held, Joined, Opened, RungEnd
from rollbackd.policies.fleet import Fleet
from rollbackd.policies.guards import first_block, guards
from rollbackd.policies.incident import Incident, Phase, advance, opened
from rollbackd.policies.judge import State, Verdict
from rollbackd.policies.model import Mode, OnNoData, Policy
from rollbackd.policies.opening import consider
from rollbackd.policies.reasons import duration_text, verdict_reason
from rollbackd.policies.since import evidence_since, look_interval
from rollbackd.policies.slot import Slot
from rollbackd.policies.watch import Watch

OTHERS = 2
"""So many slots a first rung waits, at most, until every other target was looked at since the onset (I7)."""


def step(
    policy: Policy,
    watch: Watch,
    incident: Incident | None,
    verdicts: Sequence[Verdict],
    changes: Sequence[Change],
    fleet: Fleet,
    at: datetime,
) -> tuple[Watch, tuple[Decision, ...]]:
    """The watch after the slot ``at`` and what is to be done, in order. Equal arguments give equal results.

    ``incident``: the open one of the watched target, whoever opened it. ``changes``: those of the policy's targets.
    """
    every = look_interval(policy, incident, changes, fleet, at)
    looked = _as_looked_at(policy, incident, verdicts)
    marked = _marked(policy, watch, looked, every, at)
    baked, bakes = bake(policy, marked, looked, changes, fleet, at)
    if incident is None and not any(v.state is State.BREACH for v in looked):
        return baked, bakes
    since, _ = evidence_since(policy, incident, changes, at)
    triples = zip(policy.conditions, baked.tracks, looked, strict=True)
    confirmed = tuple(is_confirmed(condition, track, verdict, every, since, at) for condition, track, verdict in triples)
    slot = Slot(policy, baked, looked, confirmed, tuple(changes), fleet, at)
    return baked, (*bakes, *(_begin_or_wait(slot) if incident is None else _carry_on(slot, incident)))


def _as_looked_at(policy: Policy, incident: Incident | None, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """``on_no_data: ok`` holds only while no incident is open: silence is no recovery."""
    if incident is not None:
        return tuple(verdicts)
    pairs = zip(policy.conditions, verdicts, strict=True)
    return tuple(Verdict(State.OK, v.evidence) if v.state is State.NODATA and c.on_no_data is OnNoData.OK else v for c, v in pairs)


def _marked(policy: Policy, watch: Watch, verdicts: Sequence[Verdict], every: timedelta, at: datetime) -> Watch:
    triples = zip(policy.conditions, watch.tracks, verdicts, strict=True)
    return Watch(watch.digest, tuple(mark(c, t, v, every, at) for c, t, v in triples), watch.revision, watch.clean_since, watch.baked)


def _begin_or_wait(slot: Slot) -> tuple[Decision, ...]:
    decided = consider(slot)
    return (decided, *_carry_on(slot, opened(decided))) if isinstance(decided, Opened) else (decided,)


def _carry_on(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    joins = _joins(slot, incident)
    for join in joins:
        incident = advance(incident, join)
    if incident.policy != slot.policy.name:
        return joins  # the opener's ladder runs; this policy is evidence
    return (*joins, *TRANSITIONS[incident.phase](slot, incident))


def _joins(slot: Slot, incident: Incident) -> tuple[Joined, ...]:
    found = []
    for index, condition in enumerate(slot.policy.conditions):
        mode = slot.mode(index)
        is_new = (slot.policy.name, condition.name) not in incident.joined
        raises = incident.phase is Phase.PROPOSED and mode is Mode.AUTO and slot.policy.name != incident.policy
        if (is_new or raises) and slot.confirmed[index] and mode is not Mode.OBSERVE and _is_of(slot, incident, index):
            found.append(Joined(incident.id, slot.at, slot.policy.name, condition.name, mode, slot.reason(index)))
    return tuple(found)


def _is_of(slot: Slot, incident: Incident, index: int) -> bool:
    """True if the condition's breach began after a suspect did: an older one is not the incident's doing."""
    onset = slot.watch.tracks[index].onset
    blamed = ladder.suspects_of(incident, slot.changes)
    return onset is not None and (not blamed or onset >= min(change.started_early for change in blamed))


def _begin(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    if unproven := _unless_breaching(slot, incident):
        return unproven
    if slot.fleet.oldest_look is not None and slot.fleet.oldest_look < incident.onset and slot.at - incident.onset < OTHERS * slot.policy.every:
        return (Wait("the other targets are looked at first: a breach that they share has a common cause"),)
    blamed = ladder.suspects_of(incident, slot.changes)
    if block := first_block(guards(slot.policy, blamed, slot.fleet, slot.at, incident.id)):
        return (Held(incident.id, slot.at, block.name, block.blocks or block.value),)
    return _climb(slot, incident, incident.reason)


def _climb(slot: Slot, incident: Incident, why: str) -> tuple[Decision, ...]:
    return ladder.next_rung(slot, incident, why)


def _wait_for_target(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    return (Wait(f"rung {incident.rung + 1} is {incident.phase.value}"),)


def _verify(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    start = incident.evidence_from or slot.at
    if foreign := _foreign(slot, incident, {incident.target, *([incident.intent.target] if incident.intent else [])}):
        reason = f"{foreign.target} went to revision {foreign.revision} by another writer after our change; nothing is repeated"
        return (Held(incident.id, slot.at, "other-writer", reason),)
    if slot.at < start:
        return (Wait(f"settling until {start:%H:%M:%S}"),)
    if _is_breaching(slot, incident):
        return _climb(slot, incident, f"rung {incident.rung + 1} did not help: {'; '.join(_proven_breaches(slot, incident))}")
    if recovered := _recovered(slot, incident, start):
        return (recovered,)
    if slot.at - start >= slot.policy.timing.give_up:
        reason = f"neither recovery nor breach was proven within {duration_text(slot.policy.timing.give_up)}: {_all_reasons(slot, incident)}"
        return (Held(incident.id, slot.at, "give-up", reason),)
    return (Wait(f"verifying since {start:%H:%M:%S}: {_all_reasons(slot, incident)}"),)


def _after_stop(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    last = incident.stopped[-1]
    if last.how is RungEnd.OVERTAKEN:
        return (Held(incident.id, slot.at, "other-writer", last.reason),)
    if last.how is RungEnd.SUPERSEDED and last.target == incident.target:
        return (Closed(incident.id, slot.at, CloseHow.SUPERSEDED, last.reason),)
    if unproven := _unless_breaching(slot, incident):
        return unproven
    return _climb(slot, incident, incident.reason if last.how in (RungEnd.NOTHING, RungEnd.NO_SUSPECT) else last.reason)


def _unless_breaching(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    """What to do instead of acting where the breach is not proven at this slot, as after a restart; nothing where it is."""
    if _is_breaching(slot, incident):
        return ()
    if recovered := _recovered(slot, incident, incident.opened_at):
        return (recovered,)
    if slot.at - incident.opened_at >= slot.policy.timing.give_up:
        reason = f"the breach could not be proven again within {duration_text(slot.policy.timing.give_up)}: {_all_reasons(slot, incident)}"
        return (Held(incident.id, slot.at, "give-up", reason),)
    return (Wait(f"not proven now: {_all_reasons(slot, incident)}"),)


def _watch_over(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    """Proposed or held: people have it; it closes by itself only when it is plainly over."""
    if foreign := _foreign(slot, incident, {incident.target}):
        reason = f"{foreign.target} went to revision {foreign.revision} by another writer; it gets a watch window of its own"
        return (Closed(incident.id, slot.at, CloseHow.SUPERSEDED, reason),)
    recovered = _recovered(slot, incident, incident.evidence_from or incident.opened_at)
    return (recovered,) if recovered else (Wait(f"{incident.phase.value}: {_all_reasons(slot, incident)}"),)


def _foreign(slot: Slot, incident: Incident, targets: Collection[str]) -> Change | None:
    return newest_foreign(slot.changes, targets, incident.opened_at, incident.suspects)


def _own_joined(slot: Slot, incident: Incident) -> list[int]:
    return [i for i, c in enumerate(slot.policy.conditions) if (slot.policy.name, c.name) in incident.joined]


def _is_breaching(slot: Slot, incident: Incident) -> bool:
    """True if the trigger is met by breaches that are proven now, of conditions that joined and may act: what a rung may begin on."""
    joined = {i for i in _own_joined(slot, incident) if slot.policy.conditions[i].mode is Mode.AUTO}
    standings = [_proven(verdict, index in joined) for index, verdict in enumerate(slot.verdicts)]
    return is_met(slot.policy.trigger, standings) is True


def _proven(verdict: Verdict, counts: bool) -> bool | None:
    return (verdict.state is State.BREACH and counts) if verdict.state.is_known else None


def _proven_breaches(slot: Slot, incident: Incident) -> list[str]:
    indexes = _own_joined(slot, incident)
    return [verdict_reason(slot.policy.conditions[i], slot.verdicts[i]) for i in indexes if slot.verdicts[i].state is State.BREACH]


def _recovered(slot: Slot, incident: Incident, start: datetime) -> Closed | None:
    since = [slot.watch.tracks[i].ok_since if slot.verdicts[i].state is State.OK else None for i in _own_joined(slot, incident)]
    others = (pair for pair in incident.joined if pair[0] != slot.policy.name)
    known = slot.fleet.healthy_since
    since += [known[incident.target, *pair] for pair in others if (incident.target, *pair) in known]  # one that is gone proves nothing any more
    healthy = [moment for moment in since if moment is not None]
    if not healthy or len(healthy) < len(since):
        return None
    lasted = slot.at - max(start, *healthy)
    if lasted < slot.policy.timing.recover_for:
        return None
    return Closed(incident.id, slot.at, CloseHow.RECOVERED, f"healthy for {duration_text(lasted)}: {_all_reasons(slot, incident)}")


def _all_reasons(slot: Slot, incident: Incident) -> str:
    return "; ".join(verdict_reason(slot.policy.conditions[i], slot.verdicts[i]) for i in _own_joined(slot, incident))


def _nothing(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    return ()


TRANSITIONS: dict[Phase, Callable[[Slot, Incident], tuple[Decision, ...]]] = {
    Phase.PROPOSED: _watch_over,
    Phase.OPEN: _begin,
    Phase.ACTING: _wait_for_target,
    Phase.SETTLING: _wait_for_target,
    Phase.VERIFYING: _verify,
    Phase.STOPPED: _after_stop,
    Phase.HELD: _watch_over,
    Phase.CLOSED: _nothing,
}
"""What each phase does with a slot. Every change of phase is a journal row that one of these, or the actor, wrote."""
