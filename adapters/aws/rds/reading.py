"""What is read of a database: the instances around it, what it can be restored from, and why it could not be."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollbackd.adapters.aws.access import Caller
from rollbackd.adapters.aws.rds import calls
from rollbackd.adapters.aws.rds.place import Place
from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.shape import shaped
from rollbackd.adapters.base.target import Json

TAG = "rollbackd:incident"
"""The tag of a side instance; its value is the incident that it was made for."""
Raw = Mapping[str, Any]


class Reader:
    """Reads in one account and region. Raises Transient, Permanent or Refused."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def instances(self) -> Mapping[str, Raw]:
        """Every instance there, by identifier."""
        with shaped("DescribeDBInstances"):
            pages = self.caller.pages(calls.DESCRIBE, given="Marker", asked="Marker")
            return {str(each["DBInstanceIdentifier"]): each for page in pages for each in page["DBInstances"]}

    def origin(self, place: Place, source: Raw, moment: datetime) -> dict[str, Json]:
        """Where data as of ``moment`` comes from: ``point``, never later than it, and the ``snapshot`` that was taken then."""
        if place.way == "snapshot":
            return self._snapshot(place, moment)
        latest = source.get("LatestRestorableTime")
        if not source.get("BackupRetentionPeriod") or latest is None:
            what = f"{place} keeps no automatic backups, so it has no point in time; nothing was made"
            raise Refused(what, advice="restore a snapshot: from: snapshot")
        # RDS is some minutes behind: what it has is older than the moment, never newer.
        return {"point": min(moment, latest).isoformat(timespec="seconds")}

    def _snapshot(self, place: Place, moment: datetime) -> dict[str, Json]:
        with shaped(str(place)):
            pages = self.caller.pages(calls.DESCRIBE_SNAPSHOTS, given="Marker", asked="Marker", DBInstanceIdentifier=place.instance)
            every = [(at, each) for page in pages for each in page["DBSnapshots"] if (at := _taken(each))]
            usable = [(at, str(each["DBSnapshotIdentifier"])) for at, each in every if at <= moment and each["Status"] == "available"]
        if not usable:
            before = f"{place} has no available snapshot from before {moment.isoformat(timespec='seconds')} (of {len(every)}); nothing was made"
            raise Refused(before, advice="restore a point in time: from: point-in-time")
        at, name = max(usable)
        return {"point": at.isoformat(timespec="seconds"), "snapshot": name}


def _taken(snapshot: Raw) -> datetime | None:
    """Of when its data is. A copy has its own time of creation, and the data of what it is a copy of."""
    return snapshot.get("OriginalSnapshotCreateTime") or snapshot.get("SnapshotCreateTime")


def source_of(place: Place, found: Mapping[str, Raw]) -> Raw:
    """The place's own instance. Raises Permanent if it is not there."""
    if place.instance not in found:
        known = ", ".join(sorted(found)[:10]) or "none"
        raise Permanent(f"there is no {place}; known: {known}. Nothing was made. Correct the target in the policy.")
    return found[place.instance]


def refuse_unfit(place: Place, source: Raw) -> None:
    """Nothing, for an instance that can be restored by itself. Raises Refused for any other, with what a person would do."""
    if cluster := source.get("DBClusterIdentifier"):
        command = (
            f"aws rds restore-db-cluster-to-point-in-time --region {place.region} --source-db-cluster-identifier {cluster} "
            f"--db-cluster-identifier {cluster}-restored --restore-to-time TIME, then: aws rds create-db-instance --db-cluster-identifier …"
        )
        raise Refused(f"{place} is a member of cluster {cluster}, which only people restore; nothing was made", advice=f"by hand: {command}")
    if leader := source.get("ReadReplicaSourceDBInstanceIdentifier"):
        raise Refused(f"{place} is a read replica; nothing was made", advice=f"name the instance that it follows: {leader}")


def identity(source: Raw) -> str:
    """RDS's own id of an instance: a rename leaves it, another instance under the same name has another."""
    with shaped("DescribeDBInstances"):
        return str(source["DbiResourceId"])


def incident_of(instance: Raw) -> str | None:
    """The incident that the instance was made for, None if it was not made here."""
    return next((str(tag.get("Value")) for tag in instance.get("TagList") or () if tag.get("Key") == TAG), None)
