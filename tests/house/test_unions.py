"""One mistake in a document is one fault, in our words."""

from collections.abc import Iterator

import pytest

from rollbackd.controller.config.documents import ConfigDocument
from rollbackd.controller.config.flags import FlagParts
from rollbackd.controller.policytest.documents import PolicyTestDocument
from rollbackd.policies.documents.base import Written
from rollbackd.policies.documents.policy import PolicyDocument

DOCUMENTS = (PolicyDocument, PolicyTestDocument, ConfigDocument, FlagParts)
"""With these, everything that is written is imported."""


def every_part(of: type[Written] = Written) -> Iterator[type[Written]]:
    for part in of.__subclasses__():
        yield part
        yield from every_part(part)


def kinds(schema: object) -> Iterator[object]:
    if isinstance(schema, dict):
        yield schema.get("type")
        for key, value in schema.items():
            if key not in ("serialization", "metadata"):  # about writing, which is never done
                yield from kinds(value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            yield from kinds(value)


def test_every_document_is_looked_at() -> None:
    assert set(DOCUMENTS) < set(every_part())


@pytest.mark.parametrize("part", [pytest.param(part, id=part.__name__) for part in every_part()])
def test_what_may_be_of_several_kinds_says_by_itself_which_it_is(part: type[Written]) -> None:
    # Else pydantic tries each kind, and says of each, by a name of its own, why it is not that.
    assert "union" not in set(kinds(part.__pydantic_core_schema__))
