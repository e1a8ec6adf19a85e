"""The pause switch of replicas: each has a file of its own, and what was last said on any of them holds for all."""

from pathlib import Path
from threading import Lock

from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.journal.values import START, Entry
from rollbackd.controller.pause.file import Pause

SET, LIFTED = "pause.set", "pause.lifted"


class SharedPause(Pause):
    """Paused by the file here, or by the newest word in the journal. A file is lifted only where it lies."""

    is_shared = True

    def __init__(self, file: Path, store: Reading) -> None:
        super().__init__(file)
        self._store = store
        self._seen = START
        self._newest: Entry | None = None
        self._lock = Lock()

    def read(self) -> str | None:
        """Why everything is paused. Raises StoreError where the others cannot be asked: then nothing may be acted on either."""
        return self.here() or self.anywhere()

    def anywhere(self) -> str | None:
        """Why the newest word in the journal pauses all; None where it does not. Raises StoreError."""
        with self._lock:
            self._seen, newest = self._store.newest_of((SET, LIFTED), self._seen)
            self._newest = newest or self._newest
            if self._newest is None or self._newest.kind == LIFTED:
                return None
            body = self._newest.body
            return f"{body.get('reason')} (paused by {body.get('who')} on {self._newest.writer} at {self._newest.at:%Y-%m-%d %H:%M:%S} UTC)"
