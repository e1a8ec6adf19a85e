"""A limit of what was before, or of the old pods, as written, to the engine's; one that makes no sense is refused."""

from collections.abc import Callable
from typing import Literal

from rollbackd.policies.documents.limits import BeforeLimit, OldLimit
from rollbackd.policies.model.policy import Limit, OfBefore
from rollbackd.policies.model.signals import Gauge, Latency, Rate, Ratio, Signal
from rollbackd.policies.text.units import Quantity
from rollbackd.policies.text.validate import Findings
from rollbackd.policies.text.yaml_text import Path

Side = Literal["above", "below"]
Read = Callable[[object, Path], Quantity | None]
"""Reads a fixed limit of the signal; None after a fault."""


def before_limit(signal: Signal, side: Side, written: BeforeLimit, read: Read, path: Path, findings: Findings) -> Limit | None:
    """The limit, its fixed part in base units; None after a fault. ``path`` leads to the mapping with ``of_before``."""
    is_sound = _is_sound(signal, side, written, path, findings)
    key = "at_least" if side == "above" else "at_most"
    fixed = getattr(written, key)
    least = None if fixed is None else read(fixed, (*path, key))
    if not is_sound or (least is None and fixed is not None):
        return None
    unit = least.unit if least is not None else _unit(signal)
    value, of_before = None if least is None else least.value, OfBefore(written.of_before.value, side == "above")
    return Limit(high=value, unit=unit, of_before=of_before) if side == "above" else Limit(low=value, unit=unit, of_before=of_before)


def old_limit(signal: Signal, side: Side, written: OldLimit, read: Read, path: Path, findings: Findings) -> Limit | None:
    """The limit, its fixed part in base units; None after a fault. ``path`` leads to the mapping with ``of_old``."""
    factor, at = written.of_old.value, (*path, "of_old")
    if side == "below" or not isinstance(signal, Ratio | Latency):
        found = "'below' of one" if isinstance(signal, Ratio | Latency) else f"'{side}' of something else"
        findings.fault(at, "'above' of a ratio or a latency", found, "counts are compared: write 'of_before' here")
        return None
    is_sound = _is_sound_beside_old(written, path, findings)
    least = None if written.at_least is None else read(written.at_least, (*path, "at_least"))
    if least is None or not is_sound:
        return None
    return Limit(high=least.value, unit=least.unit or _unit(signal), of_old=factor)


def _is_sound_beside_old(written: OldLimit, path: Path, findings: Findings) -> bool:
    faults = len(findings.faults)
    if written.of_old.value < 1:
        at = (*path, "of_old")
        findings.fault(at, "100% or more", findings.shown(at), "what is no worse than the old pods would be a breach")
    if written.at_most is not None:
        findings.fault((*path, "at_most"), "'at_least' beside 'above'", "'at_most'", at_key=True)
    elif written.at_least is None:
        findings.fault(path, "the key 'at_least'", "none")
    return len(findings.faults) == faults


def _is_sound(signal: Signal, side: Side, written: BeforeLimit, path: Path, findings: Findings) -> bool:
    faults = len(findings.faults)
    factor, at = written.of_before.value, (*path, "of_before")
    if side == "above" and factor <= 1:
        findings.fault(at, "more than 100% for 'above'", findings.shown(at), "what stays as it was would be a breach")
    if side == "below" and factor >= 1:
        findings.fault(at, "less than 100% for 'below'", findings.shown(at), "what stays as it was would be a breach")
    wrong = "at_most" if side == "above" else "at_least"
    if getattr(written, wrong) is not None:
        right = "at_least" if side == "above" else "at_most"
        findings.fault((*path, wrong), f"'{right}' beside '{side}'", f"'{wrong}'", at_key=True)
    elif isinstance(signal, Latency) and written.at_least is None:
        hint = "requests are counted as slower than a fixed duration; the share of them is what is compared with before"
        findings.fault(path, "the key 'at_least' for a latency", "none", hint)
    return len(findings.faults) == faults


def _unit(signal: Signal) -> str:
    if isinstance(signal, Rate):
        return "/s"
    return "%" if isinstance(signal, Ratio) or (isinstance(signal, Gauge) and signal.of is not None) else ""
