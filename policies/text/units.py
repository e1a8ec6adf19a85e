"""Quantities as people write them: durations, shares, sizes, rates. Each parser returns a number in base units or raises UnitError."""

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TypeGuard

_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in ("w", "d", "h", "m", "s", "ms")), re.ASCII)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%", re.ASCII)
_SIZED = re.compile(r"(-?\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)", re.ASCII)
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m|h|min)", re.ASCII)
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_SIZES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_OTHERWISE = re.compile(r"(-?\d+(?:\.\d+)?) ?([kKMGTP])(i?)[bB]?", re.ASCII)
_MILLIS = re.compile(r"(\d{3,})m", re.ASCII)
_PERIODS = {"s": 1, "m": 60, "min": 60, "h": 3600}
_LONGEST_TEXT = 40
_QUANTITY = "a number, a size such as 512Mi or a duration such as 30s"
LONGEST = timedelta(days=366)
"""No duration is longer."""


class UnitError(ValueError):
    """What was expected instead, and a hint towards it."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in base units; ``unit`` is for people: 'bytes', 's', '%', '/s' or ''."""

    value: float
    unit: str = ""


def duration(value: object) -> timedelta:
    """``1h30m``, ``500ms``, ``0``: not negative, at most 366 days."""
    expected = "a duration such as 30s, 5m or 1h30m"
    if isinstance(value, str):
        found = _duration(value)
        if found is None:
            raise UnitError(expected)
        if found > LONGEST:
            raise UnitError("a duration of at most 366d")
        return found
    if _is_number(value):
        if value == 0:
            return timedelta(0)
        raise UnitError(expected, f"write {value}s" if _is_short(value) else "")
    raise UnitError(expected)


def positive_duration(value: object) -> timedelta:
    """As ``duration``, but not zero."""
    span = duration(value)
    if not span:
        raise UnitError("a duration above zero")
    return span


@lru_cache(maxsize=4096)
def _duration(text: str) -> timedelta | None:
    match = _DURATION.fullmatch(text) if 0 < len(text) <= _LONGEST_TEXT else None
    if match is None:
        return timedelta(0) if text == "0" else None
    weeks, days, hours, minutes, seconds, millis = (float(part or 0) for part in match.groups())
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=millis)
    except OverflowError:
        return timedelta.max


def share(value: object) -> Quantity:
    """``5%`` or the fraction ``0.05``: a fraction from 0 to 1."""
    expected = "a percentage from 0% to 100%"
    if isinstance(value, str):
        if (fraction := _percentage(value)) is None:
            raise UnitError("a percentage such as 5%", _percent_for(value))
        if fraction > 1:
            raise UnitError(expected)
        return Quantity(fraction, "%")
    if not _is_number(value):
        raise UnitError("a percentage such as 5%")
    # A bare 1 may mean 1 % or all of them: too much depends on it to guess.
    if value < 0 or value >= 1:
        raise UnitError(expected, f"write {value}%" if 1 <= value <= 100 else "")
    return Quantity(float(value), "%")


def _percentage(value: object) -> float | None:
    """The fraction that a text such as ``5%`` says, whatever its size; None for all else."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST_TEXT else None
    return None if match is None else float(match[1]) / 100


def _percent_for(value: str) -> str:
    """How a plain number between quotes is to be written, if it is one: below 1 it is a fraction, as it is without them."""
    if not _PLAIN.fullmatch(value) or len(value) > _LONGEST_TEXT:
        return ""
    return f"write {float(value) * 100:g}%, or {value} without quotes" if 0 <= float(value) < 1 else f"write {value}%"


def risk(value: object) -> Quantity:
    """``1%`` or the fraction ``0.01``: how many of the healthy changes may be rolled back; above none, and at most half."""
    try:
        found = share(value)
    except UnitError as error:
        raise UnitError("a percentage such as 1%, or none", error.hint) from None
    if not 0 < found.value <= 0.5:
        raise UnitError("a percentage above 0% and at most 50%, or none", "none means without a bound" if found.value == 0 else "")
    return found


def factor(value: object) -> Quantity:
    """``200%``: so many times as much, above nothing and at most a thousand times; a bare number is refused, since 2 may mean 2 %."""
    fraction = _percentage(value)
    if fraction is None:
        hint = f"write {value * 100:g}%" if _is_number(value) and 0 < value <= 100 else ""
        raise UnitError("a percentage of what was before, such as 200%", hint)
    if not 0 < fraction <= 1000:
        raise UnitError("a percentage above 0% and at most 100000%")
    return Quantity(fraction, "%")


def seconds(value: object) -> Quantity:
    """``800ms`` or ``2s``, in seconds; a bare number has no unit and is refused."""
    if isinstance(value, str):
        found = _duration(value)
        if found is not None and timedelta(0) < found <= LONGEST:
            return Quantity(found.total_seconds(), "s")
    elif _is_number(value) and value > 0 and _is_short(value):
        raise UnitError("a duration such as 800ms or 2s", f"write {value}ms or {value}s")
    raise UnitError("a duration above zero, such as 800ms or 2s")


def quantity(value: object) -> Quantity:
    """A number, a size (``512Mi``) or a duration (``30s``): what a gauge may hold. ``500m`` is refused: half, or 500 minutes?"""
    if _is_number(value):
        return Quantity(float(value))
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise UnitError(_QUANTITY)
    if sized := _SIZED.fullmatch(value):
        return Quantity(float(sized[1]) * _SIZES[sized[2]], "bytes" if sized[2].endswith("i") else "")
    found = _duration(value)
    if found is None or found > LONGEST or _MILLIS.fullmatch(value):
        raise UnitError(_QUANTITY, _quantity_for(value))
    return Quantity(found.total_seconds(), "s")


def _quantity_for(value: str) -> str:
    """How what was probably meant is to be written."""
    if _PERCENT.fullmatch(value):
        return "a share needs 'of': the selector that the gauge is a share of"
    if _PLAIN.fullmatch(value):
        return f"write {value} without quotes"
    if millis := _MILLIS.fullmatch(value):
        return f"write {int(millis[1]) / 1000:g} for thousandths, {int(millis[1]) * 60}s for minutes"
    if (size := _OTHERWISE.fullmatch(value)) is None:
        return ""
    number, letter = size[1], size[2]
    decimal, binary = number + letter.replace("K", "k"), number + letter.replace("k", "K") + "i"
    return f"write {binary}" if size[3] else f"write {decimal} (powers of 1000) or {binary} (of 1024)"


def expression_value(value: object) -> Quantity:
    """What an expression may be compared with: a quantity, or a percentage as a fraction."""
    fraction = _percentage(value)
    return quantity(value) if fraction is None else Quantity(fraction, "%")


def events(value: object) -> Quantity:
    """A number of events: not negative."""
    if not _is_number(value) or value < 0:
        raise UnitError("a number of events, 0 or more")
    return Quantity(float(value))


def events_per_second(value: object) -> Quantity:
    """``10/s``, ``600/m`` or a number per second: not negative."""
    if _is_number(value) and value >= 0:
        return Quantity(float(value), "/s")
    match = _RATE.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST_TEXT else None
    if match is None:
        raise UnitError("a rate such as 10/s or 600/m")
    return Quantity(float(match[1]) / _PERIODS[match[2]], "/s")


def fraction_of(value: object) -> Quantity:
    """``95%``, ``150%`` or the fraction ``0.95``: not negative; a gauge may exceed what it is measured against."""
    fraction = _percentage(value)
    return share(value) if fraction is None else Quantity(fraction, "%")


def written(span: timedelta) -> str:
    """A duration as people write it, largest unit first: ``1h30m``, ``500ms``, ``0s``."""
    millis = round(span.total_seconds() * 1000)
    parts = []
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")):
        count, millis = divmod(millis, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _is_short(value: float) -> bool:
    return abs(value) < 1e9


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond any float
        return False
