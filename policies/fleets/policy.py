"""A fleet policy as the engine's makers read it: one policy with two blanks, the workloads it is meant for, and how many there ought to be.

Nothing downstream knows of fleets: ``members`` turns each workload into an ordinary policy.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rollbackd.policies.model.policy import Policy

NAME = "$name"
NAMESPACE = "$namespace"
_BLANK = re.compile(r"\$\{?\w*\}?")


@dataclass(frozen=True, slots=True)
class Selection:
    """Deployments of a cluster that carry all these labels. ``namespaces`` (): in every one."""

    cluster: str
    labels: tuple[tuple[str, str], ...]
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """How many workloads the selector ought to find."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload that a selector found. ``notes``: its annotations to rollbackd, without their prefix."""

    namespace: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class FleetPolicy:
    """``template`` holds $name and $namespace where a member's own stand. ``owner``: the label that names a member's contact.

    ``digest`` changes with its meaning, as a policy's does. The template's contacts are the fallback, and those for the fleet as a whole.
    """

    template: Policy
    select: Selection
    expect: Expected
    owner: str | None = None
    digest: str = ""

    @property
    def name(self) -> str:
        """The policy's name; a member's policy is called ``name/namespace/workload``."""
        return self.template.name

    @property
    def file(self) -> str:
        """The file that says it."""
        return self.template.file


def blanks_in(text: str) -> list[str]:
    """Every word of ``text`` that begins with a $."""
    return _BLANK.findall(text)


def strangers(text: str) -> list[str]:
    """The blanks in ``text`` that are neither $name nor $namespace."""
    return [blank for blank in blanks_in(text) if blank not in (NAME, NAMESPACE)]


def filled(text: str, workload: Workload) -> str:
    """The text with the workload's name and namespace in its blanks."""
    own = {NAME: workload.name, NAMESPACE: workload.namespace}
    return _BLANK.sub(lambda blank: own.get(blank[0], blank[0]), text)


def doubt(fleet: FleetPolicy, before: Sequence[Workload] | None, found: Sequence[Workload]) -> str | None:
    """Why a roster is not to be believed; None where it is. ``before``: the one believed so far (None: none yet).

    A selector that is suddenly true of everything, or of nothing, is most often somebody's mistake; so is a roster that lost more than half.
    """
    number, expect = len(found), fleet.expect
    if number > expect.most:
        return f"its selector matches {number:,}, expected at most {expect.most:,}"
    if number < expect.least:
        return f"its selector matches {number:,}, expected at least {expect.least:,}"
    if before is not None and number * 2 < len(before):
        return f"its selector matches {number:,}, and matched {len(before):,} before"
    return None


def retold(before: Sequence[Workload], found: Sequence[Workload]) -> tuple[Workload, ...]:
    """The workloads of ``before``, each as it was found now: no new one joins and none leaves, but an opt-out counts at once."""
    newest = {workload.place: workload for workload in found}
    return tuple(newest.get(workload.place, workload) for workload in before)
