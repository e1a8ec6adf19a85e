"""Conditions as written: a signal, its limit, and how a breach is confirmed."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, GetJsonSchemaHandler, Tag
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from rollbackd.policies.documents.base import (
    MOST_ENTRIES,
    Compared,
    Duration,
    EventRate,
    Events,
    Expression,
    LabelName,
    Name,
    PositiveDuration,
    Quantile,
    Raw,
    Share,
    Text,
    Window,
    Written,
    refuse,
)
from rollbackd.policies.documents.limits import ComparedLimit, EventRateLimit, EventsLimit, RawLimit, SecondsLimit, ShareLimit
from rollbackd.policies.documents.signals import (
    CountSignal,
    GaugeSignal,
    LatencySignal,
    ProbeParts,
    RateSignal,
    RatioSignal,
)
from rollbackd.policies.text.faults import quoted

ModeWord: TypeAlias = Literal["observe", "suggest", "approve", "auto"]
KINDS = ("use", "ratio", "latency", "gauge", "count", "rate", "probe", "promql", "all_of", "any_of", "at_least")
_LATER = {"depends_on": "", "burn_rate": "", "inconclusive_page_after": ""}


class BreachCount(Written):
    """Confirmed once so many of the last evaluations were breaches, the newest among them."""

    at_least: Annotated[int, Field(ge=1, le=1000)] = Field(description="How many of the last evaluations must be breaches.")
    of: Annotated[int, Field(ge=1, le=1000)] = Field(description="How many evaluations are looked at.")


class Entry(Written):
    """An entry of rollback_when."""

    later: ClassVar[Mapping[str, str]] = _LATER
    siblings: ClassVar[frozenset[str]] = frozenset(KINDS)


class Confirmed(Entry):
    """What every condition may say about its confirmation and its reach."""

    for_: Duration | None = Field(
        None, alias="for", description="How long the breach must last; 0s confirms at the first proven one. Default 1m, or `every` if longer."
    )
    breaches: BreachCount | None = Field(None, description="Instead of `for`: confirmed by a number of breaches among the last evaluations.")
    over: Window | None = Field(None, description="The window of evidence. Default 5m.")
    min_volume: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="Fewer events than this prove nothing. Default: 50 for a ratio and 10 / (1 - quantile) for a latency to prove health, "
        "none to prove a breach.",
    )
    on_no_data: Literal["unproven", "ok", "hold"] | None = Field(
        None, description="What absent data means before anything was done. Default unproven."
    )
    mode: ModeWord | None = Field(None, description="The most that this condition may lead to. Default: what the policy may.")
    watch: PositiveDuration | None = Field(None, description="How long after a change this condition is judged. Default: the policy's `watch`.")
    unbounded: Literal["accepted"] | None = Field(
        None, description="Lets a condition act on which no bound on false rollbacks holds; without it such a condition suggests at most."
    )


class Own(Confirmed):
    """A condition written out by hand."""

    name: Name = Field(description="Its name, unique in the policy.")


def _range(value: object) -> object:
    if isinstance(value, list) and len(value) == 2:
        return value
    raise refuse("a list of two limits, the lower first", quoted(value) if not isinstance(value, list) else f"a list of {len(value)}")


_Pair = BeforeValidator(_range)
_ABOVE = "Breached above this."
_BELOW = "Breached below this."
_OUTSIDE = "Breached outside this range: [lower, upper]."


class RatioCondition(Own, RatioSignal):
    """The share of bad events."""

    above: ShareLimit | None = Field(None, description=_ABOVE)
    below: ShareLimit | None = Field(None, description=_BELOW)
    outside: Annotated[list[Share], _Pair] | None = Field(None, description=_OUTSIDE)


class LatencyCondition(Own, LatencySignal):
    """A quantile of a histogram, judged as the share of requests that are slower than the limit."""

    quantile: Quantile = Field(0.95, description="Which quantile must stay below the limit. Default 0.95.")
    above: SecondsLimit = Field(description="Breached where the quantile is above this duration.")


class GaugeCondition(Own, GaugeSignal):
    """A value, or a value as a share of another."""

    above: RawLimit | None = Field(None, description=_ABOVE)
    below: RawLimit | None = Field(None, description=_BELOW)
    outside: Annotated[list[Raw], _Pair] | None = Field(None, description=_OUTSIDE)


class CountCondition(Own, CountSignal):
    """The number of events in the window."""

    above: EventsLimit | None = Field(None, description=_ABOVE)
    below: EventsLimit | None = Field(None, description=_BELOW)
    outside: Annotated[list[Events], _Pair] | None = Field(None, description=_OUTSIDE)


class RateCondition(Own, RateSignal):
    """Events per second over the window."""

    above: EventRateLimit | None = Field(None, description=_ABOVE)
    below: EventRateLimit | None = Field(None, description=_BELOW)
    outside: Annotated[list[EventRate], _Pair] | None = Field(None, description=_OUTSIDE)


class _OrName:
    """Lets a bare string stand for ``{name: ...}``, in the schema too."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "description": "A probe of the daemon's config."}, handler(schema)]}


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class ProbeCondition(Own):
    """The share of endpoints that fail a health check."""

    probe: Annotated[ProbeParts, BeforeValidator(_named), _OrName()] = Field(description="The health check.")
    above: Share = Field(description="Breached where more than this share of the endpoints fails.")


class PromQLCondition(Own):
    """An expression as written. It carries no statistical bound."""

    promql: Expression = Field(description="A PromQL expression with one series for each workload, told apart by the labels of `match`.")
    above: ComparedLimit | None = Field(None, description=_ABOVE)
    below: ComparedLimit | None = Field(None, description=_BELOW)
    outside: Annotated[list[Compared], _Pair] | None = Field(None, description=_OUTSIDE)


class Overrides(Confirmed):
    """What a policy changes about a condition of the library."""

    siblings: ClassVar[frozenset[str]] = frozenset()

    above: RawLimit | None = Field(None, description="Breached above this, instead of the library's limit.")
    below: RawLimit | None = Field(None, description="Breached below this, instead of the library's limit.")
    quantile: Quantile | None = Field(None, description="Another quantile of a latency.")
    except_: Annotated[dict[LabelName, Text], Field(min_length=1)] | None = Field(
        None, alias="except", description="Label values to leave out, such as {path: /healthz}: from the bad events and from all of them."
    )


class UseOne(Entry):
    """A condition of the library."""

    use: Name = Field(description="The name of a library condition, or of a set of them such as `standard`.")
    name: Name | None = Field(None, description="Another name for it, where a policy uses it twice.")
    with_: Overrides | None = Field(None, alias="with", description="What is different here.")


class UseSet(Entry):
    """A set of conditions of the library."""

    use: Literal["standard"] = Field(
        description="The sane set: error-rate, p95-latency, memory, database-failures, stuck-rollout, restarts, oom-kills."
    )
    with_: Annotated[dict[Name, Overrides], Field(min_length=1)] | None = Field(
        None, alias="with", description="What is different here, by the name of the condition."
    )


class AllOf(Entry):
    """Breached while every one of the entries is."""

    all_of: Annotated[list["Item"], Field(min_length=1, max_length=MOST_ENTRIES)] = Field(description="Entries that must all be breached.")


class AnyOf(Entry):
    """Breached while any of the entries is."""

    any_of: Annotated[list["Item"], Field(min_length=1, max_length=MOST_ENTRIES)] = Field(description="Entries of which one is enough.")


class AtLeastParts(Written):
    """Entries and how many of them are needed."""

    of: Annotated[list["Item"], Field(min_length=1, max_length=MOST_ENTRIES)] = Field(description="The entries.")
    count: Annotated[int, Field(ge=1)] = Field(description="How many of them must be breached.")


class AtLeast(Entry):
    """Breached while enough of the entries are."""

    at_least: AtLeastParts = Field(description="Entries and how many of them are needed.")


def _kind(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    if value.get("use") == "standard":
        return "<use standard>"
    return next((f"<{kind}>" for kind in KINDS if kind in value), None)


Item: TypeAlias = Annotated[
    Annotated[UseSet, Tag("<use standard>")]
    | Annotated[UseOne, Tag("<use>")]
    | Annotated[RatioCondition, Tag("<ratio>")]
    | Annotated[LatencyCondition, Tag("<latency>")]
    | Annotated[GaugeCondition, Tag("<gauge>")]
    | Annotated[CountCondition, Tag("<count>")]
    | Annotated[RateCondition, Tag("<rate>")]
    | Annotated[ProbeCondition, Tag("<probe>")]
    | Annotated[PromQLCondition, Tag("<promql>")]
    | Annotated[AllOf, Tag("<all_of>")]
    | Annotated[AnyOf, Tag("<any_of>")]
    | Annotated[AtLeast, Tag("<at_least>")],
    Discriminator(_kind),
]
OwnCondition: TypeAlias = RatioCondition | LatencyCondition | GaugeCondition | CountCondition | RateCondition | ProbeCondition | PromQLCondition

for _model in (AllOf, AnyOf, AtLeastParts, AtLeast):
    _model.model_rebuild()
