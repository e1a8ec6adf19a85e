"""Services of ECS whose past is long: revisions that ECS has forgotten, history of several pages, copies of copies."""

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
