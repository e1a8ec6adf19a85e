"""Incidents from their rows: of an open one only what is new since it was read last is folded."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from itertools import groupby
from sys import intern

import structlog

from rollbackd.controller.journal.errors import RowUnreadable
from rollbackd.controller.journal.rows import Stored, event_of
from rollbackd.policies.known.fold import advance, fold
from rollbackd.policies.known.incident import Incident, Mended

log = structlog.get_logger()

Rows = tuple[Stored, ...]


class Folding:
    """Remembers the open incidents as they were read last, and by all that their rows say, so that no row which changes can leave one as it was.

    May be used by several threads. What is closed is forgotten with the next reading.
    """

    def __init__(self) -> None:
        self._open: Mapping[str, tuple[Rows, Incident]] = {}

    def opened(self, rows: Iterable[Stored]) -> tuple[Incident, ...]:
        """The incidents of these rows, which come incident by incident and are of all that are open. Raises StoreError."""
        known = {name: (group, self._of(name, group)) for name, group in _grouped(rows)}
        self._open = known
        return tuple(incident for _, incident in known.values())

    def one(self, rows: Iterable[Stored]) -> Incident | None:
        """The incident of these rows, if there are any. Raises StoreError."""
        return next((self._of(name, group) for name, group in _grouped(rows)), None)

    def _of(self, name: str, rows: Rows) -> Incident:
        before, incident = self._open.get(name, ((), None))
        if incident is None or rows[: len(before)] != before:
            return fold(event_of(row) for row in rows)
        return reduce(advance, (event_of(row) for row in rows[len(before) :]), incident)


class Ended:
    """Remembers what the closed incidents that were asked for last did, and no more of them: there may be thousands.

    A row of a closed incident changes nothing.
    """

    def __init__(self) -> None:
        self._known: Mapping[str, tuple[str, Mended] | None] = {}

    def of(self, names: Iterable[str], read: Callable[[str], Incident | None]) -> tuple[tuple[str, Mended], ...]:
        """By watched target, what the incidents with these names did, each read once.

        One that this version cannot read is left out: what is over must not stop what is not.
        """
        known = self._known
        self._known = found = {name: known[name] if name in known else _done(name, read) for name in names}
        return tuple(done for done in found.values() if done is not None)


def _done(name: str, read: Callable[[str], Incident | None]) -> tuple[str, Mended] | None:
    try:
        incident = read(name)
    except RowUnreadable as fault:
        log.warning("incident.unreadable", incident=name, error=str(fault))
        return None
    return None if incident is None or incident.mended is None else (intern(incident.target), incident.mended)


def _grouped(rows: Iterable[Stored]) -> Iterable[tuple[str, Rows]]:
    return ((name, tuple(group)) for name, group in groupby(rows, key=lambda row: row.incident))
