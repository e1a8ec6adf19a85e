"""What reaches the engine, one thing after the other, on the engine's own thread."""

import queue
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

import structlog

from rollbackd.controller.engine.slots import Batch, PolicySet
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.schedule import Grid

Item: TypeAlias = Batch | str | PolicySet | datetime
"""A slot that was observed, a target that is to be decided again, the policies that hold from now on, or the time, where no slot tells it."""
log = structlog.get_logger()


class Mailbox:
    """``work`` is done for each item, in the order they came; ``failed`` hears of a store that would not have it. No fault ends the thread."""

    def __init__(self, work: Callable[[Item], None], failed: Callable[[str], None]) -> None:
        self._work = work
        self._failed = failed
        self.overtaken = 0
        """Slots that were dropped."""
        self._newest: dict[Grid | None, datetime] = {}
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """What comes is worked through from now on."""
        self._thread.start()

    def stop(self) -> None:
        """What has come is finished, and nothing after it begins."""
        self._queue.put(None)
        self._thread.join()

    def put(self, item: Item) -> None:
        """It will be worked through after what came before it; but no slot that a newer one of its grid has overtaken: old evidence is no use."""
        if isinstance(item, Batch):
            self._newest[item.grid] = item.at
        self._queue.put(item)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, Batch) and item.at < self._newest[item.grid]:
                self.overtaken += 1  # the store was slow
                continue
            try:
                self._work(item)
            except StoreError as fault:
                self._failed(str(fault))
            except Exception:  # the seam: a pass may die, the daemon not
                log.exception("slot.crashed")
