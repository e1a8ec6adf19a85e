"""One service, its daemon with one data folder over several lives, on-call's receiver; and what is left on record after each life."""

import http.client
import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollbackd.controller.api.client import Client, ClientFault
from rollbackd.controller.journal.chain import Break, verify
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Entry
from tests.crash.life import PATIENCE, Life, free_port
from tests.crash.places import Place
from tests.exposition import Loopback, Reply, Request, serving

ZOO = {"target": {"command": {"name": "zoo"}}, "remedy": [{"revert": {"to": "known-good"}}], "watch": "always"}
TIMING = {"warmup": "0s", "settle": "1s", "recover_for": "3s", "give_up": "2m", "cooldown": "0s"}


@dataclass(frozen=True, slots=True)
class Told:
    """A message as on-call's receiver got it."""

    id: str
    key: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """The state of everything that outlives a daemon, while none runs. ``rows``: those of incidents, oldest first."""

    entries: tuple[Entry, ...]
    incidents: tuple[str, ...]
    chain: Break | None
    unsent: int
    writes: int
    is_broken: bool

    @property
    def rows(self) -> list[str]:
        """The kinds of the incidents' rows, oldest first."""
        return [entry.kind for entry in self.entries if entry.incident is not None]

    def of(self, kind: str) -> Entry:
        """The only row of this kind."""
        (entry,) = (entry for entry in self.entries if entry.kind == kind)
        return entry


class Meter:
    """The service's page of metrics: a hundred requests between two looks, half of them failing while it is broken."""

    def __init__(self, is_broken: Callable[[], bool]) -> None:
        self._is_broken = is_broken
        self._good = self._bad = 0
        self.is_silent = False

    def page(self, request: Request) -> Reply:
        """The counters now."""
        if self.is_silent:
            return Reply(status=503)
        # The zoo is asked as often, and counts the same customers, all of them happy.
        is_shop = request.path == "/shop"
        bad = 50 if is_shop and self._is_broken() else 0
        self._good, self._bad = self._good + 100 - bad, self._bad + bad
        text = f'http_requests_total{{code="200"}} {self._good}\nhttp_requests_total{{code="500"}} {self._bad if is_shop else 0}\n'
        return Reply(body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})


class Scene:
    """``folder`` holds everything of it. ``timing`` varies the policy. A second policy, ``zoo``, watches another service, which is always well."""

    def __init__(self, folder: Path, place: Place, meter: Meter, page: Loopback, receiver: Loopback, **timing: str) -> None:
        self.folder, self.place, self.meter = folder, place, meter
        self._receiver = receiver
        self._data = folder / "data"
        self.lives: list[Life] = []
        self._numbers = itertools.count()
        self._port = free_port()
        self._config = folder / "rollbackd.yaml"
        self._config.write_text(json.dumps(self._config_of(page.url, receiver.url)))  # JSON is YAML
        (folder / "policies.d").mkdir()
        for policy in (self._policy("shop", **place.spec), self._policy("zoo", **ZOO)):
            policy["spec"]["timing"] = {**TIMING, **timing}
            (folder / "policies.d" / f"{policy['metadata']['name']}.yaml").write_text(json.dumps(policy))

    def _config_of(self, page: str, receiver: str) -> dict[str, Any]:
        commands = {**self.place.config.get("commands", {}), "zoo": {"describe": ["/bin/echo", "v1"], "apply": ["/bin/false", "{revision}"]}}
        pages = [{"labels": {"app": name}, "urls": [f"{page}/{name}"]} for name in ("shop", "zoo")]
        return {
            "apiVersion": "rollbackd/v1",
            "kind": "Config",
            "data_dir": str(self._data),
            "policies": ["policies.d/"],
            "api": {"listen": f"127.0.0.1:{self._port}"},
            "sources": {"scrape": {"every": "1s", "targets": pages}},
            "contacts": {"oncall": [{"webhook": {"url": f"{receiver}/oncall"}}]},
            **self.place.config,
            "commands": commands,
        }

    def _policy(self, name: str, **spec: Any) -> dict[str, Any]:
        ratio = {"bad": 'http_requests_total{code="500"}', "total": "http_requests_total"}
        common = {
            "mode": "auto",
            "metrics": "custom",
            "match": {"app": name},
            "every": "1s",
            "watch": "1h",
            "rollback_when": [{"name": "errors", "ratio": ratio, "above": "5%", "over": "3s", "for": "0s"}],
            "notify": ["oncall"],
        }
        return {"apiVersion": "rollbackd/v1", "kind": "RollbackPolicy", "metadata": {"name": name}, "spec": {**common, **spec}}

    # --- what happens ---------------------------------------------------------------------------------------------------------------------

    def start(self, *fate: str) -> Life:
        """A daemon with this fate (options of the launcher) is starting."""
        argv = [sys.executable, "-m", "tests.crash.launcher", "--config", str(self._config), *fate]
        life = Life(argv, self.folder / f"log.{next(self._numbers)}")
        self.lives.append(life)
        return life

    def start_another(self) -> tuple[int, str]:
        """What becomes of a second daemon on the same data folder: its exit code and what it said."""
        self.start()
        life = self.lives.pop()
        return life.end(), life.log()

    def ship(self, whole: Callable[[], object] = lambda: None) -> None:
        """The daemon has seen the good version, ``whole`` is done, and then somebody breaks the service."""
        self.until(lambda: self._seen() >= {self.place.target, self.place.acts_on}, "first sight of all targets")
        for change in self.get("changes"):
            if change["target"] == self.place.acts_on:
                self.client.post("good", target=change["target"], revision=change["revision"], who="test")
        whole()
        self.place.break_it()

    def _seen(self) -> set[str]:
        return {change["target"] for change in self.get("changes")}

    @property
    def client(self) -> Client:
        """The daemon's API."""
        return Client(f"http://127.0.0.1:{self._port}", (self._data / "api.token").read_text().strip())

    def get(self, path: str) -> list[dict[str, Any]]:
        """The items of a list; none while the daemon does not answer."""
        try:
            items: list[dict[str, Any]] = self.client.get(path)["items"]
        except (ClientFault, FileNotFoundError):
            return []
        return items

    def answer(self, path: str) -> int:
        """The status of one of the daemon's pages; 0 without an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def judged(self) -> dict[str, tuple[str, str]]:
        """By policy: the newest slot that it was judged in, and the verdict."""
        return {line["name"]: (line["at"] or "", line["conditions"][0]["state"]) for line in self.get("policies")}

    def rows(self) -> list[str]:
        """The kinds of the journal's rows, as the daemon tells them."""
        return [row["kind"] for row in self.get("history")]

    def until(self, claim: Callable[[], object], what: str = "") -> None:
        """Returns once the claim holds; fails with the log's end if it does not, or if the daemon died meanwhile."""
        ends = time.monotonic() + PATIENCE
        while not claim():
            life = self.lives[-1]
            if time.monotonic() > ends or life.process.poll() is not None:
                raise AssertionError(f"not so: {what}; exit code {life.process.poll()}; log:\n{life.log()[-3000:]}")
            time.sleep(0.2)

    def until_told(self, kind: str) -> None:
        """Returns once on-call got a message of this kind."""
        self.until(lambda: kind in [told.kind for told in self.told()], f"a message {kind!r}")

    # --- what is left ---------------------------------------------------------------------------------------------------------------------

    def told(self) -> list[Told]:
        """Every message that reached on-call, as often as it came. A daemon that dies while it sends leaves half a request, which is none."""
        asked = [request for request in list(self._receiver.asked) if len(request.body) == int(request.headers.get("Content-Length", -1))]
        bodies = [json.loads(request.body) for request in asked]
        return [Told(b["id"], b["subject"], b["data"]["kind"], "\n".join([b["data"]["title"], *b["data"]["lines"]])) for b in bodies]

    def record(self) -> Record:
        """What stands now. The journal is read from a copy: looking must not mend what the next start has to mend."""
        copy = self.folder / f"copy.{time.monotonic_ns()}"
        copy.mkdir()
        for file in self._data.glob("rollbackd.db*"):
            shutil.copy(file, copy)
        store = Store.open(f"sqlite:///{copy}/rollbackd.db", "reader")
        try:
            entries = tuple(reversed(store.history(10_000)))
            opened = tuple(entry.incident or "" for entry in entries if entry.kind == "incident.opened")
            chain, unsent = verify(store.rows()), store.outbox_state().waiting
        finally:
            store.close()
        return Record(entries, opened, chain, unsent, self.place.writes(), self.place.is_broken())

    def clear(self) -> None:
        """No process of it is left."""
        for life in self.lives:
            life.clear()


@contextmanager
def scene_of(folder: Path, place: Place, **timing: str) -> Iterator[Scene]:
    """A scene whose processes and servers end with it."""
    meter = Meter(place.is_broken)
    with serving(meter.page) as page, serving(Reply(status=204)) as receiver:
        scene = Scene(folder, place, meter, page, receiver, **timing)
        try:
            yield scene
        finally:
            scene.clear()
