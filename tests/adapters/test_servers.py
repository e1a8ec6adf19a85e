"""The servers that other tests rely on."""

import json
import urllib.request

import pytest

from tests import servers
from tests.exposition import Exposition, Reply, serving
from tests.servers import Server


def ask(server: Server, path: str) -> object:
    with urllib.request.urlopen(server.url + path, timeout=5) as reply:
        return json.load(reply)


def samples(server: Server, query: str, at: str = "") -> list[dict[str, object]]:
    answer = ask(server, f"/api/v1/query?query={query}{at}")
    return answer["data"]["result"]  # type: ignore[index,no-any-return]  # the API's shape; anything else fails the test


def test_prometheus_scrapes_the_page_of_the_test(prometheus: Server, exposition: Exposition) -> None:
    exposition.text = "things_total 3\n"
    servers.poll(lambda: samples(prometheus, "things_total"))


def test_prometheus_starts_with_a_past() -> None:
    with servers.prometheus_with_history('# TYPE things counter\nthings_total{app="a"} 7 1700000000\n# EOF\n') as server:
        (only,) = samples(server, "things_total", "&time=1700000001")
    assert only["value"] == [1700000001, "7"]


def test_alertmanager_is_ready_without_peers(alertmanager: Server) -> None:
    status = ask(alertmanager, "/api/v2/status")
    assert status["cluster"]["status"] == "disabled"  # type: ignore[index]  # the API's shape; anything else fails the test


def test_missing_server_skips_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        servers.binary("no-such-server")


def test_missing_server_fails_where_skips_are_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not installed"):
        servers.binary("no-such-server")


def test_server_that_cannot_start_fails_with_its_log() -> None:
    with pytest.raises(AssertionError, match="unknown long flag"), servers.prometheus(flags=["--no-such-flag"]):
        pass


def test_loopback_server_counts_what_it_sent() -> None:
    with serving(Reply(body=b"12345")) as server, urllib.request.urlopen(server.url, timeout=5) as reply:
        assert reply.read() == b"12345"
    assert server.sent == 5
