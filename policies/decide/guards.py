"""The guard table: what may hold an action, each with its value, for deciding and for explaining."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from shlex import quote

from rollbackd.policies.blame.attribution import changed_alike, is_clear, ranked, ranking_text
from rollbackd.policies.blame.irreversible import irreversible
from rollbackd.policies.blame.neighbours import neighbours
from rollbackd.policies.decide.coming import coming
from rollbackd.policies.judge.systemic import Chance, share_needed, tail
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.freeze import frozen
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.reasons import clock_text, duration_text, number_text
from rollbackd.policies.model.keys import namespace_of
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.watching.since import watch_length

ALWAYS_ASKED = frozenset({"pause"})
"""What no person passes by naming it: they have to lift it."""
PASSABLE = ("freeze", "systemic", "quarantine", "cool-down", "in-flight-namespace", "in-flight", "per-hour", "per-target-day")
"""What a person may pass by name, with a reason."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard as it stands: ``value`` for people; ``blocks`` names why it holds an action now, None where it does not."""

    name: str
    value: str
    blocks: str | None = None


def guards(
    policy: Policy,
    suspects: Sequence[Change],
    fleet: Fleet,
    at: datetime,
    incident: Incident | None = None,
    begins: Collection[str] | None = None,
) -> tuple[Guard, ...]:
    """Every guard for acting on ``policy``'s target now, in the order in which they are asked. ``incident`` does not count against itself.

    ``begins``: the targets that are about to be written to; None: those of the rungs that are next.
    """
    return (
        *running_guards(suspects, fleet, policy, at, incident, begins),
        _quarantine([change for change in suspects if change.target in policy.targets], fleet),
        _cooldown(policy, fleet, at),
        *_in_flight(policy, fleet, incident),
        _per_hour(fleet),
        _per_day(policy, fleet),
    )


def running_guards(
    suspects: Sequence[Change],
    fleet: Fleet,
    policy: Policy,
    at: datetime,
    incident: Incident | None = None,
    begins: Collection[str] | None = None,
) -> tuple[Guard, ...]:
    """The guards that are asked again before each further rung; the budgets were spent by the first."""
    if begins is None:
        begins = [rung.target for rung in coming(policy, suspects, incident)]
    return (
        _pause(fleet),
        _freeze(policy, begins, fleet, at),
        _systemic(policy, suspects, fleet),
        _suspects(policy, suspects, fleet, incident),
        _acknowledged(incident),
        _irreversible(suspects),
    )


def first_block(found: Sequence[Guard]) -> Guard | None:
    """The guard that holds the action, if one does."""
    return next((guard for guard in found if guard.blocks is not None), None)


def _pause(fleet: Fleet) -> Guard:
    return Guard("pause", f"paused: {fleet.paused}" if fleet.paused else "not paused", f"paused: {fleet.paused}" if fleet.paused else None)


def _freeze(policy: Policy, begins: Collection[str], fleet: Fleet, at: datetime) -> Guard:
    """Whether a freeze is on where the watched target is, or where anything is about to be written."""
    own = namespace_of(policy.target)
    for space in dict.fromkeys((own, *map(namespace_of, begins))):
        if (found := frozen(fleet.limits.freezes, space, at)) is not None:
            freeze, end = found
            where = "" if space == own else f" in {space}"
            why = f"freeze{where} until {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {freeze.reason}"
            return Guard("freeze", why, why)
    return Guard("freeze", "no freeze is on")


def _systemic(policy: Policy, suspects: Sequence[Change], fleet: Fleet) -> Guard:
    """Whether more targets are in breach without a change than chance explains, but for those that this one brought down."""
    found = neighbours(policy, suspects, fleet)
    value = f"{len(found.broken)} of {found.watched} other targets in breach without a change; {_usual_text(found.usual, found.watched)}"
    if found.brought_down:
        value = f"{len(found.brought_down)} more depend on {policy.target}, or on what it uses too much of, and broke after it; {value}"
    if not found.is_common:
        return Guard("systemic", value)
    moved = changed_alike(policy, fleet, watch_length(policy), found.broken)
    alike = "".join(f"; {c.target}, on which they depend as well, went to revision {c.revision}" for c in moved)
    return Guard("systemic", value, f"{value}: {', '.join(found.broken[:5])}: a common cause is likelier than this change{alike}")


def _usual_text(usual: Chance, watched: int) -> str:
    window = duration_text(usual.within)
    if usual.expected is None:
        return f"what is usual is not known before a day is watched ({duration_text(usual.observed)} were), holds at {usual.needed}"
    odds = number_text(tail(usual.needed, usual.expected), "%")
    known = f"{usual.expected:.2g} are usual in {window} (from {usual.counted:.0f} in the last days)"
    return f"{known}, {usual.needed} or more come by chance in {odds} of them; holds at {min(usual.needed, share_needed(watched))}"


def _suspects(policy: Policy, suspects: Sequence[Change], fleet: Fleet, incident: Incident | None) -> Guard:
    """Whether what a rung can undo is clearly likelier the cause than what none can. A rung that always runs asks for no suspect."""
    onset = incident.onset if incident is not None else fleet.onsets.get(policy.target)
    if not suspects or onset is None:
        return Guard("suspects", f"{len(suspects)} changes under watch, no breach to lay to them" if suspects else "no change under suspicion")
    ranking = ranked(policy, suspects, fleet, onset)
    value = f"likeliest first: {ranking_text(ranking)}"
    if is_clear(ranking) or _runs_always(policy, suspects, incident):
        return Guard("suspects", value)
    why = "what can be undone here is not twice as likely the cause as what cannot"
    return Guard("suspects", value, f"{why}; {value}; to undo it all the same: rollbackd rollback {quote(policy.name)} --reason '...'")


def _runs_always(policy: Policy, suspects: Sequence[Change], incident: Incident | None) -> bool:
    """Whether the next rung is one that always runs."""
    left = policy.ladder[(incident.rung if incident is not None else -1) + 1 :]
    changed = {change.target for change in suspects if not change.posted}
    following = next((rung for rung in left if rung.always or rung.target in changed), None)
    return following is not None and following.always


def _acknowledged(incident: Incident | None) -> Guard:
    acked = incident.acked if incident is not None else None
    if incident is None or acked is None:
        return Guard("acknowledged", "nobody has taken the incident" if incident else "no incident is open")
    why = f"{acked.who} has taken the incident at {acked.at:%H:%M:%S}: what is done next is theirs to order"
    return Guard("acknowledged", why, why)


def _irreversible(suspects: Sequence[Change]) -> Guard:
    found = irreversible(suspects)
    if found is None:
        return Guard("irreversible", "no suspect is irreversible")
    return Guard("irreversible", f"change {found.id} of {found.target} is irreversible: {found.irreversible}; a revert across it needs approval")


def _quarantine(suspects: Sequence[Change], fleet: Fleet) -> Guard:
    found = next((c for c in suspects if (c.target, c.revision) in fleet.quarantined), None)
    if found is None:
        return Guard("quarantine", "no suspect revision is quarantined")
    command = f"rollbackd rearm {quote(found.target)} {quote(found.revision)}"
    again = f"`{command}` allows a second rollback; what is held by then stays held until people order it"
    newer = next((c for c in suspects if c.target == found.target and c.order > found.order), None)
    came = f"came again at {found.started_late:%H:%M:%S}, before {newer.revision}: the breach may be its doing" if newer else "is live again"
    why = f"revision {found.revision} was rolled back before and {came}; {again}"
    return Guard("quarantine", why, why)


def destination(target: str, revision: str, fleet: Fleet) -> Guard:
    """The guard on where a person's order would put a target: a quarantined revision is gone back to only by name (I5)."""
    if (target, revision) not in fleet.quarantined:
        return Guard("quarantine", f"{revision} is not quarantined")
    why = f"revision {revision} of {target} was rolled back before: going back to it has to be said in so many words"
    return Guard("quarantine", why, why)


def cooldown_of(policy: Policy, fleet: Fleet) -> timedelta:
    """The policy's own cool-down, not shorter than the daemon's floor; else the daemon's."""
    own = policy.timing.cooldown
    if own is None:
        return fleet.limits.cooldown
    return max(own, fleet.limits.cooldown_floor or timedelta(0))


def _cooldown(policy: Policy, fleet: Fleet, at: datetime) -> Guard:
    closed, length = fleet.closed.get(policy.target), cooldown_of(policy, fleet)
    if closed is None:
        return Guard("cool-down", "no incident closed on this target")
    until = closed + length
    value = f"last incident closed {clock_text(closed, at)}, cool-down until {clock_text(until, at)}"
    return Guard("cool-down", value, value if at < until else None)


def _in_flight(policy: Policy, fleet: Fleet, incident: Incident | None) -> tuple[Guard, Guard]:
    flights = [f for f in fleet.flights if incident is None or f.incident != incident.id]
    space = namespace_of(policy.target)
    here = [f for f in flights if f.namespace == space]
    return (
        _counted("in-flight-namespace", f"incidents in flight in {space}", len(here), fleet.limits.in_flight_per_namespace),
        _counted("in-flight", "incidents in flight", len(flights), fleet.limits.in_flight),
    )


def _per_hour(fleet: Fleet) -> Guard:
    return _counted("per-hour", "incidents that acted in the last hour", fleet.acted_in_hour, fleet.limits.per_hour)


def _per_day(policy: Policy, fleet: Fleet) -> Guard:
    acted = fleet.acted_in_day.get(policy.target, 0)
    return _counted("per-target-day", "incidents that acted on this target in the last day", acted, fleet.limits.per_target_per_day)


def _counted(name: str, what: str, used: int, limit: int) -> Guard:
    value = f"{used} of {limit} {what}"
    return Guard(name, value, value if used >= limit else None)
