"""The measured half of the slot's bench, in a process of its own, so that its CPU and memory are its own: ``python -m tests.bench.slot_child URL N``.

It is the daemon's core from the observer to the journal, on a real store. It lacks the process around it (API, schedule, outbox) and the reading
of the targets, whose states are literals.
"""

import json
import logging
import statistics
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import requests
import structlog

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.engine.engine import Engine
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.journalling import Journalling
from rollbackd.controller.engine.observation import history_slots
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.store import Store
from rollbackd.controller.memory import collect_seldom, share_one_heap
from rollbackd.controller.notify.store_trouble import StoreTrouble
from rollbackd.controller.observe.readings import Observer
from rollbackd.controller.pause.file import Pause
from tests.bench import workloads
from tests.bench.figures import memory, resident


class Fleet:
    """The core of a daemon that watches ``count`` workloads through the Prometheus at ``url``."""

    def __init__(self, url: str, count: int, folder: Path) -> None:
        self.url = url
        self.policies = workloads.policies(count)
        source = Prometheus("prometheus", url, delay=timedelta(0), timeout=timedelta(seconds=60))
        store = Store.open(f"sqlite:///{folder}/rollbackd.db", "bench")
        pause = Pause(folder / "pause")
        actor = Actor(store, {}, pause, lambda: workloads.AT, lambda _: None, lambda: None)
        self.engine = Engine(store, actor, Journalling(store, lambda: None), pause, Settings(), StoreTrouble(store, lambda _: None))
        self.engine.adopt(self.policies)
        self.observer = Observer({"prometheus": source}, lambda _: None)

    def first(self, at: datetime) -> None:
        """What the first slot after a start adds to any other: all targets are seen for the first time, all watches are rebuilt from the past."""
        readings = self.observer.read(self.policies, at)
        past = self.observer.read_history(self.policies, history_slots(self.policies, at))
        self.engine.cycle(Batch(at, workloads.survey(self.policies, 0.0, at), readings, past))

    def slot(self, at: datetime) -> None:
        """One slot: which policies are due, their readings, what follows from them."""
        due = self.engine.due(self.policies, at)
        survey = workloads.survey(self.policies, at.timestamp(), at)
        self.engine.cycle(Batch(at, survey, self.observer.read(due, at)))

    def judged(self) -> set[tuple[str, str]]:
        """Every (condition, verdict) of the newest slot."""
        standings = self.engine.standings.items()
        pairs = ((self.engine.policies[name], standing.evaluation.verdicts) for name, standing in standings)
        return {(c.name, v.state.value) for policy, verdicts in pairs for c, v in zip(policy.conditions, verdicts, strict=True)}

    def asked(self) -> float:
        """How many queries Prometheus itself has counted."""
        return sum(_counted(self.url, handler) for handler in ("/api/v1/query", "/api/v1/query_range"))


def measure(url: str, count: int) -> dict[str, float]:
    """The figures of the live slots: medians of CPU and wall time, most queries, the peak of memory since the process began."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(url, count, Path(folder))
        first, *others = workloads.slots()
        cpu, wall = time.process_time(), time.monotonic()
        fleet.first(first)
        started = {"first_cpu_seconds": time.process_time() - cpu, "first_wall_seconds": time.monotonic() - wall}
        cpus, walls, queries = [], [], []
        for at in others:
            asked, cpu, wall = fleet.asked(), time.process_time(), time.monotonic()
            fleet.slot(at)
            cpus.append(time.process_time() - cpu)
            walls.append(time.monotonic() - wall)
            queries.append(fleet.asked() - asked)
        expected = {(c.name, "ok") for c in fleet.policies[0].conditions}
        assert fleet.judged() == expected, f"the bench judged something else than health: {sorted(fleet.judged())}"
        assert len(fleet.engine.standings) == count
    figures = {"cpu_seconds": statistics.median(cpus), "wall_seconds": statistics.median(walls), "queries": max(queries)}
    return {"policies": float(count), **figures, **started, "rss_mib": resident(), "peak_rss_mib": memory("VmHWM")}


def _counted(url: str, handler: str) -> float:
    page = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
    lines = [line for line in page if line.startswith("prometheus_http_requests_total{") and f'handler="{handler}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    collect_seldom()
    share_one_heap()
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))), flush=True)
    sys.exit(0)
