"""What people are told about an incident: one value per journal row, worded once, rendered by every channel."""

from datetime import datetime, timedelta
from shlex import quote

from rollbackd.adapters.base.arrival import Arrival
from rollbackd.adapters.base.notice import Notice, Urgency
from rollbackd.controller.notify.ways import go_on
from rollbackd.controller.notify.written import after_rollback, by_hand, held_after, is_with_people, taken_back, tried, what_was_done
from rollbackd.policies.decide.decisions import Outside
from rollbackd.policies.decide.ladder import rung_text
from rollbackd.policies.decide.step import HANDED_OVER
from rollbackd.policies.known.events import (
    Acked,
    Applied,
    Approved,
    Closed,
    CloseHow,
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
from rollbackd.policies.known.incident import UNDER_WAY, Incident, Phase
from rollbackd.policies.known.reasons import clock_text, duration_text
from rollbackd.policies.model.policy import Policy, Timing

SMS = 120
"""A title fits one text message."""


def notice_of(event: IncidentEvent, incident: Incident, policy: Policy | None) -> Notice | None:
    """The message that this row is due, if it is due one. ``incident`` is the one after the row."""
    name = incident.target
    match event:
        case Opened() if incident.phase is Phase.PROPOSED:
            return _notice(event, incident, "suggested", f"SUGGESTED {name}: {event.reason}", _suggestion(incident, policy, event.reason), "page")
        # What else breaks by something else, while people have left the first suggestion alone, is news to them.
        case Joined() if incident.phase is Phase.PROPOSED and event.blame is not None and event.at > incident.opened_at:
            return _notice(event, incident, "suggested", f"SUGGESTED {name}: {event.reason}", _suggestion(incident, policy, event.reason), "page")
        case Offered():
            return _notice(event, incident, "approval", _offered_title(event), _offered_lines(event, incident), "page")
        case Acked():
            lines = ("nothing more is begun by itself in this incident", event.note)
            return _notice(event, incident, "acked", f"ACKNOWLEDGED {name}: {event.who} has taken {incident.id}", lines, "notice")
        case Intended():
            return _notice(event, incident, "started", _started_title(event, incident, policy), _started_lines(event, incident, policy), "notice")
        # Who joins now has not been told that it started.
        case Joined() if incident.intent is not None and incident.phase in UNDER_WAY:
            doing = _started_lines(incident.intent, incident, policy)
            return _notice(event, incident, "joined", _joined_title(event, incident, policy), doing, "notice")
        case Held():
            return _notice(event, incident, "held", _held_title(event, incident), _held_lines(event, incident, policy), "page")
        case Closed():
            return _closed(event, incident)
        case Opened() | Joined() | Approved() | Ordered() | Applied() | Settled() | Stopped():
            return None


def outside_notice(decision: Outside) -> Notice:
    """A breach that no change explains: told once, and nothing was done."""
    return Notice(
        id=decision.key,
        key=decision.key,
        kind="outside-watch",
        title=_short(f"NO ACTION TAKEN {decision.target}: {decision.condition} in breach, no change explains it"),
        lines=(decision.reason, f"policy {decision.policy}, outside_watch: {decision.how.value}"),
        urgency="page" if decision.how.value == "page" else "notice",
        resolved=False,
        at=decision.at,
        fields={"target": decision.target, "policy": decision.policy},
    )


def again_notice(key: str, decision: Opened) -> Notice:
    """A change is in breach for which an incident was opened, and closed, before: nothing was done."""
    lines = (
        decision.reason,
        f"{decision.incident} was opened for this change before and has been closed; a change gets one incident, so nothing is undone by itself",
        f"To undo it: rollbackd rollback {quote(decision.policy)} --reason '...'",
    )
    title = f"NO ACTION TAKEN {decision.target}: {decision.condition} in breach again after {decision.incident} was closed"
    return plain_notice("breach-again", key, title, lines, decision.at)


def plain_notice(kind: str, key: str, title: str, lines: tuple[str, ...], at: datetime, *, resolved: bool = False) -> Notice:
    """A page about what rollbackd cannot see or may not do: a blind source, a quarantined revision live again. Its end wakes nobody."""
    urgency: Urgency = "notice" if resolved else "page"
    return Notice(id=f"{key}:{kind}", key=key, kind=kind, title=_short(title), lines=lines, urgency=urgency, resolved=resolved, at=at)


def arrival_notice(key: str, incident: Incident, arrival: Arrival, reached: str, at: datetime) -> Notice:
    """What was handed over to people has come, or never will. ``reached``: whether it takes a connection, empty where none was tried."""
    lead = "HAS COME" if arrival.is_usable else "RESTORE FAILED"
    return Notice(
        id=key,
        key=incident.id,
        kind="arrived" if arrival.is_usable else "not-arrived",
        title=_short(f"{lead} {incident.target}: {arrival.title}"),
        lines=(*arrival.lines, *((reached,) if reached else ()), f"incident {incident.id}, policy {incident.policy}"),
        urgency="notice" if arrival.is_usable else "page",
        resolved=False,
        at=at,
        fields={"target": incident.target, "policy": incident.policy, "incident": incident.id},
    )


def fitted(lead: str, what: str, news: str) -> str:
    """A title of which ``what`` is cut where it is too long: what has happened, or what is to be done, stays."""
    room = max(SMS - len(lead) - len(news), 1)
    return f"{lead}{_short(what, room)}{news}"


def _offered_title(event: Offered) -> str:
    return fitted("APPROVAL NEEDED ", f"{event.target}: {event.summary}", f"; {_waits(event)}")


def _waits(event: Offered) -> str:
    people = "your approval" if event.needed == 1 else f"{event.needed} approvals"
    return f"waits for {people} until {clock_text(event.expires_at, event.at)} UTC"


def _offered_lines(event: Offered, incident: Incident) -> tuple[str, ...]:
    plan = event.plan_digest[:12]
    return (
        "nothing was done yet: it is yours to decide",
        _waits(event),
        f"why: {event.reason}",
        f"would do: rung {event.rung + 1}: {event.summary} ({event.from_revision} -> {event.to_revision})",
        *(f"  {step}" for step in event.steps),
        *(f"not undone: {rest}" for rest in event.not_undone),
        f"to do it: rollbackd approve {incident.id} --plan {plan}",
        f"to leave it: rollbackd reject {incident.id} --plan {plan} --reason '...'",
        f"by hand: {event.command}" if event.command else "",
    )


def _started_title(event: Intended, incident: Incident, policy: Policy | None) -> str:
    return fitted("STARTED ", event.summary, f": {_wait(event, incident, policy)}")


def _joined_title(event: Joined, incident: Incident, policy: Policy | None) -> str:
    begun = incident.intent
    if begun is None:
        return f"JOINED {incident.target}: {event.reason}"
    return fitted("UNDER WAY ", begun.summary, f": {_wait(begun, incident, policy)}; {event.condition} joins as evidence")


def _wait(event: Intended, incident: Incident, policy: Policy | None) -> str:
    return f"do nothing until at least {clock_text(_quiet_until(event, incident, policy), event.at)} UTC"


def _quiet_until(event: Intended, incident: Incident, policy: Policy | None) -> datetime:
    """The earliest end: how long the write itself takes is not known before it is complete."""
    timing = policy.timing if policy is not None else Timing(settle=timedelta(0), recover_for=timedelta(0))
    counts_from = incident.evidence_from or event.at + timedelta(seconds=event.settle_seconds) + timing.settle
    return counts_from + timing.recover_for


def _why(event: Intended, incident: Incident) -> tuple[str, ...]:
    """Why this is done, and who decided it. An order in one that had gone further has a reason of its own: it is in the journal."""
    if not event.by:
        return (f"why: {incident.reason}",)
    if not incident.stopped and all(write.rung == event.rung for write in incident.accepted):
        return (f"why: {incident.reason}", f"decided by: {', '.join(event.by)}")
    return (f"why it was opened: {incident.reason}", f"decided by: {', '.join(event.by)}; what they said: rollbackd history {incident.id}")


def _complete_by(event: Intended, incident: Incident) -> str:
    """How long the write may take, so that waiting has an end; empty once it is complete."""
    if event.complete_by is None or incident.evidence_from is not None:
        return ""
    return f"it may take until {clock_text(event.complete_by, event.at)} UTC to be complete, and is verified after that; you are told how it ends"


def _started_lines(event: Intended, incident: Incident, policy: Policy | None) -> tuple[str, ...]:
    return (
        _wait(event, incident, policy),
        *_why(event, incident),
        f"doing: rung {event.rung + 1}: {event.summary} ({event.from_revision} -> {event.to_revision})",
        *(f"  {step}" for step in event.steps),
        *(f"not undone: {rest}" for rest in event.not_undone),
        _complete_by(event, incident),
        f"by hand: {event.command}" if event.command else "",
        f"to stop before the next step: rollbackd pause --reason '...'; explain: rollbackd explain {quote(incident.target)}",
    )


def _held_title(event: Held, incident: Incident) -> str:
    lead = "ROLLBACK NEEDS YOU" if incident.acted else "NO ACTION TAKEN"
    return f"{lead} {incident.target}: held by {event.guard}: {event.reason}"


def _held_lines(event: Held, incident: Incident, policy: Policy | None) -> tuple[str, ...]:
    if event.guard == HANDED_OVER and incident.intent is not None:
        return _handed_over(event, incident.intent, incident)
    return (
        "a human must look now: nothing more is done by itself",
        f"held by {event.guard}: {event.reason}",
        f"why it was opened: {incident.reason}",
        *tried(incident),
        *by_hand(incident),
        go_on(event, incident, policy),
        taken_back(event, incident),
        f"it closes by itself when healthy or when a newer revision starts; explain: rollbackd explain {quote(incident.target)}",
    )


def _handed_over(event: Held, intent: Intended, incident: Incident) -> tuple[str, ...]:
    return (
        event.reason,
        f"decided by: {', '.join(intent.by)}",
        *intent.not_undone,
        "while this incident is open you are told once it has come, or that it never will",
        f"why: {incident.reason}",
        *tried(incident),
        f"explain: rollbackd explain {quote(incident.target)}",
    )


def _closed(event: Closed, incident: Incident) -> Notice:
    if event.how is not CloseHow.RECOVERED or not incident.accepted or is_with_people(incident):
        return _ended(event, incident)
    what_is_left = (*tried(incident), *after_rollback(incident))
    if (held := held_after(incident)) is not None:  # people were told that it had not helped: what did, nobody here knows
        return _ended(event, incident, f"it had been held by {held.guard}: {held.reason}", *what_is_left)
    title = f"ROLLED BACK {what_was_done(incident)}: verified, {event.reason}"
    verified = f"verified after {duration_text(event.at - incident.opened_at)}: {event.reason}"
    lines = ("nothing needs to be done now", verified, *_why(incident.accepted[-1], incident), *what_is_left)
    return _notice(event, incident, "recovered", title, lines, "notice", resolved=True)


def _ended(event: Closed, incident: Incident, *more: str) -> Notice:
    title = f"CLOSED {incident.target}: {event.how.value} after {duration_text(event.at - incident.opened_at)}"
    lines = (event.reason, f"it was opened because: {incident.reason}", *more)
    return _notice(event, incident, event.how.value, title, lines, "notice", resolved=True)


def _suggestion(incident: Incident, policy: Policy | None, why: str) -> tuple[str, ...]:
    rungs = tuple(f"would try: rung {number}: {rung_text(rung)}" for number, rung in enumerate(policy.ladder, 1)) if policy is not None else ()
    return (
        f"nothing was done: the mode is {incident.mode.name.lower()}",
        f"why: {why}",
        *rungs,
        f"what it would write: rollbackd plan {quote(incident.policy)}",
        f"to do it: rollbackd rollback {quote(incident.policy)} --reason '...'",
    )


def _notice(
    event: IncidentEvent, incident: Incident, kind: str, title: str, lines: tuple[str, ...], urgency: Urgency, *, resolved: bool = False
) -> Notice:
    return Notice(
        id=f"{incident.id}:{kind}{_news(event)}",
        key=incident.id,
        kind=kind,
        title=_short(title),
        lines=(*(line for line in lines if line), f"incident {incident.id}, policy {incident.policy}"),
        urgency=urgency,
        resolved=resolved,
        at=event.at,
        fields={"target": incident.target, "policy": incident.policy, "incident": incident.id},
    )


def _news(event: IncidentEvent) -> str:
    """What sets this message apart from others of its kind: each rung, each plan, each hold is news of its own."""
    match event:
        case Intended():
            return f":{event.rung}"
        case Offered():
            return f":{event.rung}:{event.plan_digest[:12]}:{event.at:%Y%m%dT%H%M%S.%f}"
        case Held():
            return f":{event.guard}:{event.at:%Y%m%dT%H%M%S.%f}"
        case Acked():
            return f":{event.who}"
        case Joined():
            return f":{event.policy}" if event.blame is None else f":{event.policy}:{event.condition}:{event.blame.onset:%Y%m%dT%H%M%S}"
        case _:
            return ""


def _short(text: str, room: int = SMS) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"
