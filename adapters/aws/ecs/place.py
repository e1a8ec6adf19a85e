"""Where a service is, as its key says."""

from dataclasses import dataclass

from rollbackd.adapters.base.errors import Permanent

FORM = "ecs:ACCOUNT/REGION/CLUSTER/SERVICE"


@dataclass(frozen=True, slots=True)
class Place:
    """One service of one cluster."""

    account: str
    region: str
    cluster: str
    service: str

    @property
    def key(self) -> str:
        """The target key."""
        return f"ecs:{self.account}/{self.region}/{self.cluster}/{self.service}"

    def __str__(self) -> str:
        return f"service {self.service} of cluster {self.cluster} ({self.account}, {self.region})"


def place_of(key: str) -> Place:
    """The place that a key names. Raises Permanent for any other form."""
    kind, _, rest = key.partition(":")
    parts = rest.split("/")
    if kind != "ecs" or len(parts) != 4 or not all(parts):
        raise Permanent(f"{key} names no service of ECS: expected {FORM}. Correct the target in the policy.")
    return Place(*parts)
