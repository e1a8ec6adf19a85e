"""One server on loopback that speaks as everything that rollbackd talks to, and fails as a script says.

Each system has a path of its own: /prometheus, /pagerduty, /slack, /alertmanager, /hook. Prometheus tells what ``Metrics`` holds; on-call's are
the doubles that know their documentation; /kubernetes, /ecs and /unleash are passed on to a double or a real server (``pass_on``). A ``Fault`` stands
between the request and the sound answer, of which it may make anything.
"""

import contextlib
import http.client
import json
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests import servers
from tests.doubles.chats import SlackDouble
from tests.doubles.pagerduty import PagerDutyDouble
from tests.exposition import Loopback, Reply, Request

Sound = Callable[[], Reply]
Speaker = Callable[[Request], Reply]
JSON = {"Content-Type": "application/json"}
_HOP = ("host", "connection", "content-length", "accept-encoding", "transfer-encoding")


class Cut(Exception):
    """The connection is closed without an answer."""


# --- the script ---------------------------------------------------------------------------


@dataclass
class Fault:
    """What the next ``times`` requests meet of those that are ``met``. ``answer`` gets the sound one as a function: uncalled, nothing was done."""

    answer: Callable[[Sound], Reply]
    met: Callable[[Request], bool] = lambda _: True
    times: float = float("inf")


def says(reply: Reply) -> Callable[[Sound], Reply]:
    """This answer instead of the sound one; nothing was done."""
    return lambda _: reply


def status(code: int, body: bytes = b"", **headers: str) -> Callable[[Sound], Reply]:
    """This status; an underscore in a header's name stands for a dash."""
    return says(Reply(code, body, {name.replace("_", "-"): value for name, value in headers.items()}))


def cut(sound: Sound) -> Reply:
    """Nothing was done, and nothing is answered."""
    raise Cut


def lost(sound: Sound) -> Reply:
    """It was done, and the answer never came."""
    sound()
    raise Cut


def late(seconds: float) -> Callable[[Sound], Reply]:
    """The sound answer, after so long."""
    return lambda sound: replace(sound(), wait=seconds)


def held(until: threading.Event) -> Callable[[Sound], Reply]:
    """Nothing is done before ``until``."""

    def answer(sound: Sound) -> Reply:
        until.wait(60)
        return sound()

    return answer


def spoilt(change: Callable[[Reply], Reply]) -> Callable[[Sound], Reply]:
    """What ``change`` makes of the sound answer."""
    return lambda sound: change(sound())


def broken_off(reply: Reply) -> Reply:
    """Its last bytes never come."""
    assert isinstance(reply.body, bytes)
    return replace(reply, body=reply.body[:-20], promise=len(reply.body))


def endless() -> Iterator[bytes]:
    """Half a gigabyte of blanks."""
    for _ in range(8_000):
        yield b" " * 65_536


# --- Prometheus ---------------------------------------------------------------------------


@dataclass
class Metrics:
    """What Prometheus knows of each app: the parts of its signals by name. ``age``: of the newest sample. ``clock``: seconds that it is ahead of us.

    ``twins``: each series is there twice. ``extra`` becomes part of every answer.
    """

    apps: dict[str, dict[str, float | str]] = field(default_factory=dict)
    age: timedelta = timedelta(0)
    clock: float = 0.0
    twins: bool = False
    extra: dict[str, object] = field(default_factory=dict)

    def __call__(self, request: Request) -> Reply:
        """The answer to one question: no PromQL, but the parts that the question names."""
        asked = parse_qs(request.body.decode())
        (query,) = asked["query"]
        if request.path.endswith("query_range"):
            return self._reply("matrix", [])  # it began a moment ago: there is no past
        at = float(asked.get("time", ["0"])[0])
        if query == "vector(time())":
            return self._reply("vector", [{"metric": {}, "value": [0, str(time.time() + self.clock)]}])
        named = set(re.findall(r'"rollbackd_part",\s*"([^"]+)"', query))
        return self._reply("vector", [one for app, parts in self.apps.items() for one in self._series(app, parts, named, at)])

    def _series(self, app: str, parts: dict[str, float | str], named: set[str], at: float) -> Iterator[dict[str, object]]:
        newest = {"newest sample": at - self.age.total_seconds()} if parts else {}
        for part, value in {**parts, **newest}.items():
            for _ in range(2 if self.twins and part in parts else 1):
                if part in named:
                    yield {"metric": {"app": app, "rollbackd_part": part}, "value": [at, str(value)]}

    def _reply(self, kind: str, result: list[dict[str, object]]) -> Reply:
        return Reply(body=json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **self.extra}).encode(), headers=JSON)


# --- everybody ---------------------------------------------------------------------------


def pass_on(url: str) -> Speaker:
    """What the server at ``url`` says."""
    parts = urlsplit(url)

    def answer(request: Request) -> Reply:
        sent = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
            connection.request(request.method, request.path, request.body or None, sent)
            said = connection.getresponse()
            body = said.read()
            return Reply(said.status, body, {name: value for name, value in said.getheaders() if name.lower() not in (*_HOP, "content-encoding")})

    return answer


class FaultServer(Loopback):
    """``asked_of`` tells who was asked for what; ``breaks`` and ``mends`` are the script. ``tls``: it speaks nothing else."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.metrics, self.pagerduty, self.slack = Metrics(), PagerDutyDouble(), SlackDouble()
        self.alerts: list[dict[str, object]] = []
        self.messages: list[dict[str, object]] = []
        self.speakers: dict[str, Speaker] = {
            "prometheus": self.metrics,
            "pagerduty": self.pagerduty,
            "slack": self.slack,
            "alertmanager": self._alertmanager,
            "hook": self._hook,
        }
        self._faults: dict[str, list[Fault]] = {}
        self._heard: list[tuple[str, Request]] = []
        super().__init__(self._answer)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
            self.url = self.url.replace("http:", "https:")

    def at(self, system: str) -> str:
        """The address of a system."""
        return f"{self.url}/{system}"

    def breaks(
        self, system: str, answer: Callable[[Sound], Reply], *, met: Callable[[Request], bool] = lambda _: True, times: float = float("inf")
    ) -> None:
        """The system fails so from now on, or so often."""
        self._faults.setdefault(system, []).append(Fault(answer, met, times))

    def mends(self, *systems: str) -> None:
        """These [all] answer as they should."""
        for system in systems or tuple(self._faults):
            self._faults.pop(system, None)

    def asked_of(self, system: str, method: str = "") -> list[Request]:
        """The requests that the system got, oldest first."""
        return [request for name, request in list(self._heard) if name == system and method in ("", request.method)]

    def _answer(self, request: Request) -> Reply:
        _, system, rest = request.path.split("/", 2) if request.path.count("/") > 1 else ("", request.path[1:], "")
        told = replace(request, path=f"/{rest}")
        self._heard.append((system, told))
        fault = next((one for one in self._faults.get(system, ()) if one.times > 0 and one.met(told)), None)
        if fault is None:
            return self.speakers[system](told)
        fault.times -= 1
        return fault.answer(lambda: self.speakers[system](told))

    def _alertmanager(self, request: Request) -> Reply:
        self.alerts += json.loads(request.body)
        return Reply()

    def _hook(self, request: Request) -> Reply:
        self.messages.append(json.loads(request.body))
        return Reply(204)


@contextlib.contextmanager
def fault_server(tls: ssl.SSLContext | None = None) -> Iterator[FaultServer]:
    """A sound server of this test's own; it breaks as it is told."""
    server = FaultServer(tls)
    try:
        yield server
    finally:
        server.close()


def certificate(folder: Path, *, name: str = "IP:127.0.0.1", days: int = 2) -> ssl.SSLContext:
    """A server's context; its certificate, which is its own authority, lies in the folder as ``tls.crt``."""
    openssl, key, made = servers.binary("openssl"), folder / "tls.key", folder / "tls.crt"
    request = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=prometheus", "-addext", f"subjectAltName={name}"]
    subprocess.run([*request, "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    again = [openssl, "x509", "-in", str(made), "-signkey", str(key), "-days", str(days), "-out", str(made)]
    subprocess.run(again, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return context
