"""A network between one daemon and one server, which can be cut: it swallows what is sent, and tells nobody."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class Pipe:
    """A loopback port, or another ``listener``, that forwards to a loopback port. What is held while it is cut arrives when it is mended, as after a
    real partition.
    """

    def __init__(self, port: int, listener: socket.socket | None = None) -> None:
        self._to = port
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._mute: set[socket.socket] = set()
        self._dead: set[socket.socket] = set()
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        host, self.port = self._listener.getsockname()[:2]
        self.address = f"{host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Nothing arrives on either side; connections are accepted, and that is all."""
        self._flows.clear()

    def mend(self) -> None:
        """Everything arrives."""
        self._flows.set()

    def lose_answers(self) -> None:
        """What is asked on the connections of now still arrives, and the answers never do; new connections are well."""
        self._mute = set(self._sockets)

    def lose_all(self) -> None:
        """Nothing arrives any more on the connections of now; new connections are well."""
        self._dead = set(self._sockets)

    def close(self) -> None:
        """Nobody is served any more."""
        self._flows.set()
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), kwargs={"is_answer": source is far}, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, *, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flows.wait()
                if source not in self._dead and not (is_answer and source in self._mute):
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def pipe_to(port: int) -> Iterator[Pipe]:
    """A pipe to this port, closed at the end."""
    pipe = Pipe(port)
    try:
        yield pipe
    finally:
        pipe.close()
