"""Why a policy acts or does not: what `explain` answers."""

from dataclasses import dataclass
from datetime import datetime

from rollbackd.controller.answers.status import IncidentLine


@dataclass(frozen=True, slots=True)
class ConditionLine:
    """A condition with its arithmetic. ``reason`` has the counts and how far the confirmation is; ``suspects`` those of its onset."""

    name: str
    mode: str
    state: str
    reason: str
    confirmation: str
    is_confirmed: bool
    onset: datetime | None
    suspects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GuardLine:
    """A guard with its value; ``blocks`` says why it holds an action now, None where it does not."""

    name: str
    value: str
    blocks: str | None


@dataclass(frozen=True, slots=True)
class RungLine:
    """A rung of the ladder. ``needs``: what has to be true for it to be tried; ``is_ready``: all of that is true now."""

    number: int
    what: str
    mode: str
    needs: str
    is_ready: bool


@dataclass(frozen=True, slots=True)
class PowerRow:
    """A ``share`` of bad events is proven within so many ``seconds`` of its change in ``probability`` of all cases.

    ``seconds`` None: not in 95 of 100 cases in the whole watch; ``probability`` is then that of the whole watch.
    """

    share: float
    seconds: float | None
    probability: float


@dataclass(frozen=True, slots=True)
class PowerLine:
    """What a condition with a bound finds at the last week's traffic: events ``per_minute`` (the median), and in the quietest tenth of the week.

    ``spread``: how bursty bad events are, None where too few were seen. ``health``: how soon a rollback that helped is known to have.
    ``why``: why nothing can be said.
    """

    condition: str
    per_minute: float | None = None
    quiet_per_minute: float | None = None
    spread: float | None = None
    rows: tuple[PowerRow, ...] = ()
    health: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyExplained:
    """Why a policy acts or does not. Evidence counts from ``evidence_from``; no verdict is given before ``warm_at``.

    ``notes``: the fleet that it is of, and what its target's annotations changed.
    """

    policy: str
    target: str
    file: str
    mode: str
    at: datetime | None
    revision: str | None
    target_fault: str | None
    watch_until: datetime | None
    evidence_from: datetime | None
    warm_at: datetime | None
    decisions: tuple[str, ...]
    conditions: tuple[ConditionLine, ...]
    guards: tuple[GuardLine, ...]
    ladder: tuple[RungLine, ...]
    incident: IncidentLine | None
    notes: tuple[str, ...] = ()
    power: tuple[PowerLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every policy that watches the asked target, or the one asked for."""

    now: datetime
    asked: str
    items: tuple[PolicyExplained, ...]
