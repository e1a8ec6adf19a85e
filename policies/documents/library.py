"""The shipped library as written: conditions with their limits, and the profiles that say which metrics they read."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from rollbackd.policies.documents.base import LabelName, Name, Text, Written
from rollbackd.policies.documents.conditions import Overrides
from rollbackd.policies.documents.signals import CountSignal, GaugeSignal, LatencySignal, RateSignal, RatioSignal, TrafficSignal, VanishedSignal


class LibraryCondition(Overrides):
    """A condition of the library, with its defaults."""

    description: Text = Field(description="What it finds, for people.")
    at_equal_age: bool = Field(False, description="Whether it acts only where the value has risen since the change, compared at equal age.")
    second_fact: bool = Field(False, description="Whether it acts only where a second, independent fact says the same.")
    reads: Literal["rollout"] | None = Field(None, description="What it reads of the target itself; without it the profile says which metrics.")


class LibrarySpec(Written):
    """The conditions and the sets of them."""

    conditions: dict[Name, LibraryCondition] = Field(description="The conditions, by name.")
    sets: dict[Name, list[Name]] = Field(description="Sets of conditions that one `use` names.")


class LibraryDocument(Written):
    """The library of conditions."""

    api_version: Literal["rollbackd/v1"] = Field(alias="apiVersion", description="The version of this contract.")
    kind: Literal["ConditionLibrary"] = Field(description="What this document is.")
    spec: LibrarySpec = Field(description="What it says.")


class DerivedLabel(Written):
    """A label that is computed from another."""

    from_: LabelName = Field(alias="from", description="The label it is read out of.")
    pattern: Text = Field(description="RE2, anchored at both ends; group 1 is the value.")


def _label_kind(value: Any) -> str:
    return "<derived>" if isinstance(value, dict) else "<label>"


WorkloadLabel: TypeAlias = Annotated[Annotated[LabelName, Tag("<label>")] | Annotated[DerivedLabel, Tag("<derived>")], Discriminator(_label_kind)]


class ProfileIdentity(Written):
    """How a workload shows up as labels."""

    namespace: LabelName = Field(description="The label that holds the namespace.")
    workload: WorkloadLabel = Field(description="The label that holds the workload's name, or how it is computed.")


class JoinedIdentity(Written):
    """A workload that shows up in one label, as NAMESPACE/WORKLOAD."""

    joined: LabelName = Field(description="The label that holds NAMESPACE/WORKLOAD.")


def _identity_kind(value: Any) -> str:
    return "<joined>" if isinstance(value, dict) and "joined" in value else "<labels>"


IdentityItem: TypeAlias = Annotated[
    Annotated[ProfileIdentity, Tag("<labels>")] | Annotated[JoinedIdentity, Tag("<joined>")], Discriminator(_identity_kind)
]


def _signal_kind(value: Any) -> str | None:
    kinds = ("ratio", "latency", "gauge", "count", "rate", "traffic", "vanished")
    return next((f"<{kind}>" for kind in kinds if kind in value), None) if isinstance(value, dict) else None


SignalItem: TypeAlias = Annotated[
    Annotated[RatioSignal, Tag("<ratio>")]
    | Annotated[LatencySignal, Tag("<latency>")]
    | Annotated[GaugeSignal, Tag("<gauge>")]
    | Annotated[CountSignal, Tag("<count>")]
    | Annotated[RateSignal, Tag("<rate>")]
    | Annotated[TrafficSignal, Tag("<traffic>")]
    | Annotated[VanishedSignal, Tag("<vanished>")],
    Discriminator(_signal_kind),
]


class ProfileSpec(Written):
    """The signals of one way of instrumenting."""

    extends: Name | None = Field(None, description="Another profile, whose signals this one has too unless it says otherwise.")
    reads: Literal["prometheus", "cloudwatch"] = Field("prometheus", description="What kind of source has these metrics.")
    identity: IdentityItem | None = Field(None, description="How a workload shows up in the signals below.")
    variants: dict[Name, IdentityItem] = Field(
        default_factory=dict, description="Other ways in which it may show up; each is a profile of its own, called NAME-VARIANT."
    )
    signals: dict[Name, SignalItem] = Field(default_factory=dict, description="The signals, by the name of the condition that reads them.")


class ProfileMetadata(Written):
    """What a profile is called."""

    name: Name = Field(description="The profile's name.")


class ProfileDocument(Written):
    """A metric profile."""

    api_version: Literal["rollbackd/v1"] = Field(alias="apiVersion", description="The version of this contract.")
    kind: Literal["MetricProfile"] = Field(description="What this document is.")
    metadata: ProfileMetadata = Field(description="What it is called.")
    spec: ProfileSpec = Field(description="What it says.")
