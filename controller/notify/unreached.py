"""Targets that this replica cannot reach, while another one perhaps can."""

from datetime import datetime, timedelta

import structlog

from rollbackd.adapters.base.errors import AdapterError, Transient

log = structlog.get_logger()

LEAVE = timedelta(minutes=1)
"""How long a replica that cannot reach the target leaves a step to the others."""


class Postponed(Exception):
    """Nothing was done and nothing recorded: the next slot looks again."""


class Unreached:
    """``has_others``: other replicas may be working on the same journal; a daemon that is alone leaves nothing to anybody."""

    def __init__(self, *, has_others: bool) -> None:
        self._has_others = has_others
        self._since: dict[str, datetime] = {}

    def leave(self, incident: str, fault: AdapterError, now: datetime) -> None:
        """Raises Postponed while the incident's step, which met this fault here, is theirs."""
        if not self._has_others or not isinstance(fault, Transient):
            return
        if now - self._since.setdefault(incident, now) < LEAVE:
            log.warning("step.left_to_others", incident=incident, error=str(fault))
            raise Postponed
