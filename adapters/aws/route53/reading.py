"""Names as Route 53 answers them; which zone has a name, and which changes are ours, is remembered."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rollbackd.adapters.aws.access import Caller
from rollbackd.adapters.aws.failures import Gone
from rollbackd.adapters.aws.route53 import calls
from rollbackd.adapters.aws.route53.place import Place, plain
from rollbackd.adapters.aws.route53.records import ADDRESSES, Raw, revision_of
from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.shape import shaped

_AT_ONCE = "100"


@dataclass(frozen=True, slots=True)
class Zone:
    """A hosted zone: its id, and its name as people write it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Seen:
    """All records of a name; ``addresses`` are those that lead somewhere, with their revision."""

    zone: Zone
    records: Sequence[Raw]
    addresses: Sequence[Raw]
    revision: str


@dataclass(slots=True)
class Memory:
    """What is remembered while the process lives. ``changes``: the id of each change of ours; ``there``: when a write of ours without an id was
    first seen done, by the clock. Both by target, incident and revision.
    """

    zones: dict[tuple[str, str], Zone] = field(default_factory=dict)
    changes: dict[tuple[str, str, str], str] = field(default_factory=dict)
    there: dict[tuple[str, str, str], float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic


class Reader:
    """Reads in one account. Raises Transient, Permanent or Refused."""

    def __init__(self, caller: Caller, memory: Memory) -> None:
        self.caller = caller
        self.memory = memory

    def seen(self, place: Place) -> Seen:
        """The name as it stands. Raises Gone where it leads nowhere, Permanent where it does in a way that could not be put back."""
        zone, records = self._found(place)
        addresses = [each for each in records if each["Type"] in ADDRESSES]
        if not addresses:
            raise Gone(f"{place} has no record of type {', '.join(ADDRESSES)}. Correct the target in the policy.")
        try:
            return Seen(zone, records, addresses, revision_of(addresses))
        except Permanent as fault:
            raise Permanent(f"{place}: {fault} Leave it out of the policy.") from fault

    def zone(self, place: Place) -> Zone:
        """The zone that the place names. Raises Gone if there is none, Permanent if there are several, or one that does not hold the name."""
        key = (place.account, place.zone)
        if key not in self.memory.zones:
            self.memory.zones[key] = self._by_id(place.zone_id) if place.zone_id else self._by_name(place)
        zone = self.memory.zones[key]
        if place.name != zone.name and not place.name.endswith(f".{zone.name}"):
            raise Permanent(f"{place.name} is no name of zone {zone.name}. Correct the target in the policy.")
        return zone

    def _found(self, place: Place) -> tuple[Zone, list[Raw]]:
        known = self.memory.zones.get((place.account, place.zone))
        try:
            zone = self.zone(place)
            return zone, self.records(zone, place.name)
        except Gone:
            if known is None:
                raise
            # It was deleted and made anew, as deployments of infrastructure do.
            self.memory.zones.pop((place.account, place.zone), None)
            zone = self.zone(place)
            return zone, self.records(zone, place.name)

    def records(self, zone: Zone, name: str) -> list[Raw]:
        """All record sets of the name."""
        found: list[Raw] = []
        asked: dict[str, Any] = {"StartRecordName": name}
        while True:
            page = self.caller.read(calls.LIST_RECORDS, HostedZoneId=zone.id, MaxItems=_AT_ONCE, **asked)
            with shaped(f"zone {zone.name}"):
                ours = [each for each in page["ResourceRecordSets"] if plain(each["Name"]) == name]
                found += ours
                if len(ours) < len(page["ResourceRecordSets"]) or not page["IsTruncated"]:
                    return found
                following = {
                    f"Start{key.removeprefix('Next')}": page.get(key) for key in ("NextRecordName", "NextRecordType", "NextRecordIdentifier")
                }
            asked = {key: value for key, value in following.items() if value}

    def texts(self, zone: Zone, name: str) -> list[str]:
        """The TXT values of the name."""
        page = self.caller.read(calls.LIST_RECORDS, HostedZoneId=zone.id, MaxItems="1", StartRecordName=name, StartRecordType="TXT")
        with shaped(f"zone {zone.name}"):
            ours = [each for each in page["ResourceRecordSets"] if plain(each["Name"]) == name and each["Type"] == "TXT"]
            return [str(item["Value"]) for each in ours for item in each.get("ResourceRecords") or []]

    def status(self, change: str) -> str:
        """PENDING, or INSYNC once all name servers have it."""
        answer = self.caller.read(calls.GET_CHANGE, Id=change)
        with shaped(f"change {change}"):
            return str(answer["ChangeInfo"]["Status"])

    def _by_id(self, zone_id: str) -> Zone:
        answer = self.caller.read(calls.GET_ZONE, Id=zone_id)
        with shaped(f"zone {zone_id}"):
            return Zone(zone_id, plain(answer["HostedZone"]["Name"]))

    def _by_name(self, place: Place) -> Zone:
        answer = self.caller.read(calls.LIST_ZONES, DNSName=place.zone, MaxItems="10")
        with shaped(f"zone {place.zone}"):
            found = [each for each in answer["HostedZones"] if plain(each["Name"]) == place.zone]
            ids = [str(each["Id"]).rpartition("/")[2] for each in found]
        if not ids:
            raise Gone(f"account {place.account} has no hosted zone {place.zone}. Correct the target in the policy.")
        if len(ids) > 1:
            raise Permanent(f"account {place.account} has several hosted zones {place.zone}: {', '.join(ids)}. Name the one that is meant by its id.")
        return Zone(ids[0], place.zone)
