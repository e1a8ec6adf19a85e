"""ECS in bad weather: one rollback, never two, and every refusal names its reason and what a person can do."""

import pytest

from rollbackd.adapters.aws.failures import Throttled, WrongAccount
from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import Standing
from tests.aws.ecs_double import EcsDouble, Fault
from tests.aws.ecs_state import BASE, Behaviour
from tests.aws.stage import SHOP, in_flight, open_stage

UPDATE = "UpdateService"


def sent(double: EcsDouble) -> list[str]:
    return [name for name, _ in double.writes()]


def test_a_reply_that_is_lost_after_the_change_leaves_one_change_that_is_found(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.faults.append(Fault(UPDATE, lost="after"))
    with pytest.raises(Transient, match="Whether it was done is unknown"):
        shop.target().apply(plan)
    assert sent(ecs_cloud) == [UPDATE]
    assert shop.look(plan.intent).standing is Standing.THERE
    with pytest.raises(Refused):
        shop.target().apply(plan)
    assert sent(ecs_cloud) == [UPDATE]


def test_a_change_that_never_arrived_stands_before(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.faults.append(Fault(UPDATE, lost="before"))
    with pytest.raises(Transient):
        shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.BEFORE


@pytest.mark.parametrize("code", ["ThrottlingException", "ExpiredTokenException"])
def test_a_change_that_was_not_taken_is_sent_again_only_after_another_look(ecs_cloud: EcsDouble, code: str) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.faults.append(Fault(UPDATE, code, times=1))
    ecs_cloud.asked.clear()
    shop.target().apply(plan)
    order = [name for name, _ in ecs_cloud.asked if name in (UPDATE, "DescribeServices")]
    assert order == ["DescribeServices", UPDATE, "DescribeServices", UPDATE]


def test_a_change_that_is_throttled_for_good_was_not_made(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.faults.append(Fault(UPDATE, "ThrottlingException", times=100))
    with pytest.raises(Throttled, match="Nothing was changed"):
        shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.BEFORE


def test_the_wrong_account_is_refused_before_anything_is_sent(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.cloud.account = "999988887777"
    with pytest.raises(WrongAccount, match="are of account 999988887777"):
        shop.target().apply(plan)
    assert sent(ecs_cloud) == []
    assert "are of account 999988887777" in shop.target().check([SHOP])[0]


@pytest.mark.parametrize("status", ["DRAINING", "INACTIVE"])
def test_a_service_on_its_way_out_is_left_alone(ecs_cloud: EcsDouble, status: str) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.cloud.services["api"]["status"] = status
    with pytest.raises(Permanent, match=f"is {status}"):
        shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.ELSEWHERE
    assert sent(ecs_cloud) == []


def test_a_service_that_was_made_anew_is_another(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.cloud.services["api"]["createdAt"] = ecs_cloud.cloud.tick()
    with pytest.raises(Refused, match="was deleted and made anew"):
        shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.ELSEWHERE


def test_a_definition_that_is_taken_out_of_use_after_the_plan_is_refused(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.cloud.definitions[f"{BASE}:task-definition/api:1"]["status"] = "DELETE_IN_PROGRESS"
    with pytest.raises(Refused, match="is being deleted"):
        shop.target().apply(plan)
    assert sent(ecs_cloud) == []


def test_another_deployment_of_the_same_release_stops_us(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.cloud.deploy("api", f"{BASE}:task-definition/api:2")
    with pytest.raises(Refused, match="another writer has begun a deployment"):
        shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.ELSEWHERE


def test_an_image_that_cannot_be_pulled_fails_fast(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.cloud.behaviour = Behaviour(cannot_pull=True)
    shop.target().apply(plan)
    sight = shop.look(plan.intent)
    assert (sight.standing, "CannotPullContainerError" in sight.reason) == (Standing.FAILED, True)


def test_a_breaker_that_rolls_us_back_is_the_end_of_it(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.cloud.behaviour = Behaviour(breaks=True)
    shop.target().apply(plan)
    sight = shop.look(plan.intent)
    assert sight.standing is Standing.FAILED
    assert sight.reason == "its deployment circuit breaker rolled our revert back to api:2: the circuit breaker was triggered"
    assert len(sent(ecs_cloud)) == 1


def test_a_lack_of_capacity_is_told_in_the_words_of_ecs(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    ecs_cloud.cloud.behaviour = Behaviour(starves=True)
    shop.target().apply(plan)
    sight = shop.look(plan.intent)
    assert (sight.standing, sight.reason) == (
        Standing.UNDERWAY,
        "IN_PROGRESS: 0 of 2 running; (service api) was unable to place a task: no capacity",
    )


def test_a_service_that_ecs_calls_done_is_not_done_before_its_targets_are_healthy(ecs_cloud: EcsDouble) -> None:
    group = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/api/1"
    shop = open_stage(ecs_cloud, loadBalancers=[{"targetGroupArn": group, "containerName": "app", "containerPort": 80}])
    plan = shop.plan()
    ecs_cloud.cloud.unhealthy_targets = True
    shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.UNDERWAY
    ecs_cloud.cloud.unhealthy_targets = False
    assert shop.look(plan.intent).standing is Standing.THERE


def test_tasks_that_run_another_image_than_the_good_one_fail(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    plan = shop.plan()
    shop.target().apply(plan)
    for revision in ecs_cloud.cloud.revisions.values():
        revision["containerImages"][0]["imageDigest"] = "sha256:other"
    sight = shop.look(plan.intent)
    assert (sight.standing, "runs sha256:other and not" in sight.reason) == (Standing.FAILED, True)


def test_a_rollback_by_ecs_between_plan_and_apply_leaves_nothing_to_send(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    plan = shop.plan()
    ecs_cloud.cloud.roll_back("api", breaker=True)
    with pytest.raises(Refused, match="is at api:1 and no longer at api:2"):
        shop.target().apply(plan)
    assert sent(ecs_cloud) == []
    assert shop.look(plan.intent).standing is Standing.THERE


@pytest.mark.parametrize("code", ["ConflictException", "ServiceDeploymentNotFoundException"])
def test_a_deployment_that_ends_as_it_is_stopped_is_given_to_people(ecs_cloud: EcsDouble, code: str) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    plan = shop.plan()
    ecs_cloud.faults.append(Fault("StopServiceDeployment", code, times=1))
    with pytest.raises(Refused, match=r"is no longer one that can be rolled back: .*Nothing was changed") as refused:
        shop.target().apply(plan)
    assert refused.value.advice == "Look at the service; judge what runs now."


def test_a_lost_answer_to_a_stop_is_found_too(ecs_cloud: EcsDouble) -> None:
    shop = in_flight(ecs_cloud, Behaviour(holds=True))
    plan = shop.plan()
    ecs_cloud.faults.append(Fault("StopServiceDeployment", lost="after"))
    with pytest.raises(Transient):
        shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.UNDERWAY
    assert sent(ecs_cloud) == ["StopServiceDeployment"]


def test_a_lost_answer_to_a_registration_leaves_one_copy(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.definitions[f"{BASE}:task-definition/api:1"]["status"] = "INACTIVE"
    target = shop.target(registers=True)
    plan = shop.plan(target)
    ecs_cloud.faults.append(Fault("RegisterTaskDefinition", lost="after"))
    with pytest.raises(Transient):
        target.apply(plan)
    assert target.look(plan.intent).standing is Standing.BEFORE
    target.apply(plan)
    assert sent(ecs_cloud) == ["RegisterTaskDefinition", UPDATE]
    assert target.look(plan.intent).standing is Standing.THERE
