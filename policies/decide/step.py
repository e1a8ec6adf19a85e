"""The one function that decides. Live daemon, explain, backtest and simulation call the same; it reads no clock and touches nothing."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from rollbackd.policies.blame.attribution import known_changes
from rollbackd.policies.blame.neighbours import neighbours
from rollbackd.policies.decide import hands, ladder, proof
from rollbackd.policies.decide.bake import bake
from rollbackd.policies.decide.decisions import Decision, Wait
from rollbackd.policies.decide.guards import first_block, guards
from rollbackd.policies.decide.opening import beside, consider, raising, raising_reason, unread
from rollbackd.policies.decide.slot import Slot
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Closed, CloseHow, Held, Joined, Opened, RungEnd
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.fold import advance, opened
from rollbackd.policies.known.incident import Incident, Phase, suspects_of
from rollbackd.policies.known.reasons import duration_text
from rollbackd.policies.known.watch import Watch
from rollbackd.policies.model.keys import is_handed_over
from rollbackd.policies.model.policy import Mode, OnNoData, Policy
from rollbackd.policies.watching.confirm import is_confirmed, mark
from rollbackd.policies.watching.recovery import as_left
from rollbackd.policies.watching.since import evidence_since, look_interval

OTHERS = 2
"""So many slots a first rung waits, at most, until every other target was looked at since the onset (I7)."""
PATIENCE = timedelta(minutes=3)
"""So long a first rung waits, at most, while other targets without a change break or lean towards it: what they share reaches some of them later."""
LONE = timedelta(seconds=150)
"""So long a breach that began late has to have lasted before the first rung, so that others with the same cause have had time to show it."""

AHEAD = timedelta(minutes=1)
"""So far another replica's clock may be ahead of ours: an end that is further ahead of a slot is not waited for."""

HANDED_OVER = "handed-over"
"""Holds an incident whose last rung people finish."""


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
    looked = _as_looked_at(policy, watch, incident, verdicts)
    marked = _marked(policy, watch, looked, every, at)
    baked, bakes = bake(policy, marked, looked, changes, fleet, at)
    if incident is None and State.BREACH not in [verdict.state for verdict in looked]:
        return baked, bakes
    since, _ = evidence_since(policy, incident, changes, fleet, at)
    triples = zip(policy.conditions, baked.tracks, looked, strict=True)
    confirmed = tuple([is_confirmed(condition, track, verdict, every, since, at) for condition, track, verdict in triples])
    slot = Slot(policy, baked, looked, confirmed, known_changes(policy, changes, fleet), fleet, at)
    return baked, (*bakes, *(_begin_or_wait(slot) if incident is None else _carry_on(slot, incident)))


def _as_looked_at(policy: Policy, watch: Watch, incident: Incident | None, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """``on_no_data: ok`` holds only while no incident is open: silence is no recovery. Neither is what is only just within a limit."""
    if incident is not None:
        triples = zip(policy.conditions, watch.tracks, verdicts, strict=True)
        return tuple([as_left(condition, track, verdict) for condition, track, verdict in triples])
    pairs = zip(policy.conditions, verdicts, strict=True)
    return tuple([Verdict(State.OK, v.evidence) if v.state is State.NODATA and c.on_no_data is OnNoData.OK else v for c, v in pairs])


def _marked(policy: Policy, watch: Watch, verdicts: Sequence[Verdict], every: timedelta, at: datetime) -> Watch:
    triples = zip(policy.conditions, watch.tracks, verdicts, strict=True)
    return Watch(watch.digest, tuple([mark(c, t, v, every, at) for c, t, v in triples]), watch.revision, watch.clean_since, watch.baked)


def _begin_or_wait(slot: Slot) -> tuple[Decision, ...]:
    decided = consider(slot)
    return (*decided, *(each for one in decided if isinstance(one, Opened) for each in _carry_on(slot, opened(one))))


def _carry_on(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    before = incident
    joins, incident = _joins(slot, incident)
    told = (*joins, *(beside(slot, before) if incident.phase is Phase.PROPOSED else ()))
    if incident.policy != slot.policy.name:
        return told  # the opener's ladder runs; this policy is evidence
    return (*told, *TRANSITIONS[incident.phase](slot, incident))


def _joins(slot: Slot, incident: Incident) -> tuple[tuple[Joined, ...], Incident]:
    """The rows of what joins in this slot, and the incident after them."""
    joins: list[Joined] = []
    for index in [i for i, confirmed in enumerate(slot.confirmed) if confirmed and slot.mode(i) is not Mode.OBSERVE]:
        if incident.phase is Phase.PROPOSED and unread(slot, index) is not None:
            continue  # it might raise what was only proposed
        join = _join(slot, incident, index) if _concerns(slot, incident, index) else None
        if join is not None:
            joins.append(join)
            incident = advance(incident, join)
    return tuple(joins), incident


def _join(slot: Slot, incident: Incident, index: int) -> Joined | None:
    """The row with which a confirmed condition becomes evidence, or raises what was only proposed; None where it says nothing new.

    One that may act raises for what it blames itself; one that may only suggest adds what it blames to what was suggested. A breach outside its watch
    window is evidence and no more: a suggestion that nobody took up must not become a rollback by something else, days later.
    """
    condition, mode = slot.policy.conditions[index], slot.mode(index)
    is_new = (slot.policy.name, condition.name) not in incident.joined
    blame = raising(slot, index, incident) if incident.phase is Phase.PROPOSED else None
    blames_else = blame is not None and not set(blame.suspects) <= set(incident.suspects)
    if blame is None or (mode < Mode.APPROVE and not blames_else):
        most = min(mode, Mode.SUGGEST) if incident.phase is Phase.PROPOSED else mode
        return Joined(incident.id, slot.at, slot.policy.name, condition.name, most, slot.reason(index)) if is_new else None
    # What its own policy only proposed, with a lower mode, is not taken up because the mode was lifted since.
    is_news = is_new or blames_else or slot.policy.name != incident.policy or condition.compares or incident.is_adopted
    reason = raising_reason(slot, index, blame)
    return Joined(incident.id, slot.at, slot.policy.name, condition.name, mode, reason, blame) if is_news else None


def _concerns(slot: Slot, incident: Incident, index: int) -> bool:
    """True where the condition's breach is the incident's doing, or where it would lead to something by itself beside what is only proposed."""
    return _is_of(slot, incident, index) or (incident.phase is Phase.PROPOSED and raising(slot, index, incident) is not None)


def _is_of(slot: Slot, incident: Incident, index: int) -> bool:
    """True if the condition's breach began after a suspect did: an older one is not the incident's doing."""
    return slot.watch.tracks[index].onset is not None and not proof.is_older(slot, incident, index)


def _begin(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    if incident.order is not None:
        return hands.obey(slot, incident, incident.order)
    allowed = proof.acting_mode(slot, incident)
    if allowed is None:
        return _unproven(slot, incident)
    blamed = suspects_of(incident, slot.changes)
    if others := _others_first(slot, incident, blamed):
        return (others,)
    if block := first_block(guards(slot.policy, blamed, slot.fleet, slot.at, incident)):
        return (Held(incident.id, slot.at, block.name, block.blocks or block.value),)
    return _climb(slot, incident, incident.reason, allowed)


def _others_first(slot: Slot, incident: Incident, blamed: Sequence[Change]) -> Wait | None:
    """Why the first rung waits for what becomes of the other targets; None where it does not, or has waited for long enough."""
    if slot.fleet.oldest_look is not None and slot.fleet.oldest_look < incident.onset and slot.at - incident.onset < OTHERS * slot.policy.every:
        return Wait("the other targets are looked at first: a breach that they share has a common cause")
    found, until = neighbours(slot.policy, blamed, slot.fleet), (incident.raised_at or incident.opened_at) + PATIENCE
    if found.late_since is not None and slot.fleet.watched > 1 and slot.at < (shown := found.late_since + LONE) and not found.is_common:
        began = f"it began at {found.late_since:%H:%M:%S}, long after the change"
        return Wait(f"{began}: whether others have the same cause shows until {shown:%H:%M:%S}")
    if slot.at >= until:
        return None
    if not found.may_be_common:
        return None
    named = ", ".join((*found.broken, *found.leaning)[:5])
    said = f"{len(found.broken)} other targets without a change are in breach and {len(found.leaning)} lean towards it ({named})"
    return Wait(f"{said}: whether the cause is common shows until {until:%H:%M:%S}; {found.needed} in breach would hold")


def _climb(slot: Slot, incident: Incident, why: str, allowed: Mode) -> tuple[Decision, ...]:
    if incident.is_in_hands:
        return (Held(incident.id, slot.at, "by-hand", f"{why}; the next step is yours to order"),)
    return ladder.next_rung(slot, incident, why, allowed)


def _wait_for_target(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    return (Wait(f"rung {incident.rung + 1} is {incident.phase.value}"),)


def _verify(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    if incident.intent is not None and is_handed_over(incident.intent.target):
        reason = f"{incident.intent.summary}: it was ordered, and it is yours from here; nothing is cut over"
        return (Held(incident.id, slot.at, HANDED_OVER, reason),)
    start = incident.evidence_from or slot.at
    if (other := proof.other_writer(slot, incident)) is not None:
        return (other,)
    if slot.at < start:
        return (Wait(f"settling until {start:%H:%M:%S}"),)
    if (allowed := proof.acting_mode(slot, incident)) is not None:
        return _climb(slot, incident, f"rung {incident.rung + 1} did not help: {proof.proven_breaches(slot, incident)}", allowed)
    if recovered := proof.recovered(slot, incident, start):
        return (recovered,)
    if slot.at - start >= slot.policy.timing.give_up:
        reason = f"neither recovery nor breach was proven within {duration_text(slot.policy.timing.give_up)}: {proof.all_reasons(slot, incident)}"
        return (Held(incident.id, slot.at, "give-up", reason),)
    return (Wait(f"verifying since {start:%H:%M:%S}: {proof.all_reasons(slot, incident)}"),)


def _after_stop(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    last = incident.stopped[-1]
    if last.how is RungEnd.OVERTAKEN:
        return (Held(incident.id, slot.at, proof.OTHER_WRITER, last.reason),)
    is_superseded = last.how is RungEnd.SUPERSEDED and last.target == incident.target
    if is_superseded and incident.target not in incident.touched:
        return (Closed(incident.id, slot.at, CloseHow.SUPERSEDED, last.reason),)
    if (other := proof.other_writer(slot, incident)) is not None:
        return (other,)
    # Perhaps by our own write for a neighbour, and this evidence is from before it.
    if last.how is RungEnd.SUPERSEDED and slot.at <= last.at < slot.at + AHEAD:
        return (Wait(f"{last.target} went elsewhere at {last.at:%H:%M:%S}: what that brings is looked at first"),)
    if incident.is_in_hands:
        advice = f" ({last.advice})" if last.advice else ""
        return (Held(incident.id, slot.at, "by-hand", f"rung {last.rung + 1} {last.how.value}: {last.reason}{advice}"),)
    if is_superseded:
        reason = f"rung {last.rung + 1} is about what this incident has written already, as after an edit of the ladder: {last.reason}"
        return (Held(incident.id, slot.at, "policy-changed", reason),)
    allowed = proof.acting_mode(slot, incident)
    if allowed is None:
        return _unproven(slot, incident)
    return _climb(slot, incident, incident.reason if last.how in (RungEnd.NOTHING, RungEnd.NO_SUSPECT) else last.reason, allowed)


def _unproven(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    """What to do instead of acting where the breach is not proven at this slot, as after a restart."""
    if recovered := proof.recovered(slot, incident, incident.opened_at):
        return (recovered,)
    if slot.at - incident.rested_at >= slot.policy.timing.give_up:
        reason = f"the breach could not be proven again within {duration_text(slot.policy.timing.give_up)}: {proof.all_reasons(slot, incident)}"
        return (Held(incident.id, slot.at, "give-up", reason),)
    return (Wait(f"not proven now: {proof.all_reasons(slot, incident)}"),)


def _watch_over(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    """Proposed or held: people have it; it closes by itself only when it is plainly over."""
    over = proof.is_over(slot, incident)
    return (over,) if over else (Wait(f"{incident.phase.value}: {proof.all_reasons(slot, incident)}"),)


def _nothing(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    return ()


TRANSITIONS: dict[Phase, Callable[[Slot, Incident], tuple[Decision, ...]]] = {
    Phase.PROPOSED: _watch_over,
    Phase.OPEN: _begin,
    Phase.AWAITING: hands.await_approval,
    Phase.ACTING: _wait_for_target,
    Phase.SETTLING: _wait_for_target,
    Phase.VERIFYING: _verify,
    Phase.STOPPED: _after_stop,
    Phase.HELD: _watch_over,
    Phase.CLOSED: _nothing,
}
"""What each phase does with a slot. Every change of phase is a journal row that one of these, or the actor, wrote."""
