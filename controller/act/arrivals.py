"""What people are told when what was handed over to them has come, or never will: once for each end it comes to."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from rollbackd.adapters.base.arrival import Arrival, Awaited
from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.act.outcome import intent_of
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import arrival_notice
from rollbackd.policies.decide.step import HANDED_OVER
from rollbackd.policies.known.events import Intended
from rollbackd.policies.known.incident import Incident, Phase

log = structlog.get_logger()

EVERY = timedelta(minutes=3)
"""How often what is on its way is looked at: it takes minutes to hours."""


class Arrivals:
    """Looks at what was ordered while its incident is held by ``handed-over``. Reads only; ``look`` is called by one thread at a time."""

    def __init__(self, store: Store, targets: Mapping[str, object], now: Callable[[], datetime], told: Callable[[], None]) -> None:
        """``told``: called after a message was queued."""
        self._store = store
        self._targets = {kind: target for kind, target in targets.items() if isinstance(target, Awaited)}
        self._now = now
        self._message_queued = told
        self._told: frozenset[str] = frozenset()

    def look(self) -> None:
        """Everything on its way was looked at, and who waits for it was told. What could not be read or written is done the next time."""
        try:
            waiting = [(incident, intent) for incident in self._store.open_incidents() if (intent := _handed_over(incident)) is not None]
            self._told &= {key for key in self._told if key.partition(":")[0] in {incident.id for incident, _ in waiting}}
            for incident, intent in waiting:
                self._look_at(incident, intent)
        except StoreError as fault:
            log.warning("arrival.untold", error=str(fault))

    def _look_at(self, incident: Incident, intent: Intended) -> None:
        target = self._targets.get(intent.target.partition(":")[0])
        if target is None:
            return
        try:
            arrival = target.arrival(intent_of(intent))
        except AdapterError as fault:
            log.warning("arrival.unread", incident=incident.id, target=intent.target, error=str(fault))
            return
        key = f"{incident.id}:arrival:{arrival.end}" if arrival is not None else ""
        if arrival is None or key in self._told:
            return
        # Tried only when it is told: a database that is connected to and left, again and again, may shut this machine out.
        reached = target.reach(arrival.address) if arrival.address is not None else ""
        self._tell(key, incident, intent, arrival, reached)
        self._told |= {key}

    def _tell(self, key: str, incident: Incident, intent: Intended, arrival: Arrival, reached: str) -> None:
        at = self._now()
        notice = arrival_notice(key, incident, arrival, reached, at)
        with self._store.transaction() as tx:
            if not _is_waiting(tx, incident) or not tx.note(_note(intent, arrival, notice, at), key):
                return
            tx.queue(notice, incident.notify)
        self._message_queued()


def _handed_over(incident: Incident) -> Intended | None:
    """What people wait for, None where they wait for nothing."""
    is_held = incident.phase is Phase.HELD and incident.held is not None and incident.held.guard == HANDED_OVER
    return incident.intent if is_held else None


def _is_waiting(tx: Reading, incident: Incident) -> bool:
    """Whether it still is open: another replica may have closed it while the target was asked."""
    there = tx.incident(incident.id)
    return there is not None and there.is_open


def _note(intent: Intended, arrival: Arrival, notice: Notice, at: datetime) -> Note:
    return Note("handed_over.ended", at, {"end": arrival.end, "lines": list(notice.lines)}, intent.target, intent.incident)
