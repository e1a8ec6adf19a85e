"""The double of ECS says nothing that Amazon could not say, and does not tell the lies for which the emulators were left."""

import pytest
from botocore.exceptions import ClientError

from rollbackd.adapters.aws.ecs.calls import ECS, REGISTER_DEFINITION
from rollbackd.adapters.aws.ecs.definitions import ANSWERED_ONLY
from tests.aws.ecs_double import OPERATIONS, EcsDouble
from tests.aws.ecs_model import check, model
from tests.aws.ecs_state import BASE, Behaviour
from tests.aws.servers import hand
from tests.aws.stage import open_stage

OF = {"GetCallerIdentity": "sts", "DescribeImages": "ecr", "DescribeTargetHealth": "elbv2"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_one_of_its_service(name: str) -> None:
    assert name in model(OF.get(name, "ecs")).operation_names


def test_every_call_of_the_adapter_is_answered() -> None:
    assert {call.operation for call in ECS.calls} | {"GetCallerIdentity"} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("name", "answer", "fault"),
    [
        ("DescribeServices", {"services": [{"serviceNmae": "api"}]}, "serviceNmae is not in the service model"),
        ("DescribeServiceDeployments", {"serviceDeployments": [{"status": "DONE"}]}, "DONE is not one of"),
        ("DescribeServices", {"services": [{"desiredCount": "2"}]}, "desiredCount"),
    ],
)
def test_an_answer_that_amazon_could_not_give_is_a_fault_of_the_double(name: str, answer: dict[str, object], fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check("ecs", name, answer)


def test_what_is_stripped_from_a_definition_is_exactly_what_cannot_be_registered() -> None:
    ecs = model("ecs")
    told = set(ecs.operation_model("DescribeTaskDefinition").output_shape.members["taskDefinition"].members)
    taken = set(ecs.operation_model(REGISTER_DEFINITION.operation).input_shape.members)
    assert told - taken == ANSWERED_ONLY


def code(fault: pytest.ExceptionInfo[ClientError]) -> str:
    return str(fault.value.response["Error"]["Code"])


def test_definitions_out_of_use_or_unknown_are_refused(ecs_cloud: EcsDouble) -> None:
    open_stage(ecs_cloud)
    ecs_cloud.cloud.definitions[f"{BASE}:task-definition/api:1"]["status"] = "INACTIVE"
    for number in (1, 99):
        with pytest.raises(ClientError) as fault:
            hand(ecs_cloud.url, "ecs").update_service(cluster="main", service="api", taskDefinition=f"{BASE}:task-definition/api:{number}")
        assert code(fault) == "ClientException"


def test_a_service_of_codedeploy_takes_no_definition(ecs_cloud: EcsDouble) -> None:
    open_stage(ecs_cloud, deploymentController={"type": "CODE_DEPLOY"})
    with pytest.raises(ClientError) as fault:
        hand(ecs_cloud.url, "ecs").update_service(cluster="main", service="api", taskDefinition=f"{BASE}:task-definition/api:1")
    assert code(fault) == "InvalidParameterException"


def test_a_deployment_that_has_ended_cannot_be_stopped_and_one_that_rolls_back_can(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    client = hand(ecs_cloud.url, "ecs")
    with pytest.raises(ClientError) as fault:
        client.stop_service_deployment(serviceDeploymentArn=shop.state().change_id, stopType="ROLLBACK")
    assert code(fault) == "ConflictException"
    ecs_cloud.cloud.behaviour = Behaviour(holds=True)
    arn = ecs_cloud.cloud.deploy("api", ecs_cloud.cloud.register("api", image=shop.image("v3")))
    for _ in range(2):
        assert client.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")["serviceDeploymentArn"] == arn


def test_a_hook_goes_on_unless_it_is_told_otherwise(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.behaviour = Behaviour(pauses=True)
    arn = ecs_cloud.cloud.deploy("api", ecs_cloud.cloud.register("api", image=shop.image("v3")))
    hook = ecs_cloud.cloud.deployments[arn]["lifecycleHookDetails"][0]["hookId"]
    hand(ecs_cloud.url, "ecs").continue_service_deployment(serviceDeploymentArn=arn, hookId=hook)
    assert ecs_cloud.cloud.deployments[arn]["status"] == "SUCCESSFUL"
