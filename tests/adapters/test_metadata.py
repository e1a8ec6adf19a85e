"""Where a cloud hands out credentials nothing of ours is sent, whoever wrote the address."""

import ipaddress
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base import metadata
from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.json_api import JsonApi
from rollbackd.adapters.base.metadata import is_metadata
from rollbackd.adapters.base.posting import post
from rollbackd.adapters.probe import probe_endpoints
from rollbackd.adapters.scrape import Endpoint, by_name
from rollbackd.adapters.scrape.page import fetch, new_session
from rollbackd.controller.config.load import load_config

SPELT = [
    *("169.254.169.254", "169.254.169.254.", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "[::ffff:169.254.169.254]"),
    *("[fd00:ec2::254]", "[FD00:EC2:0::254]", "169.254.170.2", "169.254.170.23", "100.100.100.200"),
    *("metadata.google.internal", "METADATA.Google.Internal."),
    *("[64:ff9b::a9fe:a9fe]", "[64:ff9b::169.254.169.254]", "[::169.254.169.254]", "[2002:a9fe:a9fe::1]"),
]
FOREIGN = [
    "\uff11\uff16\uff19.254.169.254",
    "169\u3002254\u3002169\u3002254",
    "169\uff0e254\uff61169.254",
    "\uff4detadata.google.internal",
    "meta\u00addata.goog",
]
OTHERS = [
    "127.0.0.1",
    "localhost",
    "10.0.0.1",
    "169.254.1.1",
    "[::1]",
    "prometheus",
    "metadata.shop",
    "1.2.3",
    "",
    "[64:ff9b::a00:1]",
    "[2002:a00:1::]",
    "b\u00fccher.example",
    "a..\u00fc",
]


class Led:
    """What somebody was led to."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port = listener.getsockname()[1]

    def heard(self) -> bytes:
        """What the first to call here has sent by the time it hung up."""
        with self._listener.accept()[0] as caller:
            caller.settimeout(5.0)
            return caller.recv(100)


@pytest.mark.parametrize("host", [*SPELT, *FOREIGN])
def test_it_is_known_however_it_is_spelt(host: str) -> None:
    assert is_metadata(host)


@pytest.mark.parametrize("host", OTHERS)
def test_other_places_are_none(host: str) -> None:
    assert not is_metadata(host)


@pytest.mark.parametrize("host", SPELT)
def test_nothing_is_posted_there(host: str) -> None:
    with pytest.raises(Permanent, match="hands out credentials; nothing was sent"):
        post(f"http://{host}/latest", b"{}", {}, timedelta(seconds=1))


@pytest.mark.parametrize("host", FOREIGN)
def test_a_host_in_another_script_is_not_probed(host: str) -> None:
    with pytest.raises(Permanent, match=r"nothing was asked; write .* with a host in ASCII"):
        probe_endpoints([f"http://{host}/latest"], timedelta(seconds=1))


@pytest.mark.parametrize("scheme", ["http", "https", "tcp"])
def test_nothing_is_probed_there_though_a_cluster_says_that_a_pod_is_there(scheme: str) -> None:
    with pytest.raises(Permanent, match="hands out credentials; nothing was asked"):
        probe_endpoints([f"{scheme}://169.254.169.254:80"], timedelta(seconds=1))


def test_a_name_that_leads_there_is_not_scraped(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("10.0.0.1", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)  # no name server of ours says such things
    with pytest.raises(Permanent, match="the name shop leads to where a cloud hands out credentials"):
        by_name("shop", 80)()


@pytest.fixture
def led_there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Led]:
    """A listener on loopback, reached by a name; loopback is such a place here, and the list of names does not know it."""
    monkeypatch.setattr(metadata, "_PLACES", frozenset({ipaddress.ip_address("127.0.0.1")}))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Led(listener)


def test_a_name_that_leads_there_is_posted_nothing(led_there: Led) -> None:
    with pytest.raises(Transient, match="its name leads to where a cloud hands out credentials, so nothing was sent"):
        post(f"http://shop.example:{led_there.port}/hook", b"{}", {"Authorization": "t"}, timedelta(seconds=5))
    assert led_there.heard() == b""


def test_a_name_that_leads_there_is_asked_nothing_with_a_token(led_there: Led, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    with pytest.raises(Transient, match="its name leads to where a cloud"):
        JsonApi(f"http://shop.example:{led_there.port}", tmp_path / "token", lambda token: {"Authorization": token}).ask("GET", "/flags")
    assert led_there.heard() == b""


def test_a_page_whose_name_leads_there_is_not_read(led_there: Led) -> None:
    with pytest.raises(Transient, match="its name leads to where a cloud"):
        fetch(new_session(), Endpoint(f"http://shop.example:{led_there.port}/metrics", {}), 5.0)
    assert led_there.heard() == b""


def test_an_endpoint_whose_name_leads_there_is_not_healthy(led_there: Led) -> None:
    (found,) = probe_endpoints([f"http://shop.example:{led_there.port}/"], timedelta(seconds=5))
    assert (found.healthy, "leads to where a cloud" in found.why) == (False, True)
    assert led_there.heard() == b""


@pytest.mark.parametrize(
    "part",
    [
        "sources: {prometheus: {url: 'http://169.254.169.254/'}}",
        "sources: {local: {kind: scrape, targets: [{urls: ['http://2852039166/metrics']}]}}",
        "sources: {prometheus: {url: 'http://p'}}\nprobes: {shop: {urls: ['tcp://[fd00:ec2::254]:80']}}",
        "sources: {prometheus: {url: 'http://p'}}\ncontacts: {oncall: [{webhook: {url: 'http://metadata.google.internal/'}}]}",
    ],
)
def test_a_config_that_names_it_is_refused(part: str) -> None:
    found = load_config(f"apiVersion: rollbackd/v1\nkind: Config\n{part}\npolicies: [p]\n", "rollbackd.yaml", Path("/etc"))
    assert isinstance(found, tuple)
    assert "found one where a cloud hands out credentials" in str(found[0])
