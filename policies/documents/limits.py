"""Limits as written: a quantity, or so much of what the signal was before the change."""

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, PlainValidator, Tag, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from rollbackd.policies.documents.base import Compared, EventRate, Events, Raw, Seconds, Share, Written, in_unit, refuse
from rollbackd.policies.text import units
from rollbackd.policies.text.faults import quoted
from rollbackd.policies.text.units import Quantity

Factor: TypeAlias = Annotated[
    Quantity, PlainValidator(in_unit(units.factor)), WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?%$", "examples": ["200%"]})
]


class BeforeLimit(Written):
    """So much of what the signal was before the change, and beyond a fixed limit as well."""

    of_before: Factor = Field(description="So much of what it was before the change: 200% is twice as much.")
    at_least: Raw | None = Field(None, description="Beside `above`: breached only above this as well.")
    at_most: Raw | None = Field(None, description="Beside `below`: breached only below this as well.")


class OldLimit(Written):
    """So much of what the pods of the old revision do that still run beside the new ones, and beyond a fixed limit as well."""

    # `at_least` is needed, and `at_most` never right: said once the side and the signal are known to be, so that the first fault is the one to mend.
    model_config = ConfigDict(json_schema_extra={"required": ["of_old", "at_least"]})

    of_old: Factor = Field(description="So much of what the pods of the old revision do at the same time: 300% is three times as much.")
    at_least: Raw | None = Field(None, description="Breached only above this as well; where no old pods run, health is what stays below it.")
    at_most: SkipJsonSchema[Raw | None] = None


def _kind(value: Any) -> str:
    if not isinstance(value, dict):
        return "<plain>"
    return "<before>" if "of_before" in value else "<old>" if "of_old" in value else "<plain>"


def _whole(value: object) -> object:
    if isinstance(value, dict):
        found = ", ".join(quoted(key) for key in list(value)[:5]) or "an empty mapping"
        hint = "'of_old' is for 'above' of a ratio or a latency; a fixed limit is written without a mapping"
        raise refuse("the key 'of_before' or 'of_old'", found, hint)
    return value


_WHOLE = BeforeValidator(_whole)
_Before = Annotated[BeforeLimit, Tag("<before>")]
_Old = Annotated[OldLimit, Tag("<old>")]
ShareLimit: TypeAlias = Annotated[Annotated[Share, _WHOLE, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
SecondsLimit: TypeAlias = Annotated[Annotated[Seconds, _WHOLE, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
EventsLimit: TypeAlias = Annotated[Annotated[Events, _WHOLE, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
EventRateLimit: TypeAlias = Annotated[Annotated[EventRate, _WHOLE, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
ComparedLimit: TypeAlias = Annotated[Annotated[Compared, _WHOLE, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
RawLimit: TypeAlias = Annotated[Annotated[Raw, _WHOLE, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
