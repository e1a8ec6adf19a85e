"""A server that drips its answer, a byte at a time within every silence that is allowed, is given up by all who ask over HTTP."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.json_api import JsonApi
from rollbackd.adapters.base.posting import post
from rollbackd.adapters.kubernetes.access import ClusterAccess
from rollbackd.adapters.kubernetes.api import Cluster
from rollbackd.adapters.prometheus.fetch import Fetch
from rollbackd.adapters.prometheus.wire import Limits
from rollbackd.adapters.scrape import Endpoint, Scrape
from tests.doubles.dripper import dripping
from tests.exposition import these

LIMIT = timedelta(seconds=0.4)
SOON = 5.0
_HEADER = b"HTTP/1.1 200 OK\r\nX-A: "
_BODY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n"
DRIPS = [
    pytest.param(b"HTTP/1.1 200 ", id="status-line"),
    pytest.param(_HEADER, id="header"),
    pytest.param(_BODY, id="body"),
    pytest.param(_BODY.replace(b"Content-Length: 999999", b"Connection: close"), id="body-without-end"),
]


def ended(ask: Callable[[], object]) -> str:
    """What is said within a few seconds; nothing for an answer, and for none at all."""
    said: list[str] = []

    def run() -> None:
        try:
            ask()
        except Transient as fault:
            said.append(str(fault))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SOON)
    return "".join(said)


@pytest.mark.parametrize("first", DRIPS)
def test_a_json_api_that_drips_is_given_up(first: bytes, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    with dripping(first) as port:
        api = JsonApi(f"http://127.0.0.1:{port}", tmp_path / "token", lambda token: {"Authorization": token}, timeout=LIMIT)
        assert "gave no answer (TimeoutError)" in ended(lambda: api.ask("GET", "/flags"))


@pytest.mark.parametrize("first", DRIPS)
def test_a_receiver_of_messages_that_drips_is_given_up(first: bytes) -> None:
    with dripping(first) as port:
        assert "gave no answer (TimeoutError)" in ended(lambda: post(f"http://127.0.0.1:{port}/hook", b"{}", {}, LIMIT))


@pytest.mark.parametrize("first", DRIPS)
def test_a_prometheus_that_drips_is_given_up(first: bytes) -> None:
    with dripping(first) as port:
        fetch = Fetch("main", f"http://127.0.0.1:{port}", Limits(LIMIT, 10**7, 10**5), None, None)
        assert "did not answer within 0.4 s" in ended(lambda: fetch.now("up"))


@pytest.mark.parametrize("first", DRIPS)
def test_an_api_server_that_drips_is_given_up(first: bytes, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    with dripping(first) as port:
        file.write_text(
            f"{{apiVersion: v1, kind: Config, current-context: x, clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}],"
            " users: [{name: u, user: {token: t}}], contexts: [{name: x, context: {cluster: c, user: u}}]}"
        )
        cluster = Cluster("c", ClusterAccess(file), (0.2, 0.2))
        assert "no answer to get namespaces/shop" in ended(lambda: cluster.namespace("shop"))


@pytest.mark.parametrize("first", DRIPS)
def test_a_page_of_metrics_that_drips_is_given_up_and_named(first: bytes) -> None:
    with dripping(first) as port:
        page = Endpoint(f"http://127.0.0.1:{port}/metrics")
        source = Scrape("pods", these(page), interval=timedelta(seconds=1), now=lambda: datetime.now(UTC), timeout=LIMIT)
        ended(source.scrape)
        assert "did not arrive within 0.4s" in source.check()[0]


def test_a_scrape_source_stops_while_a_page_drips() -> None:
    with dripping(_HEADER) as port:
        page = Endpoint(f"http://127.0.0.1:{port}/metrics")
        source = Scrape("pods", these(page), interval=timedelta(seconds=1), now=lambda: datetime.now(UTC), timeout=LIMIT)
        source.start()
        began = time.monotonic()
        ended(source.stop)
        assert time.monotonic() - began < SOON
