"""The pause switch: a file. While it exists nothing new is done, and where nobody can tell whether it exists, it does."""

import os
import stat
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

_LONGEST = 4096


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

    def pause(self, reason: str, who: str, at: datetime) -> None:
        """The file is there, whole and durable, and says so; an older reason is replaced. Raises OSError if it could not be written."""
        text = f"{' '.join(reason.split())} (paused by {who} at {at:%Y-%m-%d %H:%M:%S} UTC)\n"
        with NamedTemporaryFile("w", dir=self.file.parent, prefix=f".{self.file.name}.", delete=False, encoding="utf-8") as draft:
            draft.write(text)
            draft.flush()
            os.fsync(draft.fileno())
        os.chmod(draft.name, 0o644)  # whoever may look into the folder may know why nothing happens
        os.replace(draft.name, self.file)
        self._sync_folder()

    def resume(self) -> None:
        """The file is gone; nothing happens if it was not there. Raises OSError if it could not be removed: it is still paused then."""
        self.file.unlink(missing_ok=True)
        self._sync_folder()

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

    def _sync_folder(self) -> None:
        descriptor = os.open(self.file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
