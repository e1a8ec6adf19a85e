"""Whether the daemon still does its work, and who hears of it: the platform that asks, and a service elsewhere that is told."""

import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.controller.people.desk import Desk

log = structlog.get_logger()

PATIENCE = timedelta(seconds=30)
"""At least so long may pass between two slots before the engine is called dead."""


class Heartbeat:
    """Whether the engine still finishes slots, by the number of slots and a clock that nobody sets.

    ``is_patient``: while a source hangs a slot may last as long as that, since the restart that follows does not mend the source.
    """

    def __init__(self, desk: Desk, monotonic: Callable[[], float] = time.monotonic, *, is_patient: bool = True) -> None:
        self._desk = desk
        self._monotonic = monotonic
        self._is_patient = is_patient
        self._slots = -1
        self._since = monotonic()

    def fault(self) -> str | None:
        """Why the engine must be called dead; None while it is alive. A store that fails is no reason: a restart does not mend it."""
        engine, now = self._desk.engine, self._monotonic()
        if engine.slots != self._slots or engine.trouble.fault is not None or not engine.policies:
            self._slots, self._since = engine.slots, now
            return None
        silent, allowed = timedelta(seconds=now - self._since), self._allowed()
        return (
            f"no slot was finished for {silent.total_seconds():.0f} s, at most {allowed.total_seconds():.0f} s are expected"
            if silent > allowed
            else None
        )

    def _allowed(self) -> timedelta:
        every = min((policy.every for policy in dict(self._desk.engine.policies).values()), default=timedelta(0))
        return max(3 * every, self._desk.longest_wait() if self._is_patient else PATIENCE, PATIENCE)


class Pulse:
    """Sends a sign of life while the daemon could act. Silence is the message: a dead machine sends none."""

    def __init__(self, desk: Desk, send: Callable[[], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._heartbeat = Heartbeat(desk, monotonic, is_patient=False)  # it restarts nothing: people are told
        self._send = send
        self._said: str | None = None

    def beat(self) -> None:
        """A sign was sent, unless slots are not finished, nothing is watched, or the store does not answer. Never raises for a fault outside."""
        fault = self._heartbeat.fault() or self._desk.unready()
        if fault is not None:
            self._note("heartbeat.withheld", fault)
            return
        try:
            self._send()
        except AdapterError as failure:
            self._note("heartbeat.failed", str(failure))
        else:
            self._said = None

    def _note(self, event: str, why: str) -> None:
        if why != self._said:  # never the same error twice in a row
            log.warning(event, error=why)
        self._said = why
