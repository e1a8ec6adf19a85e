"""Task definitions out of use: ECS starts nothing of them, so a copy is registered, where the config allows it, and found again by its tag."""

from dataclasses import dataclass

from rollbackd.adapters.aws import fenced
from rollbackd.adapters.aws.ecs import calls, objects
from rollbackd.adapters.aws.ecs.objects import Raw
from rollbackd.adapters.aws.ecs.reading import COPY_OF, Reader, original
from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.shape import shaped

INCIDENT = "rollbackd:incident"
COPY = "ARN_OF_THE_COPY"
"""What stands in a command for people in place of a definition that is not registered yet."""
ANSWERED_ONLY = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    }
)
_MOST_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Usable:
    """A task definition that can be deployed. ``arn`` None: a copy of ``of`` has to be registered first."""

    arn: str | None
    of: Raw

    @property
    def definition(self) -> Raw:
        """What it says."""
        said: Raw = self.of["taskDefinition"]
        return said


def usable(reader: Reader, arn: str, command: str) -> Usable:
    """The task definition at ``arn``, or a copy of it. Raises Refused where it is out of use and the config allows no copy.

    ``command``: what a person types to deploy the copy, which is called COPY in it.
    """
    described = reader.definition(arn)
    with shaped("ECS"):
        status = described["taskDefinition"]["status"]
    if status == "ACTIVE":
        return Usable(arn, described)
    name = objects.name_of(arn)
    if status != "INACTIVE":
        advice = "Register the definition of the good version again by the usual way, and deploy that."
        raise Refused(f"task definition {name} is being deleted ({status}): ECS starts nothing of it. Nothing was changed.", advice=advice)
    if not reader.caller.account.registers:
        advice = f"Set accounts.{reader.caller.account.name}.reregister: true, or {by_hand(reader, name, command)}"
        raise Refused(f"task definition {name} is INACTIVE: somebody took it out of use. Nothing was changed.", advice=advice)
    return Usable(_copy(reader, original(described) or name), described)


def by_hand(reader: Reader, name: str, command: str) -> str:
    """How a person registers a definition again and deploys the copy: ECS refuses the one that is out of use."""
    described = f"aws ecs describe-task-definition --region {reader.caller.region} --task-definition {name} --query taskDefinition"
    return f"register {name} by hand from: {described}; then: {command}"


def register(reader: Reader, described: Raw, incident: str) -> str:
    """The ARN of a copy of a task definition, registered now and tagged with what it is a copy of. Raises what keeps it from being registered."""
    definition: Raw = described["taskDefinition"]
    name = original(described) or objects.name_of(definition["taskDefinitionArn"])
    kept = [tag for tag in described.get("tags") or [] if not tag["key"].startswith(("aws:", "rollbackd:"))]
    tags = [*kept, {"key": COPY_OF, "value": name}, {"key": INCIDENT, "value": incident}]
    copied = {key: value for key, value in definition.items() if key not in ANSWERED_ONLY}
    answer = fenced.write(reader.caller, calls.REGISTER_DEFINITION, incident, fenced.nothing, **copied, tags=tags)
    with shaped("ECS"):
        return str(answer["taskDefinition"]["taskDefinitionArn"])


def _copy(reader: Reader, wanted: str) -> str | None:
    """The newest copy of the original ``wanted`` that was registered before, such as by an attempt that was throttled or whose answer was lost."""
    family = wanted.rpartition(":")[0]
    listed = reader.caller.read(calls.LIST_DEFINITIONS, familyPrefix=family, status="ACTIVE", sort="DESC", maxResults=_MOST_LOOKED_AT)
    found: list[str] = listed.get("taskDefinitionArns") or []
    return next((each for each in found if original(reader.definition(each)) == wanted), None)
