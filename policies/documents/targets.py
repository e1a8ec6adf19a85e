"""Targets as written: what a policy watches and puts back, each kind by the place that it is found at."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeAlias

from pydantic import Field, PlainValidator, Tag, WithJsonSchema

from rollbackd.policies.documents.base import Name, ObjectName, Written, first_of, refuse
from rollbackd.policies.text.faults import quoted
from rollbackd.policies.text.wording import describe_pattern

KINDS = ("kubernetes", "ecs", "alb", "route53", "command")
_LATER = dict.fromkeys(("appconfig", "elasticache", "helm", "rollout", "lambda", "flags"), "")
_REGION = describe_pattern("^[a-z]{2}(-[a-z]+)+-[0-9]+$", "a region such as eu-west-1")
_AWS_NAME = describe_pattern("^[A-Za-z0-9][A-Za-z0-9_-]*$", "a name of letters, digits, '-' and '_'")
_LAST = 50_000
_BALANCER = describe_pattern("^[A-Za-z0-9][A-Za-z0-9-]*$", "the name of a load balancer: letters, digits and '-'")
_DNS = describe_pattern(
    "^(\\*\\.)?([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\\.)+[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*\\.?$", "a name such as api.example.com"
)
_ZONE = describe_pattern(
    "^(Z[A-Z0-9]{8,31}|([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\\.)+[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*\\.?)$",
    "a zone such as example.com, or its id",
)
_INSTANCE = describe_pattern("^[a-z]([a-z0-9]|-[a-z0-9])*$", "an identifier of a-z, 0-9 and single '-', a letter first")
AwsName: TypeAlias = Annotated[str, Field(pattern=_AWS_NAME, max_length=255)]
Region: TypeAlias = Annotated[str, Field(pattern=_REGION)]


def _rule(value: object) -> object:
    is_priority = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LAST
    if value != "default" and not is_priority:
        raise refuse(f"the priority of a rule, from 1 to {_LAST}, or default", quoted(value))
    return value


RulePlace: TypeAlias = Annotated[
    object, PlainValidator(_rule), WithJsonSchema({"anyOf": [{"const": "default"}, {"type": "integer", "minimum": 1, "maximum": _LAST}]})
]


class KubernetesTarget(Written):
    """A Deployment."""

    later: ClassVar[Mapping[str, str]] = {"statefulset": "deployment", "daemonset": "deployment", "rollout": "deployment", "labels": ""}

    cluster: Name | None = Field(None, description="A cluster of the daemon's config; not needed where there is only one.")
    namespace: Name = Field(description="The namespace.")
    deployment: ObjectName = Field(description="The name of the Deployment.")


class EcsTarget(Written):
    """A service of ECS."""

    account: Name | None = Field(None, description="An account of the daemon's config; not needed where there is only one.")
    region: Region | None = Field(None, description="A region of the account; not needed where it has only one.")
    cluster: AwsName = Field(description="The cluster.")
    service: AwsName = Field(description="The name of the service.")


class AlbTarget(Written):
    """A rule of an application load balancer."""

    account: Name | None = Field(None, description="An account of the daemon's config; not needed where there is only one.")
    region: Region | None = Field(None, description="A region of the account; not needed where it has only one.")
    load_balancer: Annotated[str, Field(pattern=_BALANCER, max_length=32)] = Field(description="The name of the load balancer.")
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(443, description="The port of its listener. Default 443.")
    rule: RulePlace = Field("default", description="The priority of the rule. Default: the default rule.")


class Route53Target(Written):
    """A name of a hosted zone: all its addresses, of whichever type."""

    account: Name | None = Field(None, description="An account of the daemon's config; not needed where there is only one.")
    zone: Annotated[str, Field(pattern=_ZONE, max_length=255)] = Field(description="The hosted zone, or its id where several have the name.")
    name: Annotated[str, Field(pattern=_DNS, max_length=255)] = Field(description="The name, in full.")


class RdsInstance(Written):
    """An instance of RDS."""

    later: ClassVar[Mapping[str, str]] = {"cluster": "instance"}

    account: Name | None = Field(None, description="An account of the daemon's config; not needed where there is only one.")
    region: Region | None = Field(None, description="A region of the account; not needed where it has only one.")
    instance: Annotated[str, Field(pattern=_INSTANCE, max_length=63)] = Field(description="The identifier of the instance.")


class CommandTarget(Written):
    """Something that two commands of the daemon's config describe and change."""

    name: Name = Field(description="A command of the daemon's config.")


class _Kind(Written):
    later: ClassVar[Mapping[str, str]] = _LATER
    siblings: ClassVar[frozenset[str]] = frozenset(KINDS)


class OnKubernetes(_Kind):
    """A target in Kubernetes."""

    kubernetes: KubernetesTarget = Field(description="A Deployment.")


class OnEcs(_Kind):
    """A target in Amazon's ECS."""

    ecs: EcsTarget = Field(description="A service.")


class OnAlb(_Kind):
    """A target in Amazon's load balancing."""

    alb: AlbTarget = Field(description="The weights of a rule.")


class OnRoute53(_Kind):
    """A target in Amazon's DNS."""

    route53: Route53Target = Field(description="The addresses of a name.")


class OnRds(Written):
    """A database in Amazon's RDS: it is neither watched nor reverted, only restored beside itself."""

    rds: RdsInstance = Field(description="An instance.")


class ByCommand(_Kind):
    """A target behind commands."""

    command: CommandTarget = Field(description="Something behind two commands.")


TargetItem: TypeAlias = Annotated[
    Annotated[OnKubernetes, Tag("<kubernetes>")]
    | Annotated[OnEcs, Tag("<ecs>")]
    | Annotated[OnAlb, Tag("<alb>")]
    | Annotated[OnRoute53, Tag("<route53>")]
    | Annotated[ByCommand, Tag("<command>")],
    first_of(*KINDS),
]
