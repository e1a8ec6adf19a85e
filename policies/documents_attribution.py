"""What a policy says of whose fault a breach is: what its target depends on."""

from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, Tag

from rollbackd.policies.documents_base import MOST_ENTRIES, Name, Text, Written

Thing: TypeAlias = Annotated[Text, Field(json_schema_extra={"examples": ["orders-db", "shop/payments"]})]


class UsedDependency(Written):
    """Something that the target depends on, and how it shows that the target uses too much of it."""

    name: Thing = Field(description="The name of a shared thing, or a target such as shop/payments.")
    use: Name | None = Field(None, description="The condition of this policy that is in breach while it uses too much of it, as of connections.")


def _kind(value: Any) -> str:
    return "<used>" if isinstance(value, dict | UsedDependency) else "<name>"


DependencyItem: TypeAlias = Annotated[Annotated[UsedDependency, Tag("<used>")] | Annotated[Thing, Tag("<name>")], Discriminator(_kind)]
Dependencies: TypeAlias = Annotated[list[DependencyItem], Field(min_length=1, max_length=MOST_ENTRIES)]
