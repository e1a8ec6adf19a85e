"""Limits as written: a quantity, or so much of what the signal was before the change."""

from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from rollbackd.policies.documents.base import Compared, EventRate, Events, Raw, Seconds, Share, Written, in_unit
from rollbackd.policies.text import units
from rollbackd.policies.text.units import Quantity

Factor: TypeAlias = Annotated[
    Quantity, PlainValidator(in_unit(units.factor)), WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\\.[0-9]+)? ?%$", "examples": ["200%"]})
]


class BeforeLimit(Written):
    """So much of what the signal was before the change, and beyond a fixed limit as well."""

    of_before: Factor = Field(description="So much of what it was before the change: 200% is twice as much.")
    at_least: Raw | None = Field(None, description="Beside `above`: breached only above this as well.")
    at_most: Raw | None = Field(None, description="Beside `below`: breached only below this as well.")


class OldLimit(Written):
    """So much of what the pods of the old revision do that still run beside the new ones, and beyond a fixed limit as well."""

    of_old: Factor = Field(description="So much of what the pods of the old revision do at the same time: 300% is three times as much.")
    at_least: Raw = Field(description="Breached only above this as well; where no old pods run, health is what stays below it.")


def _kind(value: Any) -> str:
    if not isinstance(value, dict):
        return "<plain>"
    return "<before>" if "of_before" in value else "<old>" if "of_old" in value else "<plain>"


_Before = Annotated[BeforeLimit, Tag("<before>")]
_Old = Annotated[OldLimit, Tag("<old>")]
ShareLimit: TypeAlias = Annotated[Annotated[Share, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
SecondsLimit: TypeAlias = Annotated[Annotated[Seconds, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
EventsLimit: TypeAlias = Annotated[Annotated[Events, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
EventRateLimit: TypeAlias = Annotated[Annotated[EventRate, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
ComparedLimit: TypeAlias = Annotated[Annotated[Compared, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
RawLimit: TypeAlias = Annotated[Annotated[Raw, Tag("<plain>")] | _Before | _Old, Discriminator(_kind)]
