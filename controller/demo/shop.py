"""The demo's shop: a real HTTP server with real counters. It knows nothing of rollbackd; its version and one flag decide how well it works.

`python -m rollbackd.controller.demo.shop VERSION PORT FLAG_FILE` serves until SIGTERM: `/`, `/checkout`, `/version` and `/metrics`.
"""

import contextlib
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

FLAG = "new-checkout"
BROKEN_CHECKOUTS = 0.40
"""Share of the checkouts that fail while the flag is on."""
BROKEN_REQUESTS = {"v2": 0.35}
"""Share of all requests that fail, by version; any other version works."""

REQUESTS = Counter("http_requests_total", "Requests by status code.", ["code"])
DURATIONS = Histogram(
    "http_request_duration_seconds", "How long requests took.", buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
)


class FlagFile:
    """One flag of a flagd flag file, read anew when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: int | None = None
        self._is_on = False

    def is_on(self) -> bool:
        """What the file says; while it cannot be read, what it said last."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._seen:
                flag = json.loads(self._path.read_text())["flags"][FLAG]
                self._is_on = flag["state"] == "ENABLED" and flag["variants"][flag["defaultVariant"]] is True
                self._seen = stamp
        return self._is_on


class Shop(ThreadingHTTPServer):
    """One version of the shop on a loopback port."""

    daemon_threads = True

    def __init__(self, version: str, port: int, flags: FlagFile, since: datetime) -> None:
        self.version = version
        self.flags = flags
        self.since = since
        super().__init__(("127.0.0.1", port), Customer)

    def works(self, path: str) -> bool:
        """Whether this request is served well."""
        broken = BROKEN_REQUESTS.get(self.version, 0.0)
        if path == "/checkout" and self.flags.is_on():
            broken = max(broken, BROKEN_CHECKOUTS)
        return random.random() >= broken


class Customer(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, which Nagle's algorithm would keep apart by 40 ms
    server: Shop

    def do_GET(self) -> None:
        """Pages about the shop, or a page of the shop."""
        if self.path == "/metrics":
            self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
        elif self.path == "/version":
            said = {"version": self.server.version, "since": self.server.since.isoformat()}
            self._answer(200, json.dumps(said).encode(), "application/json")
        else:
            self._sell()

    def do_POST(self) -> None:
        """A checkout."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._sell()

    def _sell(self) -> None:
        with DURATIONS.time():
            time.sleep(random.uniform(0.002, 0.020))  # what a database would take
            code = 200 if self.server.works(self.path) else 500
        REQUESTS.labels(str(code)).inc()
        self._answer(code, b"thank you\n" if code == 200 else b"sorry\n", "text/plain")

    def _answer(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Eighty lines a second help nobody."""


def main(argv: Sequence[str]) -> None:
    """Serve until SIGTERM."""
    version, port, flag_file = argv
    with Shop(version, int(port), FlagFile(Path(flag_file)), datetime.now(UTC)) as shop:
        # shutdown() waits for the loop that this thread runs, so it cannot be called from its signal handler.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=shop.shutdown).start())
        REQUESTS.labels("200")
        shop.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main(sys.argv[1:])
