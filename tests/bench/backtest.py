"""A backtest of 30 days at 30 s with four signals and 50 changes, on a real Prometheus whose past was written as blocks."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.backtest.cases import GivenChange
from rollbackd.controller.backtest.run import Asked, Outcome, run
from rollbackd.controller.observe.questions import asks_of
from rollbackd.controller.observe.readings import past_readings
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from tests.adapters.openmetrics import START
from tests.bench.figures import Figure
from tests.servers import prometheus_with_history

EVERY = timedelta(seconds=30)
WEEKS = timedelta(days=30)
POLICY = """apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout}
spec:
  mode: observe
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  every: 30s
  watch: 1h
  metrics: custom
  match: {app: checkout}
  rollback_when:
    - {name: errors, ratio: {bad: 'requests_total{code="500"}', total: requests_total}, above: 5%, for: 1m}
    - {name: slow, latency: {histogram: request_seconds}, quantile: 0.95, above: 1s, for: 1m}
    - {name: database, count: database_failures_total, above: 50, for: 1m}
    - {name: memory, gauge: memory_share, above: 0.95, for: 5m}
  remedy:
    - revert: {to: known-good}
  notify: [oncall]
"""


def figures(length: timedelta = WEEKS, changes: int = 50, sample: int = 50) -> list[Figure]:
    """Queries, seconds, seconds of waiting, and what asking slot by slot would have taken, by a ``sample`` of the slots."""
    (policy,) = load_policies({"checkout.yaml": POLICY}).policies
    since = datetime.fromtimestamp(START, UTC)
    given = [GivenChange(number, policy.target, since + length * (number + 0.5) / changes, revision=f"v{number}") for number in range(changes)]
    with prometheus_with_history("\n".join(_history(length)) + "\n# EOF\n", blocks="486h") as server:
        source = Prometheus("prometheus", server.url, scrape_interval=EVERY, timeout=timedelta(seconds=60))
        outcome = run(Asked((policy,), tuple(given), since + length, since, since + length), lambda _: source, _progress)
        each = _instant(policy, Prometheus("prometheus", server.url, scrape_interval=EVERY), since, length, sample)
    return _told(outcome, each, f"backtest, {length / timedelta(days=1):g} days at 30 s, 4 signals, {changes} changes")


def _told(outcome: Outcome, each: float, what: str) -> list[Figure]:
    waited, alone = outcome.waited.total_seconds(), each * outcome.slots
    return [
        Figure(f"{what}: queries", outcome.queries, "", None, f"requests for {outcome.slots:,} slots"),
        Figure(f"{what}: from start to end", outcome.took.total_seconds(), "s", None, "in the process, verdicts and all"),
        Figure(f"{what}: waiting for Prometheus", waited, "s", None, "until each answer's last byte"),
        Figure(f"{what}: instant queries, of the same slots", alone, "s", None, f"by a sample: {each * 1000:.1f} ms a slot"),
        Figure(f"{what}: instant queries to ranges", alone / max(waited, 1e-9), "times", None, "the budget is at least 100 times"),
    ]


def _instant(policy: Policy, source: Prometheus, since: datetime, length: timedelta, sample: int) -> float:
    """Seconds of waiting for one slot that is asked by itself."""
    asks, before = asks_of(policy, source.block(policy.every)), source.waited
    for number in range(sample):
        past_readings(source, {"": asks}, [since + length * (number + 0.5) / sample])
    return (source.waited - before).total_seconds() / sample


def _history(length: timedelta) -> Iterator[str]:
    """Each family by itself, as OpenMetrics wants it: counters that grow evenly, 100 requests a scrape of which one fails and three are slow."""
    stamps = [(step, START + step * int(EVERY.total_seconds())) for step in range(length // EVERY)]
    began = time.monotonic()
    yield "# TYPE requests counter"
    for code, share in (("200", 99), ("500", 1)):
        yield from (f'requests_total{{app="checkout",code="{code}"}} {step * share} {at}' for step, at in stamps)
    yield "# TYPE request_seconds histogram"
    for step, at in stamps:
        yield from (
            f'request_seconds_bucket{{app="checkout",le="{le}"}} {step * count} {at}' for le, count in (("0.5", 90), ("1.0", 97), ("+Inf", 100))
        )
        yield f'request_seconds_count{{app="checkout"}} {step * 100} {at}'
        yield f'request_seconds_sum{{app="checkout"}} {step * 20} {at}'
    yield "# TYPE database_failures counter"
    yield from (f'database_failures_total{{app="checkout"}} {step // 100} {at}' for step, at in stamps)
    yield "# TYPE memory_share gauge"
    yield from (f'memory_share{{app="checkout"}} {0.5 + 0.1 * (step % 7) / 7:.3f} {at}' for step, at in stamps)
    print(f"  {len(stamps):,} scrapes written in {time.monotonic() - began:.0f} s, promtool makes blocks of them ...", file=sys.stderr, flush=True)


def _progress(done: int, of: int) -> None:
    print(f"  {done:,} of {of:,} slots", file=sys.stderr, flush=True)
