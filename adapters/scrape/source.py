"""The embedded metric source: reads pages of metrics itself, keeps a short ring, counts increases exactly.

It starts empty and keeps no history beyond its ring: a window that its scrapes do not cover has no row.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.source import Answer, Query, RowKey
from rollbackd.adapters.scrape.answer import Asked, answer
from rollbackd.adapters.scrape.lane import Lane
from rollbackd.adapters.scrape.lost import without
from rollbackd.adapters.scrape.pace import Pace
from rollbackd.adapters.scrape.page import Discover, Endpoint, fetch, new_session, read_page
from rollbackd.adapters.scrape.ring import Ring, Track

if TYPE_CHECKING:
    import requests

_WORKERS = 16
_LONG = 1.0
"""Seconds after which a failure has kept others waiting."""
_PATIENCE = timedelta(seconds=5)
"""Beyond the time-out of a page: how long a round that is under way is waited for at a stop."""
_OVERDUE = "its last round of scrapes does not end; see whether its endpoints and the name server answer"
log = structlog.get_logger()


class Scrape:
    """A Source over direct reads. ``start`` begins scraping in the background; ``scrape`` does it once.

    ``discover`` is asked before every scrape; ``now`` stamps the scrapes. ``retention`` bounds the ring in time, ``max_series`` in series.
    """

    def __init__(
        self,
        name: str,
        discover: Discover,
        *,
        interval: timedelta,
        now: Callable[[], datetime],
        timeout: timedelta | None = None,
        retention: timedelta = timedelta(minutes=45),
        max_series: int = 20_000,
    ) -> None:
        self.name = name
        self.delay = timedelta(0)  # a sample is stamped when it is kept, so nothing arrives late
        self._pace = Pace(interval)
        self.freshness = self._pace.freshness
        self._discover = discover
        self._interval = interval
        self._now = now
        self._timeout = (timeout or min(interval, timedelta(seconds=10))).total_seconds()
        self._ring = Ring(retention.total_seconds(), max_series)
        self._lock = threading.Lock()
        self._faults: dict[str, str] = {"": "nothing was scraped yet; start it"}
        self._tracks: list[Track] = []
        self._sessions: dict[str, requests.Session] = {}
        self._hanging: set[str] = set()
        self._lane = Lane(name)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def block(self, every: timedelta) -> timedelta:
        """The smallest multiple of ``every`` that one scrape interval fits into."""
        return self._pace.block(every)

    def read(self, query: Query, at: datetime) -> Answer:
        """The answer from the scrapes up to ``at``. Raises Permanent for an Expression, and Transient with the faults of the pages where none of
        them was scraped within ``freshness`` of ``at``, or where the last round does not end: before that, what is at hand bridges a scrape that
        was missed. A workload without fresh samples that only such pages could tell of has their faults as its own.

        A workload has a row only if one of its endpoints was scraped at the window's start; endpoints that joined later count from their first
        scrape, those that left keep what was counted, and ``newest`` ages once none answers. Where those that left had to make room for others, a
        workload has a fault for as long as what they told would be part of its row.
        """
        with self._lock:
            asked = Asked(self._ring, at.timestamp(), self._pace.gap.total_seconds(), self.freshness.total_seconds())
            newest = self._ring.newest
            if newest < asked.at - asked.freshness:
                since = "yet" if newest == -math.inf else f"since {datetime.fromtimestamp(newest, UTC):%H:%M:%S}"
                raise Transient(f"source {self.name} has scraped nothing {since}; nothing is known; {_first(self._faults.values()) or _OVERDUE}")
            found = without(self._ring.lost, answer(query, asked), query, asked)
            oldest = at - self.freshness
            lacking = query.only - {key for key, row in found.rows.items() if row.newest >= oldest}
            return replace(found, faults={**self._untold(lacking, query.identity.labels, oldest.timestamp()), **found.faults})

    def _untold(self, lacking: Iterable[RowKey], labels: Sequence[str], oldest: float) -> Mapping[RowKey, str]:
        """Of each of these workloads that only pages without a scrape since ``oldest`` could tell of, their faults."""
        silent = [track for track in self._tracks if track.endpoint.url in self._faults and track.newest < oldest]
        if not silent:
            return {}
        heard, found = [track for track in self._tracks if track not in silent], {}
        for key in lacking:
            shown = dict(zip(labels, key, strict=True))
            faults = [self._faults[track.endpoint.url] for track in silent if track.endpoint.may_show(shown)]
            if faults and not any(track.endpoint.may_show(shown) for track in heard):
                found[key] = _first(faults)
        return found

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        """Empty: what was not scraped by this process is not known."""
        return {}

    def check(self) -> tuple[str, ...]:
        """What is wrong with the endpoints as of their last scrape, one line each; nothing if all answered."""
        with self._lock:
            return tuple(self._faults.values())

    def start(self) -> None:
        """Scrape every interval from now on, until ``stop``; rounds missed are skipped.

        A round lasts at most its time-out per 16 endpoints that fall silent in it. Those that were silent before are waited for by nobody: eight of
        them at a time are asked again.
        """
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name=f"scrape-{self.name}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """No scrape is begun any more, and none is under way unless it does not heed its time-out."""
        self._stopping.set()
        until = time.monotonic() + self._timeout + _PATIENCE.total_seconds()
        if self._thread is not None:
            self._thread.join(until - time.monotonic())
        if (self._thread is not None and self._thread.is_alive()) or not self._lane.end(max(until - time.monotonic(), 0)):
            # Its sessions are left to it. The daemon's end must not wait for what may never come, such as a name server's answer.
            log.warning("scrape.left_behind", source=self.name)
            return
        self._thread = None
        self._keep_sessions(())

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            try:
                self._round()
            except Exception:  # the seam: a round may die, the source not, for nothing starts its thread again
                log.exception("scrape.crashed", source=self.name)
                self._note({"": f"source {self.name} failed in its last round; not all was scraped; see the daemon's log"})
            pace = self._interval.total_seconds()
            # Missed rounds are skipped, not made up for in a burst.
            due += pace * max(1, math.ceil((time.monotonic() - due) / pace))
            self._stopping.wait(max(due - time.monotonic(), 0))

    def scrape(self) -> None:
        """Every endpoint of this moment was scraped once, or has its fault in ``check``. Not to be called while it is started."""
        self._round()
        self._lane.end()

    def _round(self) -> None:
        try:
            found = list(self._discover())
        except AdapterError as error:
            found = [error]
        endpoints = [each for each in found if isinstance(each, Endpoint)]
        lost = {str(each): str(each) for each in found if isinstance(each, AdapterError)}
        if not endpoints:
            self._note(lost or {"": f"source {self.name} has no endpoint; nothing is scraped; check its config"})
            return
        with self._lock:
            # A name that cannot be resolved for a moment has not lost its pods: they have left once what they told is stale.
            unsure = self.freshness.total_seconds() if lost else 0.0
            self._tracks = tracks = self._ring.gather(endpoints, self._now().timestamp(), unsure)
        self._keep_sessions(endpoints)
        self._ask_all(tracks)
        self._note(lost, endpoints)

    def _ask_all(self, tracks: Sequence[Track]) -> None:
        """Every endpoint was scraped or has its fault, but for those that hang: they are asked meanwhile, and their faults are those of before."""
        urls = {track.endpoint.url for track in tracks}
        with self._lock:
            self._hanging &= urls
            slow = {url for url in urls if url in self._hanging or self._lane.is_asking(url)}
        self._lane.keep(slow)
        for track in tracks:
            if track.endpoint.url in slow:
                self._lane.ask(track.endpoint.url, partial(self._ask, track, self._sessions[track.endpoint.url]))
        others = [track for track in tracks if track.endpoint.url not in slow]
        with ThreadPoolExecutor(_WORKERS, f"scrape-{self.name}") as pool:
            list(pool.map(self._ask, others, [self._sessions[track.endpoint.url] for track in others]))

    def _ask(self, track: Track, session: "requests.Session") -> None:
        """The endpoint was scraped or has its fault, and hangs if it took long to fail."""
        url, began = track.endpoint.url, time.monotonic()
        fault = self._scrape_one(track, session)
        hangs = fault is not None and time.monotonic() - began >= min(_LONG, self._timeout / 2)
        with self._lock:
            (self._hanging.add if hangs else self._hanging.discard)(url)
            self._faults.pop(url, None)
            if fault is not None:
                self._faults[url] = fault

    def _scrape_one(self, track: Track, session: "requests.Session") -> str | None:
        endpoint = track.endpoint
        if self._stopping.is_set():  # of hundreds that wait for their turn none is asked any more
            return f"{endpoint.place} was not scraped: the source is being stopped"
        try:
            text, openmetrics = fetch(session, endpoint, self._timeout)
            samples = read_page(endpoint, text, openmetrics, track.by_text)
            unknown = track.unknown(samples)
            with self._lock:
                # Stamped as it is kept, so that a question for a moment gets the same answer ever after.
                self._ring.take(track, samples, unknown, self._now().timestamp())
        except Transient as error:
            return str(error)
        return (
            f"{endpoint.place} is answered by several processes; it was counted from this scrape on; scrape each of them" if track.is_shared else None
        )

    def _keep_sessions(self, endpoints: Sequence[Endpoint]) -> None:
        wanted = {endpoint.url for endpoint in endpoints}
        for url in [url for url in self._sessions if url not in wanted]:
            self._sessions.pop(url).close()
        for url in wanted - self._sessions.keys():
            self._sessions[url] = new_session()

    def _note(self, faults: Mapping[str, str], endpoints: Iterable[Endpoint] = ()) -> None:
        """These are the faults, beside those that these endpoints have."""
        with self._lock:
            self._faults = {**faults, **{each.url: self._faults[each.url] for each in endpoints if each.url in self._faults}}


def _first(faults: Iterable[str]) -> str:
    """What a person reads of faults that may be hundreds."""
    said = list(dict.fromkeys(faults))
    return "; ".join(said[:3]) + (f"; and {len(said) - 3} more" if len(said) > 3 else "")
