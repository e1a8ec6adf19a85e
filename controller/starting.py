"""What a daemon needs of its machine before anything runs: each is there, or a sentence says what is missing and what to do."""

import contextlib
import errno
import fcntl
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import IO


class NotStarted(Exception):
    """The daemon cannot start here: no fault of the program, nothing was started, and the text says what to do."""


def hold(data_dir: Path, journal: Path | None) -> ExitStack:
    """This process alone works in the folder, made if it is not there, and writes the SQLite journal in this file, until it ends. Raises NotStarted.

    Another one on the same journal would have a pause switch of its own, and take what this one writes for another writer's.
    """
    held = ExitStack()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        folder = held.enter_context((data_dir / "lock").open("a+"))
    except OSError as fault:
        said = f"data_dir {data_dir} cannot be made or written ({fault.strerror}: {fault.filename}); nothing was started"
        advice = f"mount it writable, give uid {os.geteuid()} the right to write there (in a pod: fsGroup), or name another data_dir"
        raise NotStarted(f"{said}; {advice}") from fault
    _lock(held, folder, f"works in {data_dir}", "a data_dir of its own")
    with contextlib.suppress(OSError):  # a journal whose folder takes no files is told by who opens it
        if journal is not None:
            file = journal.resolve()
            beside = held.enter_context(file.with_name(f"{file.name}.lock").open("a+"))
            _lock(held, beside, f"writes to {journal}", "a journal of its own: daemons that share one keep it in PostgreSQL")
    return held


def _lock(held: ExitStack, file: IO[str], what: str, instead: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        held.close()
        raise NotStarted(f"another rollbackd {what}; nothing was started; stop it, or give this one {instead}") from fault


def listener(name: str, address: tuple[str, int]) -> socket.socket:
    """A bound socket: a port that is taken is known before anything runs. ``name``: what the config calls the address. Raises NotStarted."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as fault:
        bound.close()
        raise NotStarted(f"{name} {address[0]}:{address[1]} {_unbound(fault, address[1])}") from fault
    return bound


def _unbound(fault: OSError, port: int) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"is taken; nothing was started; stop who listens there (ss -ltnp 'sport = :{port}' names it), or name another port"
    advice = f"name an address of this machine and a port that uid {os.geteuid()} may open"
    return f"cannot be listened on ({fault.strerror}); nothing was started; {advice}"
