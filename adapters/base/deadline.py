"""An end to a conversation with a server that answers a byte at a time: a socket's own time-out begins anew with every byte."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta


@contextlib.contextmanager
def ends_within(limit: timedelta, current: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Whoever waits at the ``current`` socket when ``limit`` is over finds it closed.

    Raises TimeoutError at the end if that was taken for an answer.
    """
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        _hang_up(current())

    timer = threading.Timer(limit.total_seconds(), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if is_over.is_set():
        raise TimeoutError


def _hang_up(open_socket: socket.socket | None) -> None:
    if open_socket is not None:
        # Not the method of an SSLSocket, which would forget its encryption under the reader in the other thread.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
