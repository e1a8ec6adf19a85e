"""What a request may hold: each value with its name, how it is read and how it is described. What is not described here cannot be read."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.journal.codec import Json

LONGEST_TEXT = 1000
MOST_ROWS = 10_000
MOST_WORDS = 20
MOST_RUNGS = 100
_UNKEPT = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL keeps no zero character, and nothing writes half a pair of surrogates as UTF-8."""
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Controls of terminals, of lines, and of the direction of text."""
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def _single(name: str, texts: Sequence[str]) -> object:
    if len(texts) > 1:
        raise Denied("invalid", f"'{name}' is there {len(texts)} times")
    return texts[0]


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T_co]):
    """One value of a request. ``read`` gets it as JSON has it and raises Denied; ``default``: what a request without it means, where it may."""

    name: str
    about: str
    schema: Mapping[str, Json]
    read: Callable[[str, Any], T_co]
    is_needed: bool = True
    default: T_co | None = None
    in_query: Callable[[str, Sequence[str]], object] = _single
    """What of JSON the texts of a query stand for. Raises Denied."""


class Given:
    """What one request asks for, read and checked, by its parameters. ``speaker``: the person whom a token proved, "" for none."""

    def __init__(self, speaker: str, values: Mapping[str, Any]) -> None:
        self.speaker = speaker
        self._values = values

    def __getitem__(self, parameter: Parameter[T]) -> T:
        found: T = self._values[parameter.name]
        return found


def read(takes: Sequence[Parameter[Any]], found: Mapping[str, Any], speaker: str) -> Given:
    """The values of a request, all of them known and sound. Raises Denied.

    A name that is not known is refused, as it may be a misspelt one: a change whose `irreversible` was lost would be rolled back.
    """
    if unknown := sorted(found.keys() - {each.name for each in takes}):
        known = ", ".join(each.name for each in takes) or "nothing"
        raise Denied("invalid", f"{unknown[0][:40]!r} is not known here", f"known: {known}")
    return Given(speaker, {each.name: _value(each, found) for each in takes})


def of_query(takes: Sequence[Parameter[Any]], texts: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """The values of a query as JSON would have them. Raises Denied."""
    known = {each.name: each for each in takes}
    return {name: known[name].in_query(name, found) if name in known else found for name, found in texts.items()}


def _value(parameter: Parameter[T], found: Mapping[str, Any]) -> T | None:
    if parameter.name in found:
        return parameter.read(parameter.name, found[parameter.name])
    if parameter.is_needed:
        raise Denied("invalid", f"'{parameter.name}' is missing")
    return parameter.default


# --- kinds of values ------------------------------------------------------------------------------------------------------------------------


def needed_text(name: str, about: str) -> Parameter[str]:
    """A text that holds something."""
    return Parameter(name, about, {"type": "string", "maxLength": LONGEST_TEXT, "pattern": r"\S"}, _filled)


def some_text(name: str, about: str) -> Parameter[str | None]:
    """A text that may be missing, None then, and otherwise holds something."""
    return Parameter(name, about, needed_text(name, about).schema, _filled, is_needed=False)


def any_text(name: str, about: str) -> Parameter[str]:
    """A text that may be missing or empty."""
    return Parameter(name, about, {"type": "string", "maxLength": LONGEST_TEXT}, _text, is_needed=False, default="")


def choice(name: str, about: str, words: Sequence[str], default: str | None = None) -> Parameter[str]:
    """One of these words."""

    def read(name: str, found: object) -> str:
        if found not in words:
            raise Denied("invalid", f"'{name}': expected {' or '.join(words)}, found {str(found)[:20]!r}")
        return str(found)

    return Parameter(name, about, {"type": "string", "enum": list(words)}, read, default is None, default)


def moment(name: str, about: str) -> Parameter[datetime | None]:
    """A time, read as UTC, which may be missing."""
    return Parameter(name, about, {"type": "string", "format": "date-time"}, _moment, is_needed=False)


def whole(name: str, about: str, most: int, default: int | None = None) -> Parameter[int]:
    """A number from 1 to ``most``."""

    def read(name: str, found: object) -> int:
        if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= most:
            raise Denied("invalid", f"'{name}': expected a number from 1 to {most}, found {str(found)[:20]!r}")
        return found

    return Parameter(name, about, {"type": "integer", "minimum": 1, "maximum": most}, read, default is None, default, in_query=_digits)


def flag(name: str, about: str) -> Parameter[bool]:
    """True or false; missing is false."""
    return Parameter(name, about, {"type": "boolean"}, _flag, is_needed=False, default=False)


def words(name: str, about: str) -> Parameter[tuple[str, ...]]:
    """A list of texts, which may be missing; in a query each has the name once more."""
    schema: dict[str, Json] = {"type": "array", "maxItems": MOST_WORDS, "items": {"type": "string", "maxLength": LONGEST_TEXT}}
    return Parameter(name, about, schema, _words, is_needed=False, default=(), in_query=lambda _, texts: list(texts))


def spoken_name(name: str, about: str) -> Parameter[str]:
    """A text that holds something, and nothing that a terminal would obey or that turns text around: people will read it, and write it again."""
    return Parameter(name, about, needed_text(name, about).schema, _spoken)


# --- parts ----------------------------------------------------------------------------------------------------------------------------------


def _text(name: str, found: object) -> str:
    if not isinstance(found, str):
        raise Denied("invalid", f"'{name}' is no text")
    if len(found) > LONGEST_TEXT:
        raise Denied("invalid", f"'{name}' is longer than {LONGEST_TEXT} characters")
    if _UNKEPT.search(found):
        raise Denied("invalid", f"'{name}' holds a character that is none: half of one, or the zero character")
    return found.strip()


def _filled(name: str, found: object) -> str:
    if not (text := _text(name, found)):
        raise Denied("invalid", f"'{name}' is empty")
    return text


def _spoken(name: str, found: object) -> str:
    text = _filled(name, found)
    if hidden := _HIDDEN.search(text):
        raise Denied("invalid", f"'{name}' holds the character U+{ord(hidden[0]):04X}, which nobody sees", "send it without")
    return text


def _moment(name: str, found: object) -> datetime:
    text = _filled(name, found)
    try:
        read = datetime.fromisoformat(text)
        utc = read.astimezone(UTC)  # overflows at either end of the calendar
    except (ValueError, OverflowError) as fault:
        raise Denied("invalid", f"'{name}': expected a time such as 2026-11-22T14:00:00Z, found {text[:40]!r}") from fault
    if read.tzinfo is None:
        raise Denied("invalid", f"'{name}': {text[:40]!r} has no zone", "end it with Z for UTC")
    return utc


def _flag(name: str, found: object) -> bool:
    if not isinstance(found, bool):
        raise Denied("invalid", f"'{name}': expected true or false, found {str(found)[:20]!r}")
    return found


def _words(name: str, found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or len(found) > MOST_WORDS or not all(isinstance(word, str) for word in found):
        raise Denied("invalid", f"'{name}' has to be a list of at most {MOST_WORDS} words")
    return tuple(_text(name, word) for word in found)


def _digits(name: str, texts: Sequence[str]) -> object:
    text = str(_single(name, texts))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
