"""The one write of a plan, and where the side instance is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollbackd.adapters.aws import fenced
from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.aws.failures import Rejected
from rollbackd.adapters.aws.rds import calls
from rollbackd.adapters.aws.rds.arriving import FAILED, arrival_of
from rollbackd.adapters.aws.rds.place import Place
from rollbackd.adapters.aws.rds.reading import TAG, Reader, identity, incident_of, source_of
from rollbackd.adapters.base.arrival import Arrival
from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.shape import shaped
from rollbackd.adapters.base.target import Intent, Json, Sight, Standing

_EXISTS = "DBInstanceAlreadyExists"


def apply(reader: Reader, place: Place, intent: Intent, begun: float | None = None) -> None:
    """See Target.apply. The side instance is ordered, tagged with the incident; one of that name with that tag is the same one.

    ``begun``: see Plan.
    """
    call, asked = _request(place, intent)
    try:
        fenced.write(reader.caller, call, intent.incident, lambda: _refuse_moved(reader, place, intent), begun=begun, **asked)
    except Rejected as refusal:
        if not refusal.code.startswith(_EXISTS):
            raise
        if look(reader, place, intent).ours is not True:
            what = f"{_record(intent)['side']} exists and was not made for {intent.incident}; nothing was made"
            raise Refused(what, advice="look whose it is") from refusal


def _request(place: Place, intent: Intent) -> tuple[Call, dict[str, Any]]:
    record: Mapping[str, Any] = _record(intent)
    tags = {**record["tags"], TAG: intent.incident}
    asked = {**record["settings"], "Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}
    if "snapshot" in record:
        return calls.FROM_SNAPSHOT, {"DBInstanceIdentifier": record["side"], "DBSnapshotIdentifier": record["snapshot"], **asked}
    names = {"SourceDBInstanceIdentifier": place.instance, "TargetDBInstanceIdentifier": record["side"]}
    return calls.TO_POINT_IN_TIME, {**names, "RestoreTime": datetime.fromisoformat(record["point"]), **asked}


def _refuse_moved(reader: Reader, place: Place, intent: Intent) -> None:
    found = reader.instances()
    there = found.get(str(_record(intent)["side"]))
    is_of_others = there is not None and incident_of(there) != intent.incident
    if is_of_others or identity(source_of(place, found)) != intent.from_revision:
        raise Refused(f"{place} or its side instance changed since the plan; nothing was made", advice="look again, then plan again")


def _record(intent: Intent) -> Mapping[str, Json]:
    if not {"side", "source", "point", "settings", "tags"} <= intent.record.keys():
        raise Permanent(f"the intent of {intent.incident} for {intent.target} holds no restore; nothing was made")
    return intent.record


def look(reader: Reader, place: Place, intent: Intent) -> Sight:
    """See Target.look. It is there once RDS has begun to make it: that takes hours, and people wait for it."""
    record, found = _record(intent), reader.instances()
    revision, side = identity(source_of(place, found)), str(record["side"])
    there = found.get(side)
    if there is None:
        return Sight(Standing.BEFORE, f"there is no {side}", revision)
    if incident_of(there) != intent.incident:
        return Sight(Standing.ELSEWHERE, f"{side} does not carry our tag: another writer was here", revision)
    status, endpoint = str(there.get("DBInstanceStatus")), there.get("Endpoint") or {}
    if status in FAILED:
        return Sight(Standing.FAILED, f"{side} is {status}; {place.instance} is untouched", revision, ours=True)
    where = f" at {endpoint['Address']}:{endpoint.get('Port')}" if endpoint.get("Address") else ""
    return Sight(Standing.THERE, f"{side} is {status}{where}; {place.instance} is untouched", intent.to_revision, ours=True)


def arrival(reader: Reader, place: Place, intent: Intent) -> Arrival | None:
    """See Awaited.arrival. One that does not carry our tag is none of ours, whatever its name."""
    record = _record(intent)
    there = reader.instances().get(str(record["side"]))
    if there is None or incident_of(there) != intent.incident:
        return None
    with shaped("DescribeDBInstances"):
        return arrival_of(place, record, there)
