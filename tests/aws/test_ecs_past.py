"""Services of ECS whose past is long: revisions that ECS has forgotten, history of several pages, copies of copies."""

import pytest

from rollbackd.adapters.aws.failures import Throttled
from rollbackd.adapters.base.target import Plan, PlanRequest
from tests.aws.ecs_double import EcsDouble, Fault
from tests.aws.ecs_state import BASE, Behaviour
from tests.aws.stage import SHOP, Shop, in_flight, open_stage

GOOD = f"{BASE}:task-definition/api:1"


def forget_the_source(shop: Shop) -> None:
    """ECS has forgotten the revision that the current deployment replaces, and the deployment that brought it: both are older than 90 days."""
    cloud = shop.cloud
    source = cloud.deployments[cloud.services["api"]["currentServiceDeployment"]]["sourceServiceRevisions"][0]["arn"]
    del cloud.revisions[source]
    cloud.deployments = {arn: each for arn, each in cloud.deployments.items() if each["targetServiceRevision"]["arn"] != source}


def test_a_release_that_replaced_a_forgotten_revision_is_put_back_to_its_definition(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    forget_the_source(shop)
    shop.target().apply(shop.plan())
    assert ecs_cloud.writes() == [("UpdateService", {"cluster": "main", "service": "api", "taskDefinition": GOOD})]
    assert shop.target().check([SHOP]) == ()


def test_a_deployment_under_way_from_a_forgotten_revision_is_superseded(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    forget_the_source(shop)
    assert shop.plan().intent.record["way"] == "update"
