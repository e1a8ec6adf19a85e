"""The one batch of a plan, and where the name stands relative to it."""

from rollbackd.adapters.aws import fenced
from rollbackd.adapters.aws.failures import Gone, Rejected
from rollbackd.adapters.aws.route53 import calls
from rollbackd.adapters.aws.route53.place import Place
from rollbackd.adapters.aws.route53.planning import changes, comment, recorded
from rollbackd.adapters.aws.route53.reading import Reader, Seen
from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused
from rollbackd.adapters.base.target import Intent, Sight, Standing

SPREAD = 60.0
"""Seconds until a change is usually at all name servers: waited for where the reply with the id of the change was lost."""
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before a batch is sent again that a busy zone has not taken."""
_JUDGE = "Look at the name; judge what stands there now."


def apply(reader: Reader, place: Place, intent: Intent, begun: float | None = None) -> None:
    """See Target.apply. A zone that is busy has not taken the batch, which is then sent again after another look. ``begun``: see Plan."""
    before, after = recorded(intent, "before"), recorded(intent, "after")
    zone = reader.zone(place)
    if zone.id != intent.record.get("zone", zone.id):
        raise Refused(f"{place} is in another zone than the one that was planned for. Nothing was changed.", advice=_JUDGE)
    batch = {"Comment": comment(intent.incident), "Changes": changes(before, after)}
    try:
        answer = fenced.write(
            reader.caller,
            calls.CHANGE_RECORDS,
            intent.incident,
            lambda: _refuse_moved(reader.seen(place), place, intent),
            pauses=PAUSES,
            begun=begun,
            HostedZoneId=zone.id,
            ChangeBatch=batch,
        )
    except Rejected as fault:
        raise _explained(reader, place, intent, fault) from fault
    # An answer without the id still says that the batch was taken: a look then gives it the time that a change takes.
    if change := (answer.get("ChangeInfo") or {}).get("Id"):
        reader.memory.changes[_ours(intent)] = str(change).rpartition("/")[2]


def _refuse_moved(seen: Seen, place: Place, intent: Intent) -> None:
    if seen.revision != intent.from_revision:
        what = f"{place} stands at {seen.revision} and no longer at {intent.from_revision}"
        raise Refused(f"{what}. Nothing was changed.", advice=_JUDGE)


def _explained(reader: Reader, place: Place, intent: Intent, fault: Rejected) -> AdapterError:
    """What the rejection of a whole batch means: somebody else was there, or, with nothing changed, Amazon's own reason, such as a protection."""
    if fault.code != "InvalidChangeBatch":
        return fault
    moved = reader.seen(place).revision
    if moved != intent.from_revision:
        return Refused(f"{place} was changed in this very moment, to {moved}. Nothing of ours was changed.", advice=_JUDGE)
    shown = f"aws route53 list-resource-record-set-protections --hosted-zone-id {reader.zone(place).id}"
    return Permanent(f"{fault} The name stands as before; if it is protected, only a person may lift that. See: {shown}")


def look(reader: Reader, place: Place, intent: Intent) -> Sight:
    """See Target.look. Done is what all name servers have. A name that is gone is ELSEWHERE."""
    try:
        revision = reader.seen(place).revision
    except Gone as fault:
        return Sight(Standing.ELSEWHERE, f"{fault} Another writer took it away.", "")
    if revision == intent.from_revision:
        return Sight(Standing.BEFORE, f"still at {revision}", revision)
    if revision != intent.to_revision:
        what = f"neither as before the intent nor as planned: another writer has put {revision} there"
        return Sight(Standing.ELSEWHERE, what, revision)
    change = reader.memory.changes.get(_ours(intent))
    if change is None:
        return _without_id(reader, intent, revision)
    status = reader.status(change)
    standing = Standing.THERE if status == "INSYNC" else Standing.UNDERWAY
    return Sight(standing, f"change {change} is {status}", revision)


def _without_id(reader: Reader, intent: Intent, revision: str) -> Sight:
    """Nobody knows which change it was, so nobody can ask how far it is: it gets the time that a change usually takes."""
    now = reader.memory.clock()
    waited = now - reader.memory.there.setdefault(_ours(intent), now)
    standing = Standing.THERE if waited >= SPREAD else Standing.UNDERWAY
    return Sight(standing, f"the records are there; the id of the change was lost, {waited:.0f} s of {SPREAD:.0f} s waited", revision)


def _ours(intent: Intent) -> tuple[str, str, str]:
    return (intent.target, intent.incident, intent.to_revision)
