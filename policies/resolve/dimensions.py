"""Signals that CloudWatch answers: its words in selectors, and the dimensions that `match` or the service itself gives a value for."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from rollbackd.policies.model.signals import (
    Count,
    Gauge,
    Identity,
    Latency,
    OfTarget,
    Probe,
    PromQL,
    Rate,
    Ratio,
    Selector,
    Signal,
    Traffic,
    Vanished,
)

CLOUDWATCH = "cloudwatch"
AUTO = "auto"
"""The value of a dimension that `match` or the service gives."""
OF_SERVICE = frozenset(("ClusterName", "LoadBalancer", "ServiceName", "TargetGroup"))
"""The dimensions that can be looked up for a service of ECS."""
PERCENT = "percent"
"""What a gauge in percent is written as a share of."""


class DimensionError(ValueError):
    """What was expected of a signal that CloudWatch is to answer, what was found, and what to do."""

    def __init__(self, expected: str, found: str, hint: str = "") -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found
        self.hint = hint


class Unmatched(DimensionError):
    """Nobody gives a value for ``dimension``."""

    def __init__(self, dimension: str, hint: str) -> None:
        super().__init__(f"'{dimension}' under 'match'", "none", hint)
        self.dimension = dimension


def located(signal: Signal, match: Mapping[str, str], target: str) -> tuple[Signal, Identity]:
    """The signal without its open dimensions, and their values: those of ``match``, else the key of ``target``, for the source to look them up.

    Raises DimensionError for what CloudWatch cannot answer, Unmatched where a dimension stays without a value.
    """
    if isinstance(signal, Probe | OfTarget):
        return signal, Identity((), ())
    if isinstance(signal, PromQL):
        raise DimensionError("a typed signal", "'promql'", "CloudWatch has no PromQL: write ratio, latency, gauge, count or rate")
    selectors = dict(_selectors(signal))
    for name, selector in selectors.items():
        _check(name, selector, signal)
    opened = {_open(selector) for selector in selectors.values()}
    if len(opened) > 1:
        raise DimensionError("the same dimensions on both sides", " and ".join(", ".join(sorted(each)) or "none" for each in opened))
    names = tuple(sorted(opened.pop())) if opened else ()
    values = tuple(_value(name, match, target) for name in names)
    closed: dict[str, Any] = {name: _closed(selector) for name, selector in selectors.items()}
    return replace(signal, **closed), Identity(names, values)


def _selectors(signal: Ratio | Latency | Gauge | Count | Rate | Traffic | Vanished) -> Iterator[tuple[str, Selector]]:
    for each in fields(signal):
        held = getattr(signal, each.name)
        if isinstance(held, Selector) and held != Selector(PERCENT):
            yield each.name, held


def _check(name: str, selector: Selector, signal: Signal) -> None:
    said = {matcher.label: matcher.value for matcher in selector.matchers}
    for matcher in selector.matchers:
        if matcher.op != "=":
            raise DimensionError(f"{matcher.label}= only", f"{matcher.label}{matcher.op}", "CloudWatch finds metrics by equal dimensions")
    if "namespace" not in said:
        raise DimensionError(f"the namespace of {selector.metric}", "none", f'write {selector.metric}{{namespace="AWS/..."}}')
    if "stat" in said and not isinstance(signal, Gauge):
        raise DimensionError("'stat' on a gauge", "one on what is counted", "its statistic follows from the signal")
    if "missing" in said and (name != "bad" or said["missing"] != "0"):
        hint = "only beside a total that was counted does silence mean that nothing happened"
        raise DimensionError('missing="0" on the bad events of a ratio', f'missing="{said["missing"]}" on {selector.metric}', hint)


def _open(selector: Selector) -> frozenset[str]:
    return frozenset(matcher.label for matcher in selector.matchers if matcher.value == AUTO)


def _closed(selector: Selector) -> Selector:
    return replace(selector, matchers=tuple(matcher for matcher in selector.matchers if matcher.value != AUTO))


def _value(name: str, match: Mapping[str, str], target: str) -> str:
    if name in match:
        return match[name]
    if name in OF_SERVICE and target.startswith("ecs:"):
        return target
    why = "it cannot be looked up for a service" if target.startswith("ecs:") else "it is looked up only for services of ECS"
    raise Unmatched(name, why)
