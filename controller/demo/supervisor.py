"""Keeps one shop running, of the version that the version file names: what a platform does, in twenty lines.

`python -m rollbackd.controller.demo.supervisor VERSION_FILE PORT FLAG_FILE` runs until SIGTERM, or until whoever started it is gone.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

LOOK_EVERY = 0.05
STOPS_WITHIN = 3.0
RESTART_AFTER = 0.5
"""A shop that cannot start is not started in a busy loop."""


class Supervised:
    """One shop process at a time."""

    def __init__(self, port: str, flag_file: str) -> None:
        self._place = (port, flag_file)
        self._process: subprocess.Popen[bytes] | None = None
        self._version = ""

    @property
    def has_ended(self) -> bool:
        """A shop was started and is no longer there."""
        return self._process is not None and self._process.poll() is not None

    def run(self, version: str) -> None:
        """The shop that runs is of this version; one of another version was stopped first."""
        if self._process is not None and version == self._version and not self.has_ended:
            return
        self.stop()
        self._version = version
        self._process = subprocess.Popen([sys.executable, "-m", "rollbackd.controller.demo.shop", version, *self._place])

    def stop(self) -> None:
        """No shop runs."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def main(argv: Sequence[str]) -> None:
    """Supervise until SIGTERM, or until the parent is gone: then nobody else would stop the shop."""
    version_file, port, flag_file = argv
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    parent, shop = os.getppid(), Supervised(port, flag_file)
    try:
        while not stopping.is_set() and os.getppid() == parent:
            shop.run(Path(version_file).read_text().strip())
            stopping.wait(RESTART_AFTER if shop.has_ended else LOOK_EVERY)
    finally:
        shop.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
