"""Typed values to JSON text and back. What this version writes, it reads back equal; what it does not know, it refuses."""

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache, lru_cache
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from rollbackd.policies.known.events import (
    Acked,
    Applied,
    Approved,
    Closed,
    Held,
    IncidentEvent,
    Intended,
    Joined,
    Offered,
    Opened,
    Ordered,
    Settled,
    Stopped,
)

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
V = TypeVar("V")

KINDS: Mapping[str, type[IncidentEvent]] = {
    "incident.opened": Opened,
    "incident.joined": Joined,
    "incident.ordered": Ordered,
    "incident.acked": Acked,
    "incident.held": Held,
    "incident.closed": Closed,
    "rung.offered": Offered,
    "rung.approved": Approved,
    "rung.intended": Intended,
    "rung.applied": Applied,
    "rung.settled": Settled,
    "rung.stopped": Stopped,
}
_KIND_OF = {event: kind for kind, event in KINDS.items()}


class Undecodable(ValueError):
    """A body that this version cannot read: damaged, or written by a newer version."""


def kind_of(event: IncidentEvent) -> str:
    """The name of the event's journal rows; it never changes once released."""
    return _KIND_OF[type(event)]


def canonical(value: object) -> str:
    """The one JSON text of a value: equal values have equal texts. Raises ValueError for NaN and for types that JSON has no form for."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(value: object) -> Json:
    """The value in JSON's own types: times as UTC text, enums by their name, dataclasses as objects."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Enum):  # before int: an IntEnum is both, and its number may be given to another name one day
        return value.name.lower()
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        items = ((each, getattr(value, each.name)) for each in fields(value))
        return {each.name: plain(item) for each, item in items if item or not each.metadata.get("sparse")}
    raise ValueError(f"no JSON form for {type(value).__name__}")


@lru_cache(maxsize=64)
def decode_event(kind: str, body: str) -> IncidentEvent:
    """The event that was written under ``kind``. Raises Undecodable."""
    # Remembered by its text, which says all: the intents of what is under way are read several times a slot.
    event = KINDS.get(kind)
    if event is None:
        raise Undecodable(f"unknown kind {kind!r}")
    return decode(event, body)


def decode(into: type[V], body: str) -> V:
    """The value of a dataclass type from its JSON text; absent keys take their default. Raises Undecodable."""
    return revived(into, parsed(body))


def parsed(body: str) -> Json:
    """The JSON value of a text. Raises Undecodable."""
    try:
        value: Json = json.loads(body)
    except ValueError as error:
        raise Undecodable(f"no JSON: {error}") from error
    return value


def revived(into: type[V], value: Json) -> V:
    """The value of type ``into`` that ``plain`` made this of. Raises Undecodable."""
    result: V = _revive(into, value, into.__name__)
    return result


def moment_text(moment: datetime) -> str:
    """UTC with microseconds, always 27 characters: sorts as text the way it sorts as time. Raises ValueError if it is naive."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be journalled")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """The aware UTC time of a ``moment_text``. Raises ValueError."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _revive(into: Any, value: Json, trail: str) -> Any:
    if into is Any:
        return value
    origin = get_origin(into)
    if origin in (Union, types.UnionType):
        return _revive_optional(into, value, trail)
    if origin is Literal:
        return _checked(value in get_args(into), value, trail, f"one of {get_args(into)}")
    if origin is tuple:
        return _revive_tuple(get_args(into), value, trail)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _checked(isinstance(value, dict), value, trail, "an object")
        assert isinstance(value, dict)  # noqa: S101 - checked above; this is for mypy
        return {key: _revive(get_args(into)[1], item, f"{trail}.{key}") for key, item in value.items()}
    if is_dataclass(into):
        return _revive_dataclass(into, value, trail)
    return _revive_scalar(into, value, trail)


def _revive_optional(into: Any, value: Json, trail: str) -> Any:
    if value is None:
        return _checked(type(None) in get_args(into), value, trail, "a value")
    (inner,) = (arg for arg in get_args(into) if arg is not type(None))
    return _revive(inner, value, trail)


def _revive_tuple(args: tuple[Any, ...], value: Json, trail: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise Undecodable(f"{trail}: expected a list, found {value!r}")
    hints = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else list(args)
    _checked(len(hints) == len(value), value, trail, f"{len(hints)} items")
    return tuple(_revive(hint, item, f"{trail}[{index}]") for index, (hint, item) in enumerate(zip(hints, value, strict=True)))


def _revive_dataclass(into: Any, value: Json, trail: str) -> Any:
    if not isinstance(value, dict):
        raise Undecodable(f"{trail}: expected an object, found {value!r}")
    known = _fields(into)
    unknown = sorted(value.keys() - known.keys())
    if unknown:
        raise Undecodable(f"{trail}: unknown key {unknown[0]!r}; a newer rollbackd wrote it")
    missing = sorted(name for name, (each, _) in known.items() if name not in value and _is_required(each))
    if missing:
        raise Undecodable(f"{trail}: key {missing[0]!r} is missing")
    return into(**{name: _revive(known[name][1], item, f"{trail}.{name}") for name, item in value.items()})


def _revive_scalar(into: Any, value: Json, trail: str) -> Any:
    if into is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if into is datetime or (isinstance(into, type) and issubclass(into, Enum)):
        return _revive_named(into, value, trail)
    return _checked(type(value) is into, value, trail, f"a value of type {getattr(into, '__name__', into)}")


def _revive_named(into: Any, value: Json, trail: str) -> Any:
    if not isinstance(value, str):
        raise Undecodable(f"{trail}: expected text, found {value!r}")
    try:
        return moment(value) if into is datetime else into[value.upper()]
    except (ValueError, KeyError) as error:
        raise Undecodable(f"{trail}: expected a {into.__name__}, found {value!r}") from error


def _checked(holds: bool, value: Json, trail: str, expected: str) -> Json:
    if not holds:
        raise Undecodable(f"{trail}: expected {expected}, found {value!r}")
    return value


def _is_required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


@cache
def _fields(of: type) -> Mapping[str, tuple[Field[Any], Any]]:
    hints = get_type_hints(of)
    return {each.name: (each, hints[each.name]) for each in fields(of)}
