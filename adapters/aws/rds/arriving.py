"""What people are told of a side instance once it has come, or never will. Pure."""

from collections.abc import Mapping
from typing import Any

from rollbackd.adapters.aws.rds.place import Place
from rollbackd.adapters.aws.rds.settings import copied
from rollbackd.adapters.base.arrival import Arrival
from rollbackd.adapters.base.target import Json

FAILED = frozenset(
    {
        "failed",
        "inaccessible-encryption-credentials",
        "inaccessible-encryption-credentials-recoverable",
        "incompatible-network",
        "incompatible-option-group",
        "incompatible-parameters",
        "incompatible-restore",
        "insufficient-capacity",
        "restore-error",
        "storage-full",
    }
)
"""The states that a side instance does not leave by itself."""


def arrival_of(place: Place, record: Mapping[str, Any], there: Mapping[str, Any]) -> Arrival | None:
    """What became of the side instance that ``record`` asked for; None while RDS works on it."""
    side, status = str(record["side"]), str(there.get("DBInstanceStatus"))
    if status in FAILED:
        return Arrival(status, False, f"{side} is {status}; {place.instance} is untouched", _failure(place, side, there))
    if status != "available":
        return None
    endpoint = there.get("Endpoint") or {}
    address = (str(endpoint["Address"]), int(endpoint["Port"])) if endpoint.get("Address") and endpoint.get("Port") else None
    where = f"{address[0]}:{address[1]}" if address else "none is told"
    lines = (
        f"endpoint: {where}",
        f"its data is as of {record['point']}; {place.instance} serves on, untouched",
        _backups(there),
        *_compared(record["settings"], there),
        "nothing was cut over: how to do it, and how to leave it, was said when it was handed over",
    )
    return Arrival(status, True, f"{side} is available beside {place.instance}", lines, address)


def _failure(place: Place, side: str, there: Mapping[str, Any]) -> tuple[str, ...]:
    said = [str(each["Message"]) for each in there.get("StatusInfos") or () if each.get("Message")]
    delete = place.deletion(side, is_protected=bool(there.get("DeletionProtection")))
    events = f"aws rds describe-events --region {place.region} --source-type db-instance --source-identifier {side} --duration 1440"
    return (
        f"RDS says: {'; '.join(said)}" if said else "RDS gives no reason with the state",
        f"why, in its own words: {events}",
        f"it is neither ordered again nor deleted by itself, and it costs until somebody deletes it: {delete}",
    )


def _backups(there: Mapping[str, Any]) -> str:
    latest = there.get("LatestRestorableTime")
    return f"its own backups reach to {latest.isoformat(timespec='seconds')}" if latest else "it has no backup of its own yet"


def _compared(asked: Mapping[str, Json], there: Mapping[str, Any]) -> tuple[str, ...]:
    has = copied(there)
    apart = [f"differs from what was asked: {name} is {has.get(name)}, asked {asked[name]}" for name in sorted(asked) if has.get(name) != asked[name]]
    # A group that is named but not in force: RDS takes its fixed parameters only at the next restart of the instance.
    groups = [(each["DBParameterGroupName"], each.get("ParameterApplyStatus", "in-sync")) for each in there.get("DBParameterGroups") or ()]
    late = [f"parameter group {name} is not in force yet: {state}" for name, state in groups if state != "in-sync"]
    same = () if apart else (f"its {len(asked)} settings are as they were asked",)
    return (*same, *apart, *late)
