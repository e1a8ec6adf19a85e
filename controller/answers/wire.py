"""What the local API answers, as JSON and back: shared by the daemon that writes it and the command that shows it.

What each answer holds stands in the modules beside this one. A field may be added; none is renamed or removed without a new ``apiVersion``.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from rollbackd.controller.journal.codec import Json, plain, revived

API_VERSION = "rollbackd/v1"
A = TypeVar("A")


def document(answer: object) -> dict[str, Json]:
    """The answer as a versioned JSON document."""
    body = plain(answer)
    return {"apiVersion": API_VERSION, "kind": type(answer).__name__, **(body if isinstance(body, dict) else {})}


def read(kind: type[A], body: Mapping[str, Json]) -> A:
    """The answer that ``document`` made this of; keys of a newer version are left out. Raises ValueError where one is missing."""
    return revived(kind, _known(kind, body))


def _known(kind: Any, value: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        return None if value is None else _known(next(arg for arg in get_args(kind) if arg is not type(None)), value)
    if get_origin(kind) is tuple and isinstance(value, list):
        return [_known(get_args(kind)[0], item) for item in value]
    if is_dataclass(kind) and isinstance(value, Mapping):
        hints = get_type_hints(kind)
        return {each.name: _known(hints[each.name], value[each.name]) for each in fields(kind) if each.name in value}
    return value
