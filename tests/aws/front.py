"""A front of our own before any stand-in: it knows each request by its operation, and refuses, loses or holds back those that it is told to.

microburst words faults, but cannot let a write arrive after everybody has given it up; and to start one takes seconds.
"""

import contextlib
import http.client
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rollbackd.adapters.aws.declarations import ALL
from tests.aws.ecs_model import model


@dataclass(frozen=True, slots=True)
class Request:
    """One that came, as it has to be passed on."""

    operation: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class Fault:
    """What happens to the next ``times`` requests for an operation: ``code`` is answered, or the answer is lost.

    ``lost``: after: it was done; late: it is done at ``Front.catch_up``; body: it was done, and the answer is empty.
    """

    operation: str
    code: str = ""
    lost: str = ""
    times: int = 1_000


@dataclass
class Front:
    """A running front. ``asked``: every operation that came; ``passed``: those that the stand-in behind it was given, in order."""

    url: str
    behind: str
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    late: list[Request] = field(default_factory=list)

    def calm(self) -> None:
        """Nothing goes wrong any more, and nothing has been asked yet."""
        for each in (self.faults, self.asked, self.passed, self.late):
            each.clear()  # type: ignore[attr-defined]  # a list, each of them

    def catch_up(self) -> None:
        """What was on its way when everybody gave it up is done now."""
        for request in self.late:
            _pass(self, request)
        self.late.clear()


@contextlib.contextmanager
def front(behind: str) -> Iterator[Front]:
    """A front on loopback before the stand-in at ``behind``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    made = Front(f"http://127.0.0.1:{server.server_address[1]}", behind)
    server.front = made  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: apart, the second waits 40 ms for the first to be acknowledged

    def do_POST(self) -> None:
        front: Front = self.server.front  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(_operation(self, body), self.command, self.path, tuple(self.headers.items()), body)
        front.asked.append(request.operation)
        fault = next((each for each in front.faults if each.operation == request.operation and each.times > 0), None)
        if fault is None:
            self._answer(*_pass(front, request))
            return
        fault.times -= 1
        if fault.code:
            self._answer(400, *_worded(request, fault.code))
            return
        if fault.lost == "after":
            _pass(front, request)
        elif fault.lost == "body":
            status, headers, _ = _pass(front, request)
            self._answer(status, headers, b"")
            return
        else:
            front.late.append(request)
        self.close_connection = True

    do_GET = do_DELETE = do_PUT = do_POST

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


def _pass(front: Front, request: Request) -> tuple[int, dict[str, str], bytes]:
    """What the stand-in answers."""
    front.passed.append(request.operation)
    there = http.client.HTTPConnection(urlsplit(front.behind).netloc, timeout=60)
    headers = {name: value for name, value in request.headers if name.lower() not in ("connection", "expect")}
    try:
        there.request(request.method, request.path, request.body, headers)
        answer = there.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in ("connection", "content-length", "transfer-encoding")}
        return answer.status, kept, answer.read()
    finally:
        there.close()


def _worded(request: Request, code: str) -> tuple[dict[str, str], bytes]:
    """The error as the service's protocol words it."""
    if any(name.lower() == "x-amz-target" for name, _ in request.headers):
        return {"Content-Type": "application/x-amz-json-1.1"}, json.dumps({"__type": code, "message": "no"}).encode()
    if request.operation in _paths("rest-json").values():
        return {"Content-Type": "application/json", "x-amzn-ErrorType": code}, b'{"Message": "no"}'
    return {"Content-Type": "text/xml"}, f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>".encode()


def _operation(handler: _Handler, body: bytes) -> str:
    """What is asked for; the path itself where no declared call is asked by it."""
    if target := handler.headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if action := parse_qs(body.decode(errors="replace")).get("Action"):
        return action[0]
    path = urlsplit(handler.path).path.rstrip("/")
    every = {**_paths("rest-json"), **_paths("rest-xml")}
    return next((name for (method, form), name in every.items() if method == handler.command and form.fullmatch(path)), path)


@cache
def _paths(protocol: str) -> dict[tuple[str, re.Pattern[str]], str]:
    """The declared calls of the services that speak this protocol, by how they are asked for."""
    found: dict[tuple[str, re.Pattern[str]], str] = {}
    for call in {call for declared in ALL for call in declared.calls}:
        if model(call.service).metadata["protocol"] == protocol:
            http: Any = model(call.service).operation_model(call.operation).http
            path = str(http["requestUri"]).partition("?")[0].rstrip("/")
            found[http["method"], re.compile(re.sub(r"\{\w+\}", "[^/]+", path))] = call.operation
    return found
