"""Where a service of ECS stands relative to a revert, where ECS itself has a hand in it."""

from dataclasses import replace
from datetime import datetime

import pytest

from rollbackd.adapters.base.target import Plan, PlanRequest, Standing
from tests.aws.ecs_double import EcsDouble
from tests.aws.ecs_state import BASE, Behaviour
from tests.aws.stage import SHOP, Shop, in_flight, open_stage


def rolled_back(double: EcsDouble) -> tuple[Shop, Plan]:
    """The breaker has rolled ``api:3`` back to ``api:2``, and that is to go back to ``api:1``."""
    shop = open_stage(double)
    double.cloud.behaviour = Behaviour(breaks=True)
    double.cloud.deploy("api", double.cloud.register("api", image=shop.image("v3")))
    double.cloud.behaviour = Behaviour()
    plan = shop.target().plan(PlanRequest(SHOP, "inc-1", "api:2", ("api:1",)))
    assert isinstance(plan, Plan)
    return shop, plan


def test_where_ecs_had_rolled_back_itself_a_write_that_never_happened_stands_before(ecs_cloud: EcsDouble) -> None:
    shop, plan = rolled_back(ecs_cloud)
    assert shop.look(plan.intent).standing is Standing.BEFORE


def test_an_intent_from_before_the_change_was_recorded_is_read_as_it_was(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    intent = shop.plan().intent
    former = replace(intent, record={key: value for key, value in intent.record.items() if key != "change"})
    assert shop.look(former).standing is Standing.BEFORE


def test_a_rollback_by_ecs_to_the_same_revision_is_another_change(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.behaviour = Behaviour(holds=True)
    ecs_cloud.cloud.deploy("api", ecs_cloud.cloud.services["api"]["taskDefinition"])
    plan = shop.plan()
    ecs_cloud.cloud.roll_back("api", breaker=True)
    assert shop.look(plan.intent).standing is Standing.ELSEWHERE


def stops(double: EcsDouble, reason: str) -> tuple[Shop, Plan]:
    """The revert is under way, and one of its tasks has stopped for this reason."""
    shop = open_stage(double)
    plan = shop.plan()
    double.cloud.behaviour = Behaviour(holds=True)
    shop.target().apply(plan)
    a_task_stopped(double, reason)
    return shop, plan


def a_task_stopped(double: EcsDouble, reason: str, **moments: datetime) -> None:
    service = double.cloud.services["api"]
    service["deployments"][0]["failedTasks"] = 1
    dead = {"taskArn": f"{BASE}:task/main/dead", "taskDefinitionArn": service["taskDefinition"], "lastStatus": "STOPPED", "containers": []}
    double.cloud.stopped["api"].append({**dead, "stoppedReason": reason, **(moments or {"createdAt": double.cloud.clock})})


PULLS = "CannotPullContainerError: ref pull has been retried 1 time(s): failed to"
STARTS = "ResourceInitializationError: unable to pull secrets or registry auth:"
TOO_MANY = f"{PULLS} copy: httpReadSeeker: failed open: unexpected status code: 429 Too Many Requests"


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(TOO_MANY, id="too-many-requests"),
        pytest.param(f"{PULLS} do request: dial tcp 10.0.0.2:443: i/o timeout", id="no-connection"),
        pytest.param("CannotPullImageManifestError: context deadline exceeded", id="deadline"),
        pytest.param(f"{STARTS} RequestCanceled: request context canceled", id="secrets-not-reached"),
        pytest.param(f"{PULLS} resolve: denied: Your authorization token has expired. Reauthenticate and try again", id="token-expired"),
        pytest.param(f"{PULLS} extract layer: no space left on device", id="another-host-may-have-room"),
    ],
)
def test_a_task_that_could_not_start_this_time_is_waited_for_and_shown(ecs_cloud: EcsDouble, reason: str) -> None:
    shop, plan = stops(ecs_cloud, reason)
    sight = shop.look(plan.intent)
    assert (sight.standing, sight.reason) == (Standing.UNDERWAY, f"IN_PROGRESS: 0 of 2 running; task dead did not start: {reason}")


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(f"{PULLS} resolve reference registry.example/api:1: not found", id="not-found"),
        pytest.param("CannotPullContainerError: manifest unknown: requested image not found", id="manifest-unknown"),
        pytest.param("CannotPullContainerError: pull access denied for api, repository does not exist", id="denied"),
        pytest.param("CannotPullContainerError: no basic auth credentials", id="no-credentials"),
        pytest.param("CannotPullContainerError: no matching manifest for linux/arm64 in the manifest list entries", id="another-platform"),
        pytest.param(f"{STARTS} AccessDeniedException: role is not authorized to perform secretsmanager:GetSecretValue", id="not-authorized"),
        pytest.param(f"{STARTS} ResourceNotFoundException: Secrets Manager can't find the specified secret.", id="no-secret"),
    ],
)
def test_a_task_that_waiting_does_not_mend_ends_the_revert(ecs_cloud: EcsDouble, reason: str) -> None:
    shop, plan = stops(ecs_cloud, reason)
    sight = shop.look(plan.intent)
    assert (sight.standing, sight.reason) == (Standing.FAILED, f"task dead did not start: {reason}")


@pytest.mark.parametrize("since", ["createdAt", "stoppedAt"])
def test_a_task_that_stopped_before_the_revert_does_not_end_it(ecs_cloud: EcsDouble, since: str) -> None:
    shop = open_stage(ecs_cloud)
    plan, before = shop.plan(), ecs_cloud.cloud.tick()
    ecs_cloud.cloud.behaviour = Behaviour(holds=True)
    shop.target().apply(plan)
    a_task_stopped(ecs_cloud, f"{PULLS} resolve reference registry.example/api:1: not found", **{since: before})
    assert shop.look(plan.intent).standing is Standing.UNDERWAY


def test_once_the_breaker_has_triggered_no_task_is_waited_for(ecs_cloud: EcsDouble) -> None:
    shop, plan = stops(ecs_cloud, TOO_MANY)
    deployment = ecs_cloud.cloud.deployments[ecs_cloud.cloud.services["api"]["currentServiceDeployment"]]
    deployment["deploymentCircuitBreaker"]["status"] = "TRIGGERED"
    assert shop.look(plan.intent).standing is Standing.FAILED


def test_the_breaker_of_the_bad_release_does_not_end_the_rollback_that_it_began(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    ecs_cloud.cloud.roll_back("api", breaker=True, ends=False)
    plan = shop.plan()
    a_task_stopped(ecs_cloud, TOO_MANY)
    assert shop.look(plan.intent).standing is Standing.UNDERWAY


BLUE, GREEN = (f"arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/{name}/1" for name in ("blue", "green"))


def between_two_groups(double: EcsDouble) -> tuple[Shop, Plan]:
    """A blue/green service that was put back; its tasks may stand in either group."""
    balancer = {"targetGroupArn": BLUE, "containerName": "app", "containerPort": 80, "advancedConfiguration": {"alternateTargetGroupArn": GREEN}}
    shop = open_stage(double, deploymentConfiguration={"strategy": "BLUE_GREEN"}, loadBalancers=[balancer])
    plan = shop.plan()
    shop.target().apply(plan)
    return shop, plan


@pytest.mark.parametrize("idle", [BLUE, GREEN], ids=["in-the-alternate", "in-the-first"])
def test_a_blue_green_revert_is_complete_in_whichever_group_its_tasks_stand(ecs_cloud: EcsDouble, idle: str) -> None:
    shop, plan = between_two_groups(ecs_cloud)
    ecs_cloud.cloud.idle_groups.add(idle)
    assert shop.look(plan.intent).standing is Standing.THERE


def test_a_blue_green_revert_without_healthy_targets_in_either_group_is_not_complete(ecs_cloud: EcsDouble) -> None:
    shop, plan = between_two_groups(ecs_cloud)
    ecs_cloud.cloud.idle_groups |= {BLUE, GREEN}
    sight = shop.look(plan.intent)
    assert sight.standing is Standing.UNDERWAY
    assert sight.reason.endswith("0 of 2 targets healthy in targetgroup/blue/1 and targetgroup/green/1")


CHECK = {"command": ["CMD", "true"]}
ROUTER = {"name": "log-router", "image": "router", "essential": False}


@pytest.mark.parametrize(
    ("containers", "app", "standing"),
    [
        pytest.param([{"name": "app"}, {**ROUTER, "healthCheck": CHECK}], "UNKNOWN", Standing.THERE, id="only-one-that-is-not-essential-is-checked"),
        pytest.param([{"name": "app", "healthCheck": CHECK}], "UNKNOWN", Standing.UNDERWAY, id="essential-unless-said-otherwise"),
        pytest.param([{"name": "app", "healthCheck": CHECK}, {"name": "proxy"}], "HEALTHY", Standing.THERE, id="an-essential-one-without-a-check"),
    ],
)
def test_the_health_checks_of_essential_containers_count(
    ecs_cloud: EcsDouble, containers: list[dict[str, object]], app: str, standing: Standing
) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    good = ecs_cloud.cloud.revisions[ecs_cloud.cloud.effective(next(iter(ecs_cloud.cloud.deployments)))]["taskDefinition"]
    shop.target().apply(plan)
    ecs_cloud.cloud.definitions[good]["containerDefinitions"] = containers
    ecs_cloud.cloud.health["app"] = app
    assert shop.look(plan.intent).standing is standing
