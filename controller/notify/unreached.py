"""Targets that cannot be reached from here just now, while another replica, or another moment, perhaps can."""

from datetime import datetime, timedelta

import structlog

from rollbackd.adapters.base.errors import AdapterError, Transient

log = structlog.get_logger()

LEAVE = timedelta(minutes=1)
"""How long a replica that cannot reach the target leaves a step to the others."""
AGAIN = timedelta(seconds=10)
"""How long a daemon that is alone asks again, and it asks at least twice: one answer of 429 must not end a step, nor lead to a costlier one."""


class Postponed(Exception):
    """Nothing was done and nothing recorded: the next slot looks again."""


class Unreached:
    """``has_others``: other replicas may be working on the same journal."""

    def __init__(self, *, has_others: bool) -> None:
        self._patience = LEAVE if has_others else AGAIN
        self._since: dict[tuple[str, str], datetime] = {}

    def leave(self, incident: str, target: str, fault: AdapterError, now: datetime) -> None:
        """Raises Postponed while the incident's step on this target, which met this fault here, is to be tried elsewhere or again."""
        if isinstance(fault, Transient) and now - self._since.setdefault((incident, target), now) < self._patience:
            log.warning("step.postponed", incident=incident, target=target, error=str(fault))
            raise Postponed
        self.reached(incident, target)

    def reached(self, incident: str, target: str) -> None:
        """It was reached, or is given up: what comes later is a trouble of its own."""
        self._since.pop((incident, target), None)
