"""Why a policy acts or does not: the same functions that decide, asked for their numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from shlex import quote

from rollbackd.controller.answers.explain import ConditionLine, GuardLine, PolicyExplained, RungLine
from rollbackd.controller.answers.status import ConditionBrief, IncidentLine, PolicyLine
from rollbackd.controller.engine.view import PolicyView
from rollbackd.controller.explain.incident import incident_line
from rollbackd.controller.notify.ways import go_on
from rollbackd.policies.blame.attribution import known_changes, suspected
from rollbackd.policies.blame.irreversible import on_the_way
from rollbackd.policies.decide.decisions import Act, Bake, Decision, Offer, Outside, Wait, WouldAct
from rollbackd.policies.decide.guards import guards, running_guards
from rollbackd.policies.decide.ladder import rung_text
from rollbackd.policies.judge.evidence import Share
from rollbackd.policies.judge.tally import more_needed
from rollbackd.policies.judge.verdict import State, Verdict, is_beyond_buckets, share_limit
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Closed, Held, Joined, Opened, Stopped
from rollbackd.policies.known.incident import UNDER_WAY, Phase, suspects_of
from rollbackd.policies.known.reasons import blame_reason, duration_text, standing_reason
from rollbackd.policies.known.watch import Track
from rollbackd.policies.model.keys import namespace_of
from rollbackd.policies.model.policy import Breaches, Condition, For, Mode, RestoreRung, RevertRung, Rung
from rollbackd.policies.model.signals import Latency
from rollbackd.policies.watching.confirm import is_confirmed
from rollbackd.policies.watching.since import evidence_since, look_interval, watch_of

NOT_READ = "nothing read yet"


def policy_line(view: PolicyView) -> PolicyLine:
    """The policy in one row."""
    policy, standing = view.policy, view.standing
    verdicts = standing.evaluation.verdicts if standing else ()
    states = [verdict.state.value for verdict in verdicts] or [State.NODATA.value] * len(policy.conditions)
    confirmed = _confirmed(view)
    return PolicyLine(
        name=policy.name,
        target=policy.target,
        mode=word(view.mode),
        is_always_watched=policy.watch is None,
        watch_until=view.watch_until,
        at=standing.at if standing else None,
        revision=view.revision,
        target_fault=view.target_fault,
        conditions=tuple(ConditionBrief(c.name, s, is_sure) for c, s, is_sure in zip(policy.conditions, states, confirmed, strict=True)),
        incident=_incident(view),
    )


def _incident(view: PolicyView) -> IncidentLine | None:
    """The target's open incident; where it is held, with the order that does it all the same."""
    incident = view.incident
    if incident is None or incident.held is None or incident.phase is not Phase.HELD:
        return incident_line(incident, view.claim) if incident is not None else None
    # Of another policy's incident it is not known here which guards hold it now.
    holding = [guard.name for guard in _guards(view, _blamed(view)) if guard.blocks is not None] if view.owner is view.policy else None
    return incident_line(incident, view.claim, go_on(incident.held, incident, view.owner, holding))


def explained(view: PolicyView, known_good: dict[str, tuple[str, ...]]) -> PolicyExplained:
    """Every condition with its counts, every guard with its value, the ladder, the incident. ``known_good``: revisions by target, newest first."""
    policy, standing = view.policy, view.standing
    at = standing.at if standing else view.now
    since, warm_at = evidence_since(policy, view.incident, view.changes, view.fleet, at)
    blamed = _blamed(view)
    return PolicyExplained(
        policy=policy.name,
        target=policy.target,
        file=policy.file,
        mode=word(view.mode),
        at=standing.at if standing else None,
        revision=view.revision,
        target_fault=view.target_fault,
        watch_until=view.watch_until,
        evidence_from=since,
        warm_at=warm_at,
        decisions=_decided(view),
        conditions=_conditions(view),
        guards=_guards(view, blamed),
        ladder=tuple(_rung(number, rung, view, blamed, known_good) for number, rung in enumerate(policy.ladder, 1)),
        incident=_incident(view),
        notes=policy.notes,
    )


def _decided(view: PolicyView) -> tuple[str, ...]:
    """What the newest look came to. A change gets one incident: what would follow from another does not happen, and is not said."""
    decisions = view.standing.evaluation.decisions if view.standing else ()
    opened = next((decision for decision in decisions if isinstance(decision, Opened)), None)
    if opened is None or view.incident is not None:
        return tuple(decision_text(decision) for decision in decisions)
    advice = f"to undo it: rollbackd rollback {quote(view.policy.name)} --reason '...'"
    return (f"nothing is undone by itself: {opened.incident} was opened for this change before, and a change gets one: {opened.reason}; {advice}",)


def decision_text(decision: Decision) -> str:
    """What was decided and why, in a line."""
    match decision:
        case Wait():
            return f"wait: {decision.reason}"
        case WouldAct():
            return f"would have acted, the mode is observe: {decision.reason}"
        case Outside():
            return f"outside every watch window: {decision.reason}"
        case Opened():
            return f"opened {decision.incident}: {decision.reason}"
        case Joined():
            return f"{decision.condition} joined {decision.incident}: {decision.reason}"
        case Act():
            return f"began rung {decision.rung + 1}, {rung_text(decision.remedy)}: {decision.reason}"
        case Offer(act):
            return f"put rung {act.rung + 1}, {rung_text(act.remedy)}, to people: {act.reason}"
        case Stopped():
            return f"rung {decision.rung + 1} {decision.how.value}: {decision.reason}"
        case Held():
            return f"held by {decision.guard}: {decision.reason}"
        case Closed():
            return f"closed, {decision.how.value}: {decision.reason}"
        case Bake():
            return f"known good: {decision.reason}"


def confirmation_text(condition: Condition) -> str:
    """The confirmation rule as it is written in a policy."""
    match condition.confirm:
        case For(duration):
            return f"for: {duration_text(duration)}"
        case Breaches(at_least, of):
            return f"breaches: at least {at_least} of {of}"


def word(mode: Mode) -> str:
    """The mode as it is written in a policy."""
    return mode.name.lower()


def _conditions(view: PolicyView) -> tuple[ConditionLine, ...]:
    confirmed = _confirmed(view)
    policy = view.policy if view.standing is None else view.standing.evaluation.policy  # with the limits of this change
    return tuple(_condition(view, index, condition, confirmed[index]) for index, condition in enumerate(policy.conditions))


def _condition(view: PolicyView, index: int, condition: Condition, is_sure: bool) -> ConditionLine:
    mode, how = word(min(view.mode, condition.mode)), confirmation_text(condition)
    if view.standing is None:
        return ConditionLine(condition.name, mode, State.NODATA.value, f"{condition.name} {NOT_READ}", how, is_sure, None, ())
    evaluation = view.standing.evaluation
    track, verdict = evaluation.watch.tracks[index], evaluation.verdicts[index]
    return ConditionLine(
        name=condition.name,
        mode=word(min(view.mode, condition.mode, verdict.most)),
        state=verdict.state.value,
        reason=standing_reason(condition, track, verdict, view.standing.at) + _missing(condition, track, verdict),
        confirmation=how,
        is_confirmed=is_sure,
        onset=track.onset,
        suspects=tuple(blame_reason([change]) for change in _suspects(view, index)),
    )


def _missing(condition: Condition, track: Track, verdict: Verdict) -> str:
    """What it would take, of a condition with a bound that is not in breach."""
    if track.tally is None or condition.bound is None or not isinstance(verdict.evidence, Share) or verdict.state is State.BREACH:
        return ""
    if is_beyond_buckets(verdict.evidence) or condition.limit.lack or condition.limit.of_old is not None:
        return ""  # nothing would, or it depends on the old pods: its reason says so
    more = more_needed(track.tally, share_limit(condition), condition.bound)
    what = "slow ones" if isinstance(condition.signal, Latency) else "bad events"
    return f"; about {more:,} more {what} in the next block would prove a breach" if more else ""


def _confirmed(view: PolicyView) -> list[bool]:
    policy, standing = view.policy, view.standing
    if standing is None:
        return [False] * len(policy.conditions)
    every = look_interval(policy, view.incident, view.changes, view.fleet, standing.at)
    evaluation = standing.evaluation
    since, _ = evidence_since(policy, view.incident, view.changes, view.fleet, standing.at)
    triples = zip(policy.conditions, evaluation.watch.tracks, evaluation.verdicts, strict=True)
    return [is_confirmed(condition, track, verdict, every, since, standing.at) for condition, track, verdict in triples]


def _suspects(view: PolicyView, index: int) -> tuple[Change, ...]:
    onset = view.standing.evaluation.watch.tracks[index].onset if view.standing else None
    if onset is None:
        return ()
    length = watch_of(view.policy, view.policy.conditions[index])
    # What the open incident is about was answered by it, and is a suspect all the same; what earlier ones were about is none.
    own = view.incident.suspects if view.incident is not None else ()
    fleet = replace(view.fleet, answered={view.policy.target: view.fleet.answered_on(view.policy.target).difference(own)})
    return suspected(view.policy, _known(view), fleet, length, onset)


def _blamed(view: PolicyView) -> tuple[Change, ...]:
    """What an action now would be about: the incident's suspects, else those of the breaches, else every change under watch."""
    if view.incident is not None:
        return suspects_of(view.incident, _known(view))
    found = [change for index in range(len(view.policy.conditions)) for change in _suspects(view, index)]
    return tuple(dict.fromkeys(found)) or view.watched


def _known(view: PolicyView) -> tuple[Change, ...]:
    """The changes of the policy's targets and of what it depends on."""
    return known_changes(view.policy, view.changes, view.fleet)


def _guards(view: PolicyView, blamed: Sequence[Change]) -> tuple[GuardLine, ...]:
    """Every guard; once an incident has acted, only those hold that are asked again before each rung."""
    incident = view.incident
    found = guards(view.policy, blamed, view.fleet, view.now, incident)
    if incident is None or not incident.acted:
        return tuple(GuardLine(guard.name, guard.value, guard.blocks) for guard in found)
    asked = {guard.name for guard in running_guards(blamed, view.fleet, view.policy, view.now, incident)}
    return tuple(
        GuardLine(g.name, g.value, g.blocks) if g.name in asked else GuardLine(g.name, "passed when the incident began to act", None) for g in found
    )


def _rung(number: int, rung: Rung, view: PolicyView, blamed: Sequence[Change], known_good: dict[str, tuple[str, ...]]) -> RungLine:
    incident, goods = view.incident, known_good.get(rung.target, ())
    if incident is not None and number == incident.rung + 1 and incident.phase in UNDER_WAY:
        return RungLine(number, rung_text(rung), word(rung.mode), "nothing more: it is under way", False)
    if incident is not None and number <= incident.rung + 1:
        return RungLine(number, rung_text(rung), word(rung.mode), "a new incident: it had its turn in this one, and no rung is repeated", False)
    needs = [_suspect_needed(rung, blamed)]
    if isinstance(rung, RevertRung):
        needs.append(_good_needed(goods, blamed, rung.target))
    if rung.with_next:
        needs.append((f"begins at once with rung {number + 1}", True))
    if people := _people_needed(rung, view, blamed, goods):
        needs.append((people, False))
    mode = word(min(rung.mode, view.fleet.cap_of(rung.target)))
    return RungLine(number, rung_text(rung), mode, "; ".join(text for text, _ in needs), all(is_met for _, is_met in needs))


def _people_needed(rung: Rung, view: PolicyView, blamed: Sequence[Change], goods: Sequence[str]) -> str:
    """Why the rung waits for people, whatever the policy's mode; empty where it does not."""
    if isinstance(rung, RestoreRung):
        return "the approval of two people"
    if (cap := view.fleet.cap_of(rung.target)) < rung.mode:
        return f"people: {namespace_of(rung.target)} allows {word(cap)}"
    if rung.mode is not Mode.AUTO:
        return f"people: its mode is {word(rung.mode)}"
    if isinstance(rung, RevertRung) and (found := on_the_way(rung.target, goods, blamed, _known(view))):
        return f"people: {found.id} is irreversible"
    return ""


def _suspect_needed(rung: Rung, blamed: Iterable[Change]) -> tuple[str, bool]:
    if isinstance(rung, RestoreRung):
        return "a suspect, to go back to before it", bool(list(blamed))
    if rung.always:
        return "no suspect (always: true)", True
    found = [change for change in blamed if change.target == rung.target and not change.posted]
    if not found:
        return "a change of it under suspicion: none", False
    return f"a change of it under suspicion: {blame_reason(found[:1])}", True


def _good_needed(known: Sequence[str], blamed: Iterable[Change], target: str) -> tuple[str, bool]:
    bad = {change.revision for change in blamed if change.target == target}
    good = [revision for revision in known if revision not in bad]
    if good:
        return f"a known-good revision: {good[0]}", True
    if known:
        return f"another known-good revision than {known[0]}: none", False
    return f"a known-good revision: none (rollbackd good {quote(target)} REVISION declares one)", False
