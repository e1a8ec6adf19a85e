"""What the source ``cloudwatch`` calls: it reads metrics, and looks up which load balancers a service stands behind."""

from rollbackd.adapters.aws.calls import Call, declare

GET_METRIC_DATA = Call("cloudwatch", "GetMetricData")
DESCRIBE_SERVICES = Call("ecs", "DescribeServices", ("arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/SERVICE",))
DESCRIBE_TARGET_GROUPS = Call("elbv2", "DescribeTargetGroups", action="elasticloadbalancing:DescribeTargetGroups")
CLOUDWATCH = declare("cloudwatch", (GET_METRIC_DATA, DESCRIBE_SERVICES, DESCRIBE_TARGET_GROUPS))
