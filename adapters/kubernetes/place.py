"""Where a Deployment is, as its key says."""

from dataclasses import dataclass

from rollbackd.adapters.base.errors import Permanent

FORM = "kubernetes:CLUSTER/NAMESPACE/deployment/NAME"


@dataclass(frozen=True, slots=True)
class Place:
    """One Deployment of one cluster."""

    cluster: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """The target key."""
        return f"kubernetes:{self.cluster}/{self.namespace}/deployment/{self.name}"

    def __str__(self) -> str:
        return f"Deployment {self.namespace}/{self.name} of cluster {self.cluster}"


def place_of(key: str) -> Place:
    """The place that a key names. Raises Permanent for any other form."""
    kind, _, rest = key.partition(":")
    parts = rest.split("/")
    if kind != "kubernetes" or len(parts) != 4 or parts[2] != "deployment" or not all(parts):
        raise Permanent(f"{key} names no Deployment: expected {FORM}. Correct the target in the policy.")
    return Place(parts[0], parts[1], parts[3])
