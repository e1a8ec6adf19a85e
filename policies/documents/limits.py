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


def _kind(value: Any) -> str:
    return "<before>" if isinstance(value, dict) and "of_before" in value else "<plain>"


_Before = Annotated[BeforeLimit, Tag("<before>")]
ShareLimit: TypeAlias = Annotated[Annotated[Share, Tag("<plain>")] | _Before, Discriminator(_kind)]
SecondsLimit: TypeAlias = Annotated[Annotated[Seconds, Tag("<plain>")] | _Before, Discriminator(_kind)]
EventsLimit: TypeAlias = Annotated[Annotated[Events, Tag("<plain>")] | _Before, Discriminator(_kind)]
EventRateLimit: TypeAlias = Annotated[Annotated[EventRate, Tag("<plain>")] | _Before, Discriminator(_kind)]
ComparedLimit: TypeAlias = Annotated[Annotated[Compared, Tag("<plain>")] | _Before, Discriminator(_kind)]
RawLimit: TypeAlias = Annotated[Annotated[Raw, Tag("<plain>")] | _Before, Discriminator(_kind)]
