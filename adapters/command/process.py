"""One program, run to its end or killed with everything it started. Knows nothing of targets."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.command import guard

MAX_OUTPUT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. ``code`` is None where it was killed: at its time-out, or because it ``is_over``. Output beyond 64 KiB is cut."""

    code: int | None
    stdout: str
    stderr: str
    is_over: bool = False

    @property
    def excerpt(self) -> str:
        """`` (last words of stderr)``, at most 200 characters on one line, or nothing."""
        words = " ".join("".join(c if c.isprintable() else " " for c in self.stderr).split())
        return f" ({words[-200:]})" if words else ""


def never() -> bool:
    """Somebody waits for the end of the program, however long it takes."""
    return False


def run(argv: Sequence[str], timeout: float, incident: str, is_over: Callable[[], bool] = never) -> Finished:
    """Run ``argv`` without a shell, without input and with a minimal environment, for at most ``timeout`` seconds.

    Its process group is killed at the time-out, or once ``is_over``: nobody waits for it any more.
    What it leaves running in the background on purpose lives on, and so does all of it where the daemon dies.
    Raises Permanent if it cannot be started.
    """
    deadline = time.monotonic() + timeout
    try:
        process = _start(argv, incident)
    except (OSError, ValueError) as error:
        raise _not_started(argv, error) from error
    return _followed(process, deadline, is_over)


def run_guarded(argv: Sequence[str], timeout: float, incident: str) -> Finished:
    """As ``run``, and the time-out holds even where the daemon is killed: until then the program goes on, then its process group is killed.

    Takes about 30 ms longer to start.
    """
    deadline = time.monotonic() + timeout
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as fault:
        try:
            process = _start([sys.executable, "-I", "-S", guard.__file__, str(deadline), str(writer), *argv], incident, writer)
        except (OSError, ValueError) as error:
            raise _not_started(argv, error) from error
        finally:
            os.close(writer)
        done = _followed(process, deadline, never)
        os.set_blocking(reader, False)
        if number := fault.read(16):
            raise _not_started(argv, OSError(int(number), os.strerror(int(number)), argv[0]))
    # The guard may have been quicker than we were.
    is_late = done.code == -signal.SIGKILL and time.monotonic() >= deadline
    return replace(done, code=None) if is_late else done


def _start(argv: Sequence[str], incident: str, *kept_open: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(incident),
        start_new_session=True,
        pass_fds=kept_open,
    )


def _not_started(argv: Sequence[str], error: Exception) -> Permanent:
    return Permanent(f"{argv[0]} cannot be started ({error}); nothing was changed; correct the daemon's config")


def _followed(process: "subprocess.Popen[bytes]", deadline: float, is_over: Callable[[], bool]) -> Finished:
    """How it ended, or that it was killed with all of its process group."""
    with process:
        kept = {pipe.fileno(): bytearray() for pipe in (process.stdout, process.stderr) if pipe}
        ended = _wait(process, kept, lambda: time.monotonic() >= deadline or is_over())
        if not ended:
            # The group may end on its own between the two lines.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    stdout, stderr = (words.decode(errors="replace") for words in kept.values())
    return Finished(process.returncode if ended else None, stdout, stderr, not ended and is_over())


def _wait(process: "subprocess.Popen[bytes]", kept: Mapping[int, bytearray], is_late: Callable[[], bool]) -> bool:
    """Keep what the program prints until it ends (True) or is late (False).

    The pipes' end is not awaited: a background process that ``apply`` started on purpose may hold them open for ever.
    """
    with selectors.DefaultSelector() as pipes:
        for pipe in kept:
            os.set_blocking(pipe, False)
            pipes.register(pipe, selectors.EVENT_READ)
        while (ended := process.poll() is not None) is False and not is_late():
            _drain(pipes, kept, 0.01)
        for _ in range(16):
            _drain(pipes, kept, 0)
    return ended


def _drain(pipes: selectors.BaseSelector, kept: Mapping[int, bytearray], patience: float) -> None:
    for key, _ in pipes.select(patience):
        read = os.read(key.fd, 16 * 1024)
        kept[key.fd].extend(read[: MAX_OUTPUT - len(kept[key.fd])])
        if not read:
            pipes.unregister(key.fd)


def _environment(incident: str) -> dict[str, str]:
    # The daemon's own environment may hold credentials that are none of the program's business.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "ROLLBACKD_INCIDENT": incident} if incident else kept
