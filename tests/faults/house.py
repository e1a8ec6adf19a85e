"""A whole daemon in this process, as it is wired from its config; only the schedule stands still, and the test says when a slot is.

Its clock moves by ten seconds from slot to slot, so that minutes pass in milliseconds. What acts and tells runs in the daemon's own threads.
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
import yaml

from rollbackd.controller.config.load import load_config
from rollbackd.controller.config.values import Config
from rollbackd.controller.journal.values import Entry, How, Standing
from rollbackd.controller.logs import Secrets
from rollbackd.controller.schedule import Grid
from rollbackd.controller.wiring.daemon import wire
from rollbackd.policies.judge.verdict import Verdict
from rollbackd.policies.known.incident import Incident
from tests.doubles.chats import HOOK
from tests.doubles.pagerduty import KEY
from tests.e2e.daemon import policy
from tests.faults.server import FaultServer
from tests.servers import free_port, poll

EVERY = timedelta(seconds=10)
SHOP = "command:shop"
ERRORS = {"name": "errors", "ratio": {"bad": 'http_requests_total{code="500"}', "total": "http_requests_total"}, "above": "5%", "for": "0s"}
TIMING = {"warmup": "0s", "settle": "0s", "recover_for": "20s", "give_up": "10m", "cooldown": "0s"}
WELL, ILL = {"bad": 0.0, "total": 600.0}, {"bad": 300.0, "total": 600.0}


def shop_policy(name: str = "shop", **spec: Any) -> str:
    """The service of this name behind a command, put back on more than 5 % of failed requests."""
    spec = {"target": {"command": {"name": name}}, "match": {"app": name}, "when": [ERRORS], **spec}
    target, when = spec.pop("target"), spec.pop("when")
    return policy(name, target, *when, every="10s", timing=spec.pop("timing", TIMING), **spec)


class House:
    """``folder`` holds its files, ``server`` is what it talks to. Without ``policies`` it watches the service ``shop``, which runs v1.

    ``config`` replaces parts of the daemon's own; ``services``: those behind commands.
    """

    def __init__(self, folder: Path, server: FaultServer, policies: Mapping[str, str] | None = None, **config: Any) -> None:
        self.folder, self.server = folder, server
        self.services: Sequence[str] = config.pop("services", ("shop", "zoo"))
        self.at = datetime.now(UTC)
        folder.mkdir(parents=True, exist_ok=True)
        self._secrets()
        (folder / "policies.d").mkdir(exist_ok=True)
        for name, text in (policies or {"shop": shop_policy()}).items():
            self.write_policy(name, text)
        self._config = self._read({**self._sound(), **config})
        self.parts = wire(self._config, Secrets(), time_is=lambda: self.at)
        self._pages: uvicorn.Server | None = None

    def _secrets(self) -> None:
        for name, secret in {"key": KEY, "slack": self.server.at("slack") + HOOK}.items():
            (self.folder / name).write_text(secret)

    def _sound(self) -> dict[str, Any]:
        contact = [
            {"pagerduty": {"key_file": "key", "url": self.server.at("pagerduty")}},
            {"slack": {"url_file": "slack"}},
            {"alertmanager": {"urls": [self.server.at("alertmanager")]}},
        ]
        return {
            "apiVersion": "rollbackd/v1",
            "kind": "Config",
            "data_dir": "data",
            "policies": ["policies.d/"],
            "api": {"listen": f"127.0.0.1:{free_port()}"},
            "sources": {"prometheus": {"url": self.server.at("prometheus"), "scrape_interval": "5s", "timeout": "1s"}},
            "commands": {name: self.command(name) for name in self.services},
            "contacts": {"oncall": contact, "platform": [{"webhook": {"url": self.server.at("hook")}}]},
            "fallback": "platform",
            "guards": {"in_flight": 10, "in_flight_per_namespace": 10},
        }

    def _read(self, config: Mapping[str, Any]) -> Config:
        loaded = load_config(yaml.safe_dump(config), "rollbackd.yaml", self.folder)
        assert isinstance(loaded, Config), loaded
        return loaded

    def command(self, name: str, **more: Any) -> dict[str, Any]:
        """A service of this name at v1: its version is a file, its deployments are lines of another."""
        if not (self.folder / name).exists():
            self.deploy("v1", name)
        script = f'echo "$1" >> {self.folder}/{name}.applied; echo "$1" > {self.folder}/{name}'
        return {"describe": ["/bin/cat", f"{self.folder}/{name}"], "apply": ["/bin/sh", "-c", script, "apply", "{revision}"], "settle": "0s", **more}

    # --- its life -----------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Its threads run, its policies hold."""
        self.parts.engine.mailbox.start()
        self.parts.outbox.start()
        self.reload()

    def reload(self, *, confirm: bool = False) -> None:
        """The policy files were read, as after SIGHUP where it is to ``confirm``."""
        outcome = self.parts.files.read(confirm=confirm)
        if outcome is not None:
            self.parts.policy_news.tell(outcome)
            self.parts.membership.take(outcome.policies, outcome.fleets, outcome.claimed)
            named = {policy.name for policy in outcome.policies}
            poll(lambda: set(self.parts.engine.policies) == named)

    def close(self) -> None:
        """Nothing of it runs."""
        if self._pages is not None:
            self._pages.should_exit = True
        self.parts.observation.close()
        self.parts.actor.close()
        self.parts.engine.mailbox.stop()
        self.parts.outbox.stop(timedelta(seconds=5))
        self.parts.store.close()
        self.parts.lock.close()

    # --- what happens -------------------------------------------------------------------------------------------------------------------

    def write_policy(self, name: str, text: str) -> None:
        """The file is there."""
        (self.folder / "policies.d" / f"{name}.yaml").write_text(text)

    def deploy(self, version: str, name: str = "shop") -> None:
        """Somebody ships this version."""
        (self.folder / name).write_text(f"{version}\n")

    def good(self, target: str = SHOP, revision: str = "v1") -> None:
        """The revision is known to be good."""
        with self.parts.store.transaction() as tx:
            tx.mark(target, revision, Standing.GOOD, How.DECLARED, self.at)

    def measured(self, **apps: Mapping[str, float | str]) -> None:
        """What Prometheus knows from now on."""
        self.server.metrics.apps = {name: dict(parts) for name, parts in apps.items()}

    def slots(self, count: int = 1, source: str = "prometheus") -> None:
        """So many more slots of the source, and what followed from each, until nothing is under way."""
        for _ in range(count):
            self.look(source)
            self.rest()

    def look(self, source: str = "prometheus") -> None:
        """The next slot has been judged; what follows from it is not waited for."""
        self.at += EVERY
        before = self.parts.engine.slots
        self.parts.observation.observe(Grid(source, EVERY), self.at)
        poll(lambda: self.parts.engine.slots > before, within=30, every=0.002)

    def rest(self) -> None:
        """Nothing is being done for any incident, and every outcome has been decided on."""
        engine, actor = self.parts.engine, self.parts.actor

        def is_still() -> bool:
            return engine.mailbox._queue.empty() and not any(actor.is_busy(incident.id) for incident in self.incidents())

        for _ in range(3 if self.incidents() else 0):  # between an outcome and the word of it to the engine lies a moment
            poll(is_still, within=30, every=0.005)
            time.sleep(0.005)

    def ill(self, slots: int = 3) -> None:
        """v1 is seen and good; then v2 is shipped, and half of all requests fail, for so many slots."""
        self.measured(shop=WELL)
        self.slots(2)
        self.good()
        self.deploy("v2")
        for _ in range(slots):
            self.measured(shop=ILL if self.version() == "v2" else WELL)
            self.slots(1)

    def chore(self, name: str) -> None:
        """What the daemon does now and then was done."""
        next(chore for chore in self.parts.chores if chore.name == name).work()

    # --- what it came to ----------------------------------------------------------------------------------------------------------------

    def version(self, name: str = "shop") -> str:
        """What runs."""
        return (self.folder / name).read_text().strip()

    def applied(self, name: str = "shop") -> list[str]:
        """The versions that rollbackd deployed."""
        file = self.folder / f"{name}.applied"
        return file.read_text().split() if file.exists() else []

    def verdict(self, name: str = "shop") -> Verdict:
        """Of the policy's first condition, in the newest slot."""
        return self.parts.engine.standings[name].evaluation.verdicts[0]

    def unknown(self, name: str = "shop") -> str:
        """Why nothing is known; fails if something is."""
        verdict = self.verdict(name)
        assert verdict.state.value in ("nodata", "error", "unproven"), verdict
        return f"{verdict.state.value}: {getattr(verdict.evidence, 'why', verdict.evidence)}"

    def incidents(self) -> tuple[Incident, ...]:
        """Those that are open."""
        return self.parts.store.open_incidents()

    def history(self) -> list[Entry]:
        """The journal, oldest first."""
        return list(reversed(self.parts.store.history(10_000)))

    def kinds(self) -> list[str]:
        """The rows of incidents, oldest first."""
        return [entry.kind for entry in self.history() if entry.incident is not None]

    def body(self, kind: str) -> Mapping[str, Any]:
        """What the only row of this kind holds."""
        (entry,) = (entry for entry in self.history() if entry.kind == kind)
        return entry.body

    def nothing_acted(self) -> bool:
        """No incident was opened, nothing written, nobody told."""
        return self.kinds() == [] and self.applied() == [] and self.version() == "v2"

    def paged(self) -> list[str]:
        """The summaries by which somebody was called, once all messages have left."""
        poll(lambda: self.parts.store.outbox_state().waiting == 0, within=30)
        return list(self.server.pagerduty.called)

    # --- its API ------------------------------------------------------------------------------------------------------------------------

    def serve(self) -> "House":
        """Its API listens."""
        (pages, *_) = self.parts.pages
        self._pages = uvicorn.Server(uvicorn.Config(pages.app, log_config=None, access_log=False, host=pages.listen[0], port=pages.listen[1]))
        threading.Thread(target=self._pages.run, daemon=True).start()
        poll(lambda: self._pages is not None and self._pages.started)
        return self

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page that needs no token."""
        connection = http.client.HTTPConnection(*self.parts.pages[0].listen, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def post(self, path: str, token: str | None = None, **body: object) -> tuple[int, dict[str, Any]]:
        """Status and document of an order, with the daemon's own token unless another is given."""
        token = token if token is not None else (self.folder / "data" / "api.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with contextlib.closing(http.client.HTTPConnection(*self.parts.pages[0].listen, timeout=10)) as connection:
            connection.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


@contextlib.contextmanager
def house_in(folder: Path, server: FaultServer, policies: Mapping[str, str] | None = None, **config: Any) -> Iterator[House]:
    """A house that runs for the length of the block."""
    house = House(folder, server, policies, **config)
    try:
        house.start()
        yield house
    finally:
        house.close()
