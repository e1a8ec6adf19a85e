"""An end to a conversation with a server that answers a byte at a time: a socket's own time-out begins anew with every byte."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta


@contextlib.contextmanager
def ends_within(limit: timedelta, current: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Whoever waits at the ``current`` socket when ``limit`` is over finds it closed by the other side."""
    timer = threading.Timer(limit.total_seconds(), lambda: _hang_up(current()))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(open_socket: socket.socket | None) -> None:
    if open_socket is not None:
        # Not the method of an SSLSocket, which would forget its encryption under the reader in the other thread.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
