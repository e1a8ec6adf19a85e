"""When a breach becomes an incident: confirmed, tied to a change, and allowed by its mode."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rollbackd.policies.blame.attribution import ranked, ranking_text, shared_changes, suspected
from rollbackd.policies.decide.decisions import Decision, Outside, Wait, WouldAct
from rollbackd.policies.decide.ladder import evidence_digest
from rollbackd.policies.decide.slot import Slot
from rollbackd.policies.judge.composite import contributors, is_met
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.known.changes import Change, just_seen, suspects
from rollbackd.policies.known.events import Blame, Opened
from rollbackd.policies.known.incident import Incident, incident_id
from rollbackd.policies.known.reasons import blame_reason
from rollbackd.policies.model.policy import Mode, OutsideWatch, Policy, RestoreRung
from rollbackd.policies.watching.since import ALWAYS_BLAMES, COARSE, watch_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = "%Y%m%dT%H%M%S"
UNREAD = timedelta(seconds=30)
"""So long, and for two looks, a breach waits to be laid to anything while a target that it may be laid to could not be read since it began."""
LOST = timedelta(minutes=5)
"""A target that was last read so long ago is not waited for."""


def consider(slot: Slot) -> tuple[Decision, ...]:
    """What a breach without an incident leads to: waiting, a word to people, or an incident that opens.

    What is only observed stands in for nothing that may do more: where that opens no incident, both are told.
    """
    leads = _leads(slot)
    if not leads:
        return (Wait(of=tuple([slot.words(i) for i, v in enumerate(slot.verdicts) if v.state is State.BREACH])),)
    waits = {i: wait for i in leads if (wait := unread(slot, i)) is not None}
    leads = [i for i in leads if i not in waits]
    if not leads:
        return tuple(waits.values())[:1]
    armed = _led(slot, [i for i in leads if slot.mode(i) > Mode.OBSERVE])
    if isinstance(armed, Opened):
        return (armed,)
    observed = _led(slot, [i for i in leads if slot.mode(i) is Mode.OBSERVE])
    return tuple(each for each in (armed, observed) if each is not None and (each is armed or armed is None or isinstance(each, WouldAct)))


def unread(slot: Slot, index: int) -> Wait | None:
    """Why the condition's breach waits for a look at what it may be laid to; None where it does not, or has waited for long enough.

    What was known of an unread target may be of the release before, which would be blamed; another replica, that can read it, knows better. A
    target that has been unread for long is not waited for: breaches that come and go would wait for ever.
    """
    onset = slot.watch.tracks[index].onset or slot.at
    undone = (rung.target for rung in slot.policy.ladder if not isinstance(rung, RestoreRung))
    for target in dict.fromkeys((slot.policy.target, *undone)):
        last = slot.fleet.unread.get(target)
        if last is None or last >= onset:
            continue
        until = min(onset + max(2 * slot.policy.every, UNREAD), last + LOST)
        if slot.at < until:
            return Wait(f"{target} could not be read since the breach began: what changed there shows until {until:%H:%M:%S}")
    return None


def _led(slot: Slot, leads: Sequence[int]) -> Decision | None:
    """What the foremost of these conditions leads to by itself; None where there is none."""
    if not leads:
        return None
    lead = max(leads, key=lambda i: (bool(_blamed(slot, i)), slot.mode(i), -i))
    blamed = _blamed(slot, lead)
    if not blamed and slot.policy.watch is not None:
        return _outside(slot, lead)
    event = _opening(slot, lead, blamed)
    if event.mode is Mode.OBSERVE:
        key = f"observed:{event.incident}:{slot.policy.name}:{event.condition}"
        return WouldAct(key, slot.policy.name, slot.policy.target, event.condition, slot.at, event.reason, event.onset)
    return event


def raising(slot: Slot, index: int, incident: Incident) -> Blame | None:
    """What a confirmed condition would open an incident for by itself, and so may raise one for; None where it would only tell people."""
    found, onset = _blamed(slot, index), slot.watch.tracks[index].onset
    if onset is None or (not found and slot.policy.watch is not None):
        return None
    return Blame(tuple(change.id for change in found), onset, just_seen(slot.changes, incident.opened_at))


def raising_reason(slot: Slot, index: int, blame: Blame) -> str:
    """Its numbers and what it is laid to, as an incident's own reason has them."""
    return f"{slot.reason(index)}; {_blame(slot, _blamed(slot, index), blame.onset)}"


def beside(slot: Slot, incident: Incident) -> tuple[Decision, ...]:
    """What people are told beside a suggestion: a breach that no change explains is not lost in what they leave alone.

    ``incident``: as it was before the slot. Of what may only suggest that is told which is not part of it: the rest was suggested.
    """
    known = [name for policy, name in incident.joined if policy == slot.policy.name]
    news = [i for i in _leads(slot) if slot.mode(i) >= Mode.APPROVE or slot.policy.conditions[i].name not in known]
    found = [i for i in news if slot.mode(i) > Mode.OBSERVE and raising(slot, i, incident) is None and unread(slot, i) is None]
    return (_outside(slot, max(found, key=lambda i: (slot.mode(i), -i))),) if found else ()


def _leads(slot: Slot) -> list[int]:
    """The confirmed conditions that the trigger is met by; empty where it is not."""
    if True not in slot.confirmed:
        return []
    standings = tuple([_standing(v, c) for v, c in zip(slot.verdicts, slot.confirmed, strict=True)])
    return list(contributors(slot.policy.trigger, standings)) if is_met(slot.policy.trigger, standings) is True else []


def _standing(verdict: Verdict, confirmed: bool) -> bool | None:
    """Confirmed, not confirmed, or unknown: what the composite reasons about."""
    return confirmed if verdict.state.is_known else None


def _blamed(slot: Slot, index: int) -> tuple[Change, ...]:
    onset = slot.watch.tracks[index].onset
    length = watch_of(slot.policy, slot.policy.conditions[index])
    return () if onset is None else suspected(slot.policy, slot.changes, slot.fleet, length, onset)


def _outside(slot: Slot, lead: int) -> Decision:
    reason = f"{slot.reason(lead)}; no change of its targets explains it, so nothing was undone{_elsewhere(slot, lead)}"
    if slot.policy.outside_watch is OutsideWatch.IGNORE:
        return Wait(reason)
    condition, onset = slot.policy.conditions[lead].name, slot.watch.tracks[lead].onset or slot.at
    look = (onset - EPOCH) // _between_looks(slot.policy) * _between_looks(slot.policy)
    key = f"outside:{slot.policy.name}:{slot.policy.target}:{condition}:{EPOCH + look:{MOMENT}}"
    return Outside(key, slot.policy.name, slot.policy.target, condition, slot.at, slot.policy.outside_watch, reason)


def neighbours(policy: Policy, outside: Outside) -> tuple[str, ...]:
    """The keys that the same breach may have by the onset that another replica saw: each looks at moments of its own, a look apart at most."""
    before, _, moment = outside.key.rpartition(":")
    own = datetime.strptime(moment, MOMENT).replace(tzinfo=UTC)
    return tuple(f"{before}:{own + apart:{MOMENT}}" for apart in (-_between_looks(policy), _between_looks(policy)))


def _between_looks(policy: Policy) -> timedelta:
    return max(policy.every, COARSE)


def _elsewhere(slot: Slot, lead: int) -> str:
    """The changes of what it depends on, which may explain the breach."""
    onset, length = slot.watch.tracks[lead].onset, slot.policy.watch or ALWAYS_BLAMES
    found = () if onset is None else suspects(shared_changes(slot.policy, slot.fleet), length, (), onset)
    return f"; it depends on what changed: {blame_reason(found)}" if found else ""


def _blame(slot: Slot, blamed: tuple[Change, ...], onset: datetime) -> str:
    """The suspects; several with their weights."""
    if len(blamed) < 2:
        return blame_reason(blamed)
    return f"{blame_reason(blamed)}; likeliest first: {ranking_text(ranked(slot.policy, blamed, slot.fleet, onset))}"


def _opening(slot: Slot, lead: int, blamed: tuple[Change, ...]) -> Opened:
    policy, onset = slot.policy, slot.watch.tracks[lead].onset or slot.at
    revision = slot.fleet.revisions.get(policy.target, "")
    # Without a suspect (watch: always) the onset makes the id: the same breach of the same revision is answered once.
    change_id = blamed[0].id if blamed else f"{revision}@{onset:%Y%m%dT%H%M%S}"
    return Opened(
        incident=incident_id(policy.target, change_id),
        at=slot.at,
        target=policy.target,
        policy=policy.name,
        policy_digest=policy.digest,
        change_id=change_id,
        revision=blamed[0].revision if blamed else revision,
        suspects=tuple(change.id for change in blamed),
        condition=policy.conditions[lead].name,
        mode=slot.mode(lead),
        onset=onset,
        reason=f"{slot.reason(lead)}; {_blame(slot, blamed, onset)}",
        evidence_digest=evidence_digest(policy, slot.verdicts),
        notify=policy.notify,
        known=just_seen(slot.changes, slot.at),
    )
