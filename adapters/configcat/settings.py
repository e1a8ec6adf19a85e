"""A ConfigCat setting as its API shows it, what of it decides what is served, and the patches between two states. Asks nobody anything.

Who is targeted stands in a state as a digest only: it may name people, and is never written.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.flags import Scope, State, digest_of
from rollbackd.adapters.base.target import Json

# By type of setting: where its values stand in the management API, and in what SDKs download.
_VALUES = {"boolean": ("boolValue", "b"), "string": ("stringValue", "s"), "int": ("intValue", "i"), "double": ("doubleValue", "d")}


@dataclass(frozen=True, slots=True)
class Seen:
    """A setting as it was read. ``version`` names the last change of its values, made at ``changed`` by ``writer``."""

    number: int
    state: State
    version: str
    changed: datetime | None
    writer: str | None


def is_in(scope: Scope, item: Mapping[str, Any]) -> bool:
    """True if the scope means this setting."""
    match scope.word:
        case "all":
            return True
        case "tag":
            return scope.names[0] in {tag["name"] for tag in item.get("settingTags") or ()}
        case "flags":
            return item["setting"]["key"] in scope.names


def seen(item: Mapping[str, Any]) -> Seen:
    """The setting of one answer; one of another shape fails as Python does."""
    kind = item["setting"]["settingType"]
    long, _ = _VALUES[kind]
    rules = item.get("targetingRules") or []
    conditions = [[rule.get("conditions"), [option["percentage"] for option in rule.get("percentageOptions") or ()]] for rule in rules]
    state: State = {
        "type": kind,
        "value": _value(item["defaultValue"], long),
        "rules": [_served(rule, long) for rule in rules],
        # Who is targeted may name people, and is never written: a digest is enough to see it change.
        "targeting": digest_of({"": {"all": [conditions, item.get("percentageEvaluationAttribute")]}}),
    }
    changed = item.get("updatedAt")
    version = item.get("lastVersionId") or changed or ""
    return Seen(item["setting"]["settingId"], state, version, _moment(changed) if changed else None, item.get("lastUpdaterUserEmail"))


def _moment(text: str) -> datetime:
    # .NET writes up to seven digits of a second, Python reads six.
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _served(rule: Mapping[str, Any], long: str) -> Json:
    """What one rule serves: a value, or the values of its percentages in their order."""
    options = rule.get("percentageOptions") or ()
    return [_value(option["value"], long) for option in options] if options else _value(rule["value"], long)


def _value(holder: Mapping[str, Any], long: str) -> Json:
    return _plain(holder[long])


def _plain(value: Json) -> Json:
    """A whole number without its point: servers write 5.0 as 5, and ours must be told to be the same."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def spelt(name: str, kind: str, word: str) -> Json:
    """The value that a safe state spells. Raises Refused where a setting of this type has none such."""
    try:
        match kind:
            case "boolean":
                return {"off": False, "on": True}[word]
            case "int":
                return int(word)
            case "double":
                return _plain(float(word))
    except (KeyError, ValueError) as error:
        raise Refused(
            f"flag '{name}' is of type {kind} and cannot be '{word}', its declared safe state; nothing was changed", advice="correct safe_states"
        ) from error
    return word


def serving(rules: Json, value: Json) -> list[Json]:
    """The same rules, each serving ``value``."""
    return [[value for _ in rule] if isinstance(rule, list) else value for rule in _listed(rules)]


def _listed(rules: Json) -> Sequence[Json]:
    return rules if isinstance(rules, Sequence) and not isinstance(rules, str) else ()


def flat(state: State) -> list[Json]:
    """Every value that is served, in the order of the rules, the default first."""
    values = [state["value"]]
    for rule in _listed(state["rules"]):
        values += rule if isinstance(rule, list) else [rule]
    return values


def downloaded(setting: Mapping[str, Any]) -> list[Json]:
    """The same of a setting in the config JSON, where a rule for everybody stands last and by itself."""
    short = {index: short for index, (_, short) in enumerate(_VALUES.values())}[setting["t"]]
    values = [setting["v"][short]]
    for rule in [*(setting.get("r") or ()), setting]:
        if "s" in rule:
            values.append(rule["s"]["v"][short])
        values += [option["v"][short] for option in rule.get("p") or ()]
    return values


def spoken(state: State) -> str:
    """What is served, for people."""
    values = dict.fromkeys(str(value) for value in flat(state))
    return " / ".join(values) + (" to everybody" if len(values) == 1 else " as before")


def patch(before: State, after: State) -> list[dict[str, Json]]:
    """A test of each value that is served, and a replacement of each that differs."""
    long, _ = _VALUES[str(before["type"])]
    places: list[tuple[str, Json, Json]] = [(f"/defaultValue/{long}", before["value"], after["value"])]
    for place, (was, becomes) in enumerate(zip(_listed(before["rules"]), _listed(after["rules"]), strict=True)):
        if isinstance(was, list) and isinstance(becomes, list):
            options = enumerate(zip(was, becomes, strict=True))
            places += [(f"/targetingRules/{place}/percentageOptions/{option}/value/{long}", *pair) for option, pair in options]
        else:
            places.append((f"/targetingRules/{place}/value/{long}", was, becomes))
    tests: list[dict[str, Json]] = [{"op": "test", "path": path, "value": was} for path, was, _ in places]
    return [*tests, *({"op": "replace", "path": path, "value": becomes} for path, was, becomes in places if was != becomes)]
