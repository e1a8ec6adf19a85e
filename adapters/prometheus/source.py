"""The Prometheus source: each query is one question, asked once, answered whole or not at all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil, isnan
from pathlib import Path
from urllib.parse import urlsplit

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.source import Answer, Buckets, Expression, Increases, Levels, Matcher, Query, RowKey, Selector, Slower
from rollbackd.adapters.prometheus import promql, questions
from rollbackd.adapters.prometheus.buckets import KnownBounds, around
from rollbackd.adapters.prometheus.native import join, sort_native
from rollbackd.adapters.prometheus.questions import NATIVE, Question
from rollbackd.adapters.prometheus.rows import Sample, Sorted, bracket, bracket_by_shared, buckets_in, nothing, number, rows_of, sort_samples

SCRAPES_PER_BLOCK = 4
PIECE = 100
"""So many instants of a history are asked for whole where one of them has to be: fewer cost no less than the request."""
HISTORY_LOOKS = 60
"""At how many instants of a history the bounds of a histogram are read."""


class Prometheus:
    """A Prometheus, or what speaks its query API; a ``Source``.

    ``url``: of the server, without /api; no passwords in it: ``token_file`` holds a bearer token and is read for each question.
    ``scrape_interval``: the longest of the watched series'. ``delay`` [scrape_interval + 5 s]. ``timeout``: of one question, body included.
    ``match``: labels and their values; series that have them not do not exist for it, as though it were a server of its own.
    ``max_bytes`` (unpacked) and ``max_series`` bound an answer; beyond, it is Transient.

    Levels with a divisor are joined as PromQL joins by default: on equal label sets; series whose divisor is not above zero take no part. Nor do
    series without a sample within ``freshness``, or 75 s if that is longer, where others of their workload have one: those pods are gone.
    A workload with a value that is NaN or infinite has no row. A question for no workload is answered without asking.
    What a newborn series counted before its first sample is counted where the birth is certain (``births``); of native histograms it is lost.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        scrape_interval: timedelta = timedelta(seconds=15),
        delay: timedelta | None = None,
        timeout: timedelta = timedelta(seconds=10),
        match: Sequence[tuple[str, str]] = (),
        max_bytes: int = 32 << 20,
        max_series: int = 200_000,
    ) -> None:
        from rollbackd.adapters.prometheus.fetch import Fetch
        from rollbackd.adapters.prometheus.wire import Limits

        self.name = name
        self.delay = scrape_interval + timedelta(seconds=5) if delay is None else delay
        self.freshness = 2 * scrape_interval + timedelta(seconds=10)
        self._scrape_interval = scrape_interval
        only = tuple(Matcher(label, "=", value) for label, value in match)
        self._fetch = Fetch(name, _checked_address(name, url), Limits(timeout, max_bytes, max_series), token_file, ca_file, only)
        self._bounds = KnownBounds()

    @property
    def asked(self) -> int:
        """How many requests were sent so far."""
        return self._fetch.asked

    @property
    def waited(self) -> timedelta:
        """How long it was waited for answers so far, their transfer included."""
        return self._fetch.waited

    def block(self, every: timedelta) -> timedelta:
        """The smallest multiple of ``every`` that holds four scrapes: extrapolation over fewer is guesswork."""
        return every * max(1, ceil(SCRAPES_PER_BLOCK * self._scrape_interval / every))

    def read(self, query: Query, at: datetime) -> Answer:
        """The answer as of ``at``. Raises Transient or Permanent."""
        return self._answers(query, (at,))[at]

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        """What ``read`` answers at each instant, by few range queries. Raises Transient or Permanent."""
        if len({later - earlier for earlier, later in pairwise(instants)}) > 1:
            raise Permanent(f"{self.name}: the instants are not evenly spaced, so nothing was asked: give them at one interval")
        return self._answers(query, instants) if instants else {}

    def check(self) -> tuple[str, ...]:
        """What would spoil the evidence: an unreachable server, a scrape interval that is longer than configured. Each with what to do."""
        window = promql.duration(10 * self._scrape_interval)
        text = f"quantile(0.5, count_over_time(up[{window}]) and up offset {window})"
        try:
            samples = self._fetch.now(text)
        except (Transient, Permanent) as error:
            return (str(error),)
        scrapes = number(samples[0][1]) if samples else 10.0
        if scrapes > 6:
            return ()
        seen = 10 * self._scrape_interval.total_seconds() / max(scrapes, 1)
        said = f"{self._scrape_interval.total_seconds():g} s"
        return (f"{self.name}: targets are scraped about every {seen:.3g} s, not every {said}: set scrape_interval of the source to that",)

    def births(self, at: datetime) -> str:
        """Which newborn series count in full on this server, in words. Raises Transient or Permanent."""
        scraped, told = (self._fetch.at(f"count({metric})", (at,), 1, list)[at] for metric in ("up", "process_start_time_seconds"))
        if not scraped:
            return "newborn series lose their first value: no target is scraped by it, so nothing tells a birth from a return"
        if not told:
            return "newborn series count in full on targets scraped before; those of new targets lose their first value: none tells when it started"
        return f"newborn series count in full; {number(told[0][1]):g} processes tell when they started, of {number(scraped[0][1]):g} targets"

    def series(self, selector: Selector, at: datetime, most: int) -> tuple[Mapping[str, str], ...]:
        """The labels of up to ``most`` series with a sample shortly before ``at``, in a fixed order. Raises Transient or Permanent."""
        text = promql.fill(f"topk({most}, SERIES)", SERIES=promql.vector(selector)).prettify()
        samples = self._fetch.at(text, (at,), most, list)[at]
        shown = ({name: value for name, value in labels.items() if name != "__name__"} for labels, _ in samples)
        return tuple(sorted(shown, key=lambda labels: sorted(labels.items())))

    def buckets(self, query: Slower, at: datetime) -> Mapping[RowKey, Buckets]:
        """The buckets of each workload's histogram in the window that ends at ``at``. Raises Transient or Permanent."""
        if not query.only:
            return {}
        found = self._ask(questions.ask_all_buckets(query, self._scrape_interval), (at,))
        return {key: buckets_in(parts) for key, parts in found[at].values.items()}

    def clock_skew(self, now: datetime) -> timedelta:
        """How far the server's clock is ahead of ``now``. Raises Transient or Permanent."""
        samples = self._fetch.now("vector(time())")
        if not samples or isnan(seconds := number(samples[0][1])):
            raise Transient(f"{self.name}: did not tell its time, so its clock was not compared: see its log")
        return timedelta(seconds=seconds - now.timestamp())

    def _answers(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        if not query.only:
            return {at: Answer({}) for at in instants}
        if isinstance(query, Slower):
            return self._slower(query, instants)
        question = self._question(query)
        calm = None
        if isinstance(query, Increases) and _is_calm_cheaper(query, instants):
            calm = questions.ask_increases(query, self._scrape_interval, calmly=True)
        return {at: rows_of(one, question, at) for at, one in self._ask(question, instants, calm).items()}

    def _question(self, query: Increases | Levels | Expression) -> Question:
        match query:
            case Increases():
                return questions.ask_increases(query, self._scrape_interval)
            case Levels():
                return questions.ask_levels(query, self.freshness)
            case Expression():
                return questions.ask_expression(query)

    def _slower(self, query: Slower, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        spellings = self._spellings(query.histogram, instants)
        question = questions.ask_native(query, self._scrape_interval)
        found = {at: nothing() for at in instants}
        if set(spellings) - {NATIVE}:
            question, found = self._classic(query, spellings, instants)
        if NATIVE in spellings:
            self._add_native(query, found)
        return {at: rows_of(one, question, at) for at, one in found.items()}

    def _classic(self, query: Slower, spellings: Sequence[str], instants: Sequence[datetime]) -> tuple[Question, dict[datetime, Sorted]]:
        near = around(spellings, query.limit)
        question = questions.ask_buckets(query, near.spellings, self._scrape_interval)
        calm = questions.ask_buckets(query, near.spellings, self._scrape_interval, calmly=True) if _is_calm_cheaper(query, instants) else None
        found = self._ask(question, instants, calm)
        lacking = {key for one in found.values() for key in bracket(one, query.limit, near.bounds)}
        if lacking:
            self._ask_all_buckets(replace(query, only=frozenset(lacking)), found)
        return question, found

    def _add_native(self, query: Slower, found: Mapping[datetime, Sorted]) -> None:
        question = questions.ask_native(query, self._scrape_interval)
        native = self._sorted(question, tuple(found), lambda samples: sort_native(samples, query))
        for at, one in native.items():
            join(found[at], one)

    def _ask_all_buckets(self, query: Slower, found: Mapping[datetime, Sorted]) -> None:
        """The workloads of ``query`` are judged by their own buckets, which are not those of the others, as far as all their series have them."""
        question = questions.ask_all_buckets(query, self._scrape_interval)
        for at, own in self._ask(question, tuple(found)).items():
            bracket_by_shared(own, query.limit)
            for key in query.only:
                found[at].values.pop(key, None)
            found[at].values.update(own.values)
            found[at].faults.update(own.faults)
            found[at].stamps.update(own.stamps)

    def _spellings(self, histogram: Selector, instants: Sequence[datetime]) -> tuple[str, ...]:
        known = self._bounds.recall(histogram, instants[-1])
        if known is not None and len(instants) == 1:
            return known
        # Backwards from the last, so that the looks stay evenly spaced.
        looks = instants[:: -max(1, len(instants) // HISTORY_LOOKS)][::-1]
        heard = self._fetch.at(questions.ask_bounds(histogram), looks, 100, lambda samples: {metric.get("le", "") for metric, _ in samples})
        spellings = tuple(sorted(frozenset().union(*heard.values()) - {""}))
        self._bounds.remember(histogram, instants[-1], spellings)
        return spellings

    def _ask(self, question: Question, instants: Sequence[datetime], calm: Question | None = None) -> dict[datetime, Sorted]:
        """The samples of each instant. ``calm``: the same question, asked calmly: first it, and the whole one where that is not enough."""
        if calm is None:
            return self._sent(question, instants)
        found = self._sent(calm, instants)
        for start in range(0, len(instants), PIECE):
            piece = instants[start : start + PIECE]
            if not all(found[at].is_calm for at in piece):
                found |= self._sent(question, piece)
        return found

    def _sent(self, question: Question, instants: Sequence[datetime]) -> dict[datetime, Sorted]:
        return self._sorted(question, instants, lambda samples: sort_samples(samples, question))

    def _sorted(self, question: Question, instants: Sequence[datetime], sort: Callable[[Iterable[Sample]], Sorted]) -> dict[datetime, Sorted]:
        def read(samples: Iterable[Sample]) -> Sorted:
            try:
                return sort(samples)
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise self._unknown_shape() from error

        return self._fetch.at(question.text, instants, question.series * len(question.only), read)

    def _unknown_shape(self) -> Transient:
        return Transient(f"{self.name}: the series of the answer have an unknown shape, so it was not used: look at the source")


def _is_calm_cheaper(query: Increases | Slower, instants: Sequence[datetime]) -> bool:
    """Whether to ask calmly first: for many instants and few workloads. In a fleet something is born in every other slot."""
    return len(instants) > PIECE and len(query.only) <= promql.RESTRICTED_ROWS


def _checked_address(name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Permanent(f"{name}: its url is not an http(s) address, so it cannot be asked: correct it")
    if parts.username is not None or parts.password is not None:
        raise Permanent(f"{name}: its url holds a password, so it was not used: put a bearer token into token_file instead")
    return url
