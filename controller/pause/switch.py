"""The pause switch as people throw it: it works without a store, for it is what one reaches for then."""

from collections.abc import Callable, Mapping
from datetime import datetime

from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.done import PauseState
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.pause.file import Pause
from rollbackd.controller.pause.shared import LIFTED, SET, SharedPause

PAUSE_BY_HAND = "create that file by hand, or set mode_cap: observe in the daemon's config"


class Switch:
    """Safe to call from several threads. Methods raise Denied."""

    def __init__(self, switch: Pause, store: Store, now: Callable[[], datetime]) -> None:
        self._switch = switch
        self._store = store
        self._now = now

    def pause(self, reason: str, who: str) -> PauseState:
        """Nothing is acted on from now on, on no target; judging and telling go on."""
        was = self._switch.here()
        try:
            is_said = self._switch.pause(reason, who, self._now())
        except OSError as fault:
            raise Denied("failed", f"not paused: {self._switch.file} cannot be written ({fault.strerror})", PAUSE_BY_HAND) from fault
        lost = None if is_said else f"paused, but the disk is full: {self._switch.file} does not have the reason"
        replaced = was if was is not None else self._of_all()
        missing = self._noted(SET, {"reason": reason, "who": who})
        notes = (f"it replaces: {replaced}",) if replaced is not None and is_said else ()
        return PauseState(self._switch.here(), was is None, "; ".join(filter(None, (lost, missing))) or None, notes)

    def resume(self, who: str) -> PauseState:
        """Acting is allowed again; where replicas share the journal, on all but those whose own file is still there."""
        was = self._was()
        try:
            self._switch.resume()
        except OSError as fault:
            raise Denied("failed", f"still paused: {self._switch.file} cannot be removed ({fault.strerror})", "remove it by hand") from fault
        if paused := self._switch.here():
            raise Denied("blocked", f"still paused: {paused}", f"look at {self._switch.file}")
        missing = self._noted(LIFTED, {"who": who, "was": was})
        if missing is not None and self._switch.is_shared:
            raise Denied("failed", f"still paused for all replicas: {missing}", "resume once the journal works")
        return PauseState(None, was is not None, missing)

    def _of_all(self) -> str | None:
        """Why replicas are paused by the journal, so far; None where they are not, and where nobody knows."""
        try:
            return self._switch.anywhere() if isinstance(self._switch, SharedPause) else None
        except StoreError:
            return None

    def _was(self) -> str | None:
        try:
            return self._switch.read()
        except StoreError:
            return self._switch.here()

    def _noted(self, kind: str, body: Mapping[str, str | None]) -> str | None:
        """Why the journal does not have the row; None where it has. The switch works without a store: it is what one reaches for then."""
        try:
            with self._store.transaction() as tx:
                tx.note(Note(kind, self._now(), body))
        except StoreError as fault:
            return f"not in the journal: {fault}"
        return None
