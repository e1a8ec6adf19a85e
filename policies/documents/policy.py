"""The policy document as written. Every model here is a part of the contract; its descriptions become the JSON Schema."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from rollbackd.policies.documents.attribution import Dependencies, Reversible
from rollbackd.policies.documents.base import (
    MOST_ENTRIES,
    Duration,
    FlagName,
    Interval,
    LabelName,
    Name,
    PositiveDuration,
    Text,
    Written,
    first_of,
    in_unit,
    literal_unless_later,
    refuse,
    refuse_later,
)
from rollbackd.policies.documents.conditions import Item, ModeWord
from rollbackd.policies.documents.fleet import MemberText, OwnerRouting, Select
from rollbackd.policies.documents.targets import OnRds, TargetItem
from rollbackd.policies.text import units
from rollbackd.policies.text.faults import quoted


def _watch(value: object) -> object:
    if value == "always":
        return value
    if isinstance(value, dict) and "until" in value:
        raise refuse_later("'until'")
    return in_unit(units.positive_duration)(value)


def _risk(value: object) -> object:
    if value == "none":
        return value
    return in_unit(units.risk)(value)


def _routing(value: object) -> object:
    if isinstance(value, dict):
        raise refuse("a list of contacts", "routing by owner", "that is for a fleet: a policy with 'select' instead of 'target'")
    return value


def _notified(value: object) -> str:
    return "<owner>" if isinstance(value, dict | OwnerRouting) else "<list>"


def _kind(value: object) -> object:
    if value == "FleetPolicy":
        raise refuse("'RollbackPolicy'", quoted(value), "a policy for a fleet has 'select' instead of 'target'")
    return value


LabelKey: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
Risk: TypeAlias = Annotated[object, PlainValidator(_risk), WithJsonSchema({"type": ["string", "number"], "examples": ["1%", "none"]})]
WatchWindow: TypeAlias = Annotated[object, PlainValidator(_watch), WithJsonSchema({"type": "string", "examples": ["1h", "always"]})]


class Metadata(Written):
    """What a policy is called."""

    name: Name = Field(description="The policy's name, unique among all policies.")
    labels: dict[LabelKey, str] = Field(default_factory=dict, description="Labels of your own, kept with every incident.")


_RUNGS = frozenset(("flags", "revert", "together", "restore"))


class FlagsParts(Written):
    """Which flags are put at their safe state."""

    provider: Name = Field(description="A flag provider of the daemon's config.")
    environment: FlagName | None = Field(None, description="The provider's environment, where it has several.")
    tag: FlagName | None = Field(None, description="The flags that carry this tag.")
    flags: Annotated[list[FlagName], Field(min_length=1, max_length=MOST_ENTRIES)] | None = Field(None, description="These flags.")
    all: Literal[True] | None = Field(None, description="All flags of the provider: said in a word, never implied.")
    only: Literal["changed", "all"] | None = Field(
        None, description="Just the flags that the suspect changes touched, or all in scope. Default changed; all where `always` is set."
    )
    always: bool = Field(False, description="Act even where no change of these flags is suspected.")
    mode: ModeWord | None = Field(None, description="The most that this rung may do. Default: what the policy may.")


class FlagsItem(Written):
    """A rung that puts flags at their safe state."""

    siblings: ClassVar[frozenset[str]] = _RUNGS

    flags: FlagsParts = Field(description="Put flags at their safe state.")


class RevertParts(Written):
    """What is put back."""

    to: Annotated[Literal["known-good"], literal_unless_later(["known-good"], "previous", "last", "revision")] = Field(
        "known-good", description="The newest revision that is known to be good."
    )
    via: Annotated[Literal["auto", "patch"], literal_unless_later(["auto", "patch"], "argocd", "flux", "git", "helm")] = Field(
        "auto", description="By which route: auto finds it by the target's owner."
    )
    target: TargetItem | None = Field(None, description="What to put back. Default: the policy's target.")
    always: bool = Field(False, description="Act even where no change of this target is suspected.")
    mode: ModeWord | None = Field(None, description="The most that this rung may do. Default: what the policy may.")


class RevertItem(Written):
    """A rung that puts a target back to a known-good revision."""

    siblings: ClassVar[frozenset[str]] = _RUNGS

    revert: RevertParts = Field(description="Put a target back.")


OneRungItem: TypeAlias = Annotated[Annotated[FlagsItem, Tag("<flags>")] | Annotated[RevertItem, Tag("<revert>")], first_of("flags", "revert")]


class TogetherItem(Written):
    """Rungs that begin at once and are verified once, when the last of them has settled."""

    siblings: ClassVar[frozenset[str]] = _RUNGS

    together: Annotated[list[OneRungItem], Field(min_length=1, max_length=MOST_ENTRIES)] = Field(description="Two or more, each of another target.")


class RestoreParts(Written):
    """Which data is made ready beside what serves."""

    target: OnRds = Field(description="The database.")
    origin: Literal["point-in-time", "snapshot"] = Field(
        "point-in-time", alias="from", description="The moment before the suspects, or the newest snapshot before that. Default point-in-time."
    )
    mode: Literal["observe", "suggest", "approve"] | None = Field(
        None, description="The most that this rung may do: never more than approve, which is the default."
    )


class RestoreItem(Written):
    """The last rung: a copy of a database as it was is made beside it, once two people approve. They cut over, or do not."""

    siblings: ClassVar[frozenset[str]] = _RUNGS

    restore: RestoreParts = Field(description="Make a copy of a database as it was.")


RungItem: TypeAlias = Annotated[
    Annotated[FlagsItem, Tag("<flags>")]
    | Annotated[RevertItem, Tag("<revert>")]
    | Annotated[TogetherItem, Tag("<together>")]
    | Annotated[RestoreItem, Tag("<restore>")],
    first_of("flags", "revert", "together", "restore"),
]


class TimingParts(Written):
    """Waiting times. A demo sets them in seconds."""

    warmup: Duration | None = Field(None, description="After the change is ready, before the first verdict. Default 60s.")
    settle: Duration | None = Field(None, description="The least wait after a rung's own settling. Default 0s.")
    recover_for: PositiveDuration | None = Field(None, description="How long all must be well before the incident closes. Default 5m.")
    give_up: PositiveDuration | None = Field(None, description="From the end of settling until people are called. Default 15m.")
    cooldown: Duration | None = Field(None, description="Rest of a target after an incident. Default: the daemon's.")
    bake: Duration | None = Field(None, description="A revision that served so long without a breach is known good. Default 30m.")


class ApprovalParts(Written):
    """How a plan is approved, in mode approve and wherever a change is irreversible."""

    count: Annotated[int, Field(ge=1, le=10)] = Field(1, description="So many different people have to approve it. Default 1.")
    within: PositiveDuration | None = Field(None, description="How soon; later nothing is done and it is held. Default 30m.")


_LATER_SPEC = dict.fromkeys(("unbounded", "shard"), "")
Contacts: TypeAlias = Annotated[list[Name], Field(min_length=1, max_length=MOST_ENTRIES)]


class SpecParts(Written):
    """What every policy says: when it is bad, and what is done then."""

    mode: ModeWord = Field("observe", description="The most that may be done: observe, suggest, approve or auto. Default observe.")
    source: Name | None = Field(None, description="A metric source of the daemon's config; not needed where there is only one.")
    metrics: Name = Field(
        "prometheus-client", description="The metric profile: which names and labels the library's signals have here. custom: found by `match`."
    )
    every: Interval | None = Field(None, description="How often it is judged, 1s to 1h. Default 15s.")
    watch: WatchWindow | None = Field(None, description="How long after a change a breach is laid to it, or always. Default 1h.")
    outside_watch: Literal["ignore", "notify", "page"] = Field(
        "ignore", description="What a breach without a recent change leads to. Default ignore."
    )
    max_false_rollback: Risk | None = Field(
        None,
        description="In how many of the healthy changes, at most, ratios and latencies may call for a rollback by chance, or none: each look is "
        "judged by itself. Default 1%.",
    )
    timing: TimingParts | None = Field(None, description="Waiting times.")
    rollback_when: Annotated[list[Item], Field(min_length=1, max_length=MOST_ENTRIES)] = Field(description="Any of these.")
    remedy: Annotated[list[RungItem], Field(max_length=MOST_ENTRIES)] | None = Field(
        None, description="What is done, cheapest first; needed in any mode above observe."
    )
    approvals: ApprovalParts | None = Field(None, description="Who has to approve a plan before it is carried out, where the mode is approve.")
    depends_on: Dependencies | None = Field(
        None, description="What the target needs and may share with others, as a database: whose fault a breach is depends on it."
    )
    reversible: Reversible = Field("always", description="That a revert of this target is always safe, or what tells a change across which none is.")


class Spec(SpecParts):
    """What is watched, when it is bad, and what is done then."""

    later: ClassVar[Mapping[str, str]] = _LATER_SPEC
    instead: ClassVar[Mapping[str, str]] = {"join": "write 'match', which is for one target; 'join' is for a fleet"}

    target: TargetItem = Field(description="The watched thing.")
    match: Annotated[dict[LabelName, Text], Field(min_length=1)] | None = Field(
        None, description="Labels, by equality, that tell this workload's series apart in signals written out by hand."
    )
    notify: Annotated[Contacts, BeforeValidator(_routing)] | None = Field(None, description="Contacts of the daemon's config.")


class FleetSpec(SpecParts):
    """Which workloads are watched, when one of them is bad, and what is done to it then."""

    later: ClassVar[Mapping[str, str]] = _LATER_SPEC
    instead: ClassVar[Mapping[str, str]] = {
        "match": "write 'join', such as {app: $name, namespace: $namespace}, which stand for each member's own; 'match' is for one target"
    }

    select: Select = Field(description="The watched workloads: each is watched as if it had a policy of its own.")
    join: Annotated[dict[LabelName, MemberText], Field(min_length=1)] | None = Field(
        None, description="As `match`, for each member: $name and $namespace stand for the workload's."
    )
    notify: Annotated[Annotated[OwnerRouting, Tag("<owner>")] | Annotated[Contacts, Tag("<list>")], Discriminator(_notified)] | None = Field(
        None, description="Contacts of the daemon's config, or the label by which a workload names its own."
    )


def _spec_kind(value: Any) -> str:
    return "<select>" if isinstance(value, dict) and "select" in value else "<target>"


class PolicyDocument(Written):
    """A policy: one watched target or a fleet of them, the conditions that call for a rollback, and the remedy."""

    api_version: Literal["rollbackd/v1"] = Field(alias="apiVersion", description="The version of this contract.")
    kind: Annotated[Literal["RollbackPolicy"], BeforeValidator(_kind)] = Field(description="What this document is.")
    metadata: Metadata = Field(description="What it is called.")
    spec: Annotated[Annotated[Spec, Tag("<target>")] | Annotated[FleetSpec, Tag("<select>")], Discriminator(_spec_kind)] = Field(
        description="What it says: with `target` about one thing, with `select` about a fleet."
    )
