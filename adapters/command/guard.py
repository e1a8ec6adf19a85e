"""One program that ends at a moment, with everything in its process group, whatever happens to the daemon.

A process of its own, run by its path: the daemon's child, the program's parent, and the leader of the group. It imports nothing of ours, so that it
starts in 30 ms, and must never write to what the program writes to.
"""

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TypeAlias

_Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None
_DEAF = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
"""A script may well end with `kill 0`, and go on."""


def main(until: str, fault: str, *argv: str) -> None:
    """Ends as the program does; or all of the group was killed at ``until`` of the monotonic clock.

    Why the program could not be started is written to the file descriptor ``fault``, as its errno.
    """
    _set_alarm(float(until) - time.monotonic())
    os.set_inheritable(int(fault), False)
    _keep_open()
    heard = {number: signal.signal(number, signal.SIG_IGN) for number in _DEAF}
    child = os.fork()
    if child == 0:
        _become(argv, int(fault), heard)
    os.close(int(fault))
    _, status = os.waitpid(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)  # what it left in the background on purpose lives on
    _end_with(os.waitstatus_to_exitcode(status))


def _set_alarm(left: float) -> None:
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(0, signal.SIGKILL))
    if left <= 0:
        os.killpg(0, signal.SIGKILL)
    signal.setitimer(signal.ITIMER_REAL, left)


def _keep_open() -> None:
    # The daemon's death would otherwise end the program half-way, by SIGPIPE, with the next line that it prints.
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            os.open(f"/proc/self/fd/{stream}", os.O_RDONLY | os.O_NONBLOCK)


def _become(argv: tuple[str, ...], fault: int, heard: Mapping[signal.Signals, _Handler]) -> None:
    """What Python changed of a process is as it was: signals that it does not hear, and the locale."""
    for number, handler in {**heard, signal.SIGPIPE: signal.SIG_DFL, signal.SIGXFSZ: signal.SIG_DFL}.items():
        signal.signal(number, handler)
    os.environ.pop("LC_CTYPE", None)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 -- no shell is meant
    except OSError as error:
        os.write(fault, str(error.errno).encode())
    finally:
        os._exit(127)


def _end_with(code: int) -> None:
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # SIGKILL needs no default
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
