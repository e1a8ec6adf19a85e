"""Which pods of a test are new and which are old, as one of its changes says: by the ReplicaSets that a survey would name. Pure."""

import re
from collections.abc import Iterable
from typing import TypeAlias

from rollbackd.adapters.base.target import Sides
from rollbackd.controller.observe.questions import SUFFIX
from rollbackd.controller.policytest.documents import ChangeItem, SidesItem
from rollbackd.controller.policytest.words import kind_of
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.text.faults import choices, quoted
from rollbackd.policies.text.validate import Findings

Path: TypeAlias = tuple[str | int, ...]
_POD = re.compile(f"(.+){SUFFIX}")


def sides_of(change: ChangeItem, target: str, policy: Policy, pods: Iterable[str], path: Path, findings: Findings) -> Sides | None:
    """The sides of the change at ``path``; None where it names none, or where none can be, which is a fault. ``pods``: those of the series."""
    if change.sides is None:
        return None
    if (why := _why_none(change, target, policy)) is not None:
        findings.fault((*path, "sides"), f"no 'sides' of {why[0]}", "some", why[1])
        return None
    _check_names(change.sides, {found[1] for pod in pods if (found := _POD.fullmatch(pod))}, (*path, "sides"), findings)
    return Sides(change.sides.new, tuple(change.sides.old))


def _why_none(change: ChangeItem, target: str, policy: Policy) -> tuple[str, str] | None:
    """What it is that has no sides, and why; None where it has some."""
    if target != policy.target or kind_of(target) != "kubernetes":
        return target, "only pods of a watched Deployment are told apart"
    if all(condition.bound is None for condition in policy.conditions):
        return f"policy '{policy.name}'", "it has no condition about shares, and only shares are told apart"
    if change.posted:
        return "a change that is posted", "it brings no pods"
    if change.ready == "never":
        return "a change that is never ready", "the old pods serve alone, so nothing is compared"
    return None


def _check_names(written: SidesItem, known: set[str], path: Path, findings: Findings) -> None:
    places: list[tuple[Path, str]] = [((*path, "new"), written.new), *(((*path, "old", index), name) for index, name in enumerate(written.old))]
    taken: set[str] = set()
    for place, name in places:
        if name in taken:
            findings.fault(place, "each ReplicaSet once", f"{quoted(name)} again")
        elif name not in known:
            # Pods without metrics may be meant; a slip of the pen is likelier.
            findings.warn(place, f"no series is of a pod of ReplicaSet '{name}': nothing is compared with it", choices(name, known, "known"))
        taken.add(name)
