"""A loopback HTTP server of our own that says what a test tells it to: a /metrics page, or any of the faults a real server shows."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. ``path`` includes the query string."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered.

    ``body``: bytes, or parts that are produced while they are sent (the connection then ends the body).
    ``wait``: seconds before the first byte. ``promise``: the Content-Length that is announced, whatever is sent (a cut body).
    """

    status: int = 200
    body: bytes | Callable[[], Iterable[bytes]] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    promise: int | None = None


class Loopback:
    """Answers every request by ``reply``, which may be replaced. ``sent`` counts the bytes of the bodies, ``asked`` keeps the requests."""

    def __init__(self, reply: Callable[[Request], Reply]) -> None:
        self.reply = reply
        self.sent = 0
        self.asked: list[Request] = []
        self.stopping = threading.Event()
        owner = self

        class Handler(_Handler):
            loopback = owner

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Nothing listens any more, and no answer is still being sent."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Exposition(Loopback):
    """Serves ``text`` at every path as a Prometheus page. Assign ``text`` to change it; assign ``fault`` to answer with that instead."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.fault: Reply | None = None
        super().__init__(lambda _: self.fault or Reply(body=self.text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"}))


@contextlib.contextmanager
def serving(reply: Callable[[Request], Reply] | Reply) -> Iterator[Loopback]:
    """A server that answers by ``reply`` for the length of the block."""
    server = Loopback((lambda _: reply) if isinstance(reply, Reply) else reply)
    try:
        yield server
    finally:
        server.close()


def these(*pages: T) -> Callable[[], Sequence[T]]:
    """What a source finds wherever it looks: always the same pages."""
    return lambda: pages


@contextlib.contextmanager
def exposing(text: str = "") -> Iterator[Exposition]:
    """A page to scrape for the length of the block."""
    server = Exposition(text)
    try:
        yield server
    finally:
        server.close()


class _QuietServer(ThreadingHTTPServer):
    # Joined at close, so that no thread of a test outlives it; every wait in a handler ends with `stopping`.
    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    loopback: Loopback

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
        self.loopback.asked.append(request)
        reply = self.loopback.reply(request)
        if self.loopback.stopping.wait(reply.wait):
            return
        self._send(reply)

    do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        """Tests are quiet."""

    def _send(self, reply: Reply) -> None:
        # Without the Date and Server headers of the standard library: a reply has the headers that it names.
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if isinstance(reply.body, bytes):
            self.send_header("Content-Length", str(len(reply.body) if reply.promise is None else reply.promise))
        self.end_headers()
        for part in [reply.body] if isinstance(reply.body, bytes) else reply.body():
            if self.loopback.stopping.is_set():
                return
            self.wfile.write(part)
            self.loopback.sent += len(part)
