"""Journal rows and changes in words."""

from collections.abc import Mapping
from typing import Any

from rollbackd.controller.answers import ChangeLine, HistoryLine
from rollbackd.controller.changes import is_first_sight
from rollbackd.controller.journal.values import Entry, SeenChange, Standing


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
    match kind:
        case "incident.opened" | "incident.joined":
            return f"{body['condition']}, mode {body['mode']}: {body['reason']}"
        case "incident.held":
            return f"held by {body['guard']}: {body['reason']}"
        case "incident.closed":
            return f"{body['how']}: {body['reason']}"
        case "rung.intended":
            return f"rung {body['rung'] + 1}: {body['summary']} ({body['from_revision']} -> {body['to_revision']})"
        case "rung.applied" | "rung.settled":
            return f"rung {body['rung'] + 1}: {body['reason']}"
        case "rung.stopped":
            advice = f" ({body['advice']})" if body.get("advice") else ""
            return f"rung {body['rung'] + 1} {str(body['how']).replace('_', ' ')}: {body['reason']}{advice}"
        case "change.seen":
            return _change_text(body)
        case "target.good" | "target.bad" | "target.quarantined":
            return f"revision {body['revision']}, {body['how']}" + (f": {body['note']}" if body.get("note") else "")
        case "pause.set":
            return f"{body['reason']} ({body['who']})"
        case "pause.lifted":
            return f"by {body['who']}"
        case _:
            return ", ".join(f"{name} {value}" for name, value in body.items() if value not in (None, "", [], {}))


def _change_text(body: Mapping[str, Any]) -> str:
    by = "rollbackd" if body.get("ours") else "a pipeline that posted it" if body.get("posted") else body.get("writer")
    said = [f"revision {body['revision']}", f"by {by}" if by else "", str(body.get("note", ""))]
    if why := body.get("irreversible"):
        said.append(f"irreversible: {why}")
    return ", ".join(part for part in said if part)
