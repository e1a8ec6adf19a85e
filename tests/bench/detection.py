"""How long it takes from bad samples to a write: whole daemons on `every: 5s`, a service that turns to 100 % errors, a command that puts it back."""

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure
from tests.e2e.daemon import SECONDS, Daemon, policy
from tests.exposition import Loopback, Reply, serving
from tests.servers import Server, poll, prometheus

EVERY = 5.0
RUNS = 5
REQUESTS_PER_SECOND = 200.0
WELL = 3
"""Healthy looks after the release before it turns bad."""
ERRORS = {
    "name": "errors",
    "ratio": {"bad": 'http_requests_total{code=~"5.."}', "total": "http_requests_total"},
    "above": "5%",
    "for": "0s",
}


class Service:
    """A page of counters that grow with the clock: all requests succeed until ``break_down``, none after it."""

    def __init__(self) -> None:
        self.began = time.time()
        self.broken_at: float | None = None

    def break_down(self) -> None:
        """Every request fails from now on."""
        self.broken_at = time.time()

    def page(self) -> str:
        now = time.time()
        end = self.broken_at or now
        good, bad = (end - self.began) * REQUESTS_PER_SECOND, (now - end) * REQUESTS_PER_SECOND
        return f'http_requests_total{{app="shop",code="200"}} {good:.0f}\nhttp_requests_total{{app="shop",code="500"}} {bad:.0f}\n'


class Watched:
    """One service, its release tool, and the daemon that watches it."""

    def __init__(self, folder: Path, service: Service, source: Mapping[str, Any]) -> None:
        folder.mkdir()
        self.service = service
        self._version, self._applied = folder / "version", folder / "applied"
        self._version.write_text("v1\n")
        apply = folder / "apply.sh"
        apply.write_text(f'#!/bin/sh\necho "$1" > {self._applied}.new && mv {self._applied}.new {self._applied}\necho "$1" > {self._version}\n')
        apply.chmod(0o755)
        commands = {"shop": {"describe": ["/bin/cat", str(self._version)], "apply": [str(apply), "{revision}"]}}
        contacts = {"oncall": [{"webhook": {"url": "http://127.0.0.1:9/"}}]}
        written = policy("shop", {"command": {"name": "shop"}}, ERRORS, every=f"{EVERY:g}s", metrics="custom", match={"app": "shop"}, timing=SECONDS)
        self._daemon = Daemon(folder, {"sources": source, "commands": commands, "contacts": contacts}, {"shop": written})

    def seconds_to_write(self, wait: float) -> float:
        """From the first failed request to the command's write, where v2 has been seen well before; ``wait``: where in its interval it breaks."""
        try:
            self._daemon.start()
            self._looks(1)
            assert self._daemon.run("good", "command:shop", "v1").returncode == 0
            self._version.write_text("v2\n")
            poll(lambda: any("change.seen" in line and '"revision": "v2"' in line for line in self._daemon.log.splitlines()), within=60)
            self._looks(WELL)
            time.sleep(wait)
            self.service.break_down()
            poll(self._applied.exists, within=60, every=0.01)
            return self._applied.stat().st_mtime - (self.service.broken_at or 0.0)
        finally:
            self._daemon.kill()

    def _looks(self, more: int) -> None:
        """So many further slots proved health."""
        wanted = self._well() + more
        poll(lambda: self._well() >= wanted, within=120)

    def _well(self) -> int:
        return self._daemon.log.count('"verdicts": {"ok": 1}')


def figures(runs: int = RUNS) -> list[Figure]:
    """The median of five breakdowns spread over the interval, for the scrape source and for Prometheus, as a number of intervals."""
    return [
        _figure("scrape, every 1s", _measure(runs, _scraped), settle=1.0),
        _figure("Prometheus, scrape 1s, delay 2s", _measure(runs, _stored), settle=3.0),
    ]


def _figure(source: str, seconds: list[float], settle: float) -> Figure:
    budget = 1 + settle / EVERY
    how = f"from the first failed request to the command's write, `every: 5s`, median of {len(seconds)}; the source settles in {settle:g} s"
    return Figure(f"bad samples to write, {source}", statistics.median(seconds) / EVERY, "intervals", budget, how)


def _measure(runs: int, sourced: Any) -> list[float]:
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(runs) as pool:

        def one(index: int) -> float:
            with sourced() as (service, source):
                return Watched(Path(name) / str(index), service, source).seconds_to_write(EVERY * index / runs)

        return list(pool.map(one, range(runs)))


@contextmanager
def _served() -> Iterator[tuple[Service, Loopback]]:
    service = Service()
    with serving(lambda _: Reply(body=service.page().encode(), headers={"Content-Type": "text/plain; version=0.0.4"})) as loopback:
        yield service, loopback


@contextmanager
def _scraped() -> Iterator[tuple[Service, dict[str, Any]]]:
    with _served() as (service, page):
        yield service, {"pages": {"kind": "scrape", "every": "1s", "targets": [{"urls": [f"{page.url}/metrics"]}]}}


@contextmanager
def _stored() -> Iterator[tuple[Service, dict[str, Any]]]:
    with _served() as (service, page), prometheus(page.address) as server:
        yield service, _source(server)


def _source(server: Server) -> dict[str, Any]:
    return {"prometheus": {"url": server.url, "scrape_interval": "1s", "delay": "2s"}}


if __name__ == "__main__":
    for figure in figures():
        print(figure)
