"""A gate in front of the real Unleash: it passes everything on and remembers it, but for what it is told to answer by itself."""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of the gate's own."""

    status: int
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Gate:
    """``answers``: by method and the beginning of the path, ``POST /api/admin``. ``asked``: method and path of all that came."""

    url: str
    answers: dict[str, Said] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer_to(self, line: str) -> Said | None:
        """The gate's own answer to this request, if it has one."""
        return next((said for start, said in self.answers.items() if line.startswith(start)), None)


@contextlib.contextmanager
def gate(upstream: str) -> Iterator[Gate]:
    """A gate on a loopback port of its own."""
    parts = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            line = f"{self.command} {self.path}"
            made.asked.append(line)
            if (said := made.answer_to(line)) is not None:
                self.reply(said.status, json.dumps(said.document).encode(), said.headers)
                return
            with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
                sent = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
                connection.request(self.command, self.path, body or None, sent)
                answer = connection.getresponse()
                self.reply(answer.status, answer.read(), {})

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = handle_any  # http.server's names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Gate(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
