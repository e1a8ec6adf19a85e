"""The incidents that are over, as they are told to people who come afterwards."""

from datetime import datetime, timedelta

from rollbackd.controller.answers.status import EndedLine
from rollbackd.controller.journal.errors import RowUnreadable
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.messages import notice_of
from rollbackd.policies.known.events import Closed, Opened
from rollbackd.policies.known.fold import fold

LOOKED_BACK = timedelta(hours=12)
"""A night: what ended before it, `history` has."""
MOST = 10


def ended_lines(store: Store, now: datetime) -> tuple[tuple[EndedLine, ...], int]:
    """The newest that ended in the last 12 hours, the newest first; and how many more did. Raises StoreError."""
    with store.snapshot() as reading:
        ids = reading.ended(now - LOOKED_BACK)
        lines = tuple(line for name in ids[:MOST] if (line := _line(reading, name)) is not None)
    return lines, len(ids[MOST:])


def _line(reading: Reading, name: str) -> EndedLine | None:
    try:
        events = reading.events(name)
    except RowUnreadable:  # of a newer version, say: what is over must not keep anybody from what is open
        return None
    closed = next((event for event in events if isinstance(event, Closed)), None)
    if closed is None or not isinstance(events[0], Opened):  # somebody has taken rows out: whoever looks needs the rest all the more
        return None
    incident = fold(events)
    told = notice_of(closed, incident, None)
    said = told.title if told is not None else closed.reason
    return EndedLine(incident.id, incident.target, incident.policy, closed.at, closed.how.value, said, " ".join(incident.reason.split()))
