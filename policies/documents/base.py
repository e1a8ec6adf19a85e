"""What all documents share: strictness, and the leaf types with their messages and their JSON Schema."""

import math
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from rollbackd.policies.text import units
from rollbackd.policies.text.faults import listed, quoted
from rollbackd.policies.text.selectors import SelectorError, parse_selector
from rollbackd.policies.text.units import Quantity, UnitError
from rollbackd.policies.text.wording import describe_pattern

T = TypeVar("T")
MOST_ENTRIES = 200  # in any list of a policy: beyond it, it was not written by a person who meant it


class Written(BaseModel):
    """A part of a document. Nothing is converted, nothing unknown is accepted.

    ``later``: keys of the contract that this version does not have, and the key that each would stand for.
    ``siblings``: the keys of which one alone says what kind of entry this is.
    ``instead``: keys that only its like has, and what to write here in their place.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    later: ClassVar[Mapping[str, str]] = {}
    siblings: ClassVar[frozenset[str]] = frozenset()
    instead: ClassVar[Mapping[str, str]] = {}


def refuse(expected: str, found: str = "", hint: str = "", offset: int | None = None) -> PydanticCustomError:
    """The error that a validator raises: ``found`` defaults to the value."""
    return PydanticCustomError("expected", "refused", {"expected": expected, "found": found, "hint": hint, "offset": offset})


def refuse_later(found: str, hint: str = "") -> PydanticCustomError:
    """The error for a value of the contract that this version does not have."""
    return PydanticCustomError("not_supported", "refused", {"found": found, "hint": hint})


def in_unit(read: Callable[[object], T]) -> Callable[[object], T]:
    """A validator out of a unit's parser."""

    def reading(value: object) -> T:
        if isinstance(value, dict) and "of_before" in value:
            raise refuse("a plain limit", "'of_before'", "only 'above' and 'below' of a signal that was measured before a change can be of before")
        if isinstance(value, dict) and "of_old" in value:
            raise refuse("a plain limit", "'of_old'", "only 'above' of a ratio or a latency can be of the old pods")
        try:
            return read(value)
        except UnitError as error:
            raise refuse(error.expected, hint=error.hint) from error

    return reading


def _span(least: timedelta, most: timedelta) -> Callable[[object], timedelta]:
    def reading(value: object) -> timedelta:
        if isinstance(value, dict) and "until" in value:
            raise refuse_later("'until'")
        span = in_unit(units.duration)(value)
        if not least <= span <= most:
            raise refuse(f"a duration from {units.written(least)} to {units.written(most)}")
        return span

    return reading


def _duration_schema(example: str) -> WithJsonSchema:
    pattern = r"^0$|^([0-9.]+w)?([0-9.]+d)?([0-9.]+h)?([0-9.]+m)?([0-9.]+s)?([0-9.]+ms)?$"
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": pattern}, {"const": 0}], "examples": [example]})


def _quantity_schema(*examples: str | float) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "number"], "examples": list(examples)})


def _selector(text: str) -> str:
    try:
        parse_selector(text)
    except SelectorError as error:
        raise refuse(error.expected, f"{error.found} at character {error.offset + 1}", offset=error.offset) from error
    return text


def _histogram(text: str) -> str:
    metric = parse_selector(_selector(text)).metric
    for suffix in ("_bucket", "_count", "_sum"):
        if metric.endswith(suffix):
            raise refuse("the name of a histogram", f"one of its series, '{metric[:60]}'", f"write '{metric[: -len(suffix)][:60]}'")
    return text


def first_of(*kinds: str) -> Discriminator:
    """Which of ``kinds`` an entry is: the first that it has as a key."""

    def kind(value: Any) -> str | None:
        return next((f"<{kind}>" for kind in kinds if kind in value), None) if isinstance(value, dict) else None

    return Discriminator(kind)


def literal_unless_later(allowed: Collection[str], *later: str) -> BeforeValidator:
    """A validator that refuses the contract's words which are not built yet, with those that are ``allowed``, before the others are looked at."""

    def reading(value: object) -> object:
        if isinstance(value, str) and value in later:
            raise refuse_later(quoted(value), listed(allowed))
        return value

    return BeforeValidator(reading)


def _raw(value: object) -> object:
    """A limit whose unit only the library knows: read once the condition is known."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, str) or (is_number and _is_finite(value)):
        return value
    raise UnitError("a number or a quantity such as 5%, 2000ms or 512Mi")


def _is_finite(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _quantile(value: object) -> float:
    if isinstance(value, float) and 0 < value < 1:
        return value
    hint = f"write {value / 100:g}" if isinstance(value, int | float) and 1 < value < 100 else ""
    raise refuse("a quantile between 0 and 1, such as 0.95", hint=hint)


_NAME = describe_pattern("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "a name of a-z, 0-9 and '-' (at most 63, no '-' at either end)")
_OBJECT = describe_pattern(
    "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){0,10}$", "a Kubernetes object name of a-z, 0-9, '-' and '.'"
)
_LABEL = describe_pattern("^([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9_]{0,127}$", "a label name of a-z, A-Z, 0-9 and '_' (no '__' in front)")
_FLAG = describe_pattern(r"^[^\s,/]{1,200}$", "a flag name without blanks, ',' or '/'")

Name: TypeAlias = Annotated[str, Field(pattern=_NAME)]
ObjectName: TypeAlias = Annotated[str, Field(pattern=_OBJECT)]
LabelName: TypeAlias = Annotated[str, Field(pattern=_LABEL)]
FlagName: TypeAlias = Annotated[str, Field(pattern=_FLAG)]
Expression: TypeAlias = Annotated[str, Field(min_length=1, max_length=10_000)]
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]

Duration: TypeAlias = Annotated[timedelta, PlainValidator(_span(timedelta(0), timedelta(days=366))), _duration_schema("5m")]
PositiveDuration: TypeAlias = Annotated[timedelta, PlainValidator(_span(timedelta(milliseconds=1), timedelta(days=366))), _duration_schema("5m")]
Interval: TypeAlias = Annotated[timedelta, PlainValidator(_span(timedelta(seconds=1), timedelta(hours=1))), _duration_schema("15s")]
Window: TypeAlias = Annotated[timedelta, PlainValidator(_span(timedelta(seconds=1), timedelta(days=1))), _duration_schema("5m")]

Share: TypeAlias = Annotated[Quantity, PlainValidator(in_unit(units.share)), _quantity_schema("5%")]
Seconds: TypeAlias = Annotated[Quantity, PlainValidator(in_unit(units.seconds)), _quantity_schema("800ms")]
Events: TypeAlias = Annotated[Quantity, PlainValidator(in_unit(units.events)), _quantity_schema(10)]
EventRate: TypeAlias = Annotated[Quantity, PlainValidator(in_unit(units.events_per_second)), _quantity_schema("10/s")]
Compared: TypeAlias = Annotated[Quantity, PlainValidator(in_unit(units.expression_value)), _quantity_schema(100, "5%", "512Mi", "30s")]
Raw: TypeAlias = Annotated[object, PlainValidator(in_unit(_raw)), _quantity_schema("5%", "2000ms", 10)]

SelectorText: TypeAlias = Annotated[str, AfterValidator(_selector), Field(json_schema_extra={"examples": ['payments_total{result="error"}']})]
HistogramText: TypeAlias = Annotated[str, AfterValidator(_histogram), Field(json_schema_extra={"examples": ["search_seconds"]})]
Quantile: TypeAlias = Annotated[float, PlainValidator(_quantile), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})]
