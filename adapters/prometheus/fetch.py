"""Questions sent through prometheus-api-client, at one instant or at many, and their samples by instant."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.source import Matcher
from rollbackd.adapters.prometheus import promql
from rollbackd.adapters.prometheus.rows import Sample
from rollbackd.adapters.prometheus.turn import Turn
from rollbackd.adapters.prometheus.wire import Limits, TooLarge, TooMuch, Wire
from rollbackd.adapters.prometheus.within import within

MOST_STEPS = 500
"""Prometheus takes up to 11,000, but before 2.47 each step of ``timestamp`` decodes its series from the first sample of the range on."""
BYTES_PER_POINT = 40
"""About what one value takes in a range answer, with room to spare."""
CONNECT_WITHIN = timedelta(seconds=2)
T = TypeVar("T")


class Fetch:
    """Asks one server. Safe to use from several threads. Every method raises Transient or Permanent.

    Samples of ``at`` are read while no other thread reads any, request by request: who asks for an instant waits for no more than one of a history.
    ``only``: series without these labels do not exist for whoever asks, whatever is asked.
    """

    def __init__(self, name: str, url: str, limits: Limits, token_file: Path | None, ca_file: Path | None, only: Sequence[Matcher] = ()) -> None:
        from prometheus_api_client import PrometheusConnect

        seconds = limits.timeout.total_seconds()
        self._name, self._limits, self._only = name, limits, tuple(only)
        self._turn = Turn()
        self._wire = Wire(name, limits, token_file, ca_file, self._turn)
        self._client: Any = PrometheusConnect(
            url.rstrip("/"),
            session=self._wire,
            retry=_no_retry(),
            timeout=(min(seconds, CONNECT_WITHIN.total_seconds()), seconds),
            method="POST",
        )

    @property
    def asked(self) -> int:
        """How many requests were sent so far."""
        return self._wire.asked

    @property
    def waited(self) -> timedelta:
        """How long answers were waited for so far."""
        return timedelta(seconds=self._wire.waited)

    def now(self, text: str) -> list[Sample]:
        """The samples at the server's own present."""
        return list(self._samples(self._client.custom_query(within(text, self._only), params={"timeout": promql.duration(self._limits.timeout)})))

    def at(self, text: str, instants: Sequence[datetime], series: int, read: Callable[[Iterable[Sample]], T]) -> dict[datetime, T]:
        """What ``read`` makes of the samples at each of evenly spaced instants, which it has once, in as few requests as the limits allow.

        ``series``: how many the answer will have, about.
        """
        text = within(text, self._only)
        if len(instants) == 1:
            return self._instant(text, instants[0], read)
        steps = min(MOST_STEPS, max(2, self._limits.max_bytes // (BYTES_PER_POINT * max(series, 1))))
        # Both ends of a range are inclusive, so that chunks of instants do not overlap.
        chunks = (self._chunk(text, instants[start : start + steps], read) for start in range(0, len(instants), steps))
        return {at: found for chunk in chunks for at, found in chunk.items()}

    def _chunk(self, text: str, instants: Sequence[datetime], read: Callable[[Iterable[Sample]], T]) -> dict[datetime, T]:
        if len(instants) == 1:
            return self._instant(text, instants[0], read)
        try:
            return self._range(text, instants, read)
        except (TooLarge, TooMuch):
            half = len(instants) // 2
            return self._chunk(text, instants[:half], read) | self._chunk(text, instants[half:], read)

    def _instant(self, text: str, at: datetime, read: Callable[[Iterable[Sample]], T]) -> dict[datetime, T]:
        params = {"time": _time(at), "timeout": promql.duration(self._limits.timeout)}
        with self._turn:
            samples = self._samples(self._client.custom_query(text, params=params))
            return {at: read(samples)}

    def _samples(self, series: Any) -> Iterator[Sample]:
        # One at a time, and let go of at once: at 10,000 workloads the parsed answer is larger than all that is kept of it.
        try:
            series.reverse()
            while series:
                one = series.pop()
                yield one["metric"], one["value"][1] if "value" in one else one["histogram"][1]
        except (KeyError, TypeError, IndexError) as error:
            raise self._unreadable() from error

    def _range(self, text: str, instants: Sequence[datetime], read: Callable[[Iterable[Sample]], T]) -> dict[datetime, T]:
        first, last, step = instants[0], instants[-1], (instants[1] - instants[0]).total_seconds()
        # start and end as parameters of ours: the client rounds its own to whole seconds.
        params = {"start": _time(first), "end": _time(last), "timeout": promql.duration(self._limits.timeout)}
        # The turn is over before the next request is sent: what is asked for now must not wait for a history.
        with self._turn:
            slots = self._slots(self._client.custom_query_range(text, first, last, f"{step:.3f}", params=params), instants)
            return {at: read(samples) for at, samples in zip(instants, slots, strict=True)}

    def _slots(self, series: Any, instants: Sequence[datetime]) -> list[list[Sample]]:
        slots: list[list[Sample]] = [[] for _ in instants]
        origin, step = float(_time(instants[0])), (instants[1] - instants[0]).total_seconds()
        try:
            for one in series:
                metric = one["metric"]
                for time, value in one.get("values", ()):
                    slots[round((time - origin) / step)].append((metric, value))
                for time, histogram in one.get("histograms", ()):
                    slots[round((time - origin) / step)].append((metric, histogram))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise self._unreadable() from error
        return slots

    def _unreadable(self) -> Transient:
        return Transient(f"{self._name}: the series of the answer have an unknown shape, so it was not used: see whether it is a Prometheus API")


def _time(at: datetime) -> str:
    return f"{at.timestamp():.3f}"


def _no_retry() -> object:
    # The client's own retries are silent and turn a time-out of one second into ten.
    from urllib3.util import Retry

    return Retry(total=0)
