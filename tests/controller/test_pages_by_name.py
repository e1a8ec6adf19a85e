"""A scrape source of several Services, one of which has no ready pod: its name has no address then."""

import socket
from datetime import timedelta
from typing import Any

import pytest

from rollbackd.controller.config.values import NamedPages, ScrapeSource
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
