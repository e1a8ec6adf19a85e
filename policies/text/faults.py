"""A fault in something that a person wrote: where it is, what was expected, what was found. Never raised, always collected."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]
_WIDTH = 120  # of an excerpt's line: what a terminal shows without wrapping
_LONGEST = 60  # of a quoted value: enough to recognise it


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault. ``line`` and ``column`` count from 1, columns in characters. A warning stops nothing from loading."""

    file: str
    line: int
    column: int
    trail: str
    expected: str
    found: str
    hint: str = ""
    severity: Severity = "error"

    @property
    def message(self) -> str:
        """What was expected and what was found, without the place."""
        said = f"expected {self.expected}, found {self.found}" if self.expected else self.found
        return f"{said}; {self.hint}" if self.hint else said

    def __str__(self) -> str:
        """One line: ``file:line:column: trail: expected X, found Y; hint``."""
        mark = "warning: " if self.severity == "warning" else ""
        return unbroken(f"{self.file}:{self.line}:{self.column}: {mark}{self.trail}: {self.message}")

    def as_dict(self) -> dict[str, str | int]:
        """The fault for ``-o json``; the keys are a contract."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": self.severity,
            "trail": self.trail,
            "expected": self.expected,
            "found": self.found,
            "hint": self.hint,
            "message": str(self),
        }


class Unreadable(str):
    """What stands for the text of a file that could not be read: why it could not."""

    __slots__ = ()

    def fault(self, file: str) -> Fault:
        """The one fault of such a file."""
        hint = "mount it, mend its rights, or save it as UTF-8 text, in smaller files if need be"
        return Fault(file, 1, 1, "file", "a file that can be read", str(self), hint)


def excerpt(fault: Fault, text: str) -> str:
    """The faulty line of ``text`` with a caret under the column; empty where the text has no such line, or nobody could read it."""
    if isinstance(text, Unreadable):
        return ""
    lines = text.split("\n", fault.line)
    if fault.line > len(lines):
        return ""
    line = lines[fault.line - 1]
    start = max(0, fault.column - 1 - _WIDTH // 2) if len(line) > _WIDTH else 0
    shown = "".join(char if char.isprintable() else " " for char in line[start : start + _WIDTH])
    gutter = f"{fault.line:>5} | "
    caret = " " * (fault.column - 1 - start)
    return f"{gutter}{shown.rstrip()}\n{' ' * (len(gutter) - 2)}| {caret}^"


def unbroken(text: str) -> str:
    """The text with its line breaks spelt out: it may name a file, whose name may hold any, and a line of its own would pass for another's words."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def quoted(value: object) -> str:
    """A value as a message shows it: the YAML word for it, never more than a line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict() | list() if not value:
            return "an empty mapping" if isinstance(value, dict) else "an empty list"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str() if not value:
            return "an empty string"
        case _:
            shown = repr(value) if isinstance(value, str) else _number(value)
            return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def _number(value: object) -> str:
    # Python refuses to write out an integer of more than 4,300 digits.
    return "a huge number" if isinstance(value, int) and value.bit_length() > 4096 else str(value)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like ``word``; empty where none is near."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), "")


def choices(word: object, known: Iterable[str], label: str = "allowed") -> str:
    """The hint that follows an unknown word: the nearest known one, and all that are known."""
    names = sorted(known)
    near = nearest(word, names) if isinstance(word, str) else ""
    return f"did you mean '{near}'? {listed(names, label)}" if near else listed(names, label)


def listed(known: Iterable[str], label: str = "allowed") -> str:
    """All that are known, each once."""
    return f"{label}: {', '.join(sorted(set(known))) or 'none'}"
