"""One slot for one policy: take the readings in, judge each condition, decide. What the daemon, backtest and simulation all run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rollbackd.policies.changes import Change, watched
from rollbackd.policies.decisions import Decision
from rollbackd.policies.fleet import Fleet
from rollbackd.policies.incident import Incident
from rollbackd.policies.judge import Verdict, judge
from rollbackd.policies.model import Policy
from rollbackd.policies.readings import Reading
from rollbackd.policies.step import step, watch_length
from rollbackd.policies.watch import Watch, take


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The watch after the slot, each condition's verdict, and what is to be done."""

    watch: Watch
    verdicts: tuple[Verdict, ...]
    decisions: tuple[Decision, ...]


def evaluate(
    policy: Policy,
    watch: Watch,
    incident: Incident | None,
    readings: Sequence[Reading],
    changes: Sequence[Change],
    fleet: Fleet,
    at: datetime,
) -> Evaluation:
    """Everything that follows from one slot's readings, in the order of the policy's conditions."""
    return decide(policy, take(policy, watch, readings), incident, changes, fleet, at)


def decide(policy: Policy, watch: Watch, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, at: datetime) -> Evaluation:
    """What follows from the readings that the watch holds: again after an actor's report, without reading anew."""
    since, warm_at = evidence_since(policy, incident, changes, fleet, at)
    verdicts = tuple(judge(c, t.readings, since, warm_at, at) for c, t in zip(policy.conditions, watch.tracks, strict=True))
    marked, decisions = step(policy, watch, incident, verdicts, changes, fleet, at)
    return Evaluation(marked, verdicts, decisions)


def evidence_since(
    policy: Policy, incident: Incident | None, changes: Sequence[Change], fleet: Fleet, at: datetime
) -> tuple[datetime | None, datetime | None]:
    """From when on evidence counts, and when the first verdict may be given (S11, S24).

    After a rung: from the end of its settling. After a change: from its first serving replica, and no verdict before the warm-up is over,
    so that no window mixes the old revision with the new one.
    """
    newest = watched(changes, watch_length(policy), fleet.answered, at)
    start = max((change.effective for change in newest), default=None)
    warm_at = start + policy.timing.warmup if start is not None else None
    settled = incident.evidence_from if incident is not None else None
    return max((moment for moment in (start, settled) if moment is not None), default=None), warm_at
