"""What people declare of a revision: good or bad. Whether anybody ever saw it is asked first: a misspelt one would outrank what proved itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.past import KeepsPast
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.answers.done import Declared
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.people.desk import Desk
from rollbackd.policies.model.policy import RevertRung

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a person says of a revision. ``is_unseen_meant``: they know that it was never seen on the target."""

    target: str
    revision: str
    standing: Standing
    who: str
    note: str = ""
    is_unseen_meant: bool = False


def declare(desk: Desk, said: Declaration) -> Declared:
    """The revision stands as declared, unless it is in quarantine, which only ``rearm`` ends. Raises Denied and StoreError.

    Nothing goes back to a bad one, so that a bad one that was never seen is only warned about.
    """
    target, revision, standing = desk.watched(said.target), said.revision, said.standing
    doubt = _doubt(desk, target, revision)
    if doubt is not None and standing is Standing.GOOD and not said.is_unseen_meant:
        raise Denied("unknown", doubt, "if it is meant all the same: --unseen (in a request: unseen)")
    with desk.store.transaction() as tx:
        was_changed = tx.mark(target, revision, standing, How.DECLARED, desk.now(), f"{said.note} ({said.who})".strip())
        stands = next((known.standing for known in tx.ledger(target) if known.revision == revision), None)
    if stands is not standing:
        hint = f"rollbackd rearm {quote(target)} {quote(revision)}" if stands is Standing.QUARANTINED else ""
        raise Denied("blocked", f"revision {revision} of {target} is {stands.value if stands else 'unknown'} and stays so", hint)
    text = f"{revision} is {standing.value}" if was_changed else f"{revision} was {standing.value} already"
    left = _nothing_left(desk, target) if standing is Standing.BAD else None
    return Declared(target, revision, standing.value, was_changed, text, warning="; ".join(filter(None, (doubt, left))) or None)


def _nothing_left(desk: Desk, target: str) -> str | None:
    """That a revert of the target would have nowhere to go; None where it has, and where no policy reverts it."""
    ladders = [policy.ladder for policy in dict(desk.engine.policies).values()]
    is_reverted = any(isinstance(rung, RevertRung) and rung.target == target for ladder in ladders for rung in ladder)
    if not is_reverted or desk.known_good([target])[target]:
        return None
    return f"no revision of {target} is known good: nothing is left to go back to; to declare one: rollbackd good {quote(target)} REVISION"


def _doubt(desk: Desk, target: str, revision: str) -> str | None:
    """That nobody ever saw the revision there; None where somebody did: the journal first, for the target itself may take long to answer."""
    seen = _journalled(desk, target)
    if revision in seen:
        return None
    kept = _kept(desk, target)
    if revision in kept:
        return None
    named = list(dict.fromkeys((*kept, *seen)))
    listed = f"{', '.join(named[:MOST_NAMED])}{', …' if len(named) > MOST_NAMED else ''}" or "none"
    return f"{revision} was never seen on {target} (seen: {listed})"


def _journalled(desk: Desk, target: str) -> list[str]:
    """Every revision that a change brought, or that the daemon itself knows something of, the newest first. What was merely declared is no sight."""
    changes = sorted(desk.store.changes([target]), key=lambda each: each.change.first_seen, reverse=True)
    known = (line.revision for line in desk.store.ledger(target) if line.how is not How.DECLARED)
    return list(dict.fromkeys((*(each.change.revision for each in changes), *known)))


def _kept(desk: Desk, target: str) -> Iterable[str]:
    """What the target says of itself now: what runs, and what it keeps; nothing where it cannot be read."""
    adapter = desk.targets.get(target.partition(":")[0])
    if adapter is None:
        return ()
    state = adapter.survey([target])[target]
    if isinstance(state, AdapterError):
        return ()
    try:
        past = adapter.past(target).kept if isinstance(adapter, KeepsPast) else ()
    except AdapterError:
        past = ()
    return tuple(dict.fromkeys((state.revision, *(one.revision for one in reversed(past)))))
