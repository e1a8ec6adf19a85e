"""A plan towards the addresses of one known-good revision, all of a name in one batch: checked against Amazon, nothing sent."""

import json
import shlex
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rollbackd.adapters.aws.route53.caches import kept
from rollbackd.adapters.aws.route53.destinations import refuse_lost
from rollbackd.adapters.aws.route53.owners import refuse_owned
from rollbackd.adapters.aws.route53.place import Place
from rollbackd.adapters.aws.route53.reading import Reader, Seen
from rollbackd.adapters.aws.route53.records import Raw, label, parsed, revision_of, spelled
from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest

SLACK = timedelta(seconds=30)
"""Resolvers are late, too."""
DEADLINE = timedelta(minutes=10)


def plan(reader: Reader, place: Place, request: PlanRequest) -> Plan | NothingToDo:
    """See Target.plan."""
    seen = reader.seen(place)
    after = restored(request.undo) if request.undo is not None else _goal(seen, request)
    if after is not None and revision_of(after) == seen.revision:
        return NothingToDo(f"{place} already stands at {seen.revision}.")
    if seen.revision != request.from_revision:
        what = f"{place} stands at {seen.revision} and no longer at {request.from_revision}: superseded"
        raise Refused(f"{what}. Nothing was changed.", advice="Judge what stands there now; it has a watch window of its own.")
    refuse_owned(reader, place, seen)
    if after is None:
        good = ", ".join(request.candidates) or "none"
        what = f"{place} has no previous state that is known good (known good: {good})"
        raise Refused(f"{what}. Nothing was changed.", advice="Change the name by hand, or declare what is good: rollbackd good.")
    # What stays leads somewhere too: with the others gone, it may be all that is left.
    unserved = refuse_lost(reader, after)
    seconds, unkept = kept(reader, seen.zone, difference(seen.addresses, after)[0])
    return _planned(place, request, seen, after, seconds, (*unserved, *unkept))


def restored(undone: Intent) -> list[Raw]:
    """The exact record sets from before a write of ours. Raises Permanent if its record holds none."""
    return recorded(undone, "before")


def recorded(intent: Intent, when: str) -> list[Raw]:
    """The record sets of an intent ``before`` or ``after`` it. Raises Permanent if its record holds none."""
    found: Any = intent.record.get(when)
    if not isinstance(found, list | tuple) or not found:
        raise Permanent(f"the intent of {intent.incident} for {intent.target} holds no records; nothing was changed; compare the name by hand")
    return list(found)


def _goal(seen: Seen, request: PlanRequest) -> list[Raw] | None:
    """The record sets of the first candidate that names some."""
    name = str(seen.addresses[0]["Name"])
    for candidate in request.candidates:
        if candidate != request.from_revision and (found := parsed(candidate, name)) is not None:
            return list(found)
    return None


def difference(before: Sequence[Raw], after: Sequence[Raw]) -> tuple[list[Raw], list[Raw]]:
    """What leaves and what comes, in a fixed order."""
    old, new = {spelled(each): each for each in before}, {spelled(each): each for each in after}
    return [old[text] for text in sorted(old.keys() - new.keys())], [new[text] for text in sorted(new.keys() - old.keys())]


def _planned(place: Place, request: PlanRequest, seen: Seen, after: Sequence[Raw], seconds: int, unknown: tuple[str, ...]) -> Plan:
    leaving, coming = difference(seen.addresses, after)
    record = {"before": list(seen.addresses), "after": list(after), "zone": seen.zone.id}
    batch = {"Comment": comment(request.incident), "Changes": changes(seen.addresses, after)}
    words = ["aws", "route53", "change-resource-record-sets", "--hosted-zone-id", seen.zone.id, "--change-batch", json.dumps(batch)]
    return Plan(
        intent=Intent(request.target, request.incident, request.from_revision, revision_of(after), json.loads(json.dumps(record))),
        summary=f"Put {', '.join(dict.fromkeys(label(each) for each in (*coming, *leaving)))} of {place} back",
        steps=(*(f"delete {spelled(each)}" for each in leaving), *(f"create {spelled(each)}" for each in coming)),
        not_undone=(*_not_undone(seen, seconds), *unknown),
        command=shlex.join(words),
        deadline=DEADLINE,
        settle=timedelta(seconds=seconds) + SLACK,
    )


def _not_undone(seen: Seen, seconds: int) -> tuple[str, ...]:
    caches = f"caches may answer as before for another {seconds} s, and programs that keep addresses for longer"
    # They may hold addresses of their own.
    hints = sorted({str(each["Type"]) for each in seen.records if each["Type"] in ("HTTPS", "SVCB")})
    return (caches, *(f"its {kind} record stays as it is" for kind in hints))


def changes(before: Sequence[Raw], after: Sequence[Raw]) -> list[dict[str, Any]]:
    """One batch: all that stood has to be there to the letter, what comes must not be, or nothing of it is done.

    What stays leaves and comes too, as it was read: left out, it could be drained meanwhile, and what comes would be wrong beside it.
    """
    leaving, coming = difference(before, after)
    staying = [each for each in before if each not in leaving]
    sets = (("DELETE", [*leaving, *staying]), ("CREATE", [*coming, *staying]))
    return [{"Action": action, "ResourceRecordSet": dict(each)} for action, those in sets for each in those]


def comment(incident: str) -> str:
    """What the batch says of itself."""
    return f"rollbackd {incident}"[:256]
