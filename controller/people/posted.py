"""A change that a pipeline tells of, and the suspect it becomes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.observe.changes import HORIZON, dated_id
from rollbackd.policies.known.changes import Change

AHEAD = timedelta(minutes=1)
"""So far may another machine's clock be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A change that a pipeline tells us of."""

    target: str
    revision: str
    started: datetime | None = None
    note: str = ""
    irreversible: str | None = None

    def as_change(self, target: str, now: datetime) -> Change:
        """A change of ``target`` that is first seen now. Raises Denied where it began in the future, or before any watch."""
        started = self.started or now
        if started > now + AHEAD:
            raise Denied("invalid", f"the change started at {started:%Y-%m-%d %H:%M:%S} UTC, which is in the future", "check the clock of the sender")
        if started < now - HORIZON:
            raise Denied("invalid", f"the change is older than {HORIZON.days} days: it can be no suspect any more")
        return Change(
            target=target,
            id=f"posted:{dated_id(target, self.revision, started)}",
            revision=self.revision,
            predecessor=None,
            started_early=started,
            started_late=started,
            first_seen=now,
            posted=True,
            irreversible=self.irreversible,
            note=self.note,
        )
