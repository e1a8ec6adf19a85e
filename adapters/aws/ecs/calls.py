"""All that the adapter of ECS asks of Amazon. It never sends a desired count, forces no new deployment, and deletes nothing."""

from rollbackd.adapters.aws.calls import Call, Extra, declare

REREGISTER = "reregister"
"""The key of an account in the config that allows task definitions to be registered."""
_SERVICE = "arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/SERVICE"
_DEPLOYMENT = "arn:aws:ecs:REGION:ACCOUNT:service-deployment/CLUSTER/SERVICE/*"
_REVISION = "arn:aws:ecs:REGION:ACCOUNT:service-revision/CLUSTER/SERVICE/*"
_REPOSITORY = "arn:aws:ecr:REGION:ACCOUNT:repository/REPOSITORY"
_CLUSTER = (("ArnEquals", "ecs:cluster", "arn:aws:ecs:REGION:ACCOUNT:cluster/CLUSTER"),)

DESCRIBE_SERVICES = Call("ecs", "DescribeServices", (_SERVICE,))
LIST_DEPLOYMENTS = Call("ecs", "ListServiceDeployments", (_SERVICE,))
DESCRIBE_DEPLOYMENTS = Call("ecs", "DescribeServiceDeployments", (_DEPLOYMENT,))
DESCRIBE_REVISIONS = Call("ecs", "DescribeServiceRevisions", (_REVISION,))
DESCRIBE_DEFINITION = Call("ecs", "DescribeTaskDefinition")
LIST_DEFINITIONS = Call("ecs", "ListTaskDefinitions", opt_in=REREGISTER)
LIST_TASKS = Call("ecs", "ListTasks", conditions=_CLUSTER)
DESCRIBE_TASKS = Call("ecs", "DescribeTasks", ("arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/*",))
DESCRIBE_IMAGES = Call("ecr", "DescribeImages", (_REPOSITORY,))
DESCRIBE_TARGET_HEALTH = Call("elbv2", "DescribeTargetHealth", action="elasticloadbalancing:DescribeTargetHealth")

UPDATE_SERVICE = Call("ecs", "UpdateService", (_SERVICE,), writes=True)
STOP_DEPLOYMENT = Call("ecs", "StopServiceDeployment", (_DEPLOYMENT,), writes=True)
CONTINUE_DEPLOYMENT = Call("ecs", "ContinueServiceDeployment", (_DEPLOYMENT,), writes=True)
REGISTER_DEFINITION = Call("ecs", "RegisterTaskDefinition", writes=True, opt_in=REREGISTER)

_ROLES = ("arn:aws:iam::ACCOUNT:role/TASK_ROLE", "arn:aws:iam::ACCOUNT:role/EXECUTION_ROLE")
_TO_TASKS = (("StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com"),)
_REGISTERING = (("StringEquals", "ecs:CreateAction", "RegisterTaskDefinition"),)

ECS = declare(
    "ecs",
    (
        DESCRIBE_SERVICES,
        LIST_DEPLOYMENTS,
        DESCRIBE_DEPLOYMENTS,
        DESCRIBE_REVISIONS,
        DESCRIBE_DEFINITION,
        LIST_DEFINITIONS,
        LIST_TASKS,
        DESCRIBE_TASKS,
        DESCRIBE_IMAGES,
        DESCRIBE_TARGET_HEALTH,
        UPDATE_SERVICE,
        STOP_DEPLOYMENT,
        CONTINUE_DEPLOYMENT,
        REGISTER_DEFINITION,
    ),
    extra=(
        Extra("iam:PassRole", _ROLES, REREGISTER, _TO_TASKS),
        Extra("ecs:TagResource", ("arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY:*",), REREGISTER, _REGISTERING),
    ),
    denied=("ecs:DeleteService", "ecs:DeleteTaskDefinitions", "ecs:DeregisterTaskDefinition"),
)
