"""The plan for a side instance: from which data, with which settings, what it loses and costs, and what people do with it."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from rollbackd.adapters.aws.rds.place import Place
from rollbackd.adapters.aws.rds.reading import TAG, Raw, Reader, identity, incident_of, refuse_unfit, source_of
from rollbackd.adapters.aws.rds.settings import copied
from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.target import Intent, Json, NothingToDo, Plan, PlanRequest


def plan(reader: Reader, place: Place, request: PlanRequest, now: datetime) -> Plan | NothingToDo:
    """See Target.plan."""
    found = reader.instances()
    source, side = source_of(place, found), place.side(request.incident)
    if request.undo is not None:
        made = place.side(request.undo.incident)
        delete = place.deletion(made, is_protected=bool(found.get(made, source).get("DeletionProtection")))
        raise Refused(f"{made} serves nobody, so nothing is taken back; nothing was changed", advice=f"by hand: {delete}")
    if (there := found.get(side)) is not None:
        return _is_made(request, side, there)
    revision = identity(source)
    if revision != request.from_revision:
        raise Refused(f"{place} is {revision} and no longer {request.from_revision}; nothing was made", advice="look what became of it")
    refuse_unfit(place, source)
    if request.moment is None:
        advice = f"by hand, with the moment: {_command(place, {'side': side, 'point': 'TIME'})}"
        raise Refused(f"no suspect tells which moment {place} would go back to; nothing was made", advice=advice)
    origin = reader.origin(place, source, request.moment)
    record: dict[str, Json] = {"side": side, "source": revision, **origin, "settings": copied(source), "tags": _tags(source)}
    return _plan(request, place, source, record, now)


def _is_made(request: PlanRequest, side: str, there: Raw) -> NothingToDo:
    if incident_of(there) != request.incident:
        raise Refused(f"there is an instance {side} that was not made for {request.incident}; nothing was made", advice="look whose it is")
    return NothingToDo(f"{side} was made for {request.incident} already: it is {there.get('DBInstanceStatus')}")


def _plan(request: PlanRequest, place: Place, source: Raw, record: Mapping[str, Json], now: datetime) -> Plan:
    side, point = str(record["side"]), str(record["point"])
    origin = f"snapshot {record['snapshot']} of {point}" if "snapshot" in record else f"its data at {point}"
    lost = _words(now - datetime.fromisoformat(point))
    return Plan(
        Intent(request.target, request.incident, request.from_revision, f"{side}@{point}", record),
        summary=f"make {side} beside {place.instance}, with {origin}: what was written since then, {lost} so far, is not in it",
        steps=(f"create {side} from {origin}", *(f"{name}: {value}" for name, value in sorted(copied(source).items()))),
        not_undone=_left(place, side, source),
        command=_command(place, record),
    )


def _left(place: Place, side: str, source: Raw) -> tuple[str, ...]:
    """What is not done, which is most of it. The first reads of a restored volume are slow."""
    region, rename = f"--region {place.region}", "aws rds modify-db-instance --apply-immediately"
    out = f"{rename} {region} --db-instance-identifier {place.instance} --new-db-instance-identifier {place.instance}-old"
    back = f"{rename} {region} --db-instance-identifier {side} --new-db-instance-identifier {place.instance}"
    return (
        f"{place.instance} serves on as it is; nothing is cut over, renamed or deleted",
        f"{side} costs as much as {place.instance} ({source.get('DBInstanceClass')}, {source.get('AllocatedStorage')} GiB) until somebody deletes it",
        "replicas, alarms, roles, monitoring and what caches and consumers hold are as they were",
        f"it takes minutes to hours; watch it: aws rds wait db-instance-available {region} --db-instance-identifier {side}",
        f"to cut over, compare the data, stop the writers, then: {out}; and once that is done: {back}",
        f"to leave it: {place.deletion(side, is_protected=bool(source.get('DeletionProtection')))}",
    )


def _command(place: Place, record: Mapping[str, Json]) -> str:
    if "snapshot" in record:
        told = f"restore-db-instance-from-db-snapshot --db-snapshot-identifier {record['snapshot']} --db-instance-identifier {record['side']}"
    else:
        told = (
            f"restore-db-instance-to-point-in-time --source-db-instance-identifier {place.instance} "
            f"--target-db-instance-identifier {record['side']} --restore-time {record['point']}"
        )
    return f"aws rds {told} --region {place.region}, with the settings of {place.instance}"


def _tags(source: Raw) -> dict[str, Json]:
    """The source's own tags: bills and backups go by them. Amazon's cannot be given, and ours is another."""
    pairs = {str(tag["Key"]): str(tag.get("Value", "")) for tag in source.get("TagList") or ()}
    return {key: value for key, value in sorted(pairs.items()) if not key.startswith("aws:") and key != TAG}


def _words(span: timedelta) -> str:
    """Rounded up: what is lost is never told as less."""
    seconds = max(0, math.ceil(span.total_seconds()))
    minutes = math.ceil(seconds / 60)
    if seconds < 120:
        return f"{seconds} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
