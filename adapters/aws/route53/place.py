"""Which name is meant, as its key says."""

import re
from dataclasses import dataclass

from rollbackd.adapters.base.errors import Permanent

FORM = "route53:ACCOUNT/ZONE/NAME"
_ID = re.compile(r"Z[A-Z0-9]{8,31}")


@dataclass(frozen=True, slots=True)
class Place:
    """One name of one hosted zone. ``zone``: its name, or its id where several have the name."""

    account: str
    zone: str
    name: str

    @property
    def key(self) -> str:
        """The target key."""
        return f"route53:{self.account}/{self.zone}/{self.name}"

    @property
    def zone_id(self) -> str | None:
        """The zone's id, where it is what the key says."""
        return self.zone if _ID.fullmatch(self.zone) else None

    def __str__(self) -> str:
        return f"name {self.name} of zone {self.zone} ({self.account})"


def place_of(key: str) -> Place:
    """The place that a key names. Raises Permanent for any other form."""
    kind, _, rest = key.partition(":")
    parts = rest.split("/")
    if kind != "route53" or len(parts) != 3 or not all(parts):
        raise Permanent(f"{key} names nothing in Route 53: expected {FORM}. Correct the target in the policy.")
    return Place(*parts)


def plain(name: str) -> str:
    """A name as people write it: without the dot at its end, in small letters, with a star as a star."""
    return name.replace("\\052", "*").rstrip(".").lower()
