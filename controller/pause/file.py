"""The pause switch: a file. While it exists nothing new is done, and where nobody can tell whether it exists, it does."""

import errno
import os
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import mkstemp

from rollbackd.adapters.base import folders

_LONGEST = 4096
FULL = (errno.ENOSPC, errno.EDQUOT)


class Pause:
    """``file``: its text is the reason. Anybody who can write there can pause: a person with ``touch``, a mounted ConfigMap, ``rollbackd pause``."""

    is_shared = False

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> str | None:
        """Why everything is paused; None only where nobody says so."""
        return self.here()

    def here(self) -> str | None:
        """What the file says; None only if it is certainly absent from a folder that is there."""
        try:
            return self._reason()
        except FileNotFoundError:
            return self._reason_of_absence()
        except OSError as error:
            return f"the pause file {self.file} cannot be read ({error.strerror}); unreadable means paused"

    def pause(self, reason: str, who: str, at: datetime) -> bool:
        """The file is there, whole and durable, and says so; an older reason is replaced. Raises OSError if it could not be written.

        False: it is there and pauses, but the disk is full, and this reason is lost.
        """
        try:
            self._write(f"{' '.join(reason.split())} (paused by {who} at {at:%Y-%m-%d %H:%M:%S} UTC)\n")
        except OSError as fault:
            if fault.errno not in FULL:
                raise
            self._touch()
            return False
        return True

    def resume(self) -> None:
        """The file is gone; nothing happens if it was not there. Raises OSError if it could not be removed: it is still paused then."""
        self.file.unlink(missing_ok=True)
        folders.sync(self.file.parent)

    def _write(self, text: str) -> None:
        """The file holds the text, or is as it was: nothing half-written is left beside it."""
        descriptor, draft = mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            os.chmod(draft, 0o644)  # whoever may look into the folder may know why nothing happens
            os.replace(draft, self.file)
        finally:
            Path(draft).unlink(missing_ok=True)  # there only where it could not be put in place
        folders.sync(self.file.parent)

    def _touch(self) -> None:
        """The file is there, with what it held before: an empty one takes no room where text has none."""
        os.close(os.open(self.file, os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644))
        with suppress(OSError):  # it pauses already, whether or not it would outlive a power cut
            folders.sync(self.file.parent)

    def _reason(self) -> str:
        # O_NONBLOCK: opening a named pipe would wait for a writer, and the rollback with it.
        descriptor = os.open(self.file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return f"{self.file} is no plain file; unreadable means paused"
            text = os.read(descriptor, _LONGEST).decode(errors="replace")
        finally:
            os.close(descriptor)
        return " ".join(text.split()) or f"{self.file} exists and gives no reason"

    def _reason_of_absence(self) -> str | None:
        if os.path.lexists(self.file):
            return f"{self.file} is a link to nowhere; unreadable means paused"
        if not self.file.parent.is_dir():
            return f"the folder of the pause file {self.file} is missing; unreadable means paused"
        return None
