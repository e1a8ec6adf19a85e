"""What Amazon is asked, how soon a service of ECS is written to once its release is proven bad, and what the adapter holds in memory.

Our doubles of ECS and CloudWatch on loopback, over the shipped adapters and the real SDK: calls are counted where they arrive.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.aws import Aws
from rollbackd.adapters.aws.cloudwatch import CloudWatch
from rollbackd.adapters.aws.cloudwatch.calls import CLOUDWATCH
from rollbackd.adapters.aws.ecs import Ecs
from rollbackd.adapters.base.source import Identity, Increases, Levels, Matcher, Query, RowKey, Selector, Slower
from rollbackd.adapters.base.target import Plan, PlanRequest, Standing, TargetState
from tests.aws.cloudwatch_double import cloudwatch_double
from tests.aws.ecs_double import EcsDouble, ecs_double
from tests.aws.ecs_state import REGISTRY
from tests.aws.servers import ACCOUNT, KEYS, REGION, aws
from tests.bench.figures import Figure
from tests.bench.patch import Core, percentiles, running_core
from tests.bench.start import ERRORS, NOBODY, PAGE, idle, running
from tests.e2e.daemon import policy
from tests.exposition import exposing
from tests.servers import prometheus

FLEETS = (1, 10, 100)
REPETITIONS = 50
MINUTE = timedelta(minutes=1)
AT = datetime(2026, 3, 2, 12, 0, 40, tzinfo=UTC)
BALANCED = Identity(("LoadBalancer", "TargetGroup"))
PLAIN = Identity(("ClusterName", "ServiceName"))


def figures(fleets: Sequence[int] = FLEETS, repetitions: int = REPETITIONS) -> list[Figure]:
    """Calls per evaluation and per rollback of so many services; from proof to accepted write; idle memory."""
    with _keys(), tempfile.TemporaryDirectory() as name:
        found = [figure for count in fleets for figure in calls(count)]
        found += proof(Path(name), repetitions)
        return [*found, Figure("idle RSS, with ecs", _memory(Path(name) / "idle"), "MiB", 150, "VmRSS after ten slots of one policy on the double")]


@contextmanager
def _keys() -> Iterator[None]:
    """The credentials of nobody, and no file of the person at this machine."""
    with pytest.MonkeyPatch.context() as environment:
        nowhere = {"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_EC2_METADATA_DISABLED": "true"}
        for key, value in {**KEYS, **nowhere}.items():
            environment.setenv(key, value)
        yield


# --- calls ------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many services with a good release and then a bad one."""

    double: EcsDouble
    good: str
    bad: str

    def deployed(self, name: str) -> str:
        """The target key of a service that runs the bad release."""
        self.double.cloud.create(name, self.good)
        self.double.cloud.deploy(name, self.bad)
        return f"ecs:prod/{REGION}/main/{name}"


def _fleet(double: EcsDouble) -> Fleet:
    double.cloud.clock = datetime.now(UTC)  # what is judged is judged by the wall's clock
    good, bad = (double.cloud.register("api", image=f"{REGISTRY}/api@{double.cloud.push('api', content)}") for content in ("v1", "v2"))
    return Fleet(double, good, bad)


def calls(count: int) -> list[Figure]:
    """What is asked of Amazon for so many services."""
    with ecs_double() as double:
        fleet = _fleet(double)
        keys = [fleet.deployed(f"service-{number}") for number in range(count)]
        target = Ecs(aws(double.url))
        first, later = (_asked(double, lambda: target.survey(keys)) for _ in range(2))
        rolled = _asked(double, lambda: [_put_back(target, key) for key in keys])
    what, how = f"{count} services of ECS", "calls that arrived at the double, GetCallerIdentity included"
    return [
        Figure(f"{what}: calls of the first evaluation", first, "", None, f"survey; {how}"),
        Figure(f"{what}: calls of any other", later, "", None, f"survey of what did not change; {how}"),
        Figure(f"{what}: calls of all rollbacks", rolled, "", None, f"survey, plan, apply and look, each service by itself; {how}"),
        *_metrics(count),
    ]


def _asked(double: EcsDouble, work: Callable[[], object]) -> int:
    double.asked.clear()
    work()
    return len(double.asked)


def _put_back(target: Ecs, key: str) -> None:
    state = target.survey([key])[key]
    assert isinstance(state, TargetState)
    plan = target.plan(PlanRequest(key, "bench", state.revision, ("api:1",)))
    assert isinstance(plan, Plan)
    target.apply(plan)
    assert target.look(plan.intent).standing is Standing.THERE


def _metrics(count: int) -> list[Figure]:
    """The library's four triggers, as the profiles of load balancers and of ECS ask them."""
    with cloudwatch_double() as double:
        source = CloudWatch("bench", aws(double.url).caller("prod", REGION, CLOUDWATCH, asker="bench"), lambda keys, names, at: {})
        for query in _questions(count):
            source.read(query, AT)
        what, how = (
            f"{count} services by CloudWatch",
            "errors, slow requests, memory and CPU of one period; further evaluations in it ask nothing",
        )
        return [
            Figure(f"{what}: GetMetricData a minute", source.asked, "", None, how),
            Figure(f"{what}: metrics a minute", source.metrics_asked, "", None, f"what Amazon takes money for; {how}"),
        ]


def _questions(count: int) -> list[Query]:
    behind: frozenset[RowKey] = frozenset((f"app/{number}/1", f"targetgroup/{number}/2") for number in range(count))
    own: frozenset[RowKey] = frozenset(("main", f"service-{number}") for number in range(count))
    parts = (("bad", _metric("HTTPCode_Target_5XX_Count", missing="0")), ("total", _metric("RequestCount")))
    levels = (_metric(f"{name}Utilization", "AWS/ECS", stat="Maximum") for name in ("Memory", "CPU"))
    return [
        Increases(parts, MINUTE, BALANCED, behind),
        Slower(_metric("TargetResponseTime"), 2.0, MINUTE, BALANCED, behind),
        *(Levels(value, Selector("percent"), "max", PLAIN, own) for value in levels),
    ]


def _metric(name: str, namespace: str = "AWS/ApplicationELB", **words: str) -> Selector:
    return Selector(name, (Matcher("namespace", "=", namespace), *(Matcher(key, "=", value) for key, value in words.items())))


# --- time and memory --------------------------------------------------------------------------------------------------------------------------


def proof(folder: Path, repetitions: int) -> list[Figure]:
    """p50 and p99 over so many services, one after the other."""
    with ecs_double() as double:
        fleet, entered = _fleet(double), aws(double.url)
        with running_core(folder, Ecs(entered)) as core:
            p50, p99 = percentiles([_seconds(core, fleet, f"service-{number}", entered) for number in range(repetitions)])
    what = "proof to accepted write, ECS"
    how = f"a breaching slot handed to the engine, until UpdateService was answered: claim, intent, plan, two looks; {repetitions} in a row"
    return [Figure(f"{what}, p50", p50, "ms", None, how), Figure(f"{what}, p99", p99, "ms", None, how)]


def _seconds(core: Core, fleet: Fleet, name: str, entered: Aws) -> float:
    key = fleet.deployed(name)
    state = Ecs(entered).survey([key])[key]
    assert isinstance(state, TargetState)
    assert state.ready is not None
    return core.seconds_to_write(key, "api:1", state.ready)


def _memory(folder: Path) -> float:
    with ecs_double() as double, exposing(PAGE) as page, prometheus(page.address) as server:
        _fleet(double).deployed("api")
        account = {"id": ACCOUNT, "regions": [REGION], "endpoint": double.url}
        source = {"prometheus": {"url": server.url, "scrape_interval": "1s"}}
        target = {"ecs": {"cluster": "main", "service": "api"}}
        written = policy("shop", target, ERRORS, metrics="custom", match={"app": "shop"}, watch="always")
        with running(folder, {"sources": source, "accounts": {"prod": account}, "contacts": NOBODY}, written) as daemon:
            return idle(daemon)
