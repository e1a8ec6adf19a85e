"""One slot on its way: as it was observed, and as it stands after it was judged."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from rollbackd.controller.observe.baselines import Compared
from rollbackd.controller.observe.changes import Survey
from rollbackd.controller.observe.past import Past
from rollbackd.controller.observe.readings import SourceHealth
from rollbackd.controller.schedule import Grid
from rollbackd.policies.decide.evaluate import Evaluation, decide
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.watch import Watch, new_watch, take
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.watching.baseline import Before

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The policies that hold. ``unread``: policies whose file could not be read, and fleets of which nobody knows yet who belongs to them: these are
    missing, not gone.
    """

    policies: tuple[Policy, ...]
    unread: frozenset[str] = frozenset()

    def awaits(self, incident: Incident) -> bool:
        """Whether the incident's policy is missing for now."""
        return incident.policy.partition("/")[0] in self.unread and all(policy.name != incident.policy for policy in self.policies)


@dataclass(frozen=True, slots=True)
class Batch:
    """One slot as it was observed: how the targets stand, the readings of each due policy, past slots of new ones, how the sources are.

    ``past`` is empty once it was taken in. ``meanings``: the digest of each policy that was asked for; what was asked for another meaning is no
    evidence. ``before``: of those ``compared``, what their signals were before the change that is judged; None: nobody reads that.
    """

    at: datetime
    survey: Survey
    readings: Mapping[str, tuple[Reading, ...]]
    past: Past = field(default_factory=Past)
    health: Mapping[str, SourceHealth] = field(default_factory=dict)
    grid: Grid | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    compared: Sequence[Compared] = ()
    before: Mapping[str, tuple[Before, ...]] | None = None

    def meant(self, policies: Mapping[str, Policy]) -> list[Policy]:
        """The policies that it was read for, as far as they still hold and mean the same."""
        held = [policies[name] for name in self.readings if name in policies]
        return [policy for policy in held if self.meanings.get(policy.name, policy.digest) == policy.digest]


@dataclass(frozen=True, slots=True)
class Standing:
    """A policy's last slot: ``before`` is its watch with the readings taken in and not yet marked, so that the slot can be decided again."""

    before: Watch
    evaluation: Evaluation
    at: datetime

    def unwritten(self) -> "Standing":
        """As it is while its decisions are not durable: that a revision is known good is decided once, so it has to be decided again."""
        evaluation = self.evaluation
        return replace(self, evaluation=replace(evaluation, watch=replace(evaluation.watch, baked=self.before.baked)))


def openers_first(policies: Iterable[Policy], incidents: Iterable[Incident]) -> list[Policy]:
    """Those that opened one of the incidents come before those that join."""
    openers = {incident.policy for incident in incidents}
    return sorted(policies, key=lambda policy: policy.name not in openers)


@contextmanager
def judged_alone(policy: Policy, at: datetime) -> Iterator[None]:
    """What judging a policy raises on evidence nobody thought of is the fault of that one alone: it is logged, and keeps nobody from anything."""
    try:
        yield
    except (ValueError, KeyError, ArithmeticError):
        log.exception("policy.failed", policy=policy.name, at=at)


def remembered(
    policy: Policy,
    past: Iterable[tuple[datetime, Sequence[Reading]]],
    changes: Sequence[Change],
    fleet: Fleet,
    compared: Sequence[Before] | None,
) -> Standing | None:
    """What the policy's last slot would be, had the daemon looked at the past ones; nothing is decided on them. None where there was none.

    It is that up to the first slot whose judging fails. ``compared``: how it was before the change that is judged now. From that change on the limits
    hold that follow from it: what is no breach by them must not be found to have lasted for long.
    """
    standing, watch = None, new_watch(policy)
    for at, readings in past:
        with judged_alone(policy, at):
            seen = take(policy, watch, readings)
            is_after = compared is not None and all(before.anchor <= at for before in compared)
            evaluation = decide(policy, seen, None, changes, fleet, at, compared if is_after else None)
            standing, watch = Standing(seen, evaluation, at), evaluation.watch
            continue
        break
    return standing
