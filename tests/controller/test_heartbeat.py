"""The sign of life to a service elsewhere: sent while the daemon could act, withheld where it could not."""

import socket
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.heartbeat import Beacon
from rollbackd.controller.api.heartbeat import Heartbeat, Pulse
from tests.controller.served import Said, desk_of
from tests.controller.world import World
from tests.policies.literals import T0


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    yield world
    world.close()


class Beats:
    """Counts signs; fails while told to."""

    def __init__(self) -> None:
        self.sent = 0
        self.fault: AdapterError | None = None

    def send(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.sent += 1


def test_a_sign_is_sent_while_slots_are_finished(world):
    beats, seconds = Beats(), [0.0]
    pulse = Pulse(desk_of(world, Said()), beats.send, lambda: seconds[0])
    pulse.beat()
    seconds[0] = 31.0
    pulse.beat()
    assert beats.sent == 1  # the engine hangs: silence is the message
    world.slot(0)
    pulse.beat()
    assert beats.sent == 2


def test_the_engine_is_not_called_dead_while_a_source_may_still_answer(world):
    seconds, desk = [0.0], desk_of(world, Said())
    desk.longest_wait = lambda: timedelta(seconds=180)
    heartbeat = Heartbeat(desk, lambda: seconds[0])
    heartbeat.fault()
    seconds[0] = 180.0
    assert heartbeat.fault() is None
    seconds[0] = 181.0
    assert heartbeat.fault() == "no slot was finished for 181 s, at most 180 s are expected"


def test_a_sign_of_life_is_withheld_at_once_however_long_a_source_may_hang(world):
    seconds, desk, beats = [0.0], desk_of(world, Said()), Beats()
    desk.longest_wait = lambda: timedelta(seconds=180)
    pulse = Pulse(desk, beats.send, lambda: seconds[0])
    pulse.beat()
    sent = beats.sent
    seconds[0] = 31.0
    pulse.beat()
    assert beats.sent == sent


def test_no_sign_is_sent_while_the_store_fails(world):
    beats = Beats()
    world.engine.trouble.fault = "the disk is full"
    Pulse(desk_of(world, Said()), beats.send).beat()
    assert beats.sent == 0


def test_no_sign_is_sent_while_nothing_is_watched(world):
    beats = Beats()
    world.engine.adopt(())
    Pulse(desk_of(world, Said()), beats.send).beat()
    assert beats.sent == 0


def test_a_service_that_fails_does_not_end_the_beating(world):
    beats = Beats()
    pulse = Pulse(desk_of(world, Said()), beats.send)
    beats.fault = Transient("gone")
    pulse.beat()
    beats.fault = None
    pulse.beat()
    assert beats.sent == 1


class Service:
    """The service elsewhere, on loopback; ``status`` is what it answers."""

    def __init__(self, status: int = 200, location: str = "") -> None:
        self.paths: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.paths.append(self.path)
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ping/secret-id"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_the_address_is_read_anew_for_each_sign(tmp_path):
    service = Service()
    beacon = Beacon(tmp_path / "url", lambda: T0)
    with pytest.raises(Permanent, match="cannot be read"):
        beacon.send()
    (tmp_path / "url").write_text(service.url + "\n")
    beacon.send()
    (tmp_path / "url").write_text(service.url + "-rotated\n")
    beacon.send()
    service.close()
    assert service.paths == ["/ping/secret-id", "/ping/secret-id-rotated"]


@pytest.mark.parametrize(("status", "fault"), [(404, Permanent), (500, Transient), (302, Permanent)])
def test_a_refusal_shows_the_host_and_never_the_address_and_no_redirect_is_followed(tmp_path, status, fault):
    elsewhere = Service()
    service = Service(status, elsewhere.url)
    (tmp_path / "url").write_text(service.url)
    with pytest.raises(fault) as refused:
        Beacon(tmp_path / "url", lambda: T0).send()
    service.close()
    elsewhere.close()
    assert "127.0.0.1" in str(refused.value)
    assert "secret-id" not in str(refused.value)
    assert elsewhere.paths == []


def test_a_service_that_hangs_holds_nobody_up_for_long(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (tmp_path / "url").write_text(f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        with pytest.raises(Transient, match="no answer"):
            Beacon(tmp_path / "url", lambda: T0, timeout=timedelta(milliseconds=200)).send()
