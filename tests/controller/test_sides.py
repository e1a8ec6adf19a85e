"""Pods of the old revision beside those of the new: told apart by their names in a real Prometheus, and only while both serve."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.target import Sides, TargetState
from rollbackd.adapters.command import Command
from rollbackd.adapters.command.process import never
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.engine.observation import Observation
from rollbackd.controller.observe.asking import answered
from rollbackd.controller.observe.questions import asks_of
from rollbackd.controller.observe.readings import Observer, readings_at
from rollbackd.controller.observe.sides import beside_old, beside_old_past, told_apart
from rollbackd.controller.observe.survey import Surveyor
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Counts, Reading
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series
from tests.controller.world import World

END = 600
NEW, OLD, OLDER = "checkout-7c6d9f8b5", "checkout-5d4f8c7b9", "checkout-6b7c8d9f4"
SIDES = Sides(NEW, (OLD, OLDER))


def requests(replicaset: str, pod: str, bad: float, good: float) -> list[str]:
    labels = {"namespace": "shop", "app": "checkout", "pod": f"{replicaset}-{pod}"}
    return [
        *series("http_requests_total", {**labels, "code": "500"}, growing(bad, last=END)),
        *series("http_requests_total", {**labels, "code": "200"}, growing(good, last=END)),
    ]


def durations(replicaset: str, pod: str, quick: float, every: float) -> list[str]:
    labels = {"namespace": "shop", "app": "checkout", "pod": f"{replicaset}-{pod}"}
    return [
        *series("http_request_duration_seconds_bucket", {**labels, "le": "2"}, growing(quick, last=END)),
        *series("http_request_duration_seconds_bucket", {**labels, "le": "+Inf"}, growing(every, last=END)),
    ]


HISTORY = document(
    ["# TYPE http_requests counter"],
    requests(NEW, "x7k2p", 2, 2),
    requests(OLD, "b2c4d", 1, 9),
    requests(OLD, "f5g6h", 0, 10),
    requests(OLDER, "j7k8l", 0, 1),
    requests("checkout-web-5d4f8c7b9", "z9x8w", 5, 5),
    ["# TYPE http_request_duration_seconds histogram"],
    durations(NEW, "x7k2p", 1, 4),
    durations(OLD, "b2c4d", 9, 10),
)


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with servers.prometheus_with_history(HISTORY) as server:
        yield Prometheus("prometheus", server.url, delay=timedelta(0))


def policy(when: str, more: str = "") -> Policy:
    text = f"""
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {{name: checkout}}
spec:
  target: {{kubernetes: {{namespace: shop, deployment: checkout}}}}
  {more}
  rollback_when: [{when}]
"""
    (found,) = load_policies({"shop.yaml": text}).policies
    return found


def read(source: Prometheus, watched: Policy, sides: Sides | None = SIDES) -> Reading:
    at = datetime.fromtimestamp(START + END, UTC)
    readings = readings_at(source, lambda _: None, asks_of(watched, source.block(watched.every)), at)
    (found,) = answered(beside_old(watched, readings, source, TargetState(watched.target, "r7", sides=sides), at), source)
    return found


def shown(found: Reading) -> tuple[int, int, int | None, int | None]:
    assert isinstance(found, Counts)
    old = found.old
    return round(found.least), round(found.total), None if old is None else round(old.least), None if old is None else round(old.total)


PLAIN = "{use: error-rate}"
OF_OLD = "{use: error-rate, with: {above: {of_old: 300%, at_least: 1%}}}"
WRITTEN = "{name: e, ratio: {bad: 'http_requests_total{code=\"500\"}', total: http_requests_total}, above: {of_old: 300%, at_least: 1%}}"


@pytest.mark.parametrize(
    ("watched", "expected"),
    [
        pytest.param(policy(PLAIN), (180, 1500, 60, 1260), id="the-workload-beside-its-old-pods"),
        pytest.param(policy(OF_OLD), (120, 240, 60, 1260), id="the-new-pods-beside-the-old"),
        pytest.param(policy(WRITTEN, "match: {app: checkout}"), (120, 240, 60, 1260), id="found-by-match"),
        pytest.param(policy("{use: p95-latency, with: {above: {of_old: 300%, at_least: 2s}}}"), (180, 240, 60, 600), id="a-latency"),
    ],
)
def test_shares_are_told_apart_by_the_names_of_pods(source: Prometheus, watched: Policy, expected: tuple[int, int, int, int]) -> None:
    assert shown(read(source, watched)) == expected


@pytest.mark.parametrize(
    ("watched", "sides"),
    [
        pytest.param(policy(PLAIN), None, id="one-revision-serves"),
        pytest.param(policy(PLAIN), Sides(NEW, ("checkout-9z8y7x6w5",)), id="no-metrics-of-the-old-pods"),
        pytest.param(policy(OF_OLD), Sides("checkout-9z8y7x6w5", (OLD,)), id="none-of-the-new-ones"),
    ],
)
def test_where_they_cannot_be_told_apart_nothing_is_compared(source: Prometheus, watched: Policy, sides: Sides | None) -> None:
    assert shown(read(source, watched, sides)) == (180, 1500, None, None)


@pytest.mark.parametrize("side", [(0.8, 0.8), (0.77, 0.84)], ids=["exact", "by-the-same-bounds"])
def test_a_side_that_has_nothing_in_the_limits_own_bucket_is_compared(side: tuple[float, float]) -> None:
    """The bounds of a native histogram follow the requests: where the limit's bucket is empty the count is exact."""
    watched, at = policy("{use: p95-latency, with: {above: 800ms}}"), datetime.fromtimestamp(START + END, UTC)
    whole, new = (Counts(at, at, 240, 300, total, at, 0.77, 0.84) for total in (1200, 600))
    (found,) = told_apart(watched, (whole,), {0: [new, Counts(at, at, 0, 0, 600, at, *side)]})
    assert shown(found) == (240, 1200, 0, 600)


def test_sides_by_other_bounds_are_not_compared() -> None:
    watched, at = policy("{use: p95-latency}"), datetime.fromtimestamp(START + END, UTC)
    whole = Counts(at, at, 240, 300, 1200, at, 1.0, 2.5)
    assert told_apart(watched, (whole,), {0: [whole, Counts(at, at, 0, 0, 600, at, 1.5, 3.0)]}) == (whole,)


class Rolling(Command):
    """A kind of target of which pods of two revisions serve."""

    kind = "kubernetes"

    def ask(self, key, is_over=never):
        return TargetState(key, "r7", sides=SIDES)


def test_the_daemon_asks_while_both_serve(source: Prometheus, tmp_path: Path) -> None:
    watched = policy(PLAIN)
    world = World(tmp_path, watched)
    observer, surveyor = Observer({"prometheus": source}, lambda _: None), Surveyor({"kubernetes": Rolling({})})
    observation = Observation(world.engine, observer, surveyor)
    (found,) = observation.batch([watched], [watched], datetime.fromtimestamp(START + END, UTC)).readings["checkout"]
    assert shown(found) == (180, 1500, 60, 1260)
    observation.close()
    world.close()


def test_past_slots_are_told_apart_as_they_were_then(source: Prometheus) -> None:
    """By ranges, once the old pods are gone: what instants told while they served."""
    watched, end = policy(PLAIN), datetime.fromtimestamp(START + END, UTC)
    slots = [end - index * watched.every for index in range(4, -1, -1)]
    asks = asks_of(watched, source.block(watched.every))
    past = [(at, readings_at(source, lambda _: None, asks, at)) for at in slots]
    then = [answered(beside_old(watched, readings, source, TargetState(watched.target, "r7", sides=SIDES), at), source) for at, readings in past]
    gone = TargetState(watched.target, "r7", past_sides=SIDES)
    found = beside_old_past(watched, past, source, gone, slots[0] - watched.every)
    assert [readings for _, readings in found] == then
    assert shown(found[-1][1][0]) == (180, 1500, 60, 1260)
    asked = source.asked
    assert beside_old_past(watched, past, source, gone, end) is past  # nothing was out of its limit since then
    assert source.asked == asked


def test_nobody_asks_while_one_revision_serves(source: Prometheus) -> None:
    watched = policy(PLAIN)
    at = datetime.fromtimestamp(START + END, UTC)
    readings = readings_at(source, lambda _: None, asks_of(watched, source.block(watched.every)), at)
    asked = source.asked
    answered(beside_old(watched, readings, source, TargetState(watched.target, "r7"), at), source)
    assert source.asked == asked
