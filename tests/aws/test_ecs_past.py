"""Services of ECS whose past is long: revisions that ECS has forgotten, history of several pages, copies of copies."""

from datetime import timedelta

import pytest

from rollbackd.adapters.base.target import Plan, PlanRequest
from tests.aws.ecs_double import EcsDouble, Fault
from tests.aws.ecs_state import BASE, REGISTRY, Behaviour
from tests.aws.stage import SHOP, Shop, in_flight, open_stage, open_tagged

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


def test_a_copy_of_a_copy_is_registered_once_however_often_the_update_is_throttled(ecs_cloud: EcsDouble) -> None:
    shop, cloud = open_stage(ecs_cloud), ecs_cloud.cloud
    cloud.definitions[GOOD]["status"] = "INACTIVE"
    target = shop.target(registers=True)
    target.apply(shop.plan(target))
    cloud.definitions[cloud.services["api"]["taskDefinition"]]["status"] = "INACTIVE"
    cloud.deploy("api", cloud.register("api", image=shop.image("v3")))
    plan = target.plan(PlanRequest(SHOP, "inc-2", "api:4", ("api:1",)))
    assert isinstance(plan, Plan), plan
    ecs_cloud.asked.clear()
    ecs_cloud.faults.append(Fault("UpdateService", code="ThrottlingException", times=2))
    target.apply(plan)
    assert [name for name, _ in ecs_cloud.writes()] == ["RegisterTaskDefinition", *["UpdateService"] * 3]
    assert cloud.tags[f"{BASE}:task-definition/api:5"][0] == {"key": "rollbackd:copy-of", "value": "api:1"}


@pytest.mark.parametrize(("order", "pages"), [pytest.param(1, 2, id="oldest-first"), pytest.param(-1, 1, id="newest-first")])
def test_the_newest_deployments_are_found_in_whatever_order_they_are_listed(ecs_cloud: EcsDouble, order: int, pages: int) -> None:
    shop, cloud = open_tagged(ecs_cloud, "own"), ecs_cloud.cloud
    cloud.push("api", "v3", "newest")
    cloud.deploy("api", cloud.register("api", image=f"{REGISTRY}/api:newest"))
    newest = list(cloud.deployments.values())
    older = [{**newest[0], "serviceDeploymentArn": f"{BASE}:old/{age}", "createdAt": cloud.clock - timedelta(days=age)} for age in range(100, 0, -1)]
    forgotten = {"targetServiceRevision": {"arn": f"{BASE}:service-revision/main/api/forgotten"}}
    listed = [*({**each, **forgotten} for each in older), *newest][::order]
    cloud.deployments = {each["serviceDeploymentArn"]: each for each in listed}
    target = shop.target()
    request = PlanRequest(SHOP, "inc-1", shop.state(target).revision, (shop.good,))
    ecs_cloud.asked.clear()
    assert isinstance(target.plan(request), Plan)
    assert [name for name, _ in ecs_cloud.asked].count("ListServiceDeployments") == pages
