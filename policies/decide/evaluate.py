"""One slot for one policy: take the readings in, judge each condition, decide. What the daemon, backtest and simulation all run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rollbackd.policies.decide.decisions import Decision
from rollbackd.policies.decide.step import step
from rollbackd.policies.judge.verdict import Verdict, judge
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.watch import Watch, take
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.watching.alike import armed_beside, sided, trial_of
from rollbackd.policies.watching.armed import armed, rearmed
from rollbackd.policies.watching.baseline import Before
from rollbackd.policies.watching.counting import counted
from rollbackd.policies.watching.since import evidence_since


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The watch after the slot, each condition's verdict, and what is to be done. ``policy``: with the limits that it was judged by."""

    watch: Watch
    verdicts: tuple[Verdict, ...]
    decisions: tuple[Decision, ...]
    policy: Policy


def evaluate(
    policy: Policy,
    watch: Watch,
    incident: Incident | None,
    readings: Sequence[Reading],
    changes: Sequence[Change],
    fleet: Fleet,
    at: datetime,
    before: Sequence[Before] | None = None,
) -> Evaluation:
    """Everything that follows from one slot's readings, in the order of the policy's conditions. ``before``: see ``decide``."""
    return decide(policy, take(policy, watch, readings), incident, changes, fleet, at, before)


def decide(
    policy: Policy,
    watch: Watch,
    incident: Incident | None,
    changes: Sequence[Change],
    fleet: Fleet,
    at: datetime,
    before: Sequence[Before] | None = None,
) -> Evaluation:
    """What follows from the readings that the watch holds: again after an actor's report, without reading anew.

    ``before``: what each condition's signal was before the change that is judged; None where there is none, or where it is not known yet.
    """
    now = armed(policy, before, at)
    policy, watch = now, rearmed(policy, now, watch, before)
    since, warm_at = evidence_since(policy, incident, changes, fleet, at)
    watch = sided(policy, watch, since)
    policy = armed_beside(policy, watch, incident)
    watch = counted(policy, watch, incident, changes, fleet, since, at)
    pairs = zip(policy.conditions, watch.tracks, strict=True)
    verdicts = tuple([judge(c, t.readings, since, warm_at, at, trial_of(c, t)) for c, t in pairs])
    marked, decisions = step(policy, watch, incident, verdicts, changes, fleet, at)
    return Evaluation(marked, verdicts, decisions, policy)
