"""Whose fault a breach is: suspects with their weights, and the culprit among those that depend on one thing."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollbackd.policies.known.changes import Change, is_undone, suspects
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.reasons import duration_text, few
from rollbackd.policies.model.policy import Policy

FADES = timedelta(minutes=20)
"""A change is e times less likely the cause of a breach that began so long after it was ready."""
CLEAR = 2.0
"""So many times likelier than what cannot be undone must be what can be."""
WELL = 0.5
"""Scope overlap of what is watched and is not in breach itself; everything else that a policy declares overlaps in full."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A change under suspicion. ``age``: from its readiness to the onset. ``can_undo``: a rung of the ladder acts on its target."""

    change: Change
    weight: float
    age: timedelta
    can_undo: bool


def shared_changes(policy: Policy, fleet: Fleet) -> tuple[Change, ...]:
    """The changes of what the policy depends on. They open no watch and begin no evidence anew: they are only suspects beside its own."""
    if not policy.depends_on:
        return ()
    on = {each.on for each in policy.depends_on} - set(policy.targets)
    return tuple(change for change in fleet.shared if change.target in on)


def known_changes(policy: Policy, changes: Sequence[Change], fleet: Fleet) -> tuple[Change, ...]:
    """The changes of the policy's targets as the policy sees them, which may know a migration by its parts, and those of what it depends on."""
    return (*[_as_declared(policy, change) for change in changes], *shared_changes(policy, fleet))


def _as_declared(policy: Policy, change: Change) -> Change:
    if not policy.migrations or change.irreversible or change.target != policy.target:
        return change
    told = [part for part in change.parts if part in policy.migrations]
    return replace(change, irreversible=f"{' and '.join(told)} changed with it: a migration") if told else change


def suspected(policy: Policy, changes: Sequence[Change], fleet: Fleet, watch: timedelta, onset: datetime) -> tuple[Change, ...]:
    """The changes that a breach with this onset may be blamed on: those of the policy's targets, then those of what it depends on; newest first.

    None where no target of its own changed. ``changes`` may hold those of what it depends on too.
    """
    own = suspects([change for change in changes if change.target in policy.targets], watch, fleet.answered_on(policy.target), onset)
    # That somebody else's incident named the change answers nothing for those who depend on it as well; what it undid of it broke nobody later.
    found = (*own, *suspects(shared_changes(policy, fleet), watch, (), onset)) if own else ()
    left = tuple(change for change in found if not is_undone(change, (*changes, *fleet.shared), onset))
    return left if any(change.target in policy.targets for change in left) else ()


def ranked(policy: Policy, found: Sequence[Change], fleet: Fleet, onset: datetime) -> tuple[Suspect, ...]:
    """The suspects with their weights, the likeliest first."""
    rungs = {rung.target for rung in policy.ladder}
    weighed = []
    for change in found:
        age = max(timedelta(0), onset - change.effective)
        weight = math.exp(-(age / FADES)) * _overlap(policy, change, fleet)
        weighed.append(Suspect(change, weight, age, change.target in rungs and not change.posted))
    return tuple(sorted(weighed, key=lambda suspect: -suspect.weight))


def _overlap(policy: Policy, change: Change, fleet: Fleet) -> float:
    is_well = change.target not in policy.targets and change.target in fleet.depends and change.target not in fleet.onsets
    return WELL if is_well else 1.0


def is_clear(ranking: Sequence[Suspect]) -> bool:
    """True unless something that cannot be undone is about as likely the cause as what can be: undoing the wrong thing helps nobody."""
    undoable = [suspect.weight for suspect in ranking if suspect.can_undo]
    others = [suspect.weight for suspect in ranking if not suspect.can_undo]
    return not undoable or not others or max(undoable) >= CLEAR * max(others)


def ranking_text(ranking: Sequence[Suspect]) -> str:
    """``0.78 kubernetes:… revision 7f9c (ready 5m0s before the onset); 0.61 shared:orders-db revision 15 (… , nothing here undoes it)``."""
    return few([_suspect_text(suspect) for suspect in ranking])


def _suspect_text(suspect: Suspect) -> str:
    when = f"{duration_text(suspect.age)} before the onset" if suspect.age else "as the breach began"
    tail = "" if suspect.can_undo else ", nothing here undoes it"
    tail += "" if suspect.change.irreversible is None else f", irreversible: {suspect.change.irreversible}"
    return f"{suspect.weight:.2f} {suspect.change.target} revision {suspect.change.revision} ({when}{tail})"


def victims(policy: Policy, found: Sequence[Change], fleet: Fleet, watch: timedelta, among: frozenset[str]) -> frozenset[str]:
    """Those ``among`` targets without a change that the policy's target explains: it changed, it was in breach first, and they depend on it.

    Or they depend on the same thing, of which it uses more than its policy allows, and which did not change itself.
    """
    own = fleet.onsets.get(policy.target)
    if own is None or not any(change.target in policy.targets and not change.posted for change in found):
        return frozenset()
    own = min(own, fleet.began.get(policy.target, own))  # what has few requests is proven after those that depend on it
    moved = {change.target for change in suspects(shared_changes(policy, fleet), watch, (), own)}
    causes = {policy.target, *(each.on for each in policy.depends_on if (policy.target, each.on) in fleet.risen and each.on not in moved)}
    theirs = frozenset(target for target in among - {policy.target} if fleet.depends.get(target, frozenset()) & causes)
    return theirs if all(own <= fleet.onsets.get(target, own) for target in theirs) else frozenset()


def changed_alike(policy: Policy, fleet: Fleet, watch: timedelta, broken: Collection[str]) -> tuple[Change, ...]:
    """Changes of what the policy depends on, and so does one of the ``broken`` targets."""
    own = fleet.onsets.get(policy.target)
    if own is None:
        return ()
    found = suspects(shared_changes(policy, fleet), watch, (), own)
    others = [fleet.depends.get(target, frozenset()) for target in broken]
    return tuple(change for change in found if any(change.target in on for on in others))
