"""A server that says a byte now and then and never ends: every byte begins the other side's time-out anew."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def dripping(first: bytes, *, rest: bytes = b"x", tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Its port: whoever connects gets ``first``, then ``rest`` every 50 ms. An empty ``rest``: then nothing."""
    stopping = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def serve() -> None:
        while not stopping.is_set():
            with contextlib.suppress(OSError):
                connection = listener.accept()[0]
                talk(tls.wrap_socket(connection, server_side=True) if tls is not None else connection)

    def talk(connection: socket.socket) -> None:
        with connection:
            connection.sendall(first)
            while not stopping.wait(0.05):
                connection.sendall(rest)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopping.set()
        thread.join()
        listener.close()
