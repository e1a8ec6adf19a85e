"""One service, its daemon with one data folder over several lives, on-call's receiver; and what is left on record after each life."""

import http.client
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rollbackd.controller.api.client import Client, ClientFault
from rollbackd.controller.journal.chain import Break, verify
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.values import Entry
from tests.crash.life import PATIENCE, Life, free_port
from tests.crash.places import Place
from tests.crash.stores import File, Journal
from tests.exposition import Loopback, Reply, Request, serving

ZOO = {"target": {"command": {"name": "zoo"}}, "remedy": [{"revert": {"to": "known-good"}}], "watch": "always"}
TIMING = {"warmup": "0s", "settle": "1s", "recover_for": "3s", "give_up": "10m", "cooldown": "0s"}


@dataclass(frozen=True, slots=True)
class Told:
    """A message as on-call's receiver got it."""

    id: str
    key: str
    kind: str
    text: str
    contact: str = "oncall"


@dataclass(frozen=True, slots=True)
class Record:
    """The state of everything that outlives a daemon, while none runs. ``rows``: those of incidents, oldest first.

    ``writes``: how many the target got, ``refused``: how many of them it did not take.
    """

    entries: tuple[Entry, ...]
    incidents: tuple[str, ...]
    chain: Break | None
    unsent: int
    writes: int
    refused: int
    is_broken: bool

    @property
    def rows(self) -> list[str]:
        """The kinds of the incidents' rows, oldest first."""
        return [entry.kind for entry in self.entries if entry.incident is not None]

    @property
    def text(self) -> str:
        """The rows of incidents, one a line, for who reads of a test that failed."""
        return "\n".join(f"{entry.at:%H:%M:%S.%f} {entry.writer} {entry.kind} {entry.body}" for entry in self.entries if entry.incident is not None)

    def of(self, kind: str) -> Entry:
        """The only row of this kind."""
        (entry,) = (entry for entry in self.entries if entry.kind == kind)
        return entry


@dataclass(frozen=True, slots=True)
class World:
    """What stories differ in. ``journal``: SQLite's where none is named. ``policies``: what each says besides what all say.

    ``zoo`` watches another service, which is always well. ``seconds`` between two looks: what comes at more than twice that is a gap in the data, so
    the more daemons share the machine, the more there have to be.
    """

    journal: Journal | None = None
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"shop": {}, "zoo": ZOO})
    seconds: int = 1


class Meter:
    """The services' pages of metrics: a hundred requests between two looks at one. Half of the shop's fail while it is broken; no other's do.

    ``others`` fail too, by path, while their claims hold. ``is_calm``: nobody minds a broken shop. ``has_sequel``: once it was broken and is
    put back, the shop is silent and ``late`` fails instead.
    """

    def __init__(self, is_broken: Callable[[], bool], others: Mapping[str, Callable[[], bool]] | None = None) -> None:
        self._is_broken = is_broken
        self._others = others or {}
        self._good: Counter[str] = Counter()
        self._bad: Counter[str] = Counter()
        self._was_broken = False
        self.is_silent = self.is_calm = self.has_sequel = False

    def page(self, request: Request) -> Reply:
        """The counters now."""
        is_broken = self._is_broken()
        self._was_broken |= is_broken
        is_sequel = self.has_sequel and self._was_broken and not is_broken
        if self.is_silent or (is_sequel and request.path == "/shop"):
            return Reply(status=503)
        is_bad = (is_sequel and request.path == "/late") or (is_broken and not self.is_calm and request.path == "/shop")
        is_bad |= request.path in self._others and self._others[request.path]()
        self._good[request.path] += 50 if is_bad else 100
        self._bad[request.path] += 50 if is_bad else 0
        counts = (("200", self._good), ("500", self._bad))
        text = "".join(f'http_requests_total{{code="{code}"}} {count[request.path]}\n' for code, count in counts)
        return Reply(body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})


class Scene:
    """``folder`` holds everything of it. ``timing`` varies the policies."""

    def __init__(
        self, folder: Path, place: Place, meter: Meter, page: Loopback, receiver: Loopback, world: World | None = None, **timing: str
    ) -> None:
        self.folder, self.place, self.meter = folder, place, meter
        self._receiver = receiver
        self._data = folder / "data"
        world = world or World()
        self.journal = world.journal or File(self._data)
        self._seconds = world.seconds
        self._policies = {name: place.spec | spec for name, spec in world.policies.items()}
        self.armed = folder / "armed"
        self.lives: list[Life] = []
        self._numbers = itertools.count()
        self._port = free_port()
        self._config = folder / "rollbackd.yaml"
        self._config.write_text(json.dumps(self._config_of(page.url, receiver.url)))  # JSON is YAML
        (folder / "policies.d").mkdir()
        for policy in (self._policy(name, **spec) for name, spec in self._policies.items()):
            policy["spec"]["timing"] = {**TIMING, **timing}
            (folder / "policies.d" / f"{policy['metadata']['name']}.yaml").write_text(json.dumps(policy))

    def _config_of(self, page: str, receiver: str) -> dict[str, Any]:
        commands = {**self.place.config.get("commands", {}), "zoo": {"describe": ["/bin/echo", "v1"], "apply": ["/bin/false", "{revision}"]}}
        pages = [{"labels": {"app": name}, "urls": [f"{page}/{name}"]} for name in self._policies]
        return {
            "apiVersion": "rollbackd/v1",
            "kind": "Config",
            "data_dir": str(self._data),
            "policies": ["policies.d/"],
            "api": {"listen": f"127.0.0.1:{self._port}"},
            "sources": {"scrape": {"every": f"{self._seconds}s", "targets": pages}},
            "contacts": {name: [{"webhook": {"url": f"{receiver}/{name}"}}] for name in ("oncall", "platform")},
            **self.journal.config,
            **self.place.config,
            "commands": commands,
        }

    def _policy(self, name: str, **spec: Any) -> dict[str, Any]:
        ratio = {"bad": 'http_requests_total{code="500"}', "total": "http_requests_total"}
        common = {
            "mode": "auto",
            "metrics": "custom",
            "match": {"app": name},
            "every": f"{self._seconds}s",
            "watch": "1h",
            "rollback_when": [{"name": "errors", "ratio": ratio, "above": "5%", "over": f"{3 * self._seconds}s", "for": "0s"}],
            "notify": ["oncall"],
        }
        return {"apiVersion": "rollbackd/v1", "kind": "RollbackPolicy", "metadata": {"name": name}, "spec": {**common, **spec}}

    # --- what happens ---------------------------------------------------------------------------------------------------------------------

    def start(self, *fate: str) -> Life:
        """A daemon with this fate (options of the launcher) is starting."""
        life = Life(["--config", str(self._config), *fate], self.folder / f"log.{next(self._numbers)}")
        self.lives.append(life)
        return life

    def start_another(self) -> tuple[int, str]:
        """What becomes of a second daemon on the same data folder: its exit code and what it said."""
        self.start()
        life = self.lives.pop()
        code = life.end()
        life.clear()
        return code, life.log()

    def ship(self, whole: Callable[[], object] = lambda: None, *, is_good_known: bool = True) -> None:
        """The daemon has seen the good version, ``whole`` is done, and then somebody breaks the service; from here on fates count as armed."""
        self.until(lambda: self._seen() >= {self.place.target, self.place.acts_on}, "first sight of all targets")
        for change in self.get("changes"):
            if change["target"] in (self.place.target, self.place.acts_on) and is_good_known:
                self.client.post("good", target=change["target"], revision=change["revision"], who="test")
        whole()
        self.armed.touch()
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

    def unsent(self) -> int | None:
        """How many messages wait, as the daemon tells; None while it does not answer."""
        try:
            return int(self.client.get("status")["daemon"]["outbox_pending"])
        except (ClientFault, FileNotFoundError):
            return None

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

    @property
    def writer(self) -> str:
        """The daemon's name in the journal."""
        (mark,) = (self._data / "replica").read_text().split()
        return mark

    def slots(self) -> list[datetime]:
        """The slots that the newest life has finished."""
        return self.lives[-1].slots()

    def until(self, claim: Callable[[], object], what: str = "") -> None:
        """Returns once the claim holds; fails with the log's end if it does not, or if the daemon died meanwhile."""
        ends = time.monotonic() + PATIENCE
        while not claim():
            life = self.lives[-1]
            if (time.monotonic() > ends or life.process.poll() is not None) and not claim():  # its death may be what is waited for
                raise AssertionError(f"not so: {what}; exit code {life.process.poll()}; {self._so_far()}; log:\n{life.log()[-3000:]}")
            time.sleep(0.2)

    def _so_far(self) -> str:
        return f"rows: {self.rows()}; told: {[told.kind for told in self.told()]}"

    def until_dead(self, life: Life, meanwhile: Callable[["Scene"], object] = lambda _: None) -> int:
        """How the daemon ended. ``meanwhile`` is done again and again until then."""
        ends = time.monotonic() + PATIENCE
        while life.process.poll() is None:
            if time.monotonic() > ends:
                raise AssertionError(f"it lives on; log:\n{life.log()[-3000:]}")
            meanwhile(self)
            time.sleep(0.2)
        return life.end()

    def until_told(self, kind: str) -> None:
        """Returns once on-call got a message of this kind."""
        self.until(lambda: kind in [told.kind for told in self.told()], f"a message {kind!r}")

    # --- what is left ---------------------------------------------------------------------------------------------------------------------

    def told(self) -> list[Told]:
        """Every message that reached on-call, as often as it came. A daemon that dies while it sends leaves half a request, which is none."""
        asked = [request for request in list(self._receiver.asked) if len(request.body) == int(request.headers.get("Content-Length", -1))]
        bodies = [json.loads(request.body) for request in asked]
        texts = ["\n".join([body["data"]["title"], *body["data"]["lines"]]) for body in bodies]
        told = zip(asked, bodies, texts, strict=True)
        return [Told(b["id"], b["subject"], b["data"]["kind"], text, request.path.strip("/")) for request, b, text in told]

    def record(self) -> Record:
        """What stands now."""
        return record_of(self.journal, self.place)

    def clear(self) -> None:
        """No process of it is left."""
        for life in self.lives:
            life.clear()


def record_of(journal: Journal, place: Place) -> Record:
    """What stands in the journal and at the target. Looks again where this process stood still for longer than the store waits."""
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            return _record_of(journal, place)
        except StoreError:
            if time.monotonic() > ends:
                raise
        time.sleep(0.2)


def _record_of(journal: Journal, place: Place) -> Record:
    store = journal.open()
    try:
        entries = tuple(reversed(store.history(10_000)))
        opened = tuple(entry.incident or "" for entry in entries if entry.kind == "incident.opened")
        chain, unsent = verify(store.rows()), store.outbox_state().waiting
    finally:
        store.close()
    return Record(entries, opened, chain, unsent, place.writes(), place.refused(), place.is_broken())


@contextmanager
def scene_of(folder: Path, place: Place, world: World | None = None, **timing: str) -> Iterator[Scene]:
    """A scene whose processes and servers end with it."""
    meter = Meter(place.is_broken)
    with serving(meter.page) as page, serving(Reply(status=204)) as receiver:
        scene = Scene(folder, place, meter, page, receiver, world, **timing)
        try:
            yield scene
        finally:
            scene.clear()
