"""All that the adapter of load balancers asks of Amazon. It creates nothing, deletes nothing, and registers no target."""

from rollbackd.adapters.aws.calls import Call, declare

_LISTENER = "arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/LOAD_BALANCER/*"
_RULE = "arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener-rule/app/LOAD_BALANCER/*"


def _elb(operation: str, *resources: str, writes: bool = False) -> Call:
    return Call("elbv2", operation, resources or ("*",), writes=writes, action=f"elasticloadbalancing:{operation}")


DESCRIBE_BALANCERS = _elb("DescribeLoadBalancers")
DESCRIBE_LISTENERS = _elb("DescribeListeners")
DESCRIBE_RULES = _elb("DescribeRules")
DESCRIBE_GROUPS = _elb("DescribeTargetGroups")
DESCRIBE_HEALTH = _elb("DescribeTargetHealth")
DESCRIBE_TAGS = _elb("DescribeTags")
LIST_CLUSTERS = Call("ecs", "ListClusters")
LIST_SERVICES = Call("ecs", "ListServices")
DESCRIBE_SERVICES = Call("ecs", "DescribeServices", ("arn:aws:ecs:REGION:ACCOUNT:service/*",))
GET_METRIC_DATA = Call("cloudwatch", "GetMetricData")

MODIFY_LISTENER = _elb("ModifyListener", _LISTENER, writes=True)
MODIFY_RULE = _elb("ModifyRule", _RULE, writes=True)

ALB = declare(
    "alb",
    (
        DESCRIBE_BALANCERS,
        DESCRIBE_LISTENERS,
        DESCRIBE_RULES,
        DESCRIBE_GROUPS,
        DESCRIBE_HEALTH,
        DESCRIBE_TAGS,
        LIST_CLUSTERS,
        LIST_SERVICES,
        DESCRIBE_SERVICES,
        GET_METRIC_DATA,
        MODIFY_LISTENER,
        MODIFY_RULE,
    ),
    denied=(
        "elasticloadbalancing:DeleteListener",
        "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteRule",
        "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:DeregisterTargets",
    ),
)
