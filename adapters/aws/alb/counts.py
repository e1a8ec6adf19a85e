"""Whether the requests moved: what the load balancer counted for each group since our write. A count that is missing is never held against a rung.

The write's moment is known to the process that sent it, and is not in the journal: after a restart nothing is proven by counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollbackd.adapters.aws.access import Caller
from rollbackd.adapters.aws.alb.actions import Rule, name_of, shares, weights_of
from rollbackd.adapters.aws.cloudwatch.fetch import Fetch
from rollbackd.adapters.aws.cloudwatch.metrics import Metric
from rollbackd.adapters.aws.cloudwatch.periods import PERIOD, Points, Range, ended
from rollbackd.adapters.base.errors import AdapterError, Transient
from rollbackd.adapters.base.target import Intent

EVERY = timedelta(seconds=30)
"""Not asked more often: Amazon takes money for each question."""
LATE = timedelta(minutes=2)
"""A minute is judged so long after its end: until then a count may still grow."""
BEFORE = timedelta(minutes=10)
"""So much from before the write is looked at, to know whether requests are counted here at all."""
UNANSWERED = timedelta(minutes=5)
"""So long after the write a first count is waited for."""
GIVE_UP = timedelta(minutes=10)
"""So long after the write the bad group may still count requests: another rule may lead there, and that is no failure of this one."""
_UNPROVEN = "read back, the move is not proven by request counts"


@dataclass(frozen=True, slots=True)
class Proof:
    """What the counts say. ``is_over``: nothing more is to be waited for, whether it is proven or cannot be."""

    is_over: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The target groups, by ARN: those whose share went to 0, and those whose share grew."""

    lost: tuple[str, ...]
    gained: tuple[str, ...]


class Counts:
    """Remembers while the process lives when each write was sent, and what the counts said last."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._sent: dict[tuple[str, str, str], datetime] = {}
        self._said: dict[tuple[str, str, str], tuple[datetime, Proof]] = {}

    def sent(self, intent: Intent) -> None:
        """The intent's write has left by now, whether or not it arrived."""
        self._sent[_ours(intent)] = self._now()

    def proof(self, caller: Caller, rule: Rule, intent: Intent) -> Proof:
        """What the counts say of a rule that stands as the intent wants it. Raises no AdapterError."""
        groups, sent = moved(intent), self._sent.get(_ours(intent))
        if not groups.lost:
            return Proof(True, "no share went to 0, and one that is only reduced is not judged by request counts")
        if sent is None:
            return Proof(True, f"{_UNPROVEN}: another process sent the write, or a restart came between, so its minute is not known")
        at = self._now()
        said_at, said = self._said.get(_ours(intent), (None, None))
        if said_at is None or said is None or (not said.is_over and at - said_at >= EVERY):
            said = _asked(caller, rule, groups, sent, at)
            self._said[_ours(intent)] = (at, said)
        return said


def moved(intent: Intent) -> Moved:
    """Between which groups the intent moves requests."""
    before, after = _shares(intent, "before"), _shares(intent, "after")
    lost = tuple(arn for arn in sorted(before) if arn not in after)
    return Moved(lost, tuple(arn for arn in sorted(after) if after[arn] > before.get(arn, 0)))


def _shares(intent: Intent, when: str) -> dict[str, float]:
    actions: Any = intent.record.get(when) or ()
    return shares(weights_of(actions))


def _ours(intent: Intent) -> tuple[str, str, str]:
    return (intent.target, intent.incident, intent.to_revision)


def _asked(caller: Caller, rule: Rule, groups: Moved, sent: datetime, at: datetime) -> Proof:
    metrics = {arn: _metric(rule.balancer, arn) for arn in (*groups.lost, *groups.gained)}
    try:
        heard = Fetch("request counts", caller).read(list(metrics.values()), Range(ended(sent - BEFORE), ended(at - LATE)))
    except Transient as fault:
        return _waiting(str(fault), at - sent, UNANSWERED)
    except AdapterError as fault:
        return Proof(True, f"{_UNPROVEN}: {fault}")
    counts: dict[str, Points] = {}
    for arn, metric in metrics.items():
        found = heard[metric]
        if isinstance(found, str):
            return _waiting(found, at - sent, UNANSWERED)
        counts[arn] = found
    return judged({name_of(arn): counts[arn] for arn in groups.lost}, {name_of(arn): counts[arn] for arn in groups.gained}, sent, at)


def _metric(balancer: str, group: str) -> Metric:
    places = (("LoadBalancer", balancer.partition(":loadbalancer/")[2]), ("TargetGroup", group.rpartition(":")[2]))
    return Metric("AWS/ApplicationELB", "RequestCount", places, "Sum")


def judged(lost: Mapping[str, Points], gained: Mapping[str, Points], sent: datetime, at: datetime) -> Proof:
    """What these counts, by the name of the group, say at ``at`` of a write that left at ``sent``."""
    if not any((*lost.values(), *gained.values())):
        return Proof(True, f"{_UNPROVEN}: CloudWatch has no requests of {_listed(lost)} and {_listed(gained)}, nor from before the write")
    if silent := [name for name, points in lost.items() if not points]:
        return _waiting(f"CloudWatch has no requests of {_listed(silent)}, and what is missing is not 0", at - sent, UNANSWERED)
    minutes = sorted({end for points in (*lost.values(), *gained.values()) for end in points if end - PERIOD >= sent})
    if not minutes:
        return _waiting("no whole minute since the write is counted yet", at - sent, UNANSWERED)
    for end in minutes:
        if not _sum(lost, end) and _sum(gained, end):
            return Proof(True, f"proven by request counts: {_counted(lost, end)} and {_counted(gained, end)} in {end - PERIOD:%H:%M}")
    end = minutes[-1]
    said = f"{_counted(lost, end)} in {end - PERIOD:%H:%M}, 0 expected; {_counted(gained, end)}"
    if not _sum(lost, end):
        return _waiting(said, at - sent, UNANSWERED)  # nothing came at all
    return _waiting(f"{said}; requests end where they began, or another rule leads there", at - sent, GIVE_UP)


def _sum(groups: Mapping[str, Points], end: datetime) -> float:
    # A group that counted before and has nothing in a minute that is old enough had no requests: load balancers publish no zeros of idle groups.
    return sum(points.get(end, 0.0) for points in groups.values())


def _counted(groups: Mapping[str, Points], end: datetime) -> str:
    return ", ".join(f"{name} {points.get(end, 0.0):.0f} requests" for name, points in groups.items())


def _listed(names: Mapping[str, Points] | Sequence[str]) -> str:
    return ", ".join(names)


def _waiting(why: str, waited: timedelta, most: timedelta) -> Proof:
    if waited >= most:
        return Proof(True, f"{_UNPROVEN} within {most.total_seconds() / 60:.0f} minutes: {why}")
    return Proof(False, why)
