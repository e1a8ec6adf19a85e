"""Services of ECS: the way back by the state they are in, and what is sent on it."""

from datetime import timedelta

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import NothingToDo, PlanRequest, Progress, Standing, TargetState
from tests.aws.ecs_double import EcsDouble
from tests.aws.ecs_state import BASE, REGISTRY, Behaviour
from tests.aws.servers import REGION
from tests.aws.stage import SHOP, in_flight, open_stage, open_tagged

GOOD, BAD = f"{BASE}:task-definition/api:1", f"{BASE}:task-definition/api:2"


# --- the way back, by state -------------------------------------------------------------------------------------------------------------------------


def test_a_finished_deployment_is_put_back_by_the_full_arn_and_nothing_else(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    shop.target().apply(plan)
    assert ecs_cloud.writes() == [("UpdateService", {"cluster": "main", "service": "api", "taskDefinition": GOOD})]
    assert plan.command == f"aws ecs update-service --region {REGION} --cluster main --service api --task-definition {GOOD}"
    assert shop.look(plan.intent).standing is Standing.THERE


def test_a_deployment_under_way_is_stopped_with_a_rollback(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    plan = shop.plan()
    shop.target().apply(plan)
    arn = ecs_cloud.cloud.services["api"]["currentServiceDeployment"]
    assert ecs_cloud.writes() == [("StopServiceDeployment", {"serviceDeploymentArn": arn, "stopType": "ROLLBACK"})]
    assert shop.look(plan.intent).standing is Standing.UNDERWAY
    ecs_cloud.cloud.finish("api")
    assert shop.look(plan.intent).standing is Standing.THERE
    assert shop.state().change_id == f"{arn}#rollback"


def test_a_deployment_that_waits_at_a_hook_is_told_to_roll_back(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(pauses=True))
    plan = shop.plan()
    shop.target().apply(plan)
    ((name, said),) = ecs_cloud.writes()
    assert (name, said["action"], said["hookId"][:5]) == ("ContinueServiceDeployment", "ROLLBACK", "hook-")
    assert shop.look(plan.intent).standing is Standing.THERE


def test_a_deployment_under_way_from_what_is_not_good_is_superseded(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.behaviour = Behaviour(holds=True)
    ecs_cloud.cloud.deploy("api", ecs_cloud.cloud.register("api", image=shop.image("v3")))
    ecs_cloud.cloud.behaviour = Behaviour()
    target = shop.target()
    plan = target.plan(PlanRequest(SHOP, "inc-1", "api:3", ("api:1",)))
    assert plan.intent.record["way"] == "update"  # type: ignore[union-attr]


def test_a_deployment_that_ends_between_plan_and_apply_is_put_back_the_other_way(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    plan = shop.plan()
    ecs_cloud.cloud.behaviour = Behaviour()
    ecs_cloud.cloud.finish("api")
    shop.target().apply(plan)
    assert [name for name, _ in ecs_cloud.writes()] == ["UpdateService"]
    assert shop.look(plan.intent).standing is Standing.THERE


def test_what_ecs_rolls_back_itself_is_only_verified(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    ecs_cloud.cloud.roll_back("api", breaker=True, ends=False)
    plan = shop.plan()
    shop.target().apply(plan)
    assert ecs_cloud.writes() == []
    assert plan.steps == ("nothing is sent: its deployment circuit breaker has it rolled back to api:1",)
    assert plan.command.startswith(f"aws ecs describe-service-deployments --region {REGION} --service-deployment-arns arn:aws:ecs:")
    assert shop.look(plan.intent).standing is Standing.UNDERWAY
    ecs_cloud.cloud.finish("api")
    assert shop.look(plan.intent).standing is Standing.THERE
    assert shop.state().writer == "ECS (its deployment circuit breaker)"


def test_what_another_hand_stops_is_waited_for_with_the_exact_command(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    request = shop.request()
    next(each for each in ecs_cloud.cloud.deployments.values() if each["status"] == "IN_PROGRESS")["status"] = "STOP_REQUESTED"
    with pytest.raises(Refused, match=r"by another hand \(STOP_REQUESTED\)") as refused:
        shop.target().plan(request)
    command = f"aws ecs describe-service-deployments --region {REGION} --service-deployment-arns arn:aws:ecs:"
    assert refused.value.advice.startswith(f"Wait for its end: {command}")


def test_a_service_of_codedeploy_is_refused_with_the_exact_command(ecs_cloud: EcsDouble) -> None:
    at = ecs_cloud.cloud.clock
    sets = [
        {"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": GOOD, "externalId": "d-OLD", "createdAt": at},
        {"id": "ecs-svc/2", "status": "ACTIVE", "taskDefinition": BAD, "externalId": "d-NEW", "createdAt": at + timedelta(minutes=1)},
    ]
    shop = open_stage(ecs_cloud, deploymentController={"type": "CODE_DEPLOY"}, taskSets=sets)
    with pytest.raises(Refused, match="deployed by CodeDeploy") as refused:
        shop.target().plan(shop.request())
    assert refused.value.advice == f"By hand: aws deploy stop-deployment --region {REGION} --deployment-id d-NEW --auto-rollback-enabled"
    assert shop.state().change_id == "ecs-svc/1"
    assert "deployed by CodeDeploy" in shop.target().check([SHOP])[0]


def test_a_service_with_task_sets_of_its_own_is_refused_with_the_exact_command(ecs_cloud: EcsDouble) -> None:
    sets = [{"id": "ecs-svc/1", "status": "ACTIVE", "taskDefinition": GOOD, "createdAt": ecs_cloud.cloud.clock}]
    shop = open_stage(ecs_cloud, deploymentController={"type": "EXTERNAL"}, taskSets=sets)
    with pytest.raises(Refused) as refused:
        shop.target().plan(shop.request())
    assert "update-service-primary-task-set --region eu-west-1 --cluster main --service api --primary-task-set ecs-svc/1" in refused.value.advice
    assert isinstance(shop.target().survey([SHOP])[SHOP], Permanent)


# --- what is good, and can still be reached ---------------------------------------------------------------------------------------------------------


def test_a_tag_that_means_another_image_now_is_refused_before_it_is_deployed(ecs_cloud: EcsDouble) -> None:
    shop = open_tagged(ecs_cloud)
    with pytest.raises(Refused, match=r"its tag stands for sha256:\w+ now, and stood for sha256:") as refused:
        shop.target().plan(shop.request())
    assert refused.value.advice.startswith("Put the tag back to sha256:")
    assert any("its tag stands for" in line for line in shop.target().check([SHOP]))


def test_tags_of_their_own_are_gone_back_to_by_digest(ecs_cloud: EcsDouble) -> None:
    shop = open_tagged(ecs_cloud, "own")
    assert shop.good.startswith("api:1@")
    plan = shop.plan()
    shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.THERE
    assert shop.state().revision == shop.good


def test_an_image_that_is_gone_is_refused_and_found_before_the_incident(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.images["api"].clear()
    with pytest.raises(Refused, match="is gone from the repository"):
        shop.target().plan(shop.request())
    found = shop.target().check([SHOP])
    assert [line.partition(": container")[0] for line in found] == [
        f"{SHOP}: what runs now could not be come back to",
        f"{SHOP}: the way back to api:1 is not sound",
    ]


def test_a_definition_out_of_use_is_refused_unless_the_config_allows_a_copy(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.definitions[GOOD]["status"] = "INACTIVE"
    with pytest.raises(Refused, match="api:1 is INACTIVE") as refused:
        shop.target().plan(shop.request())
    assert refused.value.advice.startswith("Set accounts.prod.reregister: true, or register api:1 by hand")
    assert refused.value.advice.endswith("--task-definition ARN_OF_THE_COPY"), "ECS refuses the one that is out of use"
    assert any("task definition api:1 is INACTIVE" in line for line in shop.target().check([SHOP]))


def test_a_copy_is_registered_once_and_goes_by_the_name_of_the_original(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.definitions[GOOD]["status"] = "INACTIVE"
    target = shop.target(registers=True)
    plan = shop.plan(target)
    assert plan.steps[:2] == ("register a copy of task definition api:1, which is out of use", "deploy the copy")
    assert plan.command == (
        f"register api:1 by hand from: aws ecs describe-task-definition --region {REGION} --task-definition api:1 --query taskDefinition; "
        f"then: aws ecs update-service --region {REGION} --cluster main --service api --task-definition ARN_OF_THE_COPY"
    )
    target.apply(plan)
    assert [name for name, _ in ecs_cloud.writes()] == ["RegisterTaskDefinition", "UpdateService"]
    copy = f"{BASE}:task-definition/api:3"
    assert ecs_cloud.cloud.services["api"]["taskDefinition"] == copy
    assert ecs_cloud.cloud.tags[copy] == [{"key": "rollbackd:copy-of", "value": "api:1"}, {"key": "rollbackd:incident", "value": "inc-1"}]
    assert target.look(plan.intent).standing is Standing.THERE
    assert shop.state(target).revision == "api:1"


def test_a_copy_that_was_registered_before_is_found_again(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.definitions[GOOD]["status"] = "INACTIVE"
    copy = ecs_cloud.cloud.register("api", image=shop.image("v1"))
    ecs_cloud.cloud.tags[copy] = [{"key": "rollbackd:copy-of", "value": "api:1"}]
    target = shop.target(registers=True)
    target.apply(shop.plan(target))
    assert [(name, said.get("taskDefinition")) for name, said in ecs_cloud.writes()] == [("UpdateService", copy)]


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        pytest.param(("api:9",), "no known-good revision is left", id="no-such-definition"),
        pytest.param(("api:1@unresolved",), "no known-good revision is left", id="images-never-known"),
        pytest.param((), "known good: none", id="none"),
    ],
)
def test_without_a_known_good_that_can_be_named_exactly_nothing_is_done(ecs_cloud: EcsDouble, candidates: tuple[str, ...], words: str) -> None:
    shop = open_stage(ecs_cloud)
    with pytest.raises(Refused, match=words):
        shop.target().plan(PlanRequest(SHOP, "inc-1", shop.bad, candidates))


def test_a_service_at_its_known_good_has_nothing_to_do(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    assert isinstance(shop.target().plan(shop.request("api:2")), NothingToDo)


def test_a_service_scaled_to_nothing_is_refused(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.services["api"]["desiredCount"] = 0
    with pytest.raises(Refused, match="scaled to 0 tasks"):
        shop.target().plan(shop.request())


def test_the_plan_says_what_differs_and_what_stays(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud, deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5})
    plan = shop.plan()
    assert plan.steps[0] == "deploy task definition api:1"
    assert plan.steps[1].startswith("container app: image ")
    assert any("BLUE_GREEN deployment runs in full again" in line for line in plan.not_undone)
    assert plan.deadline == timedelta(minutes=15)


# --- how it is seen ---------------------------------------------------------------------------------------------------------------------------------


def test_a_change_is_a_service_deployment(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    deployment = ecs_cloud.cloud.deployments[ecs_cloud.cloud.services["api"]["currentServiceDeployment"]]
    state = shop.state()
    assert (state.revision, state.change_id) == ("api:2", deployment["serviceDeploymentArn"])
    assert state.started is not None
    assert state.started.early == state.started.late == deployment["createdAt"]
    assert (state.ready, state.has_readiness, state.stuck, state.writer) == (deployment["finishedAt"], True, None, None)
    assert state.parts["task definition"] == "api:2"


def test_a_hundred_services_are_ten_calls_once_they_are_known(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    for number in range(99):
        ecs_cloud.cloud.create(f"s{number}", GOOD)
    keys = [f"ecs:prod/{REGION}/main/{name}" for name in ecs_cloud.cloud.services]
    target = shop.target()
    first = target.survey(keys)
    assert sum(isinstance(state, TargetState) for state in first.values()) == 100
    assert len(ecs_cloud.asked) == 10 + 5 + 5
    ecs_cloud.asked.clear()
    assert target.survey(keys) == first
    assert [name for name, _ in ecs_cloud.asked] == ["DescribeServices"] * 10


def test_images_that_ecs_has_not_resolved_yet_say_nothing_new(ecs_cloud: EcsDouble) -> None:
    shop = open_tagged(ecs_cloud, "own")
    ecs_cloud.cloud.behaviour = Behaviour(holds=True, unresolved=True)
    ecs_cloud.cloud.deploy("api", ecs_cloud.cloud.register("api", image=f"{REGISTRY}/api:next"))
    assert isinstance(shop.target().survey([SHOP])[SHOP], Transient)


def test_a_release_whose_image_never_came_is_seen_all_the_same(ecs_cloud: EcsDouble) -> None:
    shop = open_tagged(ecs_cloud, "own")
    ecs_cloud.cloud.behaviour = Behaviour(cannot_pull=True, unresolved=True)
    ecs_cloud.cloud.deploy("api", ecs_cloud.cloud.register("api", image=f"{REGISTRY}/api:next"))
    assert shop.state().revision == "api:3@unresolved"


def test_a_release_that_starts_nothing_is_told_at_once_and_is_no_proven_fault_while_ecs_tries_on(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(starves=True))
    state = shop.state()
    assert state.stuck == "(service api) was unable to place a task: no capacity"
    assert state.progress == Progress(2, 2, f"0 of 2 tasks run, 0 failed: {state.stuck}", overdue=None, allowed=timedelta(minutes=10))


def test_a_deployment_that_ecs_has_given_up_is_overdue(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    ecs_cloud.cloud.deployments[ecs_cloud.cloud.services["api"]["currentServiceDeployment"]] |= {"status": "STOPPED", "statusReason": "by hand"}
    state = shop.state()
    assert state.progress is not None
    assert (state.progress.overdue, state.progress.unfinished) == ("the service deployment ended as STOPPED: by hand", None)
    assert state.stuck == state.progress.overdue


def test_a_rollout_under_way_is_unfinished_and_a_finished_one_is_not(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    done = shop.state().progress
    assert done is not None
    assert (done.unfinished, done.overdue) == (None, None)
    ecs_cloud.cloud.behaviour = Behaviour(holds=True)
    ecs_cloud.cloud.deploy("api", ecs_cloud.cloud.register("api", image=f"{REGISTRY}/api:next"))
    held = shop.state().progress
    assert held is not None
    assert held.unfinished == f"0 of {done.wanted} tasks run, 0 failed"


def test_a_service_without_a_current_deployment_has_its_newest_listed(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    arn = ecs_cloud.cloud.services["api"].pop("currentServiceDeployment")
    target = shop.target()
    assert shop.state(target).change_id == arn
    ecs_cloud.asked.clear()
    shop.state(target)
    assert [name for name, _ in ecs_cloud.asked] == ["DescribeServices"]


def test_a_service_that_is_gone_or_going_is_an_error(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.services["api"]["status"] = "DRAINING"
    found = shop.target().survey([SHOP, f"{SHOP}2"])
    assert [str(found[key]) for key in (SHOP, f"{SHOP}2") if isinstance(found[key], AdapterError)] == [
        f"service api of cluster main (prod, {REGION}) is DRAINING: it is on its way out, or out. Nothing can be put back there.",
        f"service api2 of cluster main (prod, {REGION}) does not exist.",
    ]


def test_other_images_of_the_same_definition_are_not_started_by_force(ecs_cloud: EcsDouble) -> None:
    shop = open_tagged(ecs_cloud)
    definition = ecs_cloud.cloud.services["api"]["taskDefinition"]
    ecs_cloud.cloud.push("api", "v3", "prod")
    ecs_cloud.cloud.deploy("api", definition)
    worse = shop.state().revision
    with pytest.raises(Refused, match="has the same task definition api:2 as what runs") as refused:
        shop.target().plan(PlanRequest(SHOP, "inc-1", worse, (shop.bad,)))
    assert refused.value.advice.endswith("--force-new-deployment")


def test_a_task_whose_health_check_has_not_answered_is_not_well(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.cloud.definitions[GOOD]["containerDefinitions"][0]["healthCheck"] = {"command": ["CMD", "true"]}
    shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.UNDERWAY


def test_a_service_named_after_a_rollback_is_seen_as_any_other(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.create("rollback-api", GOOD)
    ecs_cloud.cloud.deploy("rollback-api", BAD)
    plan = shop.target().plan(PlanRequest(f"ecs:prod/{REGION}/main/rollback-api", "inc-1", "api:2", ("api:1",)))
    assert not isinstance(plan, NothingToDo)
    assert shop.look(plan.intent).standing is Standing.BEFORE


def test_a_release_under_way_is_ready_when_it_was_first_seen_to_run(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    target = shop.target()
    assert shop.state(target).ready is None
    primary = ecs_cloud.cloud.services["api"]["deployments"][0]
    primary |= {"runningCount": 1, "updatedAt": (first := ecs_cloud.cloud.tick())}
    assert shop.state(target).ready == first
    primary["updatedAt"] = ecs_cloud.cloud.tick()
    assert shop.state(target).ready == first
