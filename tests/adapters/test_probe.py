"""Health checks against real listeners on loopback."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.probe import ProbeResult, failing_share, probe_endpoints
from tests.exposition import Loopback, Reply, serving
from tests.servers import free_port

PATIENCE = timedelta(seconds=20)
SHORT = timedelta(seconds=0.3)


@pytest.fixture
def healthy() -> Iterator[Loopback]:
    with serving(Reply(body=b"ok")) as server:
        yield server


@pytest.fixture
def raw() -> Iterator["Raw"]:
    server = Raw()
    yield server
    server.close()


class Raw:
    """Accepts connections and says ``words`` to each, then hangs up; or nothing, and stays on the line; or a byte now and then, without an end."""

    def __init__(self) -> None:
        self.words: bytes | None = None
        self.drips = False
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._open: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            if self.drips:
                self._drip(connection)
            if self.words is not None:
                connection.recv(1024)
                connection.sendall(self.words)
                connection.shutdown(socket.SHUT_RDWR)

    def _drip(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not self._stopping.wait(0.02):
                connection.sendall(b"H")

    def close(self) -> None:
        self._stopping.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for connection in [*self._open, self._socket]:
            connection.close()


def why(url: str, timeout: timedelta = PATIENCE) -> str:
    (result,) = probe_endpoints([url], timeout)
    assert result.healthy is not bool(result.why)
    return result.why


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(200, "", id="ok"),
        pytest.param(204, "", id="no-content"),
        pytest.param(302, "", id="a-redirect-is-an-answer"),
        pytest.param(404, "HTTP 404", id="not-found"),
        pytest.param(503, "HTTP 503", id="unavailable"),
    ],
)
def test_an_http_endpoint_is_judged_by_its_status(status: int, said: str) -> None:
    with serving(Reply(status=status, headers={"Location": "/elsewhere"})) as server:
        assert why(f"{server.url}/healthz?full=1") == said
        assert [request.path for request in server.asked] == ["/healthz?full=1"]


def test_an_address_without_a_path_is_asked_at_its_root(healthy: Loopback) -> None:
    assert why(healthy.url) == ""
    assert healthy.asked[0].path == "/"
    assert healthy.asked[0].headers["Host"] == healthy.address


def test_a_tcp_endpoint_is_healthy_if_it_accepts(raw: Raw) -> None:
    assert why(f"tcp://{raw.address}") == ""


def test_nothing_listening_fails() -> None:
    assert "refused" in why(f"http://127.0.0.1:{free_port()}/")
    assert "refused" in why(f"tcp://127.0.0.1:{free_port()}")


def test_a_name_that_is_none_fails() -> None:
    assert why("http://no-such-name.invalid/") != ""


def test_no_answer_in_time_fails(raw: Raw) -> None:
    assert why(f"http://{raw.address}/", SHORT) == "no answer within 0.3s"


def test_an_answer_that_drips_does_not_hold_the_probe(raw: Raw) -> None:
    raw.drips = True
    assert why(f"http://{raw.address}/", SHORT) == "no answer within 0.3s"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(b"", "it hung up without an answer", id="nothing"),
        pytest.param(b"220 mail ready\r\n", "its answer is no HTTP", id="another-protocol"),
    ],
)
def test_an_answer_that_is_none_fails(raw: Raw, words: bytes, said: str) -> None:
    raw.words = words
    assert why(f"http://{raw.address}/") == said


def test_a_plain_server_is_not_trusted_as_https(healthy: Loopback) -> None:
    assert why(f"https://{healthy.address}/") != ""


@pytest.mark.parametrize(
    "url", ["ftp://host/", "host:80", "tcp://host", "http://", "http://host:99999/", "http://host/a b", "http://host/\r\nX: 1", ""]
)
def test_an_address_that_cannot_be_probed_is_permanent(url: str) -> None:
    with pytest.raises(Permanent, match="no address to probe"):
        probe_endpoints([url], PATIENCE)


def test_endpoints_are_asked_at_the_same_time_and_answered_in_order(healthy: Loopback) -> None:
    # Each would wait for all others: one after the other, the first would time out.
    everyone = threading.Barrier(8)

    def meet(_: object) -> Reply:
        everyone.wait(20)
        return Reply()

    with serving(meet) as server:
        urls = [f"{server.url}/{index}" for index in range(8)]
        assert probe_endpoints(urls, PATIENCE) == tuple(ProbeResult(url, True) for url in urls)


def test_nobody_asked_is_no_result_and_no_share() -> None:
    assert probe_endpoints([], PATIENCE) == ()
    assert failing_share([]) is None


def test_the_share_counts_the_endpoints_that_fail() -> None:
    assert failing_share([ProbeResult("a", True), ProbeResult("b", False, "HTTP 500"), ProbeResult("c", True), ProbeResult("d", True)]) == 0.25
