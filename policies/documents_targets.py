"""Targets as written: what a policy watches and puts back, each kind by the place that it is found at."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import Discriminator, Field, Tag

from rollbackd.policies.documents_base import Name, ObjectName, Written
from rollbackd.policies.wording import describe_pattern

KINDS = ("kubernetes", "ecs", "command")
_LATER = dict.fromkeys(("alb", "route53", "appconfig", "rds", "elasticache", "helm", "rollout", "lambda", "flags"), "")
_REGION = describe_pattern("^[a-z]{2}(-[a-z]+)+-[0-9]+$", "a region such as eu-west-1")
_AWS_NAME = describe_pattern("^[A-Za-z0-9][A-Za-z0-9_-]*$", "a name of letters, digits, '-' and '_'")
AwsName: TypeAlias = Annotated[str, Field(pattern=_AWS_NAME, max_length=255)]
Region: TypeAlias = Annotated[str, Field(pattern=_REGION)]


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


class ByCommand(_Kind):
    """A target behind commands."""

    command: CommandTarget = Field(description="Something behind two commands.")


def first_of(*kinds: str) -> Discriminator:
    """Which of ``kinds`` an entry is: the first that it has as a key."""

    def kind(value: Any) -> str | None:
        return next((f"<{kind}>" for kind in kinds if kind in value), None) if isinstance(value, dict) else None

    return Discriminator(kind)


TargetItem: TypeAlias = Annotated[
    Annotated[OnKubernetes, Tag("<kubernetes>")] | Annotated[OnEcs, Tag("<ecs>")] | Annotated[ByCommand, Tag("<command>")], first_of(*KINDS)
]
