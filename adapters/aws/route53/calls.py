"""All that the adapter of Route 53 asks of Amazon."""

from rollbackd.adapters.aws.calls import Call, declare

_ZONE = "arn:aws:route53:::hostedzone/ZONE_ID"

LIST_ZONES = Call("route53", "ListHostedZonesByName")
GET_ZONE = Call("route53", "GetHostedZone", (_ZONE,))
LIST_RECORDS = Call("route53", "ListResourceRecordSets", (_ZONE,))
GET_CHANGE = Call("route53", "GetChange", ("arn:aws:route53:::change/*",))
DESCRIBE_BALANCERS = Call("elbv2", "DescribeLoadBalancers", action="elasticloadbalancing:DescribeLoadBalancers")
DESCRIBE_GROUPS = Call("elbv2", "DescribeTargetGroups", action="elasticloadbalancing:DescribeTargetGroups")
DESCRIBE_HEALTH = Call("elbv2", "DescribeTargetHealth", action="elasticloadbalancing:DescribeTargetHealth")

CHANGE_RECORDS = Call("route53", "ChangeResourceRecordSets", (_ZONE,), writes=True)

ROUTE53 = declare(
    "route53",
    (LIST_ZONES, GET_ZONE, LIST_RECORDS, GET_CHANGE, DESCRIBE_BALANCERS, DESCRIBE_GROUPS, DESCRIBE_HEALTH, CHANGE_RECORDS),
    denied=("route53:DeleteHostedZone", "route53:DeleteResourceRecordSetProtections"),
)
