"""Where a database is and what it would be restored from, as its key says."""

from dataclasses import dataclass

from rollbackd.adapters.base.errors import Permanent

WAYS = ("point-in-time", "snapshot")
FORM = "rds:ACCOUNT/REGION/INSTANCE/point-in-time or rds:ACCOUNT/REGION/INSTANCE/snapshot"


@dataclass(frozen=True, slots=True)
class Place:
    """One instance. ``way``: what its data would be restored from."""

    account: str
    region: str
    instance: str
    way: str

    @property
    def key(self) -> str:
        """The target key."""
        return f"rds:{self.account}/{self.region}/{self.instance}/{self.way}"

    def __str__(self) -> str:
        return f"database {self.instance} ({self.account}, {self.region})"

    def side(self, incident: str) -> str:
        """The identifier of the side instance that an incident makes: at most 63 characters, as RDS allows."""
        return f"{self.instance[:40].rstrip('-')}-rb-{incident.removeprefix('inc-')[:18]}".lower()

    def deletion(self, side: str, *, is_protected: bool) -> str:
        """What a person types to be rid of a side instance. RDS refuses to delete a protected one."""
        named = f"--region {self.region} --db-instance-identifier {side}"
        delete = f"aws rds delete-db-instance {named} --skip-final-snapshot"
        if not is_protected:
            return delete
        return f"aws rds modify-db-instance {named} --no-deletion-protection --apply-immediately; and once that is done: {delete}"


def place_of(key: str) -> Place:
    """The place that a key names. Raises Permanent for any other form."""
    kind, _, rest = key.partition(":")
    parts = rest.split("/")
    if kind != "rds" or len(parts) != 4 or not all(parts) or parts[3] not in WAYS:
        raise Permanent(f"{key} names no database: expected {FORM}. Correct the target in the policy.")
    return Place(*parts)
