"""What the daemon says in its log, one JSON object a line, told in words while it happens."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Said = Mapping[str, Any]

_WORDS: Mapping[str, Callable[[Said], str | None]] = {
    "change.seen": lambda said: None if said["ours"] else _changed(said),
    "incident.opened": lambda said: f"BREACH  {said['reason']}",
    "incident.joined": lambda said: f"also: {said['reason']}",
    "incident.stopped": lambda said: f"skipped: {said['reason']}",
    "rung.stopped": lambda said: f"rung {said['rung'] + 1} ended: {said['reason']}",
    "rung.intended": lambda said: f"rung {said['rung'] + 1} claimed and written to the journal, before anything is touched: {said['target']}",
    "rung.applied": lambda said: f"DONE    {said['target']}: {said['reason']}",
    "rung.settled": lambda said: f"settled: {said['reason']}; from here on only new evidence counts",
    "incident.held": lambda said: f"HELD    {said['reason']}",
    "incident.closed": lambda said: f"CLOSED  {said['reason']}",
}
_LOUD = frozenset({"warning", "error", "critical"})


class DaemonLog:
    """A log file that is still being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self.said: list[Said] = []

    def more(self) -> list[Said]:
        """What was said since the last call; lines that are no JSON (a traceback) are left to the file."""
        with self._path.open("rb") as stream:
            stream.seek(self._read)
            text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        fresh = [said for line in whole.splitlines() if (said := _parsed(line)) is not None]
        self.said.extend(fresh)
        return fresh

    def tail(self, lines: int = 15) -> str:
        """The end of the file, as it is; nothing before there is one."""
        if not self._path.exists():
            return ""
        return "\n".join(self._path.read_text(errors="replace").splitlines()[-lines:])


def words(said: Said) -> str | None:
    """One line for people, for what matters to the story; None for the rest."""
    known = _WORDS.get(said["event"])
    if known is not None:
        return known(said)
    if said.get("level") in _LOUD:
        return f"{said['level']}: {said['event']} {said.get('error') or said.get('reason') or said.get('text') or ''}".rstrip()
    return None


def _parsed(line: bytes) -> Said | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) and "event" in said else None


def _changed(said: Said) -> str:
    parts = ", ".join(said["parts"])
    return f"{said['target']} changed: {parts}" if parts else f"{said['target']} is at {said['revision']}"
