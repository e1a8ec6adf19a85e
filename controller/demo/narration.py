"""Tells what the daemon, the shop and on-call's phone say while it happens, until something awaited is said."""

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from rollbackd.controller.demo.children import Children
from rollbackd.controller.demo.daemon_log import DaemonLog, Said, words
from rollbackd.controller.demo.meter import Meter
from rollbackd.controller.demo.receiver import Receiver
from rollbackd.controller.demo.screen import Screen

T = TypeVar("T")
LOOK_EVERY = 0.1
_STYLES = {"incident.opened": "bold red", "incident.held": "bold red", "rung.applied": "bold", "incident.closed": "bold green"}


class Broken(Exception):
    """The demo cannot go on, and why."""


@dataclass(slots=True)
class Narration:
    """Everything that is listened to, until ``ends``. ``moments``: when each of the daemon's events was last told. Both on the monotonic clock."""

    screen: Screen
    children: Children
    meter: Meter
    receiver: Receiver
    log: DaemonLog
    ends: float
    shop_every: float = 3.0
    moments: dict[str, float] = field(default_factory=dict)
    _unheard: deque[Said] = field(default_factory=deque)
    _messages_told: int = 0
    _shop_due: float = 0.0

    def until(self, events: Collection[str], within: float) -> Said | None:
        """The next of ``events`` that the daemon tells; None if none came within so many seconds. Raises Broken if a process has ended."""
        return self._listen(lambda: self._daemon(events), within)

    def until_true(self, claim: Callable[[], bool], within: float) -> bool:
        """True once ``claim`` holds, False if it does not within so many seconds. Raises Broken if a process has ended."""

        def holds() -> bool | None:
            self._daemon(())
            self._on_call()
            return claim() or None

        return self._listen(holds, within) is True

    def _listen(self, done: Callable[[], T | None], within: float) -> T | None:
        deadline = min(time.monotonic() + within, self.ends)
        while time.monotonic() < deadline:
            if (result := done()) is not None:
                return result
            self._on_call()
            if ended := self.children.ended():
                raise Broken("; ".join(ended))
            self._shop()
            time.sleep(LOOK_EVERY)
        return None

    def _daemon(self, events: Collection[str]) -> Said | None:
        """What follows an awaited event stays unheard until the next call, however fast the daemon was."""
        self._unheard.extend(self.log.more())
        while self._unheard:
            said = self._unheard.popleft()
            self.moments[said["event"]] = time.monotonic()
            if line := words(said):
                at = datetime.fromisoformat(said["time"])
                self.screen.say("rollbackd", line, style=_STYLES.get(said["event"], ""), at=at)
            if said["event"] in events:
                return said
        return None

    def _on_call(self) -> None:
        messages = self.receiver.messages
        for message in messages[self._messages_told :]:
            self.screen.say("on-call", message.body["data"]["title"])
        self._messages_told = len(messages)

    def _shop(self) -> None:
        now = time.monotonic()
        lately = self.meter.between(now - 2, now)
        if now >= self._shop_due and lately.total:
            self._shop_due = now + self.shop_every
            self.screen.say("shop", str(lately))
