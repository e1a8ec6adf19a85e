"""The pause switch as people throw it: it works without a store, for it is what one reaches for then."""

from collections.abc import Callable, Mapping
from datetime import datetime

from rollbackd.controller.answers import PauseState
from rollbackd.controller.denied import Denied
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.pause import Pause

PAUSE_BY_HAND = "create that file by hand, or set mode_cap: observe in the daemon's config"


class Switch:
    """Safe to call from several threads. Methods raise Denied."""

    def __init__(self, switch: Pause, store: Store, now: Callable[[], datetime]) -> None:
        self._switch = switch
        self._store = store
        self._now = now

    def pause(self, reason: str, who: str) -> PauseState:
        """Nothing is acted on from now on, on no target; judging and telling go on."""
        was = self._switch.read()
        try:
            self._switch.pause(reason, who, self._now())
        except OSError as fault:
            raise Denied("blocked", f"not paused: {self._switch.file} cannot be written ({fault.strerror})", PAUSE_BY_HAND) from fault
        return PauseState(self._switch.read(), was is None, self._noted("pause.set", {"reason": reason, "who": who}))

    def resume(self, who: str) -> PauseState:
        """Acting is allowed again. Raises Denied where the switch still says no."""
        was = self._switch.read()
        try:
            self._switch.resume()
        except OSError as fault:
            raise Denied("blocked", f"still paused: {self._switch.file} cannot be removed ({fault.strerror})", "remove it by hand") from fault
        if paused := self._switch.read():
            raise Denied("blocked", f"still paused: {paused}", f"look at {self._switch.file}")
        return PauseState(None, was is not None, self._noted("pause.lifted", {"who": who, "was": was}))

    def _noted(self, kind: str, body: Mapping[str, str | None]) -> str | None:
        """Why the journal does not have the row; None where it has. The switch works without a store: it is what one reaches for then."""
        try:
            with self._store.transaction() as tx:
                tx.note(Note(kind, self._now(), body))
        except StoreError as fault:
            return f"not in the journal: {fault}"
        return None
