"""Many workloads with one policy each and four signals: their healthy past as OpenMetrics, their policies, and how their targets stand."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rollbackd.adapters.base.target import Interval, TargetState
from rollbackd.controller.observe.changes import Survey
from rollbackd.policies.model.policy import Condition, Group, Leaf, Limit, Policy, RevertRung
from rollbackd.policies.model.signals import Count, Gauge, Identity, Latency, Matcher, Ratio, Selector
from tests.adapters.openmetrics import START
from tests.policies.literals import ERRORS, POLICY

LAST = 600
"""The past ends so many seconds after ``START``."""
SLOTS = 5
"""Live slots; those before them are the past that fills the windows."""
EVERY = timedelta(seconds=15)
AT = datetime.fromtimestamp(START + LAST, UTC)
BOUNDS = ("0.5", "1.0", "2.0", "5.0", "+Inf")


def names(count: int) -> list[str]:
    return [f"service-{i:05d}" for i in range(count)]


def slots() -> list[datetime]:
    """The live slots, oldest first."""
    return [AT - i * EVERY for i in reversed(range(SLOTS))]


def history(count: int, seconds: int = 480) -> str:
    """The last ``seconds`` of all the workloads: 0.5 % errors, 1 % slow, memory at half its limit; each scraped every 15 s at its own moment."""
    return "\n".join(_lines(count, LAST - seconds)) + "\n# EOF\n"


def _lines(count: int, first: int) -> Iterator[str]:
    # A metric with its labels, and its value after so many seconds.
    shapes: tuple[tuple[str, str, float, float], ...] = (
        ("db_errors_total", "", 3, 0),
        ("limit_bytes", "", 1e9, 0),
        ("memory_bytes", "", 5e8, 0),
        ("requests_total", ',code="200"', 0, 9.95),
        ("requests_total", ',code="500"', 0, 0.05),
        *(("seconds_bucket", f',le="{bound}"', 0, 9.9 if float(bound) < 2 else 10) for bound in BOUNDS),
    )
    for metric, labels, constant, per_second in shapes:  # OpenMetrics wants a metric's lines together
        for index, app in enumerate(names(count)):
            for second in range(first, LAST, 15):
                moment = second + index % 15_000 / 1000
                yield f'{metric}{{app="{app}"{labels}}} {constant + per_second * moment:.4f} {START + moment:.3f}'


def policies(count: int) -> list[Policy]:
    """One policy a workload: the four triggers, spelt out."""
    return [_policy(app) for app in names(count)]


def _policy(app: str) -> Policy:
    identity = Identity(("app",), (app,))
    errors = replace(ERRORS, signal=Ratio(Selector("requests_total", (Matcher("code", "=~", "5.."),)), Selector("requests_total")), identity=identity)
    slow = replace(ERRORS, name="p95-latency", signal=Latency(Selector("seconds"), 0.95, 2.0), min_volume=200, identity=identity)
    share = Gauge(Selector("memory_bytes"), Selector("limit_bytes"))
    memory = replace(ERRORS, name="memory", signal=share, limit=Limit(high=0.95, unit="%"), min_volume=0, identity=identity)
    events = Count(Selector("db_errors_total"))
    failures = replace(ERRORS, name="database-failures", signal=events, limit=Limit(high=10), identity=identity)
    conditions: tuple[Condition, ...] = (errors, slow, memory, failures)
    target = f"kubernetes:default/shop/deployment/{app}"
    trigger = Group(tuple(Leaf(i) for i in range(4)), 1)
    return replace(POLICY, name=app, digest=app, target=target, every=EVERY, conditions=conditions, trigger=trigger, ladder=(RevertRung(target),))


def survey(every: Sequence[Policy], began: float, at: datetime) -> Survey:
    """All of them were released half an hour ago: every watch window is open, and every window of evidence can be full."""
    started = AT - timedelta(minutes=30)
    states = {p.target: TargetState(p.target, "r2", f"{p.name}:2", Interval(started, started), started, has_readiness=True) for p in every}
    return Survey(began, at, states)
