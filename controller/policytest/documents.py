"""The policy test as written. Every model here is a part of the contract."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from rollbackd.policies.documents.base import MOST_ENTRIES, Duration, FlagName, Interval, Name, ObjectName, Text, Written, refuse
from rollbackd.policies.documents.conditions import ModeWord
from rollbackd.policies.text import units
from rollbackd.policies.text.units import UnitError
from rollbackd.policies.text.yaml_text import Path, Value

MOST_TESTS = 1000
DEFAULT_INTERVAL = timedelta(seconds=15)

VerdictWord: TypeAlias = Literal["ok", "breach", "unproven", "nodata", "error"]
DecisionWord: TypeAlias = Literal["nothing", "observed", "outside", "suggested", "approval", "rollback", "held", "recovered", "superseded"]


def _number_as_text(value: object) -> object:
    """A single value reads as a number in YAML, and is meant as a text here."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _one_line(text: str) -> str:
    """What is shown on terminals and in reports: nothing in it may pass for another line, or move the cursor."""
    if not text.isprintable():
        raise refuse("a line of printable text")
    return text


def _ready(value: object) -> object:
    # One validator for both: of two kinds that could be meant, each would have a fault of its own.
    if value == "never":
        return value
    try:
        return units.duration(value)
    except UnitError as error:
        raise refuse(f"{error.expected}, or never", hint=error.hint) from error


Line: TypeAlias = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_one_line)]
_READY_SCHEMA = WithJsonSchema({"anyOf": [{"type": "string"}, {"const": 0}], "examples": ["30s", "never"]})
Ready: TypeAlias = Annotated[timedelta | Literal["never"], PlainValidator(_ready), _READY_SCHEMA]
Values: TypeAlias = Annotated[str, BeforeValidator(_number_as_text), Field(min_length=1, max_length=200_000)]


class SeriesItem(Written):
    """One series that the source would have."""

    series: Text = Field(description='Name and labels: http_requests_total{app="checkout", code="200"}.')
    values: Values = Field(description="A value for each interval, in promtool's notation: 0+100x60, 5x3, _, stale.")


class AnswerItem(Written):
    """What a condition that no samples answer is told: an expression's value, or the share of endpoints that fail a probe."""

    condition: Name = Field(description="A condition of the policy with `promql` or `probe`, or stuck-rollout.")
    values: Values = Field(description="What it reads at each interval, in promtool's notation.")


class SidesItem(Written):
    """Whose pods serve beside each other, by their ReplicaSets. A pod's name is that of its ReplicaSet, a dash, and five letters or digits."""

    new: ObjectName = Field(description="The ReplicaSet that the change brings: checkout-6f7c9d8b4.")
    old: Annotated[list[ObjectName], Field(min_length=1, max_length=MOST_ENTRIES)] = Field(description="Those of older revisions that still serve.")


class ChangeItem(Written):
    """A target comes to another revision."""

    at: Duration = Field(description="When it begins.")
    revision: Line = Field(description="The revision that it brings.")
    target: Line | None = Field(None, description="What changes. Default: the policy's target.")
    ready: Ready | None = Field(None, description="When its first replica serves. Default: at once.")
    irreversible: Line | None = Field(None, description="Why a revert across it is unsafe.")
    posted: bool = Field(False, description="Told by a pipeline: a suspect that nothing here can undo.")
    parts: Annotated[list[FlagName], Field(max_length=MOST_ENTRIES)] | None = Field(None, description="Which flags it touched.")
    sides: SidesItem | None = Field(None, description="Which pods are new and which are old. Default: they are not told apart.")


class OtherItem(Written):
    """Where a further target of the ladder stands when the test begins."""

    target: Line = Field(description="A target of the policy's ladder.")
    running: Line | None = Field(None, description="What runs there. Default: the first known good.")
    known_good: Annotated[list[Line], Field(max_length=MOST_ENTRIES)] | None = Field(None, description="Its known-good revisions, newest first.")


class GuardParts(Written):
    """What the guards see of everything else."""

    paused: Line | None = Field(None, description="Why the daemon is paused.")
    in_breach: Annotated[list[Line], Field(max_length=MOST_ENTRIES)] | None = Field(
        None, description="Other targets that breach without a change of their own."
    )
    quarantined: Annotated[list[Line], Field(max_length=MOST_ENTRIES)] | None = Field(
        None, description="Lines of the policy's target that were rolled back before."
    )


class ExpectItem(Written):
    """What is true at a time."""

    at: Duration = Field(description="The time, from the first sample on.")
    verdicts: Annotated[dict[str, VerdictWord], Field(min_length=1)] | None = Field(None, description="Verdicts by condition.")
    decision: DecisionWord | None = Field(None, description="How the policy stands.")
    remedy: Line | None = Field(None, description="The rung that was tried last: revert, flags, or with its target.")
    to: Line | None = Field(None, description="The revision that the rung leads to.")
    guard: Line | None = Field(None, description="What held it.")
    reason_contains: Line | None = Field(None, description="A part of the reason for the decision.")


class MemberItem(Written):
    """The workload that a fleet policy is tried on; it is taken to be one that the policy selects."""

    namespace: Name = Field(description="Its namespace.")
    deployment: ObjectName = Field(description="Its name.")
    labels: Annotated[dict[str, Line], Field(max_length=MOST_ENTRIES)] = Field(default_factory=dict, description="Its labels.")
    annotations: Annotated[dict[str, Line], Field(max_length=MOST_ENTRIES)] = Field(
        default_factory=dict, description="Its annotations, with their prefix rollbackd.io/."
    )


class CaseItem(Written):
    """One test."""

    name: Line = Field(description="What is true if it passes.")
    policy: Name | None = Field(None, description="The policy under test; not needed where the files hold only one.")
    member: MemberItem | None = Field(None, description="The workload, where the policy is a fleet's.")
    mode: ModeWord | None = Field(None, description="As if the policy had this mode.")
    interval: Interval | None = Field(None, description="The distance between samples. Default 15s.")
    series: Annotated[list[SeriesItem], Field(max_length=1000)] = Field(default_factory=list, description="The series that the source has.")
    answers: Annotated[list[AnswerItem], Field(max_length=MOST_ENTRIES)] = Field(default_factory=list, description="What expressions and probes say.")
    changes: Annotated[list[ChangeItem], Field(max_length=MOST_ENTRIES)] = Field(default_factory=list, description="The changes, in any order.")
    running: Line | None = Field(None, description="The revision of the policy's target at the start. Default: the first known good.")
    known_good: Annotated[list[Line], Field(max_length=MOST_ENTRIES)] = Field(
        default_factory=list, description="Known-good revisions of the policy's target, newest first."
    )
    others: Annotated[list[OtherItem], Field(max_length=MOST_ENTRIES)] = Field(default_factory=list, description="The ladder's other targets.")
    guards: GuardParts | None = Field(None, description="What the guards see of everything else. Default: all is calm.")
    expect: Annotated[list[ExpectItem], Field(min_length=1, max_length=1000)] = Field(description="What has to be true, and when.")


class PolicyTestDocument(Written):
    """Tests of policies."""

    api_version: Literal["rollbackd/v1"] = Field(alias="apiVersion", description="The version of this contract.")
    kind: Literal["PolicyTest"] = Field(description="What this document is.")
    policies: Annotated[list[Text], Field(min_length=1, max_length=MOST_ENTRIES)] = Field(
        description="Policy files or folders, relative to this file."
    )
    tests: Annotated[list[CaseItem], Field(min_length=1, max_length=MOST_TESTS)] = Field(description="The tests.")


STAND_INS: Mapping[Path, Value] = {
    ("apiVersion",): "rollbackd/v1",
    ("kind",): "PolicyTest",
    ("policies",): ["unnamed"],
    ("tests",): [{"name": "unnamed", "expect": [{"at": "1m"}]}],
}
"""In place of what every file of tests has, so that a fault in it hides none of the others'. Nothing in the last two is looked at."""
