"""How a revision fares: what a pipeline waits for before it calls a release done."""

from rollbackd.controller.answers.done import RevisionStanding
from rollbackd.controller.journal.values import Standing
from rollbackd.controller.observe.changes import ChangeBook
from rollbackd.controller.people.desk import Desk
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.reasons import duration_text


def standing(desk: Desk, asked: str, revision: str) -> RevisionStanding:
    """Good and bad as the ledger has it, bad too while an incident blames it; else whether it is watched, was replaced, or was never seen."""
    target = desk.watched(asked)

    def said(state: str, text: str) -> RevisionStanding:
        return RevisionStanding(target, revision, state, text)

    if incident := _blaming(desk, target, revision):
        return said("bad", f"{incident.id} is {incident.phase.value}: {incident.reason}")
    known = next((line for line in desk.store.ledger(target) if line.revision == revision), None)
    if known is not None:
        state = "good" if known.standing is Standing.GOOD else "bad"
        return said(state, f"{known.standing.value}, {known.how.value}{f': {known.note}' if known.note else ''}")
    live = desk.engine.book.revisions().get(target)
    if live == revision:
        return said("watched", _progress(desk, target))
    if _was_seen(desk.engine.book, target, revision):
        return said("superseded", f"{target} is at {live or 'an unknown revision'} by now")
    return said("awaited", f"not seen yet; {target} is at {live or 'an unknown revision'}")


def _blaming(desk: Desk, target: str, revision: str) -> Incident | None:
    blamed = {each.change.id for each in desk.store.changes([target]) if each.change.revision == revision}
    return next((incident for incident in desk.store.open_incidents() if blamed & {incident.change_id, *incident.suspects}), None)


def _was_seen(book: ChangeBook, target: str, revision: str) -> bool:
    return any(change.revision == revision for change in book.of((target,)))


def _progress(desk: Desk, target: str) -> str:
    """How far the bake is; the policy that watches the target itself is the one that bakes it."""
    standings, policies = dict(desk.engine.standings), dict(desk.engine.policies).values()
    found = next((policy for policy in policies if policy.target == target and policy.name in standings), None)
    if found is None:
        return "live; no policy has looked at it yet"
    clean = standings[found.name].evaluation.watch.clean_since
    if clean is None:
        return f"live; in breach by policy {found.name}"
    lasted = standings[found.name].at - clean
    return f"live; no breach for {duration_text(lasted)} of {duration_text(found.timing.bake)} (policy {found.name})"
