"""Which workloads there are: how a fleet's members are found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Listed:
    """A workload as its platform lists it. ``notes``: its annotations to rollbackd, without their prefix and without those of our own writing."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Roll(Protocol):
    """A platform that can say which workloads it runs. Safe to call from several threads."""

    def workloads(self, cluster: str, labels: Mapping[str, str], namespaces: Sequence[str] = ()) -> tuple[Listed, ...]:
        """All workloads that carry all these labels, in one order; ``namespaces`` empty: of every one. The whole answer, or an error.

        Raises Transient or Permanent.
        """
        ...

    def roll_rights(self, cluster: str, namespaces: Sequence[str] = ()) -> tuple[str, ...]:
        """What would keep us from asking, each with what to do."""
        ...
