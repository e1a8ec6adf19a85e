"""What a workload's annotations ask of the fleet policy that watches it. They come from whoever may edit the workload, and are read as such.

``mode`` may only lower, ``opt-out`` leaves, ``CONDITION.above`` and ``CONDITION.below`` change a limit. What cannot be understood never makes
the machine bolder: the member is only observed until somebody has corrected it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rollbackd.policies.model.policy import Condition, Limit, Mode, Policy
from rollbackd.policies.model.signals import Latency
from rollbackd.policies.resolve.signals import NEVER_WELL, in_own_unit, is_never_well, is_out_of_reach, reachable, reader_of
from rollbackd.policies.text.faults import choices, quoted
from rollbackd.policies.text.units import UnitError

PREFIX = "rollbackd.io/"
MODE = "mode"
OPT_OUT = "opt-out"
MOST_FINDINGS = 10
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
_SIDES = ("above", "below")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the annotations come to. ``said``: what they change; ``findings``: what is wrong with them."""

    is_out: bool
    mode: Mode
    conditions: tuple[Condition, ...]
    said: tuple[str, ...]
    findings: tuple[str, ...]


class _UnreadableError(Exception):
    """An annotation that cannot be understood; its text says why."""


@dataclass(slots=True)
class _Reading:
    """One workload's annotations on the way to wishes."""

    mode: Mode
    conditions: dict[str, Condition]
    is_out: bool = False

    def take(self, name: str, value: str) -> str:
        """What this annotation changes; empty where it changes nothing. Raises _UnreadableError."""
        if name == OPT_OUT:
            return self._opt_out(value)
        if name == MODE:
            return self._lower(value)
        condition, dot, side = name.rpartition(".")
        if not dot or side not in _SIDES or condition not in self.conditions:
            raise _UnreadableError(choices(name, [OPT_OUT, MODE, *(f"{known}.{_side(each)}" for known, each in self.conditions.items())]))
        return self._limit(self.conditions[condition], side, value)

    def _opt_out(self, value: str) -> str:
        if value not in ("true", "false"):
            raise _UnreadableError('expected "true"')
        self.is_out = value == "true"
        return ""

    def _lower(self, value: str) -> str:
        words = [mode.name.lower() for mode in Mode]
        if value not in words:
            raise _UnreadableError(f"expected one of {', '.join(words[:-1])}")
        self.mode = Mode[value.upper()]
        return f"mode {value}"

    def _limit(self, condition: Condition, side: str, value: str) -> str:
        changed = with_limit(condition, side, value)
        self.conditions[condition.name] = changed
        return f"{condition.name} {side} {value}"


def wishes(template: Policy, notes: Iterable[tuple[str, str]]) -> Wishes:
    """What these annotations ask of the policy; what they may not ask is a finding."""
    said, findings = [], []
    reading = _Reading(template.mode, {condition.name: condition for condition in template.conditions})
    is_readable = True
    for name, value in notes:
        try:
            if change := reading.take(name, value):
                said.append(f"{change}, by its annotation {PREFIX}{name}")
        except _UnreadableError as fault:
            is_readable = False
            findings.append(f"annotation {PREFIX}{name[:63]}: {quoted(value)} is not understood, so it is only observed; {fault}")
    if not is_readable:
        return Wishes(reading.is_out, Mode.OBSERVE, template.conditions, (), tuple(findings[:MOST_FINDINGS]))
    if reading.mode > template.mode:
        findings.append(f"annotation {PREFIX}{MODE}: {reading.mode.name.lower()} is more than the policy's {template.mode.name.lower()}: not raised")
        said = [line for line in said if not line.startswith("mode ")]
    mode = min(reading.mode, template.mode)
    return Wishes(reading.is_out, mode, tuple(reading.conditions.values()), tuple(said), tuple(findings))


def with_limit(condition: Condition, side: str, text: str) -> Condition:
    """The condition with another limit on a side that it has. Raises _UnreadableError for anything else."""
    if getattr(condition.limit, "high" if side == "above" else "low") is None:
        raise _UnreadableError(f"{condition.name} has a limit '{_side(condition)}'")
    try:
        quantity = reader_of(condition.signal)(_value(text))
    except UnitError as error:
        raise _UnreadableError(f"expected {error.expected}" + (f"; {error.hint}" if error.hint else "")) from error
    asked = Limit(high=quantity.value) if side == "above" else Limit(low=quantity.value)
    if condition.limit.unit == "ms":
        asked = in_own_unit(asked)
    limit = replace(condition.limit, high=asked.high) if side == "above" else replace(condition.limit, low=asked.low)
    is_crossed = limit.high is not None and limit.low is not None and limit.low >= limit.high
    if is_crossed or is_out_of_reach(condition.signal, limit):
        raise _UnreadableError("this limit can never be met" if not is_crossed else "the lower limit is not below the higher")
    if is_never_well(condition.signal, limit):
        raise _UnreadableError(NEVER_WELL)
    limit = reachable(condition.signal, limit)
    signal = replace(condition.signal, limit=limit.high or 0.0) if isinstance(condition.signal, Latency) else condition.signal
    return replace(condition, limit=limit, signal=signal)


def _value(text: str) -> str | int | float:
    """An annotation is text, also where it holds a number. Raises _UnreadableError where it is longer than any quantity."""
    if len(text) > 40:
        raise _UnreadableError("expected at most 40 characters")
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _side(condition: Condition) -> str:
    return "above" if condition.limit.high is not None else "below"
