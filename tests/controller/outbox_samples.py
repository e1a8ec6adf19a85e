"""A channel of our own, and what the outbox's tests do with it."""

import threading
import time
from collections.abc import Callable, Sequence

from rollbackd.adapters.base.notice import Notice, Notifier
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.outbox import Outbox


class Channel:
    """A notifier of our own: it keeps what arrived, and fails or hangs as it is told."""

    def __init__(self, name: str = "pager") -> None:
        self.name = name
        self.sent: list[str] = []
        self.tried: list[str] = []
        self.fault: Exception | None = None
        self.fails: set[str] = set()
        self.open = threading.Event()
        self.open.set()

    def send(self, notice: Notice) -> None:
        """Keeps it, unless it is told otherwise."""
        self.tried.append(notice.id)
        self.open.wait(30)
        if self.fault is not None and (not self.fails or notice.id in self.fails):
            raise self.fault
        self.sent.append(notice.id)


def queue(store: Store, *notices: Notice, contacts: Sequence[str] = ("oncall",)) -> None:
    """They are queued, in this order."""
    with store.transaction() as tx:
        for each in notices:
            tx.queue(each, contacts)


def outbox_for(store: Store, **channels: Sequence[Notifier]) -> Outbox:
    """An outbox whose contacts are the keywords."""
    return Outbox(store, channels)


def until(condition: Callable[[], bool]) -> None:
    """Returns once it holds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)
