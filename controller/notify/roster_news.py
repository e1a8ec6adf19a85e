"""What people are told about a fleet's roster: one page where it is not believed or cannot be read, and one message when that is over.

Where a restart comes on top of that, nobody knows any more who was watched: that is a page of its own.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice
from rollbackd.controller.notify.open_pages import OpenPages, watched_no_more
from rollbackd.controller.observe.membership import FleetStanding

log = structlog.get_logger()

PATIENCE = timedelta(minutes=5)
"""How long a roster may be unread before people are told: the members that are known are watched all the while."""
UNWATCHED = "/unwatched"
"""Behind a fleet's name, which has no slash: the page about it that says that nothing of it is watched."""


class RosterNews:
    """Tells once for each time that a roster is in trouble. Not safe to call from several threads at once."""

    def __init__(self, store: Store, told: Callable[[], None]) -> None:
        """``told``: called after a message was queued."""
        self._told = told
        self._pages = OpenPages(store, "roster", opened=":roster", over=":roster-ok")

    def tell(self, standings: Sequence[FleetStanding], at: datetime) -> None:
        """Every fleet in trouble is on the pager, and every other is off it, also one that is none any more. ``standings``: of all fleets.

        What the store does not take is told the next time.
        """
        try:
            for standing in standings:
                self._tell(standing, at)
            self._drop({standing.fleet.name for standing in standings}, at)
        except StoreError as fault:
            log.warning("roster.untold", error=str(fault))

    def _tell(self, standing: FleetStanding, at: datetime) -> None:
        name, why = standing.fleet.name, _trouble(standing, at)
        if why is not None:
            self._begin(standing, why, at)
        elif _is_read(standing):
            for what in (name, f"{name}{UNWATCHED}"):
                if self._pages.about(what):
                    self._end(what, standing, at)

    def _drop(self, names: set[str], at: datetime) -> None:
        for what in self._pages.dropped(names | {f"{name}{UNWATCHED}" for name in names}, at):
            name = what.removesuffix(UNWATCHED)
            self._pages.end(what, Note("roster.dropped", at, {"fleet": name}), watched_no_more(f"fleet {name}", at), ())
            self._told()

    def _begin(self, standing: FleetStanding, why: str, at: datetime) -> None:
        name, is_known = standing.fleet.name, standing.roster is not None
        what = name if is_known else f"{name}{UNWATCHED}"
        if self._pages.about(what):
            return
        key = f"roster:{what}:{standing.since:%Y%m%dT%H%M%S}"
        title = f"NO ACTION TAKEN: fleet {name}: {why}: {'nothing new' if is_known else 'nothing of it'} is watched"
        notice = plain_notice("roster", key, title, _advice(standing), at)
        self._pages.open(what, Note("roster.held_back", at, _body(standing, why)), notice, standing.fleet.template.notify)
        self._told()

    def _end(self, what: str, standing: FleetStanding, at: datetime) -> None:
        name = standing.fleet.name
        title = f"fleet {name}: its roster is as expected again, {len(standing.policies):,} are watched"

        def notice(key: str) -> Notice:
            return plain_notice("roster-ok", key, title, ("its selector finds what it should",), at, resolved=True)

        self._pages.end(what, Note("roster.believed", at, _body(standing, None)), notice, standing.fleet.template.notify)
        self._told()


def _body(standing: FleetStanding, why: str | None) -> dict[str, object]:
    return {"fleet": standing.fleet.name, "found": standing.found, "watched": len(standing.policies), "why": why}


def _is_read(standing: FleetStanding) -> bool:
    """Right after a start nothing is known yet, which is no trouble and no end of one."""
    return standing.roster is not None and standing.fault is None


def _trouble(standing: FleetStanding, at: datetime) -> str | None:
    if standing.fault is not None and at - standing.since >= PATIENCE:
        return f"its roster has not been read since {standing.since:%H:%M:%S} UTC"
    return standing.doubt


def _advice(standing: FleetStanding) -> tuple[str, ...]:
    watched = len(standing.policies)
    kept = f"the {watched:,} that were watched before are watched on" if watched else "nothing is watched by it"
    if standing.roster is None:
        kept = "nothing of it is watched since the start of the daemon: who was watched before is not known; open incidents of its members wait"
    if standing.fault is not None:
        return (f"why: {standing.fault}", kept, "see: rollbackd status --coverage")
    return (
        f"{kept}; what is found now is left alone",
        f"policy {standing.fleet.name} in {standing.fleet.file}: correct the labels of the workloads, or its `select` or `expect`",
        "see: rollbackd status --coverage",
    )
