"""A scrape source as its config has it; with several Services, one of which has no ready pod: its name has no address then."""

import socket
from datetime import timedelta
from typing import Any

import pytest

from rollbackd.controller.config.values import NamedPages, ScrapeSource, StaticPages
from rollbackd.controller.wiring.outside import source_of
from tests.exposition import exposing

SECOND = timedelta(seconds=1)


def test_a_service_scaled_to_zero_blinds_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(host: str, port: int, *rest: Any) -> list[Any]:
        if host == "reports.shop.svc":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(host.replace("checkout.shop.svc", "127.0.0.1"), port, *rest)

    known = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with exposing() as page:
        page.text = "requests_total 1\n"
        port = int(page.url.rpartition(":")[2])
        named = tuple(NamedPages(f"{app}.shop.svc", port, "/metrics", {"app": app}) for app in ("reports", "checkout"))
        source: Any = source_of("pages", ScrapeSource(every=SECOND, timeout=SECOND, targets=named), None)  # type: ignore[arg-type]  # no cloud is asked
        for _ in range(3):
            source.scrape()
        assert len(page.asked) == 3
        (fault,) = source.check()
    assert fault.startswith("the name reports.shop.svc cannot be resolved")


def test_a_source_keeps_as_many_series_as_its_config_says() -> None:
    with exposing("one 1\ntwo 2\n") as page:
        source: Any = source_of("pages", ScrapeSource((StaticPages((page.url,)),), max_series=1), None)  # type: ignore[arg-type]  # no cloud is asked
        source.scrape()
    (fault,) = source.check()
    assert "with its 2 new series there were more than 1; its workload is unknown; raise max_series" in fault
