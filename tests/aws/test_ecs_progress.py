"""How far a service's rollout is, and how long it may have taken so far: tables of judgements, no server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollbackd.adapters.aws.ecs.progress import progress
from rollbackd.policies.judge.absence import unready_text

T0 = datetime(2026, 11, 28, 12, tzinfo=UTC)
UNDER_WAY = {"serviceDeploymentArn": "arn:sd", "status": "IN_PROGRESS", "createdAt": T0, "targetServiceRevision": {"arn": "arn:sr"}}
ROOM = "(service api) was unable to place a task because no container instance met all of its requirements."


def service(running: int, failed: int = 0, *, desired: int = 20, said: str = "", **more: Any) -> dict[str, Any]:
    """A service whose new deployment has so many tasks that run, and whose old one has the others."""
    new = {"status": "PRIMARY", "desiredCount": desired, "runningCount": running, "failedTasks": failed}
    old = {"status": "ACTIVE", "desiredCount": desired - running, "runningCount": desired - running, "failedTasks": 0}
    events = [{"createdAt": T0 + timedelta(seconds=40), "message": said}] if said else []
    return {"desiredCount": desired, "runningCount": desired, "deployments": [new, old], "events": events, **more}


def rolling(most: int, least: int) -> dict[str, Any]:
    return {"deploymentConfiguration": {"maximumPercent": most, "minimumHealthyPercent": least}}


@pytest.mark.parametrize(
    ("seen", "minutes"),
    [
        pytest.param(service(0), 10, id="nothing-runs"),
        pytest.param(service(0, 40), 10, id="nothing-runs-and-all-failed"),
        pytest.param(service(0, **rolling(125, 100), healthCheckGracePeriodSeconds=120), 12, id="the-grace-of-the-first-batch"),
        pytest.param(service(5, 40, **rolling(125, 100)), 20, id="the-second-batch-of-four"),
        pytest.param(service(9, 40, **rolling(125, 100)), 20, id="still-the-second"),
        pytest.param(service(15, 40, **rolling(125, 100)), 40, id="the-last"),
        pytest.param(service(15, 40, **rolling(125, 100), healthCheckGracePeriodSeconds=120), 48, id="the-grace-of-each-batch"),
        pytest.param(service(12), 130, id="where-there-is-room-for-one-more-each-task-is-a-batch"),
        pytest.param(service(12, 10), 30, id="one-that-failed-takes-back-one-that-runs"),
        pytest.param(service(12, 40), 10, id="what-crashes-over-and-over-does-not-come-on"),
        pytest.param(service(90, desired=100), 180, id="never-longer-than-three-hours"),
        pytest.param(
            service(0, deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5}), 15, id="blue-green-starts-them-all-and-bakes"
        ),
    ],
)
def test_a_rollout_that_comes_on_batch_by_batch_may_take_ten_minutes_for_each(seen: dict[str, Any], minutes: int) -> None:
    assert progress(seen, UNDER_WAY).allowed == timedelta(minutes=minutes)


def test_what_serves_is_counted_of_all_deployments_and_what_is_missing_of_the_new_one() -> None:
    half_way = progress(service(2), UNDER_WAY)
    assert (half_way.wanted, half_way.ready, half_way.unfinished) == (20, 20, "2 of 20 tasks run, 0 failed")
    assert unready_text(half_way.wanted, half_way.ready) is None


@pytest.mark.parametrize("said", [ROOM, "(service api) is unable to consistently start tasks successfully."])
def test_what_ecs_tries_again_is_told_and_is_no_end(said: str) -> None:
    seen = progress(service(0, said=said), UNDER_WAY)
    assert (seen.unfinished, seen.overdue, seen.allowed) == (f"0 of 20 tasks run, 0 failed: {said}", None, timedelta(minutes=10))


def test_of_the_room_that_was_found_since_nothing_is_told() -> None:
    assert progress(service(1, said=ROOM), UNDER_WAY).unfinished == "1 of 20 tasks run, 0 failed"
