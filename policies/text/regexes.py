"""What a regular expression has that RE2, which the metric sources run, has not: a question with it is never answered."""

import re

MOST_REPEATS = 1000
"""What RE2 repeats at most, by one repeat or by several within each other."""
_ESCAPED = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.", re.DOTALL)
_CLASS = r"\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*(?:\]|\\?\Z)"
_LITERAL = re.compile(rf"{_ESCAPED.pattern}|{_CLASS}", re.DOTALL)
# No back-references, and no letters that stand for something elsewhere only, such as \Z or \u0041. (\C is RE2's own, and not of its port to Go.)
_ESCAPE = re.compile(r"\\(?:[1-7](?![0-7])|[89ceg-moquyCE-ORT-VX-Z])")
# No look-around, no conditions, no comments, nothing that keeps what it took, and of the flags four.
_GROUP = re.compile(r"\(\?(?!:|P?<[A-Za-z_]|[imsU]*[:)]|[imsU]*-[imsU]+[:)])(?:[<P]?[=!>]|[A-Za-z-]+|.|\Z)", re.DOTALL)
_NUMBER = "(?:0|[1-9][0-9]*)"  # what does not begin so stands for itself
_COUNT = re.compile(rf"\{{({_NUMBER})(?:,({_NUMBER})?)?\}}")
_REPEAT = rf"(?:[*+?]|\{{{_NUMBER}(?:,{_NUMBER}?)?\}})"
_STACKED = re.compile(rf"{_REPEAT}\??+{_REPEAT}")
_STEP = re.compile(rf"{_COUNT.pattern}|.", re.DOTALL)


def foreign_to_re2(pattern: str) -> str | None:
    """What it has that RE2 has not, as a message says it; None where it has nothing. Whether it is an expression at all is not looked at."""
    escapes = (_ESCAPE.match(pattern, one.start()) for one in _ESCAPED.finditer(pattern))
    bare = _LITERAL.sub("x", pattern)
    found = next(filter(None, escapes), None) or _GROUP.search(bare) or _STACKED.search(bare)
    if found is not None:
        return f"{found[0]!r}, which RE2 does not have,"
    return f"more than {MOST_REPEATS} repeats, which RE2 does not have," if _repeats(bare) > MOST_REPEATS else None


def _repeats(bare: str) -> int:
    """How often what is repeated most may come, repeats within repeats multiplied; never much more than is too much."""
    around: list[int] = []
    most, last = 0, 1
    for step in _STEP.finditer(bare):
        if step[1]:
            last *= min(int((step[2] or step[1])[:5]), MOST_REPEATS + 1)
        elif step[0] == "(":
            around.append(max(most, last))
            most, last = 0, 1
        elif step[0] == ")" and around:
            most, last = around.pop(), max(most, last)
        else:
            most, last = max(most, last), 1
    return max(most, last, *around)
