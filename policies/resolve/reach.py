"""How far back a PromQL expression looks, read from its text."""

import math
import re
from datetime import timedelta

_RANGE = re.compile(r"\[\s*([0-9a-z.]+)\s*[\]:]", re.ASCII)
# A class such as [45] in a regular expression is no range of 45 seconds.
_UNREAD = re.compile(r""" "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | `[^`]*` | [#][^\n]* """, re.VERBOSE | re.DOTALL)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])", re.ASCII)
_SPAN = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_DAYS = {"y": 365.0, "w": 7.0, "d": 1.0, "h": 1 / 24, "m": 1 / 1440, "s": 1 / 86_400, "ms": 1 / 86_400_000}
_FOREVER = 100_000.0
_SUBQUERY = re.compile(r"\[[^\]]*:[^\]]*\]")


def reach_of(expression: str) -> timedelta:
    """How far back the ranges of an expression look, together where one is a subquery; what cannot be read (a variable) counts nothing.

    Nor does ``offset``: who writes it means the past, as what the present is compared with.
    """
    expression = _UNREAD.sub("", expression)
    ranges = [found for text in _RANGE.findall(expression) if (found := _range(text)) is not None]
    return sum(ranges, timedelta(0)) if _SUBQUERY.search(expression) else max(ranges, default=timedelta(0))


def _range(text: str) -> timedelta | None:
    """A range as PromQL writes it: `1h30m`, or a number of seconds; one beyond any watch counts as the longest that is."""
    if _SPAN.fullmatch(text):
        days = sum(float(number) * _DAYS[unit] for number, unit in _PART.findall(text))
    elif (seconds := _number(text)) is not None:
        days = seconds / 86_400
    else:
        return None
    return timedelta(days=min(days, _FOREVER))


def _number(text: str) -> float | None:
    if not text[0].isdigit():  # "inf" and "nan" are names here
        return None
    try:
        return float(int(text, 16)) if text.startswith("0x") else float(text)
    except OverflowError:
        return math.inf
    except ValueError:
        return None
