"""A version of a feature-flags profile: its document, and the state of each flag in it. Pure; an unknown shape raises ValueError and the like."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.flags import State

_STAMPS = frozenset({"_createdAt", "_updatedAt"})
_OFF: State = {"enabled": False}


@dataclass(frozen=True, slots=True)
class Document:
    """``content``: as it is kept, without AppConfig's own time stamps. ``states``: all that a flag is served by, by flag."""

    content: Mapping[str, Any]
    states: Mapping[str, State]


def document_of(text: bytes) -> Document:
    """The document of a version."""
    content = _unstamped(json.loads(text))
    values = content.get("values") or {}
    # A flag without a value is off.
    return Document(content, {name: dict(values.get(name, _OFF)) for name in content["flags"]})


def written(document: Document, after: Mapping[str, State]) -> bytes:
    """The document with the flags of ``after`` at these states, and all others as they are."""
    return json.dumps({**document.content, "values": {**document.states, **after}}, sort_keys=True).encode()


def safe_state(name: str, state: State, word: str) -> State:
    """The flag off or on: in all of its variants where it has some. Raises Refused where it cannot be."""
    if (variants := state.get("_variants")) is None:
        return {**state, "enabled": word == "on"}
    if word == "on" or not isinstance(variants, list):
        raise Refused(
            f"flag '{name}' has variants, so it cannot be '{word}', its declared safe state; nothing was changed", advice="declare off or leave"
        )
    return {**state, "_variants": [{**each, "enabled": False} for each in variants]}


def served(text: bytes) -> Mapping[str, Mapping[str, Any]]:
    """What an application is served, by flag."""
    found = json.loads(text)
    return {str(name): dict(each) for name, each in found.items()}


def is_served(found: Mapping[str, Any] | None, state: State) -> bool:
    """True if what is served is of this state, as far as one request can tell: who gets which variant depends on who asks."""
    if "_variants" in state:
        return True
    # The attributes of a flag that is off are not served.
    return found is not None and (found == state if state.get("enabled") else found.get("enabled") is not True)


def _unstamped(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _unstamped(value) for key, value in found.items() if key not in _STAMPS}
    return [_unstamped(each) for each in found] if isinstance(found, list) else found
