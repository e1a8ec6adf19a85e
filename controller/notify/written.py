"""What came of the writes of an incident, in words: what was done, tried or only begun, and how it is taken back."""

from collections.abc import Collection
from shlex import quote

from rollbackd.adapters.base.revisions import is_unresolved
from rollbackd.policies.decide.proof import OTHER_WRITER
from rollbackd.policies.known.events import Held, Intended
from rollbackd.policies.known.incident import AT_WORK, Incident
from rollbackd.policies.model.keys import is_handed_over

DOING, DONE, TRIED, UNKNOWN = "doing", "done", "tried", "begun, whether it was written is not known"

RELEASED = ("kubernetes", "ecs", "command")
"""The kinds of targets that are released: each release is a revision of its own, which no value comes back to by itself."""


def written(incident: Incident) -> tuple[tuple[Intended, str], ...]:
    """What its targets took so far and what was last begun, each with what came of it, the oldest first."""
    ended = {s.rung for s in incident.stopped}
    before = [write for write in incident.accepted if write not in incident.writes]
    return tuple((write, _came_of(write, ended, incident)) for write in (*before, *incident.writes))


def _came_of(write: Intended, ended: Collection[int], incident: Incident) -> str:
    """Only what a target took is done: a write that failed, or was refused, was no more than tried."""
    if write.rung in incident.unsettled and incident.phase in AT_WORK:
        return DOING
    if write.rung in ended:
        return TRIED
    if write in incident.accepted:
        return DONE
    return DOING if incident.phase in AT_WORK else UNKNOWN


def tried(incident: Incident) -> tuple[str, ...]:
    """How each rung ended that did, and what came of each write."""
    stopped = tuple(f"rung {s.rung + 1} {s.target}: {s.how.value}: {s.reason}{f' ({s.advice})' if s.advice else ''}" for s in incident.stopped)
    return (*stopped, *(f"{came_of}: rung {write.rung + 1}: {write.summary}" for write, came_of in written(incident)))


def by_hand(incident: Incident) -> tuple[str, ...]:
    """The command of each write: to be run only where ours was not carried out. Once it was, it may be what broke the service."""
    ways = {True: "was done by", False: "by hand"}
    return tuple(f"{ways[write in incident.accepted]}: {write.command}" for write in incident.writes if write.command)


def taken_back(event: Held, incident: Incident) -> str:
    """How a write of ours is taken back that people decided on, or that somebody else changed since; empty where neither is so."""
    newest = incident.accepted[-1] if incident.accepted else None
    if newest is None or is_handed_over(newest.target) or not (newest.by or event.guard == OTHER_WRITER):
        return ""
    return f"to take back what was written, unless somebody has changed it since: rollbackd undo {incident.id} --reason '...'"


def is_with_people(incident: Incident) -> bool:
    """Whether the last thing done was only a beginning: what made it well, nobody here knows."""
    return incident.intent is not None and is_handed_over(incident.intent.target)


def held_after(incident: Incident) -> Held | None:
    """The hold that came after the newest write that a target took: until then that one had not made it well."""
    held = incident.held
    return held if held is not None and all(write.at < held.at for write in incident.accepted) else None


def what_was_done(incident: Incident) -> str:
    """The newest that was accepted, with what began at once with it: it is what helped."""
    newest = [write for write in incident.writes if write in incident.accepted] or incident.accepted[-1:]
    # A digest of flag states says nothing to people; what was done to which flag does.
    return ", ".join(w.summary if not w.reverts else f"{w.target} {w.from_revision} -> {w.to_revision}" for w in newest)


def after_rollback(incident: Incident) -> tuple[str, ...]:
    """What people may have to do about what was done."""
    newest = {write.target: write for write in incident.accepted}
    return tuple(dict.fromkeys(line for write in incident.accepted for line in _after_write(write, is_in_force=newest[write.target] is write)))


def _after_write(intent: Intended, *, is_in_force: bool) -> tuple[str, ...]:
    rest = tuple(f"not undone: {rest}" for rest in intent.not_undone)
    if intent.reverts and not is_unresolved(intent.from_revision):
        return (*rest, f"to allow revision {intent.from_revision} again: rollbackd rearm {quote(intent.target)} {quote(intent.from_revision)}")
    if not is_in_force or intent.target.partition(":")[0] in RELEASED:
        return rest  # a release that was put back by hand, where what it came from may well be in quarantine, or that nobody can name
    return (*rest, f"{intent.target} stays so until somebody changes it again: nothing is quarantined")
