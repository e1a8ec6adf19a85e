"""Changes that no revert may cross without people: among the suspects, and between what runs and where a revert would go."""

from collections.abc import Iterable, Sequence

from rollbackd.policies.known.changes import Change


def irreversible(found: Sequence[Change]) -> Change | None:
    """The newest of these changes that no revert can safely cross."""
    return next((change for change in found if change.irreversible is not None), None)


def crossed(target: str, revision: str, changes: Iterable[Change]) -> Change | None:
    """The newest irreversible change that began after ``revision`` last came to ``target``: going back there crosses it.

    A revision of which nobody saw the change is older than all that were seen.
    """
    every = tuple(changes)
    came = max(
        (change.started_late for change in every if change.target == target and change.revision == revision and not change.posted), default=None
    )
    later = [change for change in every if change.irreversible is not None and (came is None or change.started_late > came)]
    return max(later, key=lambda change: change.order, default=None)


def on_the_way(target: str, goods: Sequence[str], found: Sequence[Change], changes: Iterable[Change]) -> Change | None:
    """What a revert of ``target`` would cross: an irreversible suspect, or a change since the newest of ``goods`` that is no suspect's."""
    if (suspect := irreversible(found)) is not None:
        return suspect
    bad = {change.revision for change in found if change.target == target}
    destination = next((revision for revision in goods if revision not in bad), None)
    return None if destination is None else crossed(target, destination, changes)
