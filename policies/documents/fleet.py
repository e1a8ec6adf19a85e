"""The parts of a fleet policy as written: which workloads it watches, how many there ought to be, and whom their owners name."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from rollbackd.policies.documents.base import MOST_ENTRIES, Name, Text, Written, refuse
from rollbackd.policies.fleets.policy import strangers
from rollbackd.policies.text.faults import quoted
from rollbackd.policies.text.wording import describe_pattern

_LATER_SELECTS = dict.fromkeys(("ecs", "alb", "route53", "appconfig", "rds", "elasticache", "helm", "rollout", "lambda", "flags"), "kubernetes")
_LABEL_KEY = describe_pattern(
    r"^([a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", "a label's name, such as team or example.com/team"
)
# An empty value would choose whatever carries the label: that is not how a fleet is named.
_LABEL_VALUE = describe_pattern(
    "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$", "a label's value of a-z, A-Z, 0-9, '-', '_' and '.' (not empty, at most 63)"
)
LabelKey: TypeAlias = Annotated[str, Field(pattern=_LABEL_KEY)]
LabelValue: TypeAlias = Annotated[str, Field(pattern=_LABEL_VALUE)]


def _filled_in(text: str) -> str:
    if unknown := strangers(text):
        raise refuse("a value with $name or $namespace", quoted(unknown[0]), "these two stand for the member's name and namespace")
    return text


MemberText: TypeAlias = Annotated[Text, AfterValidator(_filled_in)]


class KubernetesSelect(Written):
    """Deployments, by their labels."""

    later: ClassVar[Mapping[str, str]] = {"annotations": "labels", "names": "labels", "expressions": "labels", "fields": "labels"}

    cluster: Name | None = Field(None, description="A cluster of the daemon's config; not needed where there is only one.")
    labels: Annotated[dict[LabelKey, LabelValue], Field(min_length=1, max_length=20)] = Field(
        description="Labels that a Deployment carries, all of them, by equality. There is no word for all Deployments."
    )
    namespaces: Annotated[list[Name], Field(min_length=1, max_length=MOST_ENTRIES)] | None = Field(
        None, description="Only in these namespaces. Default: in every one."
    )


class Expect(Written):
    """How many workloads the selector ought to find. Outside of it nothing new is watched, and people are told."""

    min: Annotated[int, Field(ge=1, le=10_000)] = Field(1, description="At least so many. Default 1: a selector that finds nothing is at fault.")
    max: Annotated[int, Field(ge=1, le=10_000)] = Field(description="At most so many.")

    @model_validator(mode="after")
    def _ordered(self) -> "Expect":
        if self.min > self.max:
            raise refuse("'min' no larger than 'max'", f"{self.min} and {self.max}")
        return self


class Select(Written):
    """The workloads of a fleet."""

    later: ClassVar[Mapping[str, str]] = _LATER_SELECTS

    kubernetes: KubernetesSelect = Field(description="Deployments, by their labels.")
    expect: Expect = Field(description="How many there ought to be.")


class OwnerLabel(Written):
    """The label that names a workload's owner."""

    label: LabelKey = Field(description="The label whose value is a contact of the daemon's config.")


class OwnerRouting(Written):
    """Each member's messages go to its owner."""

    owner: OwnerLabel = Field(description="Where a workload says who owns it.")
    fallback: Name = Field(description="The contact for a workload that names no known owner, and for what concerns the whole fleet.")
