"""What a policy says of whose fault a breach is, and of what cannot be undone."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag

from rollbackd.policies.documents.base import MOST_ENTRIES, Expression, Name, Text, Written, refuse
from rollbackd.policies.text.wording import describe_pattern

Thing: TypeAlias = Annotated[Text, Field(json_schema_extra={"examples": ["orders-db", "shop/payments"]})]


_ANNOTATION = describe_pattern("^([a-z0-9.-]{1,253}/)?[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$", "the key of an annotation")
AnnotationKey: TypeAlias = Annotated[str, Field(pattern=_ANNOTATION)]
# A bare * would make every backup and report a migration.
_JOB = describe_pattern("^[*]?[a-z0-9][a-z0-9.*-]{0,251}$", "the name of a Job, in which * is any text")
JobPattern: TypeAlias = Annotated[str, Field(pattern=_JOB)]


class UsedDependency(Written):
    """Something that the target depends on, and how it shows that the target uses too much of it."""

    name: Thing = Field(description="The name of a shared thing, or a target such as shop/payments.")
    use: Name | None = Field(None, description="The condition of this policy that is in breach while it uses too much of it, as of connections.")


def _kind(value: Any) -> str:
    return "<used>" if isinstance(value, dict | UsedDependency) else "<name>"


DependencyItem: TypeAlias = Annotated[Annotated[UsedDependency, Tag("<used>")] | Annotated[Thing, Tag("<name>")], Discriminator(_kind)]
Dependencies: TypeAlias = Annotated[list[DependencyItem], Field(min_length=1, max_length=MOST_ENTRIES)]


_MARKS = frozenset(("container", "annotation", "job", "metric"))


class ByContainer(Written):
    """A change of a container's image."""

    siblings: ClassVar[frozenset[str]] = _MARKS

    container: Name = Field(description="A container or init container that migrates: with another image, the change is a migration.")


class ByAnnotation(Written):
    """A change of an annotation."""

    siblings: ClassVar[frozenset[str]] = _MARKS

    annotation: AnnotationKey = Field(description="An annotation of the pod template that has another value after a migration.")


class ByJob(Written):
    """A Job that ran."""

    siblings: ClassVar[frozenset[str]] = _MARKS

    job: JobPattern = Field(description="A Job of the Deployment's namespace that migrates, by name; * is any text, as in checkout-migrate-*.")


class ByMetric(Written):
    """A change of a number that is measured."""

    siblings: ClassVar[frozenset[str]] = _MARKS

    metric: Expression = Field(
        description="PromQL that says which version a schema has; of several series the highest counts. With another value than before the change, "
        "the change is a migration.",
        examples=['flyway_schema_version{app="checkout"}'],
    )


def _mark(value: Any) -> str | None:
    return next((f"<{kind}>" for kind in sorted(_MARKS) if kind in value), None) if isinstance(value, dict) else None


MarkItem: TypeAlias = Annotated[
    Annotated[ByContainer, Tag("<container>")]
    | Annotated[ByAnnotation, Tag("<annotation>")]
    | Annotated[ByJob, Tag("<job>")]
    | Annotated[ByMetric, Tag("<metric>")],
    Discriminator(_mark),
]


class Unless(Written):
    """How a change is recognised across which nothing is reverted without people."""

    unless: Annotated[list[MarkItem], Field(min_length=1, max_length=MOST_ENTRIES)] = Field(description="Any of these tells it.")


def _reversible(value: Any) -> str:
    return "<unless>" if isinstance(value, dict | Unless) else "<always>"


def _always(value: object) -> object:
    if value != "always":
        hint = "'unless' lists what tells a change that cannot be undone; where none can be, 'mode: approve' leaves every revert to people"
        raise refuse("'always' or {unless: [...]}", hint=hint)
    return value


_Always = Annotated[Literal["always"], BeforeValidator(_always), Tag("<always>")]
Reversible: TypeAlias = Annotated[Annotated[Unless, Tag("<unless>")] | _Always, Discriminator(_reversible)]
