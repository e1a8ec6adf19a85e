"""How much of the server strangers may hold: connections that ask nothing, over real sockets."""

import contextlib
import http.client
import os
import socket
import threading
from types import SimpleNamespace

import pytest

from rollbackd.controller.api import server
from rollbackd.controller.api.server import BACKLOG, Bounds
from tests.controller.served import Served
from tests.controller.world import World
from tests.servers import poll


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    yield world
    world.close()


@pytest.fixture(params=[False, True], ids=["api", "health"])
def narrow(request, world, tmp_path):
    """Serves addresses within the bounds that a test wants."""
    opened = []

    def serve(bounds):
        opened.append(Served(world, tmp_path, only_health=request.param, bounds=bounds))
        return opened[-1]

    yield serve
    for served in opened:
        served.close()


def is_closed(connection):
    """Whether the other side closed it; what it said before is thrown away."""
    try:
        while connection.recv(65536, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: x"


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD], ids=["silent", "half-a-head"])
def test_a_connection_that_sends_no_whole_head_is_closed(narrow, sent):
    served = narrow(Bounds(head_within=0.05))
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(sent)
        poll(lambda: is_closed(connection))


def test_a_connection_that_had_an_answer_is_closed_if_it_drips_the_next_head(narrow):
    served = narrow(Bounds(head_within=0.05))
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(HALF_A_HEAD + b"\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(HALF_A_HEAD)
        poll(lambda: is_closed(connection), within=4)  # uvicorn's own five seconds are for connections that send nothing


def test_a_connection_that_goes_on_asking_is_kept(narrow):
    served = narrow(Bounds(head_within=60))
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(HALF_A_HEAD)
            connection.sendall(b"\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.read()) == (200, b"ok\n")


def test_a_request_under_way_is_not_taken_for_a_silent_connection(narrow, monkeypatch):
    served, leave, asked = narrow(Bounds(head_within=0.05)), threading.Event(), []

    def slow():
        asked.append(True)
        leave.wait(20)

    monkeypatch.setattr(served.desk, "unready", slow)
    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as busy,
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as silent,
    ):
        busy.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        poll(lambda: asked and is_closed(silent))
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as later:
            poll(lambda: is_closed(later))  # its time is up after that of the first would be
        leave.set()
        assert busy.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD], ids=["silent", "half-a-head"])
def test_silent_connections_do_not_shut_out_one_that_asks(narrow, sent):
    served = narrow(Bounds(connections=3, head_within=600))
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10)) for _ in range(3)]
        for connection in held:
            connection.sendall(sent)
        for _ in range(20):
            assert served.get("/healthz").status == 200


def test_the_one_that_asked_nothing_for_longest_gives_way(narrow):
    served = narrow(Bounds(connections=2, head_within=600))
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(asking(served)) for _ in range(2))
        ask(first)  # it is silent for a shorter time now
        stack.enter_context(asking(served))
        poll(lambda: is_closed(second))
        ask(first)


@contextlib.contextmanager
def asking(served):
    """A connection that had an answer, so that the server has taken it."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        ask(connection)
        yield connection


def ask(connection):
    connection.sendall(HALF_A_HEAD + b"\r\n\r\n")
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert (answer.status, answer.read()) == (200, b"ok\n")


def test_the_connection_beyond_the_bound_is_closed_where_all_others_ask(narrow, monkeypatch):
    served, leave, asked = narrow(Bounds(connections=3)), threading.Event(), []

    def slow():
        asked.append(True)
        leave.wait(20)

    monkeypatch.setattr(served.desk, "unready", slow)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10)) for _ in range(3)]
        for connection in held:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        poll(lambda: len(asked) == 3)
        for _ in range(40):
            beyond = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10))
            poll(lambda beyond=beyond: is_closed(beyond))
        leave.set()
        assert all(connection.recv(65536).startswith(b"HTTP/1.1 200 ") for connection in held)
    poll(lambda: answered(served))


def answered(served):
    """Whether there is room again."""
    try:
        return served.get("/healthz").status == 200
    except (ConnectionError, http.client.HTTPException):
        return False


def test_what_is_too_much_is_logged_once(narrow, monkeypatch):
    logs = []
    monkeypatch.setattr(server, "log", SimpleNamespace(warning=lambda event, **facts: logs.append((event, facts))))
    served = narrow(Bounds(connections=1))
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(asking(served))
        for _ in range(5):
            beyond = stack.enter_context(asking(served))
            poll(lambda held=held: is_closed(held))
            held = beyond
    poll(lambda: logs)
    assert logs == [("api.full", {"connections": 1, "port": served.port})]


def test_strangers_never_take_more_descriptors_than_the_bounds_allow(narrow):
    served, before = narrow(Bounds()), len(os.listdir("/proc/self/fd"))
    most = Bounds().connections + 4 * BACKLOG
    strangers = [socket.socket() for _ in range(400)]
    for stranger in strangers:
        stranger.setblocking(False)  # what does not fit into the queue of the kernel waits there
        stranger.connect_ex(("127.0.0.1", served.port))
    found: list[int] = []
    poll(lambda: found.append(len(os.listdir("/proc/self/fd")) - before - len(strangers)) or len(found) > 20)
    for stranger in strangers:
        stranger.close()
    assert 0 < max(found) <= most
