"""What people are told about a fleet's roster: one page where it is not believed or cannot be read, and one message when that is over."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice
from rollbackd.controller.observe.membership import FleetStanding

log = structlog.get_logger()

PATIENCE = timedelta(minutes=5)
"""How long a roster may be unread before people are told: its members are watched all the while."""


class RosterNews:
    """Tells once for each time that a roster is in trouble. Not safe to call from several threads at once."""

    def __init__(self, store: Store, told: Callable[[], None]) -> None:
        """``told``: called after a message was queued."""
        self._store = store
        self._told = told
        self._paged: dict[str, str] = {}

    def tell(self, standings: Sequence[FleetStanding], at: datetime) -> None:
        """Every fleet in trouble is on the pager, and every other is off it. What the store does not take is told the next time."""
        try:
            for standing in standings:
                self._tell(standing, at)
        except StoreError as fault:
            log.warning("roster.untold", error=str(fault))

    def _tell(self, standing: FleetStanding, at: datetime) -> None:
        name, why = standing.fleet.name, _trouble(standing, at)
        paged = self._paged.get(name)
        if why is not None and paged is None:
            key = f"roster:{name}:{standing.since:%Y%m%dT%H%M%S}"
            title = f"NO ACTION TAKEN: fleet {name}: {why}: nothing new is watched"
            self._queue(standing, "roster", key, "roster.held_back", why, title, _advice(standing), at, resolved=False)
            self._paged[name] = key
        elif why is None and paged is not None:
            title = f"fleet {name}: its roster is as expected again, {len(standing.policies):,} are watched"
            self._queue(standing, "roster-ok", paged, "roster.believed", None, title, ("its selector finds what it should",), at, resolved=True)
            del self._paged[name]

    def _queue(
        self,
        standing: FleetStanding,
        kind: str,
        key: str,
        row: str,
        why: str | None,
        title: str,
        lines: tuple[str, ...],
        at: datetime,
        *,
        resolved: bool,
    ) -> None:
        with self._store.transaction() as tx:
            body = {"fleet": standing.fleet.name, "found": standing.found, "watched": len(standing.policies), "why": why}
            if tx.note(Note(row, at, body), f"{key}:{kind}"):
                tx.queue(plain_notice(kind, key, title, lines, at, resolved=resolved), standing.fleet.template.notify)
        self._told()


def _trouble(standing: FleetStanding, at: datetime) -> str | None:
    if standing.fault is not None and at - standing.since >= PATIENCE:
        return f"its roster has not been read since {standing.since:%H:%M:%S} UTC"
    return standing.doubt


def _advice(standing: FleetStanding) -> tuple[str, ...]:
    watched = len(standing.policies)
    kept = f"the {watched:,} that were watched before are watched on" if watched else "nothing is watched by it"
    if standing.fault is not None:
        return (f"why: {standing.fault}", kept, "see: rollbackd status --coverage")
    return (
        f"{kept}; what is found now is left alone",
        f"policy {standing.fleet.name} in {standing.fleet.file}: correct the labels of the workloads, or its `select` or `expect`",
        "see: rollbackd status --coverage",
    )
