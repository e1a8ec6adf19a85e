"""A daemon whose journal does not open at the start: what it says and does until it opens, and what is carried on after that."""

import http.client
import json
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.anteroom import Anteroom
from rollbackd.controller.api.server import server
from rollbackd.controller.doors import Doors
from rollbackd.controller.journal.errors import StoreError, StoreUnfit
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.store_trouble import PATIENCE, Outage, StoreTrouble
from rollbackd.controller.wiring.store import Opened
from tests.policies.literals import MINUTE, T0
from tests.servers import free_port, poll

AWAY = "store postgresql://sesame@db/rollbackd: the server cannot be reached; nothing was written"
BEHIND = ("api.listen", "health.listen")


class Journal:
    """Refuses until it is ``there``; hangs before that where it ``hangs``."""

    def __init__(self, store: Store, fault: StoreError | None = None, *, hangs: bool = False) -> None:
        self.store, self.fault, self.hangs = store, fault or StoreError(AWAY), hangs
        self.there = Event()
        self.asked = 0

    def __call__(self) -> Opened:
        self.asked += 1
        if self.hangs:
            self.there.wait(30)
        if not self.there.is_set():
            raise self.fault
        return Opened(self.store)


class Waiting:
    """An anteroom in a thread of its own, on a clock that stands still until it is moved."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.at = journal, T0
        self.told: list[Notice] = []
        self.stop = Event()
        self.ports = {name: free_port() for name in BEHIND}
        self.doors = Doors({name: ("127.0.0.1", port) for name, port in self.ports.items()})
        self.outage = Outage("r1", self.told.append)
        self.room = Anteroom(journal, self.outage, self.doors, self.now, lambda said: said.replace("sesame", "***"), self.stop, quick=0)
        self.opened: list[Opened | None] = []
        self.thread = Thread(target=lambda: self.opened.append(self.room.opened()))

    def now(self) -> datetime:
        return self.at

    def begin(self) -> None:
        self.thread.start()
        poll(lambda: self.get("/healthz")[0] == 200)

    def get(self, path: str, name: str = "api.listen") -> tuple[int, str]:
        return get(self.ports[name], path)

    def end(self) -> None:
        self.stop.set()
        self.journal.there.set()
        self.thread.join(10) if self.thread.ident is not None else None
        for name in BEHIND:
            self.doors.at(name).close()


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    kept = Store.open(f"sqlite:///{tmp_path / 'rollbackd.db'}", "r1", lambda: T0)
    yield kept
    kept.close()


@pytest.fixture
def waiting(store: Store) -> Iterator[Waiting]:
    found = Waiting(Journal(store))
    yield found
    found.end()


@pytest.mark.parametrize("name", BEHIND)
def test_it_is_alive_and_not_ready_and_says_why_without_a_secret(waiting: Waiting, name: str) -> None:
    waiting.begin()
    poll(lambda: "cannot be reached" in waiting.get("/readyz", name)[1])
    assert waiting.get("/healthz", name) == (200, "ok\n")
    assert waiting.get("/readyz", name) == (503, AWAY.replace("sesame", "***") + "\n")


def test_people_who_ask_are_told_as_an_api_does(waiting: Waiting) -> None:
    waiting.begin()
    poll(lambda: "cannot be reached" in waiting.get("/readyz")[1])
    status, text = waiting.get("/api/v1/status")
    assert status == 503
    assert json.loads(text)["error"].startswith("not started yet: store postgresql://***@db/rollbackd: the server cannot be reached")


def test_a_short_wait_is_nobodys_business_and_the_journal_is_had_as_soon_as_it_opens(waiting: Waiting) -> None:
    waiting.begin()
    waiting.at += PATIENCE - MINUTE
    waiting.journal.there.set()
    waiting.thread.join(20)
    assert (waiting.told, [found.store for found in waiting.opened if found]) == ([], [waiting.journal.store])


def test_a_wait_that_lasts_is_told_once_and_its_end_once_the_journal_has_taken_a_row(waiting: Waiting) -> None:
    waiting.begin()
    poll(lambda: waiting.outage.fault is not None and "reached" in waiting.outage.fault)
    waiting.at += PATIENCE
    poll(lambda: bool(waiting.told))
    waiting.at += MINUTE
    waiting.journal.there.set()
    waiting.thread.join(20)
    (opened,) = waiting.opened
    trouble = StoreTrouble(waiting.journal.store, waiting.told.append, outage=opened.outage if opened else None)
    assert trouble.fault == AWAY.replace("sesame", "***")
    trouble.prove_over(waiting.at)
    began, ended = waiting.told
    assert began.title == f"NO ACTION TAKEN: r1 has had no journal since {T0:%H:%M:%S} UTC; nothing is undone"
    assert began.lines[1].startswith("it has just been started and judges nothing yet")
    assert (ended.title, ended.key, ended.resolved) == ("r1 has its journal again", began.key, True)
    assert [entry.kind for entry in waiting.journal.store.history(10)] == ["store.recovered"]


def test_a_journal_that_is_only_slow_to_open_leaves_no_trouble_behind(store: Store) -> None:
    waiting = Waiting(Journal(store, hangs=True))
    waiting.begin()
    assert waiting.get("/readyz")[0] == 503
    waiting.journal.there.set()
    waiting.thread.join(20)
    waiting.end()
    (opened,) = waiting.opened
    assert opened is not None
    assert (StoreTrouble(store, waiting.told.append, outage=opened.outage).fault, waiting.told, store.history(10)) == (None, [], ())


@pytest.mark.parametrize("hangs", [False, True], ids=["refused", "no-answer"])
def test_a_stop_ends_the_wait_at_once_though_the_server_does_not_answer(store: Store, hangs: bool) -> None:
    waiting = Waiting(Journal(store, hangs=hangs))
    waiting.begin()
    waiting.stop.set()
    waiting.thread.join(5)
    assert waiting.opened == [None]
    waiting.end()


def test_what_no_waiting_mends_is_said_at_once(store: Store) -> None:
    waiting = Waiting(Journal(store, StoreUnfit("store: 'mysql' is not supported")))
    with pytest.raises(StoreUnfit, match="'mysql' is not supported"):
        waiting.room.opened()
    assert waiting.journal.asked == 1
    waiting.end()


def test_who_knocks_between_the_wait_and_what_follows_is_not_refused() -> None:
    port = free_port()
    doors = Doors({"api.listen": ("127.0.0.1", port)})
    said: list[tuple[int, str]] = []
    with doors.showing(Starlette(routes=[Route("/", lambda request: PlainTextResponse("waiting"))])):
        poll(lambda: get(port, "/") == (200, "waiting"))
    knocking = Thread(target=lambda: said.append(get(port, "/")))
    knocking.start()
    serving = server(Starlette(routes=[Route("/", lambda request: PlainTextResponse("running"))]))
    running = threading.Thread(target=serving.run, kwargs={"sockets": [doors.at("api.listen")]})
    running.start()
    knocking.join(10)
    serving.should_exit = True
    running.join(10)
    assert said == [(200, "running")]
