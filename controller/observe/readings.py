"""Ask the sources once per signal and slot, and turn their answers into readings. Decides nothing; doubt becomes Unknown."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import TypeAlias, TypeVar

import structlog

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.source import Answer, MeteredSource, Row, RowKey, Source
from rollbackd.controller.observe.asking import Asking, Reply, Wanted, answered_together, ask
from rollbackd.controller.observe.past import Past
from rollbackd.controller.observe.questions import Ask, ProbeQuestion, Question, TargetQuestion, asks_of, with_rows
from rollbackd.controller.observe.reader import Reader
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Lack, Reading, Unknown

log = structlog.get_logger()
T = TypeVar("T")

Probing = Callable[[ProbeQuestion], float | None]
"""The share of a workload's endpoints that fail their check; None where there is no endpoint to ask. Raises AdapterError."""

Slots: TypeAlias = dict[datetime, dict[str, tuple[Reading, ...]]]
"""Each policy's readings at each slot."""

READ_AT_ONCE = 40_000
"""So many readings of the past are fetched at a time: all of 10,000 workloads' past at once would take more memory than everything else."""
SLOTS_AT_ONCE = 240
"""And of so many slots: what an answer takes while it is read is many times what is kept of it, and a heap once grown shrinks little."""
ANSWERS_WITHIN = timedelta(seconds=30)
"""What a source answers in that has no time-out of ours for the whole of a question."""
MARGIN = timedelta(seconds=5)
"""Beyond its time-out a source that keeps it needs no more than that."""


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """When a source last answered and, if it does not, why. ``spent``: on one that costs money, so far."""

    seen: datetime | None
    fault: str | None
    spent: "Spent | None" = None


@dataclass(frozen=True, slots=True)
class Spent:
    """How many requests were sent, and how many metrics they asked for."""

    requests: int
    metrics: int


class Observer:
    """Reads all conditions of the due policies of one source."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        probing: Probing,
        *,
        workers: int = 4,
        answers_within: Mapping[str, timedelta] | None = None,
        margin: timedelta = MARGIN,
    ) -> None:
        """``answers_within``: by source, the time-out of its questions. A slot waits no longer than that and ``margin``, whatever the source does."""
        self._sources = sources
        self._workers = workers
        self._answers_within = answers_within or {}
        self._margin = margin
        self._probing = probing
        # A pool for each source: one that hangs must not delay the others.
        self._pools = {name: ThreadPoolExecutor(workers, thread_name_prefix=f"observe-{name}") for name in sources}
        self._asks: dict[tuple[str, bool], tuple[str, tuple[Ask, ...]]] = {}
        # One object for equal questions: from here on identity stands for equality, since hashing 40,000 of them takes a quarter second a slot.
        self._questions: dict[Question, Question] = {}
        self._lock = threading.Lock()
        self.asking: dict[str, int] = dict.fromkeys(sources, 0)  # so many questions in the newest slot
        self.health: dict[str, SourceHealth] = {name: SourceHealth(None, None) for name in sources}

    def source(self, name: str) -> Source:
        """The source of this name."""
        return self._sources[name]

    def close(self) -> None:
        """No reading is begun after this; one in flight ends by its own time-out."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def read(self, policies: Sequence[Policy], at: datetime, in_calm: Collection[str] = ()) -> dict[str, tuple[Reading, ...]]:
        """Each policy's readings for the slot ``at``, in the order of its conditions. All policies share one source.

        ``in_calm``: the names of those of which nothing is watched.
        """
        if not policies:
            return {}
        source = self._sources[policies[0].source]
        asked = at - source.delay
        wanted = {policy.name: self._asks_of(policy, source, in_calm=policy.name in in_calm) for policy in policies}
        return _readings(wanted, self._ask_all(source, wanted, asked))

    def read_history(self, policies: Sequence[Policy], instants: Sequence[datetime]) -> Past:
        """What ``read`` would have given at these past slots; empty where the source keeps no history or cannot be asked now."""
        if not policies or not instants:
            return Past()
        source = self._sources[policies[0].source]
        wanted = {policy.name: self._asks_of(policy, source) for policy in policies}
        looks = min(SLOTS_AT_ONCE, max(1, READ_AT_ONCE // sum(len(asks) for asks in wanted.values())))
        past = Past({name: len(asks) for name, asks in wanted.items()})
        try:
            for start in range(0, len(instants), looks):
                _read_past(source, wanted, instants[start : start + looks], past)
        except AdapterError as fault:
            log.warning("history.unread", source=source.name, error=str(fault))
            return Past()
        return past

    def asked_of(self, policies: Sequence[Policy]) -> tuple[Source, dict[str, tuple[Ask, ...]]]:
        """The source of these policies, which share one, and what each of them asks it."""
        source = self._sources[policies[0].source]
        return source, {policy.name: self._asks_of(policy, source) for policy in policies}

    def _asks_of(self, policy: Policy, source: Source, *, in_calm: bool = False) -> tuple[Ask, ...]:
        known = self._asks.get((policy.name, in_calm))
        if known is None or known[0] != policy.digest:
            asks = asks_of(policy, source.block(policy.every), in_calm=in_calm)
            known = (policy.digest, tuple(Ask(self._questions.setdefault(one.group, one.group), one.row) for one in asks))
            self._asks[policy.name, in_calm] = known
        return known[1]

    def _ask_all(self, source: Source, wanted: Mapping[str, Sequence[Ask]], asked: datetime) -> dict[int, list[Reading]]:
        pool, groups = self._pools[source.name], _rows(wanted)
        self.asking[source.name] = len(groups)
        futures = [pool.submit(_ask, source, self._probing, group, rows, asked) for group, rows in groups]
        limit = self._limit(source.name, len(groups))
        told = _within(limit, futures, [partial(_failed, rows, asked, _late(source, limit)) for _, rows in groups])
        heard = [(group, *columns) for (group, _), columns in zip(groups, told, strict=True)]
        # One question that always fails is a fault of its source, however well the others are answered.
        fault = next((fault for _, _, fault in heard if fault is not None), None)
        self._note(source.name, SourceHealth(asked if fault is None else self.health[source.name].seen, fault, spent(source)))
        return {id(group): column for group, column, _ in heard}

    def settle(self, name: str, askings: Mapping[str, Asking[T]]) -> dict[str, T]:
        """What each of them comes to who asks the source of this name. What is not answered in time is a fault to them, as if it had failed."""
        return answered_together(askings, lambda wants: self._replies(self._sources[name], wants))

    def _replies(self, source: Source, wants: Sequence[Wanted]) -> list[Reply]:
        limit = self._limit(source.name, len(wants))
        futures = [self._pools[source.name].submit(ask, source, want) for want in wants]
        return _within(limit, futures, [lambda: _late(source, limit)] * len(wants))

    def _limit(self, name: str, questions: int) -> timedelta:
        """So long so many questions are waited for: in turns, and one of several requests, each in time, may take one more."""
        return self._answers_within.get(name, ANSWERS_WITHIN) * (ceil(questions / self._workers) + 1) + self._margin

    def _note(self, name: str, health: SourceHealth) -> None:
        with self._lock:
            before = self.health[name]
            self.health[name] = health
        if health.fault is not None and health.fault != before.fault:  # never the same error twice in a row
            log.warning("source.failed", source=name, error=health.fault)
        elif health.fault is None and before.fault is not None:
            log.info("source.recovered", source=name)


def spent(source: Source) -> Spent | None:
    """What a source has cost so far; None where it costs nothing."""
    return Spent(source.asked, source.metrics_asked) if isinstance(source, MeteredSource) else None


def readings_at(source: Source, probing: Probing, asks: Sequence[Ask], at: datetime) -> tuple[Reading, ...]:
    """One policy's readings for the slot ``at``, in the order of ``asks``: what an Observer reads, asked one after the other on this thread."""
    asked = at - source.delay
    wanted = {"": asks}
    return _readings(wanted, {id(group): _ask(source, probing, group, rows, asked)[0] for group, rows in _rows(wanted)})[""]


def past_readings(source: Source, wanted: Mapping[str, Sequence[Ask]], slots: Sequence[datetime]) -> Slots:
    """What ``readings_at`` gives for each of ``wanted`` at these past, evenly spaced slots. Raises AdapterError: nothing is known of any."""
    moments = [at - source.delay for at in slots]
    found = {id(group): _past_columns(source, group, rows, moments)[0] for group, rows in _rows(wanted)}
    return {at: _readings(wanted, {key: columns[index] for key, columns in found.items()}) for index, at in enumerate(slots)}


def unread(source: Source, wanted: Mapping[str, Sequence[Ask]], slots: Sequence[datetime], why: str) -> Slots:
    """The readings of slots of which the source would not tell."""
    return {at: {name: tuple(Unknown(at - source.delay, Lack.ERROR, why) for _ in asks) for name, asks in wanted.items()} for at in slots}


def _ask(source: Source, probing: Probing, group: Question, rows: Sequence[RowKey], asked: datetime) -> tuple[list[Reading], str | None]:
    """The readings of these workloads, and why there are none. The answer itself, which may be large, is let go of here."""
    if isinstance(group, TargetQuestion):
        return [_untold(asked)] * len(rows), None
    try:
        return column(group, rows, _answer(source, probing, group, rows, asked), asked, source), None
    except AdapterError as fault:
        return _failed(rows, asked, fault)


def _failed(rows: Sequence[RowKey], asked: datetime, fault: AdapterError) -> tuple[list[Reading], str]:
    return [Unknown(asked, Lack.ERROR, str(fault))] * len(rows), str(fault)


def _late(source: Source, limit: timedelta) -> Transient:
    said = f"{source.name}: no answer within {limit.total_seconds():g} s, beyond its own time-out"
    return Transient(f"{said}; what it was asked stays unknown; see whether it is overloaded")


def _within(limit: timedelta, futures: Sequence[Future[T]], instead: Sequence[Callable[[], T]]) -> list[T]:
    """What each came to; ``instead`` of what is not there when ``limit`` is over. What has not begun by then does not begin any more."""
    wait(futures, limit.total_seconds())
    for future in futures:
        future.cancel()
    return [future.result() if future.done() and not future.cancelled() else late() for future, late in zip(futures, instead, strict=True)]


def _untold(asked: datetime) -> Unknown:
    return Unknown(asked, Lack.NODATA, "what the target said is not known of this moment")


def _answer(source: Source, probing: Probing, group: Question, rows: Sequence[RowKey], asked: datetime) -> Answer:
    if isinstance(group, ProbeQuestion):
        share = probing(group)
        return Answer({} if share is None else {row: Row({"value": share}, asked) for row in rows})
    return source.read(with_rows(group, rows), asked)  # type: ignore[arg-type]  # a probe left above


def _rows(wanted: Mapping[str, Sequence[Ask]]) -> list[tuple[Question, list[RowKey]]]:
    """The workloads that each question is asked for."""
    rows: dict[int, tuple[Question, list[RowKey]]] = {}
    for asks in wanted.values():
        for one in asks:
            rows.setdefault(id(one.group), (one.group, []))[1].append(one.row)
    return list(rows.values())


def _read_past(source: Source, wanted: Mapping[str, Sequence[Ask]], slots: Sequence[datetime], past: Past) -> None:
    """The slots are part of ``past``, unless the source keeps no history of them."""
    moments = [at - source.delay for at in slots]
    found = {id(group): _past_columns(source, group, rows, moments) for group, rows in _rows(wanted)}
    if not any(is_kept for _, is_kept in found.values()):
        return
    for index, at in enumerate(slots):
        nexts = {key: iter(columns[index]) for key, (columns, _) in found.items()}
        past.add(at, [next(nexts[id(one.group)]) for asks in wanted.values() for one in asks])


def _past_columns(source: Source, group: Question, rows: Sequence[RowKey], moments: Sequence[datetime]) -> tuple[list[list[Reading]], bool]:
    """The readings of these workloads at each moment, and whether the source keeps a history of them at all."""
    if isinstance(group, TargetQuestion):
        return [[_untold(moment)] * len(rows) for moment in moments], False
    answers = _ask_past(source, group, rows, moments)
    return [column(group, rows, answers.get(moment, Answer({})), moment, source) for moment in moments], bool(answers)


def _ask_past(source: Source, group: Question, rows: Sequence[RowKey], moments: Sequence[datetime]) -> Mapping[datetime, Answer]:
    if isinstance(group, ProbeQuestion):
        return {}  # nobody probed in the past
    return source.read_history(with_rows(group, rows), moments)  # type: ignore[arg-type]  # a probe left above


def column(group: Question, rows: Sequence[RowKey], answer: Answer, asked: datetime, source: Source) -> list[Reading]:
    """The readings of these workloads."""
    reader = Reader(group, answer, asked, source)
    return [reader.reading(row) for row in rows]


def _readings(wanted: Mapping[str, Sequence[Ask]], columns: Mapping[int, Sequence[Reading]]) -> dict[str, tuple[Reading, ...]]:
    """Each policy's readings. A column stands in the order in which the policies ask its question, as ``_rows`` found them."""
    nexts = {key: iter(column) for key, column in columns.items()}
    return {name: tuple([next(nexts[id(one.group)]) for one in asks]) for name, asks in wanted.items()}
