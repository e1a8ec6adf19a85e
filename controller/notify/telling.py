"""Journal rows and changes in words."""

from collections.abc import Callable, Mapping
from typing import Any

from rollbackd.controller.answers.past import ChangeLine, HistoryLine
from rollbackd.controller.journal.codec import moment
from rollbackd.controller.journal.values import Entry, SeenChange, Standing
from rollbackd.controller.observe.past_changes import is_first_sight


def change_line(seen: SeenChange, standing: Standing | None) -> ChangeLine:
    """The change with who made it and how its revision stands."""
    change = seen.change
    return ChangeLine(
        target=change.target,
        id=change.id,
        revision=change.revision,
        predecessor=change.predecessor,
        started_early=change.started_early,
        started_late=change.started_late,
        first_seen=change.first_seen,
        ready=change.ready,
        by=_by(seen),
        is_first_sight=is_first_sight(seen),
        is_posted=change.posted,
        irreversible=change.irreversible,
        parts=change.parts,
        note=change.note,
        standing=standing.value if standing else None,
    )


def _by(seen: SeenChange) -> str | None:
    if seen.change.ours:
        return "rollbackd"
    return "posted" if seen.change.posted else seen.writer


def history_line(entry: Entry) -> HistoryLine:
    """The row with its text."""
    return HistoryLine(entry.seq, entry.at, entry.writer, entry.kind, entry.target, entry.incident, row_text(entry.kind, entry.body), entry.body)


def row_text(kind: str, body: Mapping[str, Any]) -> str:
    """What the row says, in a line; kinds without words of their own show their values."""
    if kind in TEXTS:
        return TEXTS[kind](body)
    return ", ".join(f"{name} {value}" for name, value in body.items() if value not in (None, "", [], {}))


def _condition(body: Mapping[str, Any]) -> str:
    return f"{body['condition'] or 'by hand'}, mode {body['mode']}: {body['reason']}"


def _observed(body: Mapping[str, Any]) -> str:
    since = f" since {moment(body['onset']):%Y-%m-%d %H:%M:%S}" if body.get("onset") else ""
    return f"policy {body['policy']} would have begun, but for its mode observe: {body['condition']} in breach{since}: {body['reason']}"


def _offered(body: Mapping[str, Any]) -> str:
    return f"rung {body['rung'] + 1}: plan {body['plan_digest'][:12]} waits for {body['needed']} until {body['expires_at']}: {body['summary']}"


def _approved(body: Mapping[str, Any]) -> str:
    return f"plan {body['plan_digest'][:12]} by {body['who']}{_passed(body)}{_because(body)}"


def _ordered(body: Mapping[str, Any]) -> str:
    what = "undo of the write to" if body.get("undo") else f"rung {body['rung'] + 1},"
    return f"{what} {body['target']}, by {body['who']}{_passed(body)}{_because(body)}"


def _rung(body: Mapping[str, Any]) -> str:
    return f"rung {body['rung'] + 1}: {body['reason']}"


def _stopped(body: Mapping[str, Any]) -> str:
    advice = f" ({body['advice']})" if body.get("advice") else ""
    return f"rung {body['rung'] + 1} {str(body['how']).replace('_', ' ')}: {body['reason']}{advice}"


def _revision(body: Mapping[str, Any]) -> str:
    return f"revision {body['revision']}, {body['how']}" + (f": {body['note']}" if body.get("note") else "")


def _passed(body: Mapping[str, Any]) -> str:
    return f", passing {', '.join(body['overrides'])}" if body.get("overrides") else ""


def _because(body: Mapping[str, Any]) -> str:
    return f": {body['reason']}" if body.get("reason") else ""


def _change_text(body: Mapping[str, Any]) -> str:
    by = "rollbackd" if body.get("ours") else "a pipeline that posted it" if body.get("posted") else body.get("writer")
    said = [f"revision {body['revision']}", f"by {by}" if by else "", str(body.get("note", ""))]
    if why := body.get("irreversible"):
        said.append(f"irreversible: {why}")
    return ", ".join(part for part in said if part)


TEXTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "incident.opened": _condition,
    "incident.joined": _condition,
    "incident.ordered": _ordered,
    "incident.acked": lambda body: f"by {body['who']}" + (f": {body['note']}" if body.get("note") else ""),
    "incident.labelled": lambda body: f"{body['label']}, by {body['who']}" + (f": {body['note']}" if body.get("note") else ""),
    "incident.held": lambda body: f"held by {body['guard']}: {body['reason']}",
    "incident.closed": lambda body: f"{body['how']}: {body['reason']}",
    "rung.offered": _offered,
    "rung.approved": _approved,
    "rung.intended": lambda body: f"rung {body['rung'] + 1}: {body['summary']} ({body['from_revision']} -> {body['to_revision']})",
    "rung.applied": _rung,
    "rung.settled": _rung,
    "rung.stopped": _stopped,
    "claim.taken_over": lambda body: (
        f"rung {body['rung'] + 1}: by {body['to']} from {body['from']}, attempt {body['attempts']}, until {body['deadline']}"
    ),
    "observed": _observed,
    "breach.unexplained": lambda body: "turned to breach without a change of its own",
    "change.seen": _change_text,
    "target.good": _revision,
    "target.bad": _revision,
    "target.quarantined": _revision,
    "pause.set": lambda body: f"{body['reason']} ({body['who']})",
    "pause.lifted": lambda body: f"by {body['who']}",
}
