"""How long a revert of a service may take: as ECS may replace its tasks."""

from datetime import timedelta
from typing import Any

import pytest

from tests.aws.ecs_double import EcsDouble
from tests.aws.stage import open_stage


def rolling(most: int, least: int) -> dict[str, Any]:
    return {"maximumPercent": most, "minimumHealthyPercent": least}


@pytest.mark.parametrize(
    ("desired", "configuration", "minutes"),
    [
        pytest.param(10, rolling(200, 100), 10, id="all-at-once"),
        pytest.param(10, {}, 10, id="as-ecs-does-where-nothing-is-said"),
        pytest.param(10, rolling(150, 100), 20, id="five-at-once"),
        pytest.param(10, rolling(100, 70), 40, id="three-at-once-by-stopping-first"),
        pytest.param(10, rolling(120, 90), 40, id="two-more-and-one-less"),
        pytest.param(3, rolling(110, 100), 30, id="not-even-one-is-taken-for-one"),
        pytest.param(4, {**rolling(125, 100), "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5}, 15, id="blue-green-starts-them-all"),
        pytest.param(500, rolling(101, 100), 180, id="never-longer-than-three-hours"),
    ],
)
def test_a_revert_has_ten_minutes_for_each_batch(ecs_cloud: EcsDouble, desired: int, configuration: dict[str, Any], minutes: int) -> None:
    shop = open_stage(ecs_cloud, desiredCount=desired, deploymentConfiguration=configuration)
    assert shop.plan().deadline == timedelta(minutes=minutes)


def test_each_batch_has_its_own_grace_of_health_checks(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud, desiredCount=4, deploymentConfiguration=rolling(100, 50), healthCheckGracePeriodSeconds=120)
    assert shop.plan().deadline == timedelta(minutes=24)
