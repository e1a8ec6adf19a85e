"""Text of strangers made fit for a channel: one line, nothing invisible, no longer than allowed, and what was cut says so.

Names, labels, revisions and notes in a notice come from other systems and other people.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Sequence

# Control characters, invisible ones that reorder or hide text, halves of characters, line and paragraph breaks.
_UNFIT = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_LONGEST_LINE = 2000


def one_line(text: str) -> str:
    """The text on one line: what would break or reorder a line is a space, so that no text can pass for another line or a header."""
    return "".join(" " if unicodedata.category(char) in _UNFIT else char for char in text).rstrip()


def is_fit(text: str) -> bool:
    """True for a text that ``one_line`` would leave as it is, but for blanks at its end: what it looks like is all that it holds."""
    return not any(unicodedata.category(char) in _UNFIT for char in text)


def cut(text: str, most: int, size: Callable[[str], int] = len) -> str:
    """The text, or as much of it as ``most`` holds, with an ellipsis."""
    if size(text) <= most:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(text[:middle] + "…") <= most else (low, middle - 1)
    return text[:low] + "…"


def fitted(lines: Sequence[str], most: int, size: Callable[[str], int]) -> tuple[str, ...]:
    """The lines, each fit for a channel, as many as ``most`` holds; where some had to go, the last one says how many.

    ``size``: what one line takes, its separator included.
    """
    fit = [cut(one_line(line), _LONGEST_LINE) for line in lines]
    if sum(map(size, fit)) <= most:
        return tuple(fit)
    room = most - size(_left_off(len(fit)))
    kept: list[str] = []
    for line in fit:
        room -= size(line)
        if room < 0:
            break
        kept.append(line)
    return (*kept, _left_off(len(fit) - len(kept)))


def _left_off(number: int) -> str:
    return f"[{number} more lines did not fit; rollbackd history has everything]"


def utf16(text: str) -> int:
    """How long a text is to JavaScript and .NET, which count an emoji as two."""
    return len(text.encode("utf-16-le", errors="replace")) // 2


def header_id(text: str) -> str:
    """The text if it may stand in an HTTP header, else a digest of it."""
    return text if text.isascii() and text.isprintable() and text == text.strip() else short_id(text, 0)


def short_id(text: str, most: int) -> str:
    """The text if it is no longer than ``most``, else its digest of 64 characters: cutting would make two texts one."""
    return text if len(text) <= most else hashlib.sha256(text.encode(errors="replace")).hexdigest()
