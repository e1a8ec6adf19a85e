"""How a condition is confirmed and what evidence it needs: the policy's word, else the library's, else the default."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from rollbackd.policies.documents.conditions import BreachCount, Confirmed
from rollbackd.policies.model.policy import Breaches, Condition, Confirmation, For, Mode, OnNoData
from rollbackd.policies.model.signals import Gauge, Latency, OfTarget, Probe, PromQL, Ratio, Signal, Traffic, Vanished
from rollbackd.policies.text.units import written
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.yaml_text import Path

DEFAULT_FOR = timedelta(minutes=1)
BEFORE_FOR = timedelta(minutes=5)  # what is compared with before and has no bound has to stay out of it for so long
DEFAULT_OVER = timedelta(minutes=5)
RATIO_VOLUME = 50  # below it a share of bad events is a coin toss
QUANTILE_VOLUME = 10  # so many requests are expected beyond the quantile


@dataclass(frozen=True, slots=True)
class Said:
    """What was said about a condition. ``hold``: the policy's own ``for``; ``default_hold`` stands in for it and may be stretched.

    ``is_accepted``: it may act though nothing bounds how often it is wrong.
    """

    hold: timedelta | None
    default_hold: timedelta
    breaches: BreachCount | None
    window: timedelta
    min_volume: int | None
    on_no_data: OnNoData
    mode: Mode
    watch: timedelta | None
    is_accepted: bool


def said(own: Confirmed, base: Confirmed | None = None) -> Said:
    """The policy's word, else the library's (``base``), else the default."""
    return Said(
        hold=own.for_,
        default_hold=(base.for_ if base else None) or DEFAULT_FOR,
        breaches=own.breaches or (base.breaches if base and own.for_ is None else None),
        window=own.over or (base.over if base else None) or DEFAULT_OVER,
        min_volume=own.min_volume if own.min_volume is not None or base is None else base.min_volume,
        on_no_data=OnNoData(own.on_no_data or (base.on_no_data if base else None) or "unproven"),
        mode=Mode[(own.mode or (base.mode if base else None) or "auto").upper()],
        watch=own.watch or (base.watch if base else None),
        is_accepted="accepted" in (own.unbounded, base.unbounded if base else None),
    )


def confirmation(told: Said, every: timedelta, path: Path, findings: Findings) -> Confirmation:
    """The confirmation rule; ``path`` leads to the mapping that holds it."""
    if told.breaches is None:
        return For(_hold(told, every, path, findings))
    if told.hold is not None:
        findings.fault((*path, "breaches"), "either 'for' or 'breaches'", "both", at_key=True)
    counted = told.breaches
    if counted.at_least > counted.of:
        findings.fault((*path, "breaches", "at_least"), f"at most {counted.of}", str(counted.at_least), "this can never be met")
    return Breaches(counted.at_least, counted.of)


def _hold(told: Said, every: timedelta, path: Path, findings: Findings) -> timedelta:
    if told.hold is None:
        return max(told.default_hold, every)
    if timedelta(0) < told.hold < every:
        hint = "0s confirms at the first proven breach"
        findings.fault((*path, "for"), f"0s, or at least one evaluation ({written(every)})", written(told.hold), hint)
    return told.hold


def most(told: Said, signal: Signal) -> Mode:
    """The most that the condition may lead to: what no bound holds for suggests, unless that was accepted in writing."""
    return told.mode if is_bounded(signal) or told.is_accepted else min(told.mode, Mode.SUGGEST)


def is_bounded(signal: Signal) -> bool:
    """Whether a bound on false rollbacks can hold: for shares of counted events only."""
    return isinstance(signal, Ratio | Latency)


def adds_little(told: Said, signal: Signal) -> bool:
    """Whether a wait was asked for that is shorter than the window of its own evidence."""
    has_window = not isinstance(signal, Gauge | Probe | PromQL | OfTarget)
    return has_window and told.hold is not None and timedelta(0) < told.hold < told.window


def least_volume(told: Said, signal: Signal, path: Path, findings: Findings) -> int:
    """How many events it takes before a share proves anything; that is a fault where nothing counts events. ``path`` as in ``confirmation``."""
    if told.min_volume is not None:
        if not isinstance(signal, Ratio | Latency | Traffic | Vanished):
            hint = "what this condition reads is no share of events: leave it out"
            findings.fault((*path, "min_volume"), "a ratio, a latency or traffic beside it", "'min_volume' alone", hint, at_key=True)
        return told.min_volume
    if isinstance(signal, Latency):
        return math.ceil(round(QUANTILE_VOLUME / (1 - signal.quantile), 6))
    return RATIO_VOLUME if isinstance(signal, Ratio | Vanished) else 0


def bounded(conditions: Sequence[Condition], risk: float | None) -> tuple[Condition, ...]:
    """The conditions, those on shares with their part of ``risk``: it is split over all that may act. None: each look is judged by itself.

    Which mode the policy has changes nothing: while it observes it shows what it would do.
    """
    if risk is None:
        return tuple(replace(condition, bound=None) for condition in conditions)
    acting = sum(c.bound is not None and c.mode >= Mode.APPROVE for c in conditions)
    return tuple(replace(c, bound=replace(c.bound, alpha=risk / max(1, acting))) if c.bound is not None else c for c in conditions)
