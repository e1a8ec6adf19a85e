"""Our own metrics, read off the daemon's state when they are asked for. Labels are bounded: no target, no policy, no incident."""

import platform
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Entry
from rollbackd.controller.notify.audit_watch import AuditWatch
from rollbackd.controller.notify.clocks import Clocks
from rollbackd.controller.people.desk import Desk
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.incident import Phase

PREFIX = "rollbackd_"
OUTCOMES = ("started", "accepted", "settled", "recovered", "refused", "failed", "overtaken", "superseded", "held")
ROWS = {"rung.intended": "started", "rung.applied": "accepted", "rung.settled": "settled"}
_PAGE = 1000


class Metrics:
    """The registry of one daemon."""

    def __init__(self, desk: Desk, clocks: Clocks | None = None, audit: AuditWatch | None = None) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_State(desk, clocks, audit))
        ProcessCollector(registry=self._registry)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Everything in the format that the reader asks for, and that format's content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class Tally:
    """What this daemon's own journal rows have added up to since this was made. A row is counted once. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen = max((entry.seq for entry in store.history(1)), default=0)
        self.rollbacks: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.blocks: Counter[str] = Counter()

    def catch_up(self) -> None:
        """Every row written until now is counted. Raises StoreError."""
        with self._lock:
            for entry in reversed(self._newer_than(self._seen)):
                self._seen = entry.seq
                if entry.writer == self._store.writer:
                    self._count(entry)

    def _newer_than(self, seq: int) -> list[Entry]:
        limit = _PAGE
        while True:
            rows = self._store.history(limit)
            if len(rows) < limit or rows[-1].seq <= seq:
                return [row for row in rows if row.seq > seq]
            limit *= 4

    def _count(self, entry: Entry) -> None:
        if entry.kind in ROWS:
            self.rollbacks[ROWS[entry.kind]] += 1
        elif entry.kind == "rung.stopped" and entry.body.get("how") in OUTCOMES:
            self.rollbacks[str(entry.body["how"])] += 1
        elif entry.kind == "incident.held":
            self.rollbacks["held"] += 1
            self.blocks[str(entry.body.get("guard"))] += 1
        elif entry.kind == "incident.closed" and entry.body.get("how") == "recovered" and self._has_written(entry):
            self.rollbacks["recovered"] += 1

    def _has_written(self, entry: Entry) -> bool:
        incident = self._store.incident(entry.incident or "")
        return incident is not None and bool(incident.accepted)


class _State(Collector):
    """The daemon's state as metric families."""

    def __init__(self, desk: Desk, clocks: Clocks | None, audit: AuditWatch | None) -> None:
        self._desk = desk
        self._clocks = clocks
        self._audit = audit
        self._tally = Tally(desk.store)

    def collect(self) -> Iterator[Metric]:
        yield from self._daemon()
        yield from self._engine()
        yield from self._sources()
        yield from self._store()
        if self._audit is not None:
            yield _gauge("audit_chain_ok", "1 while the journal is the one that was written, as far as it was verified.", self._audit.fault is None)

    def _daemon(self) -> Iterator[Metric]:
        facts = self._desk.facts()
        labels = {"version": facts.version, "python": platform.python_version()}
        yield _gauges("build_info", "Always 1; the labels say what runs.", [(labels, 1)])
        yield _gauge("start_timestamp_seconds", "When the daemon started.", facts.started_at.timestamp())
        yield _gauge("paused", "1 while nothing may be acted on.", self._desk.paused() is not None)
        yield _gauge("config_last_reload_successful", "1 if the files on disk are the policies that hold.", facts.reload.is_ok)
        if facts.reload.at is not None:
            yield _gauge("config_last_reload_timestamp_seconds", "When the policies were last read anew.", facts.reload.at.timestamp())
        yield _counter("slots_missed", "Slots that were skipped because the one before was late.", facts.missed_slots)
        yield _gauge("slot_lateness_seconds", "How late the newest slot began.", facts.lateness.total_seconds())

    def _engine(self) -> Iterator[Metric]:
        engine = self._desk.engine
        yield _counter("slots", "Slots that were decided.", engine.slots)
        if engine.last_slot is not None:
            yield _gauge("last_slot_timestamp_seconds", "The newest slot that was decided.", engine.last_slot.timestamp())
        yield _gauge("policies", "Loaded policies.", len(engine.policies))
        yield from self._fleets()
        reached = dict(engine.verdicts)
        verdicts = [({"verdict": state.value}, reached.get(state.value, 0)) for state in State]
        yield _counters("evaluations", "Verdicts that were reached.", ("verdict",), verdicts)
        states = Counter(v.state.value for s in dict(engine.standings).values() for v in s.evaluation.verdicts)
        yield _gauges("conditions", "Conditions by their newest verdict.", [({"verdict": s.value}, states[s.value]) for s in State])
        phases = Counter(incident.phase.value for incident in engine.incidents)
        shown = [phase.value for phase in Phase if phase is not Phase.CLOSED]
        yield _gauges("incidents_open", "Open incidents by phase.", [({"phase": phase}, phases[phase]) for phase in shown])

    def _fleets(self) -> Iterator[Metric]:
        lines = self._desk.fleets.lines()
        yield _gauge("fleet_members", "Workloads that are watched by fleet policies.", sum(line.members for line in lines))
        yield _gauge(
            "fleets_doubtful", "Fleets whose roster is not believed or could not be read.", sum(bool(each.doubt or each.fault) for each in lines)
        )

    def _sources(self) -> Iterator[Metric]:
        health = sorted(self._desk.health().items())
        yield _gauges("source_up", "1 if the source answered when it was last asked.", [({"source": n}, seen.fault is None) for n, seen in health])
        seen = [({"source": name}, state.seen.timestamp()) for name, state in health if state.seen is not None]
        yield _gauges("source_last_answer_timestamp_seconds", "When the source last answered.", seen)
        costs = [(name, state.spent) for name, state in health if state.spent is not None]
        if costs:
            requests = [({"source": name}, spent.requests) for name, spent in costs]
            yield _counters("source_requests", "Requests for metrics to a source that costs money.", ("source",), requests)
            metrics = [({"source": name}, spent.metrics) for name, spent in costs]
            yield _counters("source_metrics", "Metrics that were asked for there: what it takes money for.", ("source",), metrics)
        skews = sorted(self._clocks.skews().items()) if self._clocks is not None else []
        ahead = [({"source": name}, skew.total_seconds()) for name, skew in skews]
        yield _gauges("source_clock_ahead_seconds", "How far the source's clock is ahead of ours.", ahead)

    def _store(self) -> Iterator[Metric]:
        try:
            outbox, now = self._desk.store.outbox_state(), self._desk.store.now()
            self._tally.catch_up()
        except StoreError:
            yield _gauge("journal_ok", "1 while the store takes and gives data.", False)
            return
        yield _gauge("journal_ok", "1 while the store takes and gives data.", self._desk.engine.trouble.fault is None)
        yield _gauge("outbox_pending", "Messages that are on their way.", outbox.waiting)
        yield _gauge("outbox_dead", "Messages that were given up.", outbox.dead)
        oldest = (now - outbox.oldest).total_seconds() if outbox.oldest is not None else 0
        yield _gauge("outbox_oldest_seconds", "For how long the oldest message has been on its way.", max(0.0, oldest))
        rollbacks = [({"outcome": outcome}, count) for outcome, count in self._tally.rollbacks.items()]
        yield _counters("rollbacks", "Steps of rollbacks by this daemon, by outcome.", ("outcome",), rollbacks)
        blocks = [({"guard": guard}, count) for guard, count in self._tally.blocks.items()]
        yield _counters("guard_blocks", "Incidents that a guard held.", ("guard",), blocks)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, about, value=float(value))


def _gauges(name: str, about: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Metric:
    rows = list(samples)
    family = GaugeMetricFamily(PREFIX + name, about, labels=tuple(rows[0][0]) if rows else ())
    for labels, value in rows:
        family.add_metric(tuple(labels.values()), float(value))
    return family


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, about, value=float(value))


def _counters(name: str, about: str, keys: tuple[str, ...], samples: Iterable[tuple[Mapping[str, Any], float]]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, about, labels=keys)
    for labels, value in samples:
        family.add_metric(tuple(str(labels[key]) for key in keys), float(value))
    return family
