"""A watch is longer than what has to be seen after a change before anything can be proven: how long that is, the judge says."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest

from rollbackd.policies.judge.verdict import State, judge
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Absence, Counts, Events, Flow, Reading, Told
from rollbackd.policies.resolve.watch import proves_after
from tests.policies.literals import MINUTE, SECOND, T0, counts, level

HEAD = "apiVersion: rollbackd/v1\nkind: RollbackPolicy\nmetadata: {name: checkout}\nspec:\n"
SHOP = "  target: {kubernetes: {namespace: shop, deployment: checkout}}\n  match: {app: checkout}\n"
WINDOW = 6 * MINUTE


def loaded(entry: str, *more: str) -> tuple[Sequence[Policy], list[str]]:
    text = HEAD + SHOP + f"  rollback_when: [{entry}]\n" + "".join(f"  {line}\n" for line in more)
    found = load_policies({"shop.yaml": text})
    return found.policies, [str(fault) for fault in found.faults]


def condition_of(entry: str) -> Condition:
    (policy,), faults = loaded(entry, "every: 1m", "max_false_rollback: none")
    assert not faults
    return policy.conditions[0]


def events(at: datetime, count: float) -> Events:
    return Events(at - MINUTE, at, count, at)


KINDS = [
    pytest.param("{use: error-rate}", lambda at: counts(at, 600, 600), MINUTE, id="ratio"),
    pytest.param("{use: p95-latency}", lambda at: Counts(at - MINUTE, at, 600, 600, 600, at, 1.0, 2.0), MINUTE, id="latency"),
    pytest.param("{name: c, count: n_total, over: 6m, above: 5}", lambda at: events(at, 600), MINUTE, id="too-many-events"),
    pytest.param("{name: c, count: n_total, over: 6m, below: 5}", lambda at: events(at, 0), WINDOW, id="too-few-events"),
    pytest.param("{name: c, count: n_total, over: 6m, outside: [5, 9]}", lambda at: events(at, 0), WINDOW, id="too-few-events-of-a-range"),
    pytest.param("{name: c, rate: n_total, over: 6m, above: 1/s}", lambda at: events(at, 600), WINDOW, id="rate-above"),
    pytest.param("{name: c, rate: n_total, over: 6m, below: 1/s}", lambda at: events(at, 0), WINDOW, id="rate-below"),
    pytest.param("{use: traffic-drop, with: {over: 6m}}", lambda at: Flow(at - WINDOW, at, 0, at, before=9.0), WINDOW, id="traffic"),
    pytest.param(
        "{use: vanished-metric, with: {over: 6m}}", lambda at: Absence(at, T0 - MINUTE, 60, 60, 9.0, "others have it", MINUTE), WINDOW, id="vanished"
    ),
    pytest.param("{name: c, promql: 'increase(n_total[6m])', above: 5}", lambda at: level(at, 600), WINDOW, id="expression-with-a-range"),
    pytest.param("{name: c, promql: n, over: 6m, above: 5}", lambda at: level(at, 600), 0 * MINUTE, id="expression"),
    pytest.param("{name: c, gauge: n, over: 6m, above: 5}", lambda at: level(at, 600), 0 * MINUTE, id="gauge"),
    pytest.param("{name: c, probe: {port: 80}, over: 6m, above: 5%}", lambda at: level(at, 1.0), 0 * MINUTE, id="probe"),
    pytest.param("{use: stuck-rollout}", lambda at: Told(at, is_bad=True, said="past its deadline"), 0 * MINUTE, id="rollout"),
]


@pytest.mark.parametrize(("entry", "worst", "soonest"), KINDS)
def test_nothing_is_proven_before_what_the_kind_waits_for(entry: str, worst: Callable[[datetime], Reading], soonest: timedelta) -> None:
    condition, readings = condition_of(entry), []
    for at in [T0 + minutes * MINUTE for minutes in range(-10, 11)]:
        readings.append(worst(at))
        if at >= T0 and judge(condition, readings, T0, None, at).state is State.BREACH:
            assert at - T0 == soonest == proves_after(condition, MINUTE)
            return
    pytest.fail("never a breach")


@pytest.mark.parametrize(("entry", "worst", "soonest"), KINDS)
def test_a_watch_has_to_be_longer_than_that(entry: str, worst: Callable[[datetime], Reading], soonest: timedelta) -> None:
    for watch, is_sound in ((soonest, False), (soonest + SECOND, True)) if soonest else ((SECOND, True),):
        _, faults = loaded(entry, "every: 1m", "timing: {warmup: 0s}", f"watch: {watch.seconds}s")
        assert (not faults) is is_sound


def test_the_warm_up_is_waited_for_by_every_kind() -> None:
    for watch, is_sound in (("1m", False), ("61s", True)):
        _, faults = loaded("{name: c, gauge: n, above: 5}", f"watch: {watch}")
        assert (not faults) is is_sound


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(("watch: always", "timing: {warmup: 2h}"), id="always"),
        pytest.param(("watch: 1m",), id="every-condition-has-its-own"),
    ],
)
def test_a_watch_that_nothing_ends_with_is_no_fault(more: tuple[str, ...]) -> None:
    mine = "" if more[0] == "watch: always" else ", watch: 2h"
    _, faults = loaded(f"{{name: c, rate: n_total, over: 1h, below: 1/s{mine}}}", *more)
    assert faults == []


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        pytest.param("{name: c, rate: n_total, over: 1h, below: 1/s}", "watch: 2hours", id="the-watch"),
        pytest.param("{name: c, rate: n_total, over: 1h, below: 1/s, watch: 2hours}", "every: 15s", id="the-condition-s-watch"),
        pytest.param("{name: c, rate: n_total, over: 4sec, below: 1/s}", "watch: 2m", id="the-window"),
        pytest.param("{name: c, gauge: n, above: 1}", "watch: 30s\n  timing: {warmup: 5}", id="the-warm-up"),
    ],
)
def test_what_is_malformed_is_taken_for_nothing_else(entry: str, more: str) -> None:
    _, faults = loaded(entry, more)
    assert len(faults) == 1
    assert "expected a duration" in faults[0]
