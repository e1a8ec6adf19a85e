"""Policy files are read by the poll and at a SIGHUP: which of two readings at once comes to hold."""

import threading
from collections.abc import Mapping
from typing import Any

from rollbackd.controller.daemon import Daemon, Signals
from rollbackd.controller.policy_files import Reload
from tests.controller.journal_samples import T0


class Corner:
    """What of a daemon's parts a reload reaches. The poll reads the older files, and takes until the newer ones are adopted, or for a moment."""

    def __init__(self) -> None:
        self.pages: tuple[Any, ...] = ()
        self.files = self.policy_news = self.membership = self.schedule = self
        self.check = lambda *_: ()
        self.has_begun, self.is_overtaken = threading.Event(), threading.Event()
        self.adopted: list[str] = []

    def read(self, *, confirm: bool) -> Reload:
        if confirm:
            return reading("newer")
        self.has_begun.set()
        self.is_overtaken.wait(0.2)
        return reading("older")

    def take(self, policies: object, fleets: object, claimed: Mapping[str, str], unread: object) -> None:
        self.adopted += claimed
        if "newer" in claimed:
            self.is_overtaken.set()

    def tell(self, outcome: Reload) -> None:
        """Nobody."""

    def once(self, name: str, work: object) -> None:
        """Not now."""


def reading(name: str) -> Reload:
    return Reload(T0, (), (), (), claimed={name: name})


def test_a_sighup_during_a_poll_that_read_older_files_is_what_holds() -> None:
    corner: Any = Corner()
    daemon = Daemon(corner, corner, Signals())
    poll = threading.Thread(target=daemon.reload)
    poll.start()
    assert corner.has_begun.wait(20)
    daemon.reload(confirm=True)
    poll.join(20)
    assert corner.adopted == ["older", "newer"]
