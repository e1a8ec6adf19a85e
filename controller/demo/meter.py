"""The demo's own measurement: how many of the shop's requests fail, read from the shop's counters and independent of the daemon."""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

LOOK_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Counted:
    """Requests since the meter started, as of ``at`` (seconds on the monotonic clock)."""

    at: float
    total: float
    bad: float


@dataclass(frozen=True, slots=True)
class Share:
    """How many requests failed, of how many, within how many seconds."""

    bad: float
    total: float
    seconds: float

    @property
    def rate(self) -> float:
        """The share of the requests that failed; 0 where there were none."""
        return self.bad / self.total if self.total else 0.0

    def __str__(self) -> str:
        return f"{self.bad:.0f} of {self.total:.0f} requests failed = {self.rate:.1%} ({self.total / max(self.seconds, 0.001):.0f} req/s)"


class Meter:
    """Reads the shop's counters four times a second, across restarts of the shop."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._page: tuple[float, float, float] | None = None
        self._counted: list[Counted] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    @property
    def has_seen_traffic(self) -> bool:
        """True once a request was counted."""
        return bool(self._counted) and self._counted[-1].total > 0

    def between(self, start: float, end: float) -> Share:
        """What was counted from ``start`` to ``end``, both on the monotonic clock and rounded inwards to the looks."""
        inside = [counted for counted in list(self._counted) if start <= counted.at <= end]
        if len(inside) < 2:
            return Share(0, 0, 0)
        first, last = inside[0], inside[-1]
        return Share(last.bad - first.bad, last.total - first.total, last.at - first.at)

    def start(self) -> None:
        """Looks are taken from now on."""
        self._thread.start()

    def stop(self) -> None:
        """No look is under way."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._look()

    def _look(self) -> None:
        page, former = self._read(), self._page
        # Another process counts from zero; what the former one counted after the last look is lost, a quarter of a second at most.
        base = former if former is not None and former[0] == page[0] else (page[0], 0.0, 0.0)
        last = self._counted[-1] if self._counted else Counted(0, 0, 0)
        self._page = page
        self._counted.append(Counted(time.monotonic(), last.total + page[1] - base[1], last.bad + page[2] - base[2]))

    def _read(self) -> tuple[float, float, float]:
        """When the shop's process started, its requests, and the failed ones among them."""
        samples = list(self._samples())
        requests = [(code, value) for name, code, value in samples if name == "http_requests_total"]
        started = next(value for name, _, value in samples if name == "process_start_time_seconds")
        return started, sum(value for _, value in requests), sum(value for code, value in requests if code.startswith("5"))

    def _samples(self) -> Iterator[tuple[str, str, float]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/metrics")
            page = connection.getresponse().read().decode()
        finally:
            connection.close()
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                yield sample.name, sample.labels.get("code", ""), sample.value
