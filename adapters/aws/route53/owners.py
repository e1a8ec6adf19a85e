"""Names that are not ours to write: refused, and the owner named."""

import re

from rollbackd.adapters.aws.route53.place import Place
from rollbackd.adapters.aws.route53.reading import Reader, Seen
from rollbackd.adapters.base.errors import Refused

_HERITAGE = re.compile(r"heritage=external-dns.*?external-dns/owner=(?P<owner>[^,\"\\]+)(.*?external-dns/resource=(?P<resource>[^,\"\\]+))?")


def refuse_owned(reader: Reader, place: Place, seen: Seen) -> None:
    """Nothing, for a name that nobody else writes. Raises Refused for any other."""
    if (refusal := owner(reader, place, seen)) is not None:
        raise refusal


def owner(reader: Reader, place: Place, seen: Seen) -> Refused | None:
    """Why the name is not ours to write, with what a person does; None if it is."""
    if place.name != seen.zone.name and any(each["Type"] == "NS" for each in seen.records):
        what = f"{place} is delegated to other name servers: what its records here say, clients do not see"
        return Refused(f"{what}. Nothing was changed.", advice="Name the zone that it is delegated to.")
    for text in _texts(reader, place, seen):
        if found := _HERITAGE.search(text):
            resource = found["resource"] or "the resource that asks for it"
            what = f"{place} belongs to external-dns (owner {found['owner']}, for {resource}), which would write it again within its interval"
            return Refused(f"{what}. Nothing was changed.", advice=f"Put {resource} back by hand, or scale external-dns down first.")
    return None


def _texts(reader: Reader, place: Place, seen: Seen) -> list[str]:
    """The values by which external-dns marks a name: at the name itself, or, as newer ones do, at the name with the type in front."""
    own = [str(item["Value"]) for each in seen.records if each["Type"] == "TXT" for item in each.get("ResourceRecords") or []]
    types = dict.fromkeys(str(each["Type"]).lower() for each in seen.addresses)
    # A record that leads to a load balancer is marked as the CNAME that it was asked for as.
    marked = [f"{kind}-{place.name}" for kind in dict.fromkeys((*types, "cname"))]
    return own + [text for name in marked for text in reader.texts(seen.zone, name)]
