"""How long a revert of a Deployment may take: as Kubernetes may replace its pods. Tables of judgements, no server."""

from datetime import timedelta
from typing import Any

import pytest

from rollbackd.adapters.kubernetes.deadline import deadline


def rolling(surge: int | str, unavailable: int | str) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def allowed(**spec: Any) -> timedelta:
    return deadline({"spec": {"progressDeadlineSeconds": 600, **spec}})


@pytest.mark.parametrize(
    ("replicas", "strategy", "count"),
    [
        pytest.param(1, rolling("25%", "25%"), 1, id="one-pod"),
        pytest.param(2, rolling("25%", "25%"), 2, id="of-two-one-above-and-none-below"),
        pytest.param(3, rolling("25%", "25%"), 3, id="of-three-too"),
        pytest.param(4, rolling("25%", "25%"), 2, id="of-four-one-above-and-one-below"),
        pytest.param(10, {}, 2, id="as-kubernetes-does-where-nothing-is-said"),
        pytest.param(15, rolling(1, 0), 15, id="one-by-one"),
        pytest.param(10, rolling(2, 1), 4, id="two-above-and-one-below"),
        pytest.param(10, rolling("1%", "19%"), 5, id="above-is-rounded-up-and-below-is-rounded-down"),
        pytest.param(3, rolling(0, "1%"), 3, id="one-where-rounding-leaves-none"),
        pytest.param(10, rolling("100%", 0), 1, id="all-at-once"),
        pytest.param(10, rolling(0, 50), 1, id="more-than-there-are"),
        pytest.param(10, {"type": "Recreate"}, 1, id="recreate-starts-them-all"),
    ],
)
def test_each_batch_of_pods_has_the_progress_deadline(replicas: int, strategy: dict[str, Any], count: int) -> None:
    assert allowed(replicas=replicas, strategy=strategy) == timedelta(minutes=10) * count + timedelta(seconds=30)


def test_a_revert_of_many_batches_is_never_waited_for_longer_than_three_hours() -> None:
    assert allowed(replicas=500, strategy=rolling(1, 0)) == timedelta(hours=3, seconds=30)


def test_a_progress_deadline_beyond_three_hours_is_left_to_kubernetes_but_counts_once() -> None:
    assert allowed(replicas=500, strategy=rolling(1, 0), progressDeadlineSeconds=4 * 3600) == timedelta(hours=4, seconds=30)


@pytest.mark.parametrize("seconds", [None, 2147483647])
def test_without_a_progress_deadline_ten_minutes_hold_for_each_batch(seconds: int | None) -> None:
    assert allowed(replicas=4, strategy=rolling(1, 0), progressDeadlineSeconds=seconds) == timedelta(minutes=40)
