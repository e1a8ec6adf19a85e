"""From a policy's signals to grouped questions: one question per signal serves every workload that uses it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias, assert_never

from rollbackd.adapters.base import source as ask
from rollbackd.policies.model import policy as model
from rollbackd.policies.model import signals
from rollbackd.policies.watching.since import apart_in_calm

PART = "events"
"""The name of the only part of a count or a rate."""
FILLED = 0.8
"""So much of a window has to be seen."""
NOBODY: frozenset[ask.RowKey] = frozenset()
POD, SIDE = "pod", "rollbackd_replicaset"
"""The label that names a pod, and the one that is made of it."""
SUFFIX = "-[bcdfghjklmnpqrstvwxz2456789]{5}"
"""What Kubernetes puts behind the name of a ReplicaSet to name a pod."""


@dataclass(frozen=True, slots=True)
class ProbeQuestion:
    """A health check of a workload's endpoints; grouped by nothing, since each workload has its own."""

    name: str | None
    port: int | None
    path: str | None
    target: str


@dataclass(frozen=True, slots=True)
class TargetQuestion:
    """What no source is asked: the survey of the targets answers it."""

    fact: str


Question: TypeAlias = ask.Query | ProbeQuestion | TargetQuestion


@dataclass(frozen=True, slots=True)
class Ask:
    """One condition's share of a question: ``group`` is the question without its rows, ``row`` this workload's row in the answer."""

    group: Question
    row: ask.RowKey


def asks_of(policy: model.Policy, block: timedelta, *, in_calm: bool = False) -> tuple[Ask, ...]:
    """What to ask for each condition of the policy, in order. ``block``: the shortest window over which the source can count.

    ``in_calm``: nothing is watched, so that looks are rare.
    """
    apart = apart_in_calm(policy.every) if in_calm else policy.every
    return tuple(Ask(_question(policy, c, _counted_over(c, block, apart)), c.identity.values) for c in policy.conditions)


def _counted_over(condition: model.Condition, block: timedelta, apart: timedelta) -> timedelta:
    """Over what its events are counted, where looks are so far ``apart``. Of a share some of them tell as much as all of them; a number of events is
    known only where none is left out between two looks, and where the blocks nearly fill the window.
    """
    match condition.signal:
        case signals.Traffic():
            return max(block, condition.window)
        case signals.Count() | signals.Rate():
            return _filling(condition.window, max(block, apart), apart)
        case _:
            return block


def _filling(window: timedelta, least: timedelta, apart: timedelta) -> timedelta:
    """The shortest length from ``least`` on of which blocks, each beginning where another look ended, nearly fill the window; else all of it."""
    for number in range(window // least, 1, -1):
        length = window / number // apart * apart
        if length >= least and number * length >= FILLED * window:
            return length
    return max(least, window)


def with_rows(question: Question, rows: Iterable[ask.RowKey]) -> Question:
    """The question asked for these workloads."""
    if isinstance(question, ProbeQuestion | TargetQuestion):
        return question
    only = frozenset(rows)
    return replace(question, only=only, identity=_naming(question.identity, only) if is_by_side(question) else question.identity)


def by_side(labels: tuple[str, ...]) -> ask.Identity:
    """Workloads told apart by these labels and, the last, by the ReplicaSet of their pods. ``with_rows`` says of which ReplicaSets."""
    return ask.Identity((*labels, SIDE), ask.Derived(SIDE, POD, ""))


def is_by_side(question: Question) -> bool:
    """Whether it is asked by ReplicaSet."""
    if isinstance(question, ProbeQuestion | TargetQuestion):
        return False
    return question.identity.derived is not None and question.identity.derived.label == SIDE


def _naming(identity: ask.Identity, rows: Iterable[ask.RowKey]) -> ask.Identity:
    # Only the pods of these: a namespace may hold thousands of others.
    names = "|".join(sorted({row[-1].replace(".", "[.]") for row in rows}))
    return replace(identity, derived=ask.Derived(SIDE, POD, f"({names}){SUFFIX}"))


def _question(policy: model.Policy, condition: model.Condition, block: timedelta) -> Question:
    identity = _identity(condition.identity)
    match condition.signal:
        case signals.Ratio(bad, total):
            return ask.Increases((("bad", _selector(bad)), ("total", _selector(total))), block, identity, NOBODY)
        case signals.Count(events, where):
            return ask.Increases(((PART, _selector(events)),), block, identity, NOBODY, None if where is None else _selector(where))
        case signals.Traffic(events) | signals.Rate(events):
            return ask.Increases(((PART, _selector(events)),), block, identity, NOBODY)
        case signals.Latency(histogram, _, limit):
            return ask.Slower(_selector(histogram), limit, block, identity, NOBODY)
        case signals.Gauge(value, of, pick, per):
            divisor = None if of is None else _selector(of)
            return ask.Levels(_selector(value), divisor, pick, identity, NOBODY, per, silent=_is_floor(condition.limit))
        case signals.Vanished(metric):
            return ask.Levels(_selector(metric), None, "max", identity, NOBODY)
        case signals.PromQL(expression):
            return ask.Expression(expression, identity, NOBODY)
        case signals.Probe(name, port, path):
            return ProbeQuestion(name, port, path, policy.target)
        case signals.OfTarget(fact):
            return TargetQuestion(fact)
        case _:
            assert_never(condition.signal)


def _is_floor(limit: model.Limit) -> bool:
    """Whether only a fall breaches it."""
    before = limit.of_before
    is_above = limit.high is not None or (before is not None and before.is_above)
    return not is_above and (limit.low is not None or before is not None)


def _identity(identity: signals.Identity) -> ask.Identity:
    derived = identity.derived
    return ask.Identity(identity.labels, None if derived is None else ask.Derived(derived.label, derived.source, derived.pattern))


def _selector(selector: signals.Selector) -> ask.Selector:
    return ask.Selector(selector.metric, tuple(ask.Matcher(m.label, m.op, m.value) for m in selector.matchers))
