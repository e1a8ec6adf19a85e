"""One daemon as a real process, and a port that is still its own when it comes back."""

import itertools
import json
import os
import signal
import socket
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tests.crash import nursery

PATIENCE = 300.0
"""Seconds for anything that has to happen: two dozen daemons share two cores, which may be busy with other work."""


class Life:
    """One daemon process from its start to its end."""

    def __init__(self, argv: Sequence[str], log: Path) -> None:
        self._log = log
        # Through a pipe: where the disk is full for the daemon, its log must not be.
        self._said, err = os.pipe()
        with log.open("ab") as out, os.fdopen(err, "wb") as pipe:
            self.process = nursery.start(argv, out.fileno(), pipe.fileno())
        self._reader = threading.Thread(target=self._keep, daemon=True)
        self._reader.start()

    def _keep(self) -> None:
        with self._log.open("ab", buffering=0) as log, os.fdopen(self._said, "rb") as said:
            for line in said:
                log.write(line)

    def log(self) -> str:
        """What it has said until now."""
        return self._log.read_text()

    def slots(self) -> list[datetime]:
        """The slots that it has finished, oldest first."""
        said = (json.loads(line) for line in self.log().splitlines() if line.startswith("{"))
        return [datetime.fromisoformat(line["at"]) for line in said if line["event"] == "slot.finished"]

    def end(self) -> int:
        """The exit code, once it has ended by itself; minus the signal's number where a signal ended it."""
        code = self.process.wait(PATIENCE)
        self._reader.join()
        return code

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """It is asked to stop; its exit code."""
        self.signal(signal.SIGTERM)
        return self.end()

    def is_frozen(self) -> bool:
        """All of it is stopped, as by SIGSTOP."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def clear(self) -> None:
        """Nothing of it is left."""
        self.process.close()
        self._reader.join()


_ports = itertools.count(20_000 + os.getpid() % 10_000)
_asking = threading.Lock()


def free_port() -> int:
    """A port of its own for each caller, below those that the kernel gives to clients: it is free again when a killed daemon comes back."""
    with _asking:
        for port in _ports:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    return port
    raise AssertionError("unreachable")
