"""The addresses of a name as values, and as the text that is their revision: short, complete, and read back to the letter.

``A#blue weight=100 alias=web-blue-1.eu-west-1.elb.amazonaws.com/Z32O12XQLNTSW2/yes; A#green weight=0 alias=…`` stands for two weighted records;
``A ttl=60 192.0.2.1,192.0.2.2`` for a plain one. The text is the whole of it, so that a known-good revision can be put back after any restart.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

from rollbackd.adapters.aws.route53.place import plain
from rollbackd.adapters.base.errors import Permanent

Raw: TypeAlias = Mapping[str, Any]
ADDRESSES = ("A", "AAAA", "CNAME")
"""The types that lead a client somewhere, and that move together."""
LONGEST = 1500
"""Characters of a revision: the journal keeps it in an index."""
ALIAS_TTL = 60
"""Seconds for which an alias to a load balancer is kept by caches; Amazon sets it."""
_FOREIGN = ("GeoLocation", "CidrRoutingConfig", "GeoProximityLocation", "TrafficPolicyInstanceId")
_KEYS = {"weight": "Weight", "region": "Region", "failover": "Failover", "multivalue": "MultiValueAnswer", "health": "HealthCheckId", "ttl": "TTL"}
_SAFE = "-._~:*"
_SET = re.compile(r"(?P<type>A|AAAA|CNAME)(#(?P<id>[^ ;#]+))?(?P<rest>( [^ ;]+)+)")


def revision_of(sets: Sequence[Raw]) -> str:
    """The text of these record sets; equal for equal sets in any order. Raises Permanent where it could not be put back."""
    text = "; ".join(sorted(spelled(each) for each in sets))
    if len(text) > LONGEST:
        raise Permanent(f"its {len(sets)} record sets take {len(text)} characters to name, and at most {LONGEST} are kept.")
    return text


def spelled(raw: Raw) -> str:
    """The text of one record set."""
    if foreign := [key for key in _FOREIGN if raw.get(key) is not None]:
        raise Permanent(f"record {raw['Type']} of {plain(raw['Name'])} is routed by {foreign[0]}, which is not handled here.")
    identity = f"#{_quoted(raw['SetIdentifier'])}" if raw.get("SetIdentifier") else ""
    words = [f"{word}={_quoted(str(raw[key]))}" for word, key in _KEYS.items() if raw.get(key) is not None]
    if alias := raw.get("AliasTarget"):
        evaluates = "yes" if alias.get("EvaluateTargetHealth") else "no"
        words.append(f"alias={_quoted(str(alias['DNSName']).rstrip('.'))}/{alias['HostedZoneId']}/{evaluates}")
    else:
        words.append(",".join(sorted(_quoted(str(each["Value"])) for each in raw["ResourceRecords"])))
    return f"{raw['Type']}{identity} {' '.join(words)}"


def parsed(revision: str, name: str) -> list[dict[str, Any]] | None:
    """The record sets of ``name`` that the text stands for; None if it is no such text."""
    found = [_SET.fullmatch(text) for text in revision.split("; ")]
    sets = [_parsed(match, name) for match in found if match is not None]
    # What does not come out as it went in is not written.
    return sets if len(sets) == len(found) and revision_of(sets) == revision else None


def _parsed(match: re.Match[str], name: str) -> dict[str, Any]:
    made: dict[str, Any] = {"Name": name, "Type": match["type"]}
    if match["id"]:
        made["SetIdentifier"] = unquote(match["id"])
    for word in match["rest"].split():
        key, equals, value = word.partition("=")
        if not equals:
            made["ResourceRecords"] = [{"Value": unquote(each)} for each in word.split(",")]
        elif key == "alias" and value.count("/") == 2:
            target, zone, evaluates = value.split("/")
            made["AliasTarget"] = {"DNSName": f"{unquote(target)}.", "HostedZoneId": zone, "EvaluateTargetHealth": evaluates == "yes"}
        elif key in _KEYS:
            made[_KEYS[key]] = _typed(key, unquote(value))
    made.setdefault("ResourceRecords", []) if "AliasTarget" not in made else None
    return made


def _typed(key: str, value: str) -> Any:
    if key in ("weight", "ttl"):
        return int(value) if value.isdecimal() else -1
    return value == "True" if key == "multivalue" else value


def seconds_kept(sets: Sequence[Raw]) -> int:
    """For how long caches may still answer with these; an alias is taken for one to a load balancer."""
    return max((int(each["TTL"]) if each.get("TTL") is not None else ALIAS_TTL for each in sets), default=0)


def label(raw: Raw) -> str:
    """A record set by its type and identifier."""
    return f"{raw['Type']} {raw['SetIdentifier']}" if raw.get("SetIdentifier") else str(raw["Type"])


def _quoted(text: str) -> str:
    return quote(text, safe=_SAFE)
