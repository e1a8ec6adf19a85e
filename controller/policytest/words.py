"""The words that tests and messages use for what a policy reads and does."""

import re
from collections.abc import Iterator, Mapping

from rollbackd.policies.decide.guards import PASSABLE
from rollbackd.policies.decide.ladder import rung_text, rung_word
from rollbackd.policies.decide.proof import OTHER_WRITER
from rollbackd.policies.decide.step import HANDED_OVER
from rollbackd.policies.model.policy import Condition, Policy, Rung
from rollbackd.policies.model.signals import (
    Count,
    Gauge,
    Identity,
    Latency,
    Matcher,
    OfTarget,
    Probe,
    PromQL,
    Rate,
    Ratio,
    Selector,
    Traffic,
    Vanished,
)

GUARDS = frozenset({"pause", *PASSABLE, "suspects", "ladder", "mode", "give-up", OTHER_WRITER, "approval", HANDED_OVER})
"""What an incident of a test may be held by."""


def kind_of(key: str) -> str:
    """The first word of a target's key."""
    return key.partition(":")[0]


def rung_names(rung: Rung) -> tuple[str, ...]:
    """How a rung may be named: ``revert``, ``revert shop/checkout``, or with the whole key."""
    kind = rung_word(rung)
    parts = rung.target.partition(":")[2].split("/")
    short = (f"{kind} {parts[1]}/{parts[3]}",) if kind_of(rung.target) == "kubernetes" and len(parts) == 4 else ()
    return (kind, *short, rung_text(rung))


def selectors_of(condition: Condition) -> tuple[Selector, ...]:
    """The series that a condition reads, as the source is asked for them."""
    match condition.signal:
        case Ratio(bad, total):
            return bad, total
        case Latency(histogram):
            name = histogram.metric if histogram.metric.endswith("_bucket") else f"{histogram.metric}_bucket"
            return (Selector(name, histogram.matchers),)
        case Gauge(value, of):
            return (value,) if of is None else (value, of)
        case Count(events, where):
            return (events,) if where is None else (events, where)
        case Rate(events) | Traffic(events) | Vanished(events):
            return (events,)
        case Probe() | PromQL() | OfTarget():
            return ()


def metrics_of(policy: Policy) -> frozenset[str]:
    """Every metric that the policy reads."""
    return frozenset(selector.metric for condition in policy.conditions for selector in selectors_of(condition))


def is_read(condition: Condition, metric: str, labels: Mapping[str, str]) -> bool:
    """True if the condition reads this series, as one of its own workload. A pattern that Python does not know is taken to match."""
    own = [selector for selector in selectors_of(condition) if selector.metric == metric and all(_passes(m, labels) for m in selector.matchers)]
    limit = condition.signal.of if isinstance(condition.signal, Gauge) else None
    # What a gauge is measured against is found by the gauge's own labels.
    return any(selector == limit or _is_of(condition.identity, labels) for selector in own)


def _passes(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.label, "")
    match matcher.op:
        case "=" | "!=":
            return (value == matcher.value) is (matcher.op == "=")
        case "=~" | "!~":
            found = _group(matcher.value, value)
            return (found is not None) is (matcher.op == "=~")


def _is_of(identity: Identity, labels: Mapping[str, str]) -> bool:
    derived = identity.derived
    if derived is not None:
        found = _group(derived.pattern, labels.get(derived.source, ""))
        if found is None:
            return False
        labels = {**labels, derived.label: found}
    return all(labels.get(label, "") == value for label, value in zip(identity.labels, identity.values, strict=True))


def _group(pattern: str, value: str) -> str | None:
    """The pattern's first group, or all that it matches; None where it does not match."""
    try:
        match = re.fullmatch(pattern, value, re.DOTALL)
    except re.error:
        return value
    return None if match is None else (match[1] or "" if match.re.groups else value)


def reads_text(condition: Condition) -> str:
    """What a condition reads, and whose, for whoever wonders why it has no data."""
    identity = condition.identity
    whose = ", ".join(f'{label}="{value}"' for label, value in zip(identity.labels, identity.values, strict=True))
    derived = identity.derived
    how = f', {derived.label} being the group in {derived.source}=~"{derived.pattern}"' if derived else ""
    return f"it reads {' and '.join(_selector_texts(condition)) or 'no series'}, where {whose}{how}"


def _selector_texts(condition: Condition) -> Iterator[str]:
    for selector in dict.fromkeys(selectors_of(condition)):
        inside = ",".join(f'{m.label}{m.op}"{m.value}"' for m in selector.matchers)
        yield f"{selector.metric}{{{inside}}}" if inside else selector.metric
