"""A policy test as the runner reads it: nothing left to look up, every name known. Times count from the first sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from rollbackd.adapters.base.target import Sides
from rollbackd.controller.policytest.notation import Value
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.model.policy import Policy


@dataclass(frozen=True, slots=True)
class GivenSeries:
    """One series: its name and labels as the exposition format writes them, and a value for each interval. ``page``: where it was read."""

    text: str
    page: tuple[str, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class GivenChange:
    """A target comes to another revision. ``ready`` None: it never serves. ``sides``: how its pods and older ones beside them are told apart."""

    at: timedelta
    target: str
    revision: str
    ready: timedelta | None
    irreversible: str | None = None
    posted: bool = False
    parts: tuple[str, ...] = ()
    sides: Sides | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Where a target stands when the test begins. ``known_good``: newest first."""

    running: str
    known_good: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the guards see of everything else."""

    paused: str | None = None
    in_breach: frozenset[str] = frozenset()
    quarantined: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to be true at ``at``; None: nothing is said of it. ``line``: where it was written."""

    at: timedelta
    line: int
    verdicts: tuple[tuple[str, State], ...] = ()
    decision: str | None = None
    remedy: str | None = None
    to: str | None = None
    guard: str | None = None
    reason_contains: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One test. ``answers``: what a promql or probe condition reads, by the condition's index; ``starts`` by target."""

    name: str
    file: str
    line: int
    policy: Policy
    interval: timedelta
    series: tuple[GivenSeries, ...]
    answers: Mapping[int, tuple[Value, ...]]
    changes: tuple[GivenChange, ...]
    starts: Mapping[str, Start]
    surroundings: Surroundings
    expected: tuple[Expected, ...]

    @property
    def until(self) -> timedelta:
        """The last moment that anything is expected of."""
        return max(expected.at for expected in self.expected)
