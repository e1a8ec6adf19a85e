"""In which incident's service this daemon died. What kills every life that asks its target is given to people, not to the next life.

A claim counts those who die with it; this counts those who die in a question, before there is a claim or while its outcome is waited for. In files
of this daemon's own: no row of the journal for a look, and the death of one replica says nothing of another's.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import structlog

log = structlog.get_logger()

ATTEMPTS = 3
"""So many may die on one incident before it is given to people."""


class Deadly(Exception):
    """This daemon has died of it every time: nobody is to try again before people have looked. The text is for them."""


class Deaths:
    """``folder`` holds a file for each incident that is asked about at this moment, or was when this daemon died; None: nothing is counted."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def counted(self, incident: str) -> Iterator[None]:
        """What is asked meanwhile counts as a death unless it comes back, with whatever fault. Raises Deadly where too many did not.

        What is left of a thread that ended otherwise than by a fault, as by SystemExit, counts as well: it would be asked for ever.
        """
        died = self._died(incident)
        if died >= ATTEMPTS:
            raise Deadly(f"{died} times rollbackd was killed, or ended itself, while it asked the target; look at its log, its memory and the target")
        self._note(incident, died + 1)
        try:
            yield
        except Exception:  # whatever came back has killed nobody
            self.forget(incident)
            raise
        self.forget(incident)

    def forget(self, incident: str) -> None:
        """Nobody has died of it."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                (self._folder / incident).unlink(missing_ok=True)

    def _died(self, incident: str) -> int:
        try:
            return int((self._folder / incident).read_text()) if self._folder is not None else 0
        except (OSError, ValueError):
            return 0

    def _note(self, incident: str, number: int) -> None:
        """Not synced: what the process wrote outlives it, and a machine that goes down is no fault of the incident."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(exist_ok=True)
            (self._folder / incident).write_text(f"{number}\n")
        except OSError as fault:  # a full disk must not keep a target from being asked
            log.info("death.uncounted", incident=incident, error=str(fault))
