"""For how long caches may still answer with records that leave."""

from collections.abc import Sequence

from rollbackd.adapters.aws.route53.place import plain
from rollbackd.adapters.aws.route53.reading import Reader, Zone
from rollbackd.adapters.aws.route53.records import ALIAS_TTL, Raw, seconds_kept


def kept(reader: Reader, zone: Zone, leaving: Sequence[Raw]) -> tuple[int, tuple[str, ...]]:
    """The seconds at most, and in lines of what they are not known.

    An alias to another record of its zone is kept for the TTL of that one. It is followed once: an alias that leads on, or nowhere, is unknown.
    """
    followed = [(name, each["Type"]) for each in leaving if (name := _within(zone, each)) is not None]
    found = {name: reader.records(zone, name) for name in dict.fromkeys(name for name, _ in followed)}
    seconds, unknown = seconds_kept([each for each in leaving if _within(zone, each) is None]), list[str]()
    for name, kind in dict.fromkeys(followed):
        reached = [each for each in found[name] if each["Type"] == kind]
        seconds = max(seconds, seconds_kept(reached) if reached else ALIAS_TTL)
        if not reached or any(_within(zone, each) is not None for each in reached):
            unknown.append(f"how long caches keep {name} is not known: it is an alias within the zone, too, or has no record of type {kind}")
    return seconds, tuple(unknown)


def _within(zone: Zone, raw: Raw) -> str | None:
    """The name in its own zone that an alias leads to."""
    alias = raw.get("AliasTarget") or {}
    return plain(str(alias["DNSName"])) if alias.get("HostedZoneId") == zone.id else None
