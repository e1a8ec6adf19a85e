"""Checks of fleets: their members may be asked for, are as many as expected, and what their owners wrote makes sense."""

from collections import Counter
from collections.abc import Iterator

from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.roster import Roll
from rollbackd.controller.doctor.findings import Finding, Grade
from rollbackd.controller.doctor.surroundings import Surroundings
from rollbackd.controller.observe.membership import workload_of
from rollbackd.policies.fleets.members import Member, members
from rollbackd.policies.fleets.policy import FleetPolicy, Workload, doubt

MOST_TOLD = 20
"""So many members with findings are named; the rest are counted."""


def fleets(around: Surroundings) -> Iterator[Finding]:
    """Each fleet policy: who would be watched by it now."""
    if isinstance(around.targets, AdapterError):  # the check of the targets says why
        return
    roll = next((target for target in around.targets.values() if isinstance(target, Roll)), None)
    for fleet in around.loaded.fleets:
        if roll is None:
            yield Finding("fleets", fleet.name, Grade.FAIL, "no cluster is configured", "add one under `clusters`")
        else:
            yield from _fleet(fleet, roll, around)


def _fleet(fleet: FleetPolicy, roll: Roll, around: Surroundings) -> Iterator[Finding]:
    select = fleet.select
    try:
        listed = roll.workloads(select.cluster, dict(select.labels), select.namespaces)
    except AdapterError as fault:
        yield Finding("fleets", fleet.name, Grade.FAIL, str(fault), reached=not isinstance(fault, Transient))
        return
    found = tuple(workload_of(each) for each in listed)
    if (why := doubt(fleet, None, found)) is not None:
        advice = "correct the labels of the workloads, or `select` or `expect`"
        yield Finding("fleets", fleet.name, Grade.FAIL, f"{why}: a daemon that starts now watches nobody by it", advice, reached=True)
        return
    yield from _members(fleet, found, around)


def _members(fleet: FleetPolicy, found: tuple[Workload, ...], around: Surroundings) -> Iterator[Finding]:
    own = {policy.target: policy.name for policy in around.policies}
    every = members(fleet, found, own, frozenset(around.config.contacts))
    counts = Counter(_standing(member) for member in every)
    said = ", ".join(f"{count:,} {word}" for word, count in counts.items())
    yield Finding("fleets", fleet.name, Grade.PASS, f"{len(found):,} found: {said}", reached=True)
    doubtful = [member for member in every if member.findings]
    for member in doubtful[:MOST_TOLD]:
        yield Finding("fleets", member.target, Grade.WARN, "; ".join(member.findings), "correct its annotations or labels", reached=True)
    if rest := len(doubtful[MOST_TOLD:]):
        yield Finding("fleets", fleet.name, Grade.WARN, f"{rest:,} more members with findings", "see: rollbackd status --coverage", reached=True)


def _standing(member: Member) -> str:
    if member.policy is not None:
        return f"in mode {member.policy.mode.name.lower()}"
    return "opted out" if member.own is None else "with a policy of their own"
