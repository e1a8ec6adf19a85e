"""Written signals and limits to the engine's: units typed, limits that can never be met refused."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rollbackd.policies.documents.conditions import (
    CountCondition,
    GaugeCondition,
    LatencyCondition,
    OwnCondition,
    ProbeCondition,
    PromQLCondition,
    RateCondition,
    RatioCondition,
)
from rollbackd.policies.documents.limits import BeforeLimit, OldLimit
from rollbackd.policies.documents.signals import CountSignal, GaugeSignal, LatencySignal, RatioSignal, TrafficSignal, VanishedSignal
from rollbackd.policies.model.policy import Limit
from rollbackd.policies.model.signals import Count, Gauge, Latency, Matcher, OfTarget, Probe, PromQL, Rate, Ratio, Selector, Signal, Traffic, Vanished
from rollbackd.policies.resolve.before import Side, before_limit, old_limit
from rollbackd.policies.resolve.profiles import WrittenSignal
from rollbackd.policies.resolve.reach import reach_of
from rollbackd.policies.text import units
from rollbackd.policies.text.selectors import parse_selector
from rollbackd.policies.text.units import Quantity, UnitError
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.yaml_text import Path

DEFAULT_QUANTILE = 0.95
_MILLISECONDS = ("_milliseconds", "_ms")
NEVER_WELL = "no count proves a share of exactly so much, and it would never be healthy again"
"""Why a limit is refused that ``is_never_well``."""


@dataclass(frozen=True, slots=True)
class WrittenLimit:
    """The sides of a limit as written, each with where it was written (None: not at all)."""

    above: object = None
    below: object = None
    outside: list[object] | None = None

    @property
    def sides(self) -> tuple[str, ...]:
        """Which of the three were written."""
        return tuple(side for side in ("above", "below", "outside") if getattr(self, side) is not None)


def own_signal(written: OwnCondition) -> Signal:
    """The signal of a condition written out by hand; a latency still lacks its limit."""
    match written:
        case ProbeCondition(probe=probe):
            return Probe(probe.name, probe.port, probe.path)
        case PromQLCondition(promql=expression):
            return PromQL(expression, reach_of(expression))
        case LatencyCondition(quantile=quantile):
            return library_signal(written, quantile)
        case RatioCondition() | GaugeCondition() | CountCondition() | RateCondition():
            return library_signal(written)


def library_signal(written: WrittenSignal, quantile: float = DEFAULT_QUANTILE, leave_out: Mapping[str, str] | None = None) -> Signal:
    """The signal, without the series that carry any of the ``leave_out`` labels' values; a latency still lacks its limit."""
    but = tuple(Matcher(label, "!=", value) for label, value in sorted((leave_out or {}).items()))

    def selector(text: str) -> Selector:
        parsed = parse_selector(text)
        return replace(parsed, matchers=parsed.matchers + but) if but else parsed

    if isinstance(written, LatencySignal):
        return Latency(selector(written.latency.histogram), quantile, limit=0.0)
    if isinstance(written, GaugeSignal):
        return Gauge(selector(written.gauge), selector(written.of) if written.of else None, written.pick, written.per)
    if isinstance(written, CountSignal):
        return Count(selector(written.count), selector(written.where) if written.where else None)
    if isinstance(written, RatioSignal):
        return Ratio(selector(written.ratio.bad), selector(written.ratio.total))
    if isinstance(written, TrafficSignal):
        return Traffic(selector(written.traffic))
    if isinstance(written, VanishedSignal):
        return Vanished(selector(written.vanished))
    return Rate(selector(written.rate))


def is_in_milliseconds(written: LatencySignal) -> bool:
    """Whether the histogram's buckets are in milliseconds: said outright, or by its name."""
    unit = written.latency.unit
    return parse_selector(written.latency.histogram).metric.endswith(_MILLISECONDS) if unit is None else unit == "milliseconds"


def in_own_unit(limit: Limit) -> Limit:
    """A latency limit in milliseconds instead of seconds."""
    return replace(limit, high=limit.high * 1000 if limit.high is not None else None, unit="ms")


def reader_of(signal: Signal) -> Callable[[object], Quantity]:
    """What reads a limit of this signal, in its unit; it raises UnitError."""
    match signal:
        case Ratio() | Probe() | Traffic():
            return units.share
        case Latency():
            return units.seconds
        case Gauge(of=of):
            return units.quantity if of is None else units.fraction_of
        case Count():
            return units.events
        case Rate():
            return units.events_per_second
        case PromQL() | OfTarget() | Vanished():
            return units.expression_value


def resolve_limit(signal: Signal, written: WrittenLimit, path: Path, findings: Findings) -> Limit | None:
    """The limit in base units; None after a fault. ``path`` leads to the mapping that holds it."""
    if isinstance(signal, Vanished):
        for side in written.sides:
            findings.fault((*path, side), "no limit", f"'{side}'", "a metric is there or it is gone", at_key=True)
        return Limit()
    if len(written.sides) != 1:
        kinds = f"'{only}'" if (only := _only_side(signal)) else "one of 'above', 'below', 'outside'"
        findings.fault(path, kinds, " and ".join(f"'{side}'" for side in written.sides) or "no limit")
        return None
    side = written.sides[0]
    if not _has_side(signal, side, getattr(written, side), path, findings):
        return None
    if isinstance(signal, Gauge) and findings.was_cut((*path, "of")):
        return None  # a share or a plain value: its limit cannot be read
    if isinstance(before := getattr(written, side), BeforeLimit | OldLimit):
        return _before(signal, "above" if side == "above" else "below", before, path, findings)
    values = written.outside if written.outside is not None else [getattr(written, side)]
    paths = [(*path, side, index) for index in range(2)] if side == "outside" else [(*path, side)]
    read = [_read(signal, value, at, findings) for value, at in zip(values, paths, strict=True)]
    quantities = [quantity for quantity in read if quantity is not None]
    if len(quantities) < len(paths):
        return None
    limit = _limit(side, quantities)
    return reachable(signal, limit) if _can_be_met(signal, limit, side, (*path, side), findings) else None


def _only_side(signal: Signal) -> Side | None:
    """The only side that a limit of this signal has; None: it has each of them."""
    if isinstance(signal, Traffic):
        return "below"
    return "above" if isinstance(signal, Latency | Probe) else None


def _has_side(signal: Signal, side: str, limit: object, path: Path, findings: Findings) -> bool:
    """Whether a limit of this signal may be so; a fault else."""
    if isinstance(signal, Latency) and side != "above":
        hint = "requests are counted as slower than the limit, so it can only be too high"
        findings.fault((*path, side), "'above' of a latency", f"'{side}'", hint, at_key=True)
        return False
    if isinstance(signal, Traffic) and side != "below":
        findings.fault((*path, side), "'below' of traffic", f"'{side}'", "only a drop is looked for", at_key=True)
        return False
    if isinstance(signal, Traffic) and isinstance(limit, BeforeLimit | OldLimit):
        key = "of_old" if isinstance(limit, OldLimit) else "of_before"
        hint = "traffic is compared with the hour before the change as it is: write a share of it, such as 30%"
        findings.fault((*path, side, key), "a plain limit", f"'{key}'", hint, at_key=True)
        return False
    return True


def _before(signal: Signal, side: Side, written: BeforeLimit | OldLimit, path: Path, findings: Findings) -> Limit | None:
    at = (*path, side)

    def read(value: object, place: Path) -> Quantity | None:
        return _read(signal, value, place, findings)

    if isinstance(written, OldLimit):
        limit = old_limit(signal, side, written, read, at, findings)
    else:
        limit = before_limit(signal, side, written, read, at, findings)
    if limit is None or (limit.high is None and limit.low is None):
        return limit
    return limit if _can_be_met(signal, limit, side, (*at, "at_least" if side == "above" else "at_most"), findings) else None


def _read(signal: Signal, value: object, path: Path, findings: Findings) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    try:
        return reader_of(signal)(value)
    except UnitError as error:
        findings.fault(path, error.expected, findings.shown(path), error.hint)
        return None


def _limit(side: str, quantities: list[Quantity]) -> Limit:
    values = [quantity.value for quantity in quantities]
    unit = next((quantity.unit for quantity in quantities if quantity.unit), "")
    if side == "outside":
        return Limit(high=values[1], low=values[0], unit=unit)
    return Limit(high=values[0], unit=unit) if side == "above" else Limit(low=values[0], unit=unit)


def _can_be_met(signal: Signal, limit: Limit, side: str, path: Path, findings: Findings) -> bool:
    if limit.high is not None and limit.low is not None and limit.low >= limit.high:
        findings.fault(path, "the lower limit before the higher", f"{limit.low:g} and {limit.high:g}")
        return False
    if is_out_of_reach(signal, limit):
        expected = {"above": "a limit below 100%", "below": "a limit above 0", "outside": "a range that can be left"}[side]
        found = f"{limit.low:g} to {limit.high:g}" if side == "outside" else findings.shown(path)
        findings.fault(path, expected, found, "this limit can never be met")
        return False
    if is_never_well(signal, limit):
        expected, nearly = ("a limit above 0%", "0.1%") if limit.low is None else ("a limit below 100%", "99.9%")
        findings.fault(path, expected, findings.shown(path), f"{NEVER_WELL}: write a limit such as {nearly}")
        return False
    return True


def is_out_of_reach(signal: Signal, limit: Limit) -> bool:
    """Whether no value of the signal can ever be beyond the limit."""
    found = reachable(signal, limit)
    return found.high is None and found.low is None


def reachable(signal: Signal, limit: Limit) -> Limit:
    """The limit without a side that no value of the signal can ever be beyond: nor is it ever proven to be within that one."""
    most = 1.0 if isinstance(signal, Ratio | Probe) or _is_held_by_kernel(signal) else math.inf
    least = -math.inf if isinstance(signal, Gauge | PromQL) else 0.0
    if limit.high is not None and limit.high >= most:
        limit = replace(limit, high=None)
    return replace(limit, low=None) if limit.low is not None and limit.low <= least else limit


def _is_held_by_kernel(signal: Signal) -> bool:
    """Whether it is what containers use of their own memory limit: the kernel kills what would use more."""
    used, limit = "container_memory_working_set_bytes", "container_spec_memory_limit_bytes"
    return isinstance(signal, Gauge) and signal.value.metric == used and signal.of == replace(signal.value, metric=limit)


def is_never_well(signal: Signal, limit: Limit) -> bool:
    """Whether nothing that is counted can prove a share to be within the limit: that it is exactly none, or exactly all."""
    if not isinstance(signal, Ratio) or limit.of_before is not None:
        return False
    return (limit.high is not None and limit.high <= 0) or (limit.low is not None and limit.low >= 1)


def check_sense(signal: Signal, path: Path, findings: Findings) -> None:
    """Faults of a signal whose parts are each right and together make no sense."""
    if isinstance(signal, Ratio) and signal.bad == signal.total:
        findings.fault((*path, "ratio", "bad"), "a selector of the bad events only", "the same selector as 'total'", "such a share is always 100%")
    if isinstance(signal, Gauge) and signal.of == signal.value:
        findings.fault((*path, "of"), "another selector than the gauge's", "the same", "such a share is always 100%")
    if isinstance(signal, Gauge) and (signal.pick == "second") != (signal.per is not None) and not findings.was_cut((*path, "pick")):
        expected, found = ("the key 'per'", "none") if signal.per is None else ("'per' beside pick: second only", f"pick: {signal.pick}")
        findings.fault(path if signal.per is None else (*path, "per"), expected, found, "it is the label that tells the units apart, such as pod")
    if isinstance(signal, Probe):
        _check_probe(signal, (*path, "probe"), findings)


def _check_probe(probe: Probe, path: Path, findings: Findings) -> None:
    if (probe.name is None) == (probe.port is None):
        found = "both" if probe.name else "neither"
        findings.fault(path, "either the name of a probe or a port", found)
    elif probe.name and probe.path:
        findings.fault((*path, "path"), "a path beside a port only", "one beside a name", "the daemon's config says what the probe asks")
