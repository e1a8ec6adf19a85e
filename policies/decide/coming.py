"""Which rungs of a ladder begin next, whatever guards and modes say of them."""

from collections.abc import Sequence

from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.model.policy import Policy, RestoreRung, Rung


def coming(policy: Policy, blamed: Sequence[Change], incident: Incident | None) -> tuple[Rung, ...]:
    """The next rung that has something to do about the suspects, and those that begin at once with it; empty where none is left."""
    start = incident.rung + 1 if incident is not None else 0
    first = next((index for index in range(start, len(policy.ladder)) if not lack(policy.ladder[index], blamed)), None)
    if first is None:
        return ()
    return tuple(rung for _, rung in together(policy.ladder, first) if not lack(rung, blamed))


def together(rungs: Sequence[Rung], index: int) -> list[tuple[int, Rung]]:
    """The rung and those after it that begin at once with it."""
    last = next(each for each in range(index, len(rungs)) if not rungs[each].with_next or each == len(rungs) - 1)
    return list(enumerate(rungs[index : last + 1], index))


def lack(rung: Rung, blamed: Sequence[Change]) -> str:
    """Why the rung has nothing to do about the suspects; empty if it has."""
    if isinstance(rung, RestoreRung):
        return "" if blamed else f"no suspect tells the moment that {rung.target} would go back to"
    return "" if rung.always or suspect_of(rung, blamed) is not None else f"{rung.target} had no change to undo"


def suspect_of(rung: Rung, blamed: Sequence[Change]) -> Change | None:
    """The newest change of the rung's own target that it would undo."""
    return next((change for change in blamed if change.target == rung.target and not change.posted), None)
