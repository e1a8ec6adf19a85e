"""The local API over a real core: uvicorn on a loopback port, a Desk on the world's engine, store and pause switch."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from rollbackd.controller.answers.status import Reload
from rollbackd.controller.api.app import build_app, build_health_app
from rollbackd.controller.api.cluster import ClusterPeople
from rollbackd.controller.api.hooks import Hooks
from rollbackd.controller.api.metrics import Metrics
from rollbackd.controller.api.server import BOUNDS, Bounds, server
from rollbackd.controller.api.token import TokenBook, ensure_token, hash_of
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.engine.view import Facts
from rollbackd.controller.explain.coverage import Fleets
from rollbackd.controller.explain.preview import Preview
from rollbackd.controller.observe.readings import SourceHealth
from rollbackd.controller.people.bootstrap import Bootstrap
from rollbackd.controller.people.desk import Desk
from tests.controller.world import World
from tests.policies.literals import T0
from tests.servers import poll


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Said:
    """What the daemon would say of itself; tests change it."""

    reload: Reload = field(default_factory=lambda: Reload(T0, True))
    health: dict[str, SourceHealth] = field(default_factory=lambda: {"prometheus": SourceHealth(T0, None)})
    missed: int = 0
    unread: frozenset[str] = frozenset()
    claimed: dict[str, str] = field(default_factory=dict)

    def facts(self) -> Facts:
        return Facts("0.1.0", "test-0", T0, self.reload, self.missed, timedelta(seconds=0.25), self.unread, self.claimed)


def desk_of(world: World, said: Said, fleets: Fleets | None = None, preview: Preview | None = None, bootstrap: Bootstrap | None = None) -> Desk:
    return Desk(
        world.engine,
        world.store,
        world.pause,
        world.targets,
        lambda: said.health,
        said.facts,
        lambda: world.at,
        default_cluster="default",
        fleets=fleets,
        preview=preview,
        bootstrap=bootstrap,
    )


class Served:
    """A daemon's API, or its health address, for as long as the test runs."""

    def __init__(
        self,
        world: World,
        folder: Path,
        people: Mapping[str, str] = MappingProxyType({}),
        fleets: Fleets | None = None,
        preview: Preview | None = None,
        bootstrap: Bootstrap | None = None,
        *,
        only_health: bool = False,
        cluster: ClusterPeople | None = None,
        hooks: Hooks | None = None,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self.said = Said()
        self.desk = desk_of(world, self.said, fleets, preview, bootstrap)
        self.metrics = Metrics(self.desk)
        self.token_file = folder / "api.token"
        self.token = ensure_token(self.token_file)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        tokens = TokenBook(self.token_file, {name: hash_of(token.encode()) for name, token in people.items()})
        api = build_app(self.desk, self.metrics, tokens, cluster, hooks)
        app = build_health_app(self.desk, self.metrics) if only_health else api
        self._server = server(app, bounds)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        poll(lambda: self._server.started)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request, with the token unless ``authorization`` says otherwise. An underscore in a header's name stands for a dash."""
        sent = {"authorization": f"Bearer {self.token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, **body: object) -> Answer:
        return self.ask("POST", path, json.dumps(body).encode(), content_type="application/json")

    def commands(self, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
        """Runs the command on this daemon, and has its exit code, stdout and stderr."""

        def run(*words: str) -> tuple[int, str, str]:
            capsys.readouterr()
            code = outcome([*words, *self.options()])
            said = capsys.readouterr()
            return code, said.out, said.err

        return run

    def options(self) -> list[str]:
        """How the command finds this daemon."""
        return ["--server", self.url, "--token-file", str(self.token_file)]
