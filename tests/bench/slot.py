"""One slot for many single-target policies with four signals each, against a real Prometheus: queries, CPU seconds, memory.

Run as ``python -m tests.bench.slot N``: a process of its own, so that its memory is its own. Prints one JSON object.
"""

import json
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from rollbackd.adapters.base.source import Answer, Query
from rollbackd.adapters.base.target import Interval, TargetState
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.act import Actor
from rollbackd.controller.changes import Survey
from rollbackd.controller.engine import Batch, Engine
from rollbackd.controller.fleet import Settings
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journalling import Journalling
from rollbackd.controller.observe import Observer
from rollbackd.controller.pause import Pause
from rollbackd.policies.model import Condition, Count, Gauge, Group, Identity, Latency, Leaf, Limit, Matcher, Policy, Ratio, RevertRung, Selector
from tests.adapters.openmetrics import START, document, growing, series
from tests.policies.literals import ERRORS, POLICY
from tests.servers import prometheus_with_history

AT = datetime.fromtimestamp(START + 600, UTC)
BOUNDS = ("0.5", "1.0", "2.0", "5.0", "+Inf")


class Counting(Prometheus):
    """The shipped source; counts its reads."""

    reads = 0

    def read(self, query: Query, at: datetime) -> Answer:
        """The source's own answer."""
        self.reads += 1
        return super().read(query, at)


def names(count: int) -> list[str]:
    return [f"service-{i:05d}" for i in range(count)]


def history(count: int) -> str:
    """Ten healthy minutes of all the workloads."""
    ok, bad, buckets, total, memory, limit, failures = [], [], [], [], [], [], []
    for app in names(count):
        ok += series("requests_total", {"app": app, "code": "200"}, _short(10))
        bad += series("requests_total", {"app": app, "code": "500"}, _short(0.05))
        for bound in BOUNDS:
            buckets += series("seconds_bucket", {"app": app, "le": bound}, _short(9.9 if bound < "2" else 10))
        memory += series("memory_bytes", {"app": app}, [(s, 5e8) for s in range(540, 601, 15)])
        limit += series("limit_bytes", {"app": app}, [(s, 1e9) for s in range(540, 601, 15)])
        failures += series("db_errors_total", {"app": app}, _short(0))
    return document(ok, bad, buckets, total, memory, limit, failures)


def _short(per_second: float) -> list[tuple[int, float]]:
    return growing(per_second, first=525, last=600)


def policies(count: int) -> list[Policy]:
    """One policy a workload: the four triggers, spelt out."""
    return [_policy(app) for app in names(count)]


def _policy(app: str) -> Policy:
    identity = Identity(("app",), (app,))
    errors = replace(ERRORS, signal=Ratio(Selector("requests_total", (Matcher("code", "=~", "5.."),)), Selector("requests_total")), identity=identity)
    slow = replace(ERRORS, name="p95-latency", signal=Latency(Selector("seconds"), 0.95, 2.0), min_volume=200, identity=identity)
    memory = replace(ERRORS, name="memory", signal=Gauge(Selector("memory_bytes"), Selector("limit_bytes")), identity=identity)
    events = Count(Selector("db_errors_total"))
    failures = replace(ERRORS, name="database-failures", signal=events, limit=Limit(high=10), window=timedelta(minutes=1), identity=identity)
    conditions: tuple[Condition, ...] = (errors, slow, memory, failures)
    target = f"kubernetes:default/shop/deployment/{app}"
    return replace(
        POLICY,
        name=app,
        digest=app,
        target=target,
        conditions=conditions,
        trigger=Group(tuple(Leaf(i) for i in range(4)), 1),
        ladder=(RevertRung(target),),
    )


def survey(every: Sequence[Policy]) -> Survey:
    """All of them were released five minutes ago: every watch window is open."""
    started = AT - timedelta(minutes=5)
    states: Mapping[str, TargetState] = {
        p.target: TargetState(p.target, "r2", f"{p.name}:2", Interval(started, started), started, has_readiness=True) for p in every
    }
    return Survey(0.0, AT, states)


def main(count: int) -> dict[str, float]:
    """The figures of one slot for ``count`` policies."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    every = policies(count)
    with prometheus_with_history(history(count)) as server, tempfile.TemporaryDirectory() as folder:
        source = Counting("prometheus", server.url, delay=timedelta(0), timeout=timedelta(seconds=60))
        store = Store.open(f"sqlite:///{folder}/rollbackd.db", "bench")
        pause = Pause(Path(folder) / "pause")
        actor = Actor(store, {}, pause, lambda: AT, lambda _: None, lambda: None)
        engine = Engine(store, actor, Journalling(store, lambda: None), pause, Settings())
        engine.adopt(every)
        observer = Observer({"prometheus": source}, lambda _: None, lambda: None)
        engine.cycle(Batch(AT, survey(every), {}))  # the changes become known: rows that a healthy slot does not write
        source.reads = 0
        cpu, wall = time.process_time(), time.monotonic()
        engine.cycle(Batch(AT, replace(survey(every), began=1.0), observer.read(engine.due(every, AT), AT)))
        figures = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.monotonic() - wall, "queries": float(source.reads)}
        states = {v.state.value for s in engine.standings.values() for v in s.evaluation.verdicts}
        assert states == {"ok"}, f"the bench judged something else than health: {states}"
        assert len(engine.standings) == count
        actor.close()
        store.close()
    return {"policies": float(count), **figures, "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
