"""From the proof to the write: a breaching slot handed to the engine, until the API server has accepted the PATCH.

In one process: the engine thread, the actor and a SQLite file as they are in the daemon; the Kubernetes double is a process of its own,
and so are the servers of a real control plane, where their binaries are found.
"""

import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Sight, Target, TargetState
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.engine.engine import Engine
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.journalling import Journalling
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.notify.store_trouble import StoreTrouble
from rollbackd.controller.observe.changes import Survey
from rollbackd.controller.pause.file import Pause
from rollbackd.policies.known.events import Closed, CloseHow
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import Policy, RevertRung, Timing
from rollbackd.policies.model.readings import Counts
from tests.bench.figures import Figure
from tests.doubles.kube import running_double
from tests.doubles.kube.stage import Stage, World, stage_in, until
from tests.kube import missing_assets, running_cluster
from tests.policies.literals import POLICY

REPETITIONS = 100
WITHOUT_END = 1_000_000
"""The guards that count must not end the series."""
LIMITS = Limits(in_flight_per_namespace=WITHOUT_END, in_flight=WITHOUT_END, per_hour=WITHOUT_END, per_target_per_day=WITHOUT_END)
TIMING = Timing(warmup=timedelta(0))
SECOND = timedelta(seconds=1)


class Timed:
    """The shipped target; notes when each write was accepted."""

    def __init__(self, target: Target) -> None:
        self.kind = target.kind
        self.shipped = target
        self.accepted: dict[str, float] = {}

    def apply(self, plan: Plan) -> None:
        """The target's own; returns once the other side has accepted it."""
        self.shipped.apply(plan)
        self.accepted[plan.intent.target] = time.monotonic()

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        return self.shipped.survey(keys)

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        return self.shipped.plan(request)

    def look(self, intent: Intent) -> Sight:
        return self.shipped.look(intent)

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        return self.shipped.check(keys)


class Core:
    """Engine, actor and store over ``folder``, running."""

    def __init__(self, folder: Path, target: Timed) -> None:
        self.store = Store.open(f"sqlite:///{folder}/rollbackd.db", "bench")
        self.target = target
        pause = Pause(folder / "pause")

        def outcome(key: str) -> None:
            self.engine.wake(key)

        self.actor = Actor(self.store, {target.kind: target}, pause, lambda: datetime.now(UTC), outcome, lambda: None)
        settings, trouble = Settings(limits=LIMITS), StoreTrouble(self.store, lambda _: None)
        self.engine = Engine(self.store, self.actor, Journalling(self.store, lambda: None), pause, settings, trouble)
        self.engine.mailbox.start()

    def seconds_to_write(self, key: str, good: str, ready: datetime) -> float:
        """What stands at ``key`` is a bad release since ``ready``, after a ``good`` one; the slot that proves it bad, timed."""
        policy = _policy(key)
        with self.store.transaction() as tx:
            tx.mark(key, good, Standing.GOOD, How.DECLARED, self.store.now())
        at = ready + 2 * SECOND  # a moment of the slot, not of the clock: the block of evidence must begin after the release
        self.engine.replace([policy])
        until(lambda: policy.name in self.engine.policies, bool)
        batch = Batch(at, Survey(time.monotonic(), at, self.target.survey([key])), {policy.name: (Counts(at - SECOND, at, 900, 900, 1000, at),)})
        began = time.monotonic()
        self.engine.submit(batch)
        until(lambda: key in self.target.accepted, bool)
        self._close_incident()
        return self.target.accepted[key] - began

    def _close_incident(self) -> None:
        """As a recovery does: what is in flight is never more than a few."""
        (incident,) = self.store.open_incidents()
        until(lambda: self.actor.is_busy(incident.id), lambda busy: not busy)
        with self.store.transaction() as tx:
            tx.record(Closed(incident.id, self.store.now(), CloseHow.RECOVERED, "the bench has seen enough"))

    def close(self) -> None:
        self.actor.close()
        self.engine.mailbox.stop()
        self.store.close()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A kind of cluster to measure on: its name in the figures, and how one is started in a folder."""

    name: str
    start: Callable[[Path], AbstractContextManager[World]]


DOUBLE = Cluster("the double", running_double)
REAL = Cluster("a real API server", lambda folder: running_cluster(folder / "kube"))


def figures(repetitions: int = REPETITIONS) -> list[Figure]:
    """p50 and p99 over so many Deployments, one after the other: on the double, and on a real API server."""
    if reason := missing_assets():
        return [*measured(DOUBLE, repetitions), *(replace(figure, how=reason) for figure in _figures(REAL, None, None, ""))]
    return [*measured(DOUBLE, repetitions), *measured(REAL, repetitions)]


def measured(cluster: Cluster, repetitions: int) -> list[Figure]:
    """p50 and p99 on this cluster."""
    with _core(cluster) as (core, world):
        p50, p99 = percentiles([_seconds(core, world) for _ in range(repetitions)])
    how = f"a breaching slot handed to the engine, until the PATCH was answered 200: claim, intent, plan with dry run; {repetitions} in a row"
    return _figures(cluster, p50, p99, how)


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return statistics.median(ordered) * 1000, ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))] * 1000


def _figures(cluster: Cluster, p50: float | None, p99: float | None, how: str) -> list[Figure]:
    what = f"proof to accepted write, {cluster.name}"
    return [Figure(f"{what}, p50", p50, "ms", None, how), Figure(f"{what}, p99", p99, "ms", 250, how)]


def _seconds(core: Core, world: World) -> float:
    # A namespace of its own each time: what others left behind is not listed along.
    shipped = core.target.shipped
    assert isinstance(shipped, Kubernetes)
    with stage_in(world, shipped) as stage:
        good = stage.broken(replicas=1)
        return core.seconds_to_write(stage.key, good, _ready(stage))


@contextmanager
def _core(cluster: Cluster) -> Iterator[tuple[Core, World]]:
    with (
        tempfile.TemporaryDirectory() as name,
        cluster.start(Path(name)) as world,
        running_core(Path(name), Kubernetes({"test": ClusterAccess(world.kubeconfig)})) as core,
    ):
        yield core, world


@contextmanager
def running_core(folder: Path, target: Target) -> Iterator[Core]:
    """Engine, actor and store over ``folder``, for this one target."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    core = Core(folder, Timed(target))
    try:
        yield core
    finally:
        core.close()


def _policy(key: str) -> Policy:
    return replace(POLICY, name=key, digest=key, target=key, every=SECOND, timing=TIMING, ladder=(RevertRung(key),))


def _ready(stage: Stage) -> datetime:
    ready = stage.state().ready
    assert ready is not None
    return ready


if __name__ == "__main__":
    for figure in figures(20):
        print(figure)
