"""Sample values as promtool writes them: ``0+100x60 _ stale 5``. Pure."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

MOST = 100_000
"""So many values a series may have: beyond it, a repetition was mistyped."""

_NUMBER = r"(?:[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?i:inf)|(?i:nan))"
_GROWING = re.compile(rf"({_NUMBER})([-+])({_NUMBER.replace('[-+]?', '', 1)})x(\d+)", re.ASCII)
_REPEATED = re.compile(rf"({_NUMBER}|_)x(\d+)", re.ASCII)
_PLAIN = re.compile(_NUMBER, re.ASCII)
_WORD = re.compile(r"\S+")


class Absent(Enum):
    """Why there is no sample at an instant."""

    MISSING = "_"  # nothing is known
    STALE = "stale"  # it is known to be gone


Value: TypeAlias = float | Absent


class NotationError(ValueError):
    """What was expected at character ``offset`` (from 0), what stood there, and a hint towards it."""

    def __init__(self, offset: int, expected: str, found: str, hint: str = "") -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.offset = offset
        self.expected = expected
        self.found = found
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Steps:
    """``first`` and ``count`` - 1 more, each ``by`` further on."""

    first: Value
    by: float
    count: int

    def values(self) -> list[Value]:
        first = self.first
        return [first] * self.count if isinstance(first, Absent) or not self.by else [first + i * self.by for i in range(self.count)]


def parse_values(text: str) -> tuple[Value, ...]:
    """The values that ``text`` spells, one for each interval. Raises NotationError.

    As in promtool ``a+bxn`` and ``axn`` are n + 1 values, ``_xn`` is n.
    """
    values: list[Value] = []
    for match in _WORD.finditer(text):
        steps = _steps(match[0], match.start())
        if len(values) + steps.count > MOST:
            raise NotationError(match.start(), f"at most {MOST:,} values", "more")
        values += steps.values()
    if not values:
        raise NotationError(0, "at least one value", "none")
    return tuple(values)


def _steps(word: str, offset: int) -> _Steps:
    if growing := _GROWING.fullmatch(word):
        first, sign, by, times = growing.groups()
        return _Steps(float(first), float(by) if sign == "+" else -float(by), _count(times, offset) + 1)
    if repeated := _REPEATED.fullmatch(word):
        first, times = repeated.groups()
        if first == "_":
            return _Steps(Absent.MISSING, 0.0, _count(times, offset))
        return _Steps(float(first), 0.0, _count(times, offset) + 1)
    if word in ("_", "stale") or _PLAIN.fullmatch(word):
        return _Steps(_value(word), 0.0, 1)
    raise NotationError(offset, "a value such as 5, 0+100x60, 1x20, _, _x4 or stale", repr(word[:40]), _hint(word))


def _value(word: str) -> Value:
    return Absent(word) if word in ("_", "stale") else float(word)


def _count(times: str, offset: int) -> int:
    if len(times) > len(str(MOST)):
        raise NotationError(offset, f"at most {MOST:,} values", "more")
    return int(times)


def _hint(word: str) -> str:
    if word.startswith("{{"):
        return "native histograms are not read here: write a series for each bucket, with its label le"
    if "*" in word or "X" in word:
        return "repetitions are written with a small x: 0+100x60"
    if "," in word:
        return "values are separated by blanks"
    return ""
