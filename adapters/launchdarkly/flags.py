"""A LaunchDarkly flag as its API shows it, and what of it decides what is served in one environment. Asks nobody anything.

Who is targeted stands in a state as a digest only: it may name people, and is never written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.flags import State, digest_of

_TARGETING = ("targets", "contextTargets", "rules", "fallthrough", "prerequisites")


@dataclass(frozen=True, slots=True)
class Seen:
    """One flag in one environment. ``version`` counts the changes of its settings there, ``changed`` is when the last of them was."""

    key: str
    state: State
    version: int
    changed: datetime
    tags: frozenset[str]
    is_archived: bool
    is_temporary: bool


def seen(item: Any, environment: str, host: str) -> Seen:
    """The flag of one answer. Raises Permanent where it has no such environment; an answer of another shape fails as Python does."""
    settings = item.get("environments", {}).get(environment)
    if settings is None:
        raise Permanent(f"{host} has no environment '{environment}' for flag '{item['key']}'; nothing was changed; correct the environment's key")
    return Seen(
        key=item["key"],
        state=_state(item["variations"], settings),
        version=int(settings["version"]),
        changed=datetime.fromtimestamp(settings["lastModified"] / 1000, UTC),
        tags=frozenset(item.get("tags", ())),
        is_archived=bool(item.get("archived")),
        is_temporary=bool(item.get("temporary", True)),
    )


def _state(variations: list[dict[str, Any]], settings: Mapping[str, Any]) -> State:
    off = settings.get("offVariation")
    targeting = {name: settings.get(name) or None for name in _TARGETING}
    return {
        "on": bool(settings["on"]),
        "offVariation": off,
        "off": None if off is None else variations[off]["value"],
        # With their values: ours is compared with what is read back, so that none may be guessed from what people call it.
        "variations": [{"called": _label(index, each), "value": each["value"]} for index, each in enumerate(variations)],
        "targeting": digest_of({"": {**targeting, "values": [each["value"] for each in variations]}}),
    }


def _label(index: int, variation: Mapping[str, Any]) -> str:
    """What a person calls a variation: its name, else its value where that is short, else its place."""
    if variation.get("name"):
        return str(variation["name"])
    word = _word(variation["value"])
    return word if len(word) <= 40 else f"variation {index}"


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def safe_state(name: str, state: State, word: str | None) -> State | None:
    """Off, on, or off with the variation called ``word``; without a word off, unless that serves true or whatever stands in the code.

    Raises Refused where no variation is called so.
    """
    match word:
        case None:
            # Off serves the off variation: without one, the default in the code; and of a boolean flag it may be true.
            return None if state["offVariation"] is None or state["off"] is True else {**state, "on": False}
        case "off" | "on":
            return {**state, "on": word == "on"}
    variations: Any = state["variations"]
    called = [each["called"] for each in variations] + [_word(each["value"]) for each in variations]
    if word not in called:
        raise Refused(
            f"flag '{name}' has no variation '{word}', its declared safe state; nothing was changed", advice="correct safe_states or the flag"
        )
    index = called.index(word) % len(variations)
    return {**state, "on": False, "offVariation": index, "off": variations[index]["value"]}


def patch(before: State, after: State, environment: str, version: int) -> list[dict[str, Any]]:
    """The JSON Patch from one state to the other, which holds only while the settings are at this version."""
    place = f"/environments/{environment.replace('~', '~0').replace('/', '~1')}"
    operations: list[dict[str, Any]] = [{"op": "test", "path": f"{place}/version", "value": version}]
    if before["on"] != after["on"]:
        operations.append({"op": "replace", "path": f"{place}/on", "value": after["on"]})
    if before["offVariation"] != after["offVariation"]:
        # 'add' puts a member that is there and one that is not.
        value = after["offVariation"]
        change = {"op": "remove"} if value is None else {"op": "add", "value": value}
        operations.append({**change, "path": f"{place}/offVariation"})
    return operations
