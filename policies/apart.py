"""Whether the series of two clusters are told apart: what one source has of both would be evidence for, and against, each of them."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from rollbackd.policies.fleets.policy import blanks_in
from rollbackd.policies.model.keys import cluster_of
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.signals import OfTarget, Probe

Values: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """A policy for ``cluster`` that is judged by the same series as another, which is for another cluster."""

    policy: str
    cluster: str


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which policies ask one question for one cluster, by their values of its labels. In those of a fleet there is a ``blank``, for anything."""

    plain: dict[Values, str] = field(default_factory=dict)
    blank: dict[Values, str] = field(default_factory=dict)

    def add(self, values: Values, policy: str) -> None:
        (self.blank if _is_blank(values) else self.plain).setdefault(values, policy)

    def like(self, values: Values) -> str | None:
        if values in self.plain:
            return self.plain[values]
        others = (*self.blank.items(), *(self.plain.items() if _is_blank(values) else ()))
        return next((policy for other, policy in others if _may_be_one(values, other)), None)


class Apart:
    """The policies so far, by what each of their conditions asks of which source."""

    def __init__(self) -> None:
        self._asked: dict[object, dict[str, _Rows]] = defaultdict(lambda: defaultdict(_Rows))

    def add(self, policy: Policy) -> Shared | None:
        """The policy is one of them. With whom of another cluster it shares the series of a condition, if with anybody: the same signal of the same
        source, for a workload with the same labels.
        """
        own = cluster_of(policy.target)
        if own is None or policy.is_metered:
            return None
        found: Shared | None = None
        for question, values in _questions(policy):
            clusters = self._asked[question]
            found = found or next((Shared(other, name) for name, rows in clusters.items() if name != own and (other := rows.like(values))), None)
            clusters[own].add(values, policy.name)
        return found


def _questions(policy: Policy) -> Iterator[tuple[object, Values]]:
    for each in policy.conditions:
        if not isinstance(each.signal, Probe | OfTarget):
            yield (policy.source, each.signal, each.identity.labels, each.identity.derived), each.identity.values


def _is_blank(values: Values) -> bool:
    return any(blanks_in(value) for value in values)


def _may_be_one(values: Values, others: Values) -> bool:
    return all(one == other or blanks_in(one) or blanks_in(other) for one, other in zip(values, others, strict=True))
