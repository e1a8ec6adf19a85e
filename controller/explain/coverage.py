"""What is watched and what is not: fleets, their members, and everything else that the clusters run. Reads only."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.roster import Roll
from rollbackd.controller.answers.status import Coverage, CoverageLine, FleetLine
from rollbackd.controller.observe.membership import FleetStanding, Membership
from rollbackd.policies.model.keys import cluster_of, kubernetes_key
from rollbackd.policies.model.policy import Policy


class Fleets:
    """What may be asked about fleets while the daemon runs. Safe to call from several threads.

    ``clusters``: each, and whether it is only implied, because the config names none: such a one may not be there at all.
    """

    def __init__(self, membership: Membership | None = None, roll: Roll | None = None, clusters: Mapping[str, bool] | None = None) -> None:
        self._membership = membership
        self._roll = roll
        self._clusters = dict(sorted((clusters or {}).items()))

    def lines(self) -> tuple[FleetLine, ...]:
        """Every fleet in a row."""
        return tuple(_fleet_line(standing) for standing in self._standings())

    def size(self, name: str) -> int | None:
        """How many are watched by the fleet of this name; None where there is none."""
        return next((len(standing.policies) for standing in self._standings() if standing.fleet.name == name), None)

    def unread(self) -> str | None:
        """Of which fleet nobody has answered yet who belongs to it; None where all did, believed or not."""
        waiting = next((standing for standing in self._standings() if standing.read_at is None), None)
        return None if waiting is None else f"the roster of fleet {waiting.fleet.name} is not read yet: {waiting.fault or 'it is being asked for'}"

    def coverage(self, policies: Mapping[str, Policy], now: datetime) -> Coverage:
        """Every target that a policy watches, every one that a fleet found, and every Deployment that is neither. Asks the clusters now,
        but for an implied one that no policy names.
        """
        found = [line for standing in self._standings() for line in _member_lines(standing)]
        told = {(line.target, line.policy) for line in found}
        found += [CoverageLine(each.target, "watched", None, each.name) for each in policies.values() if (each.target, each.name) not in told]
        unwatched, faults = self._unwatched({line.target for line in found}, self._named(policies.values()))
        return Coverage(now, self.lines(), (*sorted(found, key=lambda line: (line.target, line.standing)), *unwatched), faults)

    def _named(self, policies: Iterable[Policy]) -> set[str | None]:
        """The clusters that policies and fleets name."""
        targets = {target for policy in policies for target in policy.targets}
        return {cluster_of(target) for target in targets} | {standing.fleet.select.cluster for standing in self._standings()}

    def _unwatched(self, known: Collection[str], named: Collection[str | None]) -> tuple[tuple[CoverageLine, ...], tuple[str, ...]]:
        lines: list[CoverageLine] = []
        faults: list[str] = []
        asked = [cluster for cluster, is_implied in self._clusters.items() if cluster in named or not is_implied]
        for cluster in asked if self._roll is not None else ():
            try:
                keys = self._keys(cluster)
            except AdapterError as fault:
                faults.append(f"cluster {cluster}: {fault}")
            else:
                lines += [CoverageLine(key, "unwatched", None, None) for key in keys if key not in known]
        return tuple(lines), tuple(faults)

    def _keys(self, cluster: str) -> list[str]:
        listed = self._roll.workloads(cluster, {}) if self._roll is not None else ()
        return [kubernetes_key(cluster, each.namespace, each.name) for each in listed]

    def _standings(self) -> tuple[FleetStanding, ...]:
        return self._membership.standings() if self._membership is not None else ()


def _fleet_line(standing: FleetStanding) -> FleetLine:
    fleet, members = standing.fleet, standing.members
    return FleetLine(
        name=fleet.name,
        members=len(standing.policies),
        found=standing.found,
        expect_min=fleet.expect.least,
        expect_max=fleet.expect.most,
        opted_out=sum(member.policy is None and member.own is None for member in members),
        own_policy=sum(member.own is not None for member in members),
        findings=sum(len(member.findings) for member in members),
        read_at=standing.read_at,
        doubt=standing.doubt,
        fault=standing.fault,
    )


def _member_lines(standing: FleetStanding) -> Iterator[CoverageLine]:
    name = standing.fleet.name
    for member in standing.members:
        if member.policy is not None:
            told = tuple(dict.fromkeys((*member.policy.notes[1:], *member.findings)))
            yield CoverageLine(member.target, "watched", name, member.policy.name, told)
        elif member.own is not None:
            yield CoverageLine(member.target, "own-policy", name, member.own)
        else:
            yield CoverageLine(member.target, "opted-out", name, None, member.findings)
