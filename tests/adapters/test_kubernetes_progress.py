"""How far a rollout is, and how long it may have taken so far where its controller keeps no deadline: tables of judgements, no server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollbackd.adapters.kubernetes.progress import progress

T0 = datetime(2026, 11, 28, 12, tzinfo=UTC)
ONE_BY_ONE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
NO_DEADLINE = 2147483647


def allowed(wanted: int, updated: int, there: int, new: int, *, seen: bool = False, deadline: int | None = NO_DEADLINE) -> timedelta | None:
    """Of a Deployment with so many pods updated and there, and so many of the new ones ready. ``seen``: one of those was seen ready."""
    spec = {"replicas": wanted, "strategy": ONE_BY_ONE, **({} if deadline is None else {"progressDeadlineSeconds": deadline})}
    status = {"updatedReplicas": updated, "replicas": there, "readyReplicas": there - updated + new}
    current: dict[str, Any] = {"status": {"readyReplicas": new} if new else {}}
    return progress({"spec": spec, "status": status}, current, T0 if seen else None).allowed


@pytest.mark.parametrize("deadline", [NO_DEADLINE, None])
@pytest.mark.parametrize(("new", "minutes"), [(0, 10), (1, 20), (5, 60)])
def test_without_a_deadline_each_batch_of_new_pods_has_ten_minutes(new: int, minutes: int, deadline: int | None) -> None:
    assert allowed(6, new + 1, 7, new, seen=new > 0, deadline=deadline) == timedelta(minutes=minutes)


def test_many_batches_have_three_hours_in_all() -> None:
    assert allowed(100, 60, 101, 59, seen=True) == timedelta(hours=3)


def test_a_deadline_of_its_own_is_kept_by_its_controller() -> None:
    assert allowed(6, 1, 7, 0, deadline=600) is None


@pytest.mark.parametrize(
    ("wanted", "updated", "there", "new"),
    [
        pytest.param(6, 6, 6, 6, id="complete"),
        pytest.param(6, 6, 6, 5, id="a-pod-was-evicted-later"),
        pytest.param(9, 7, 7, 6, id="it-grows-later"),
        pytest.param(6, 6, 6, 0, id="all-pods-were-lost-later"),
    ],
)
def test_what_is_missing_once_the_rollout_was_over_is_no_stuck_rollout(wanted: int, updated: int, there: int, new: int) -> None:
    assert allowed(wanted, updated, there, new, seen=True) is None


def test_a_rollout_of_which_no_pod_was_ever_ready_is_not_over() -> None:
    assert allowed(3, 3, 3, 0) == timedelta(minutes=10)


def test_a_deployment_without_its_replicaset_has_the_time_of_the_first_batch() -> None:
    assert progress({"spec": {"replicas": 3}}, None, None).allowed == timedelta(minutes=10)
