"""pydantic's errors in our words: what was expected, what was found, what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic_core import ErrorDetails

from rollbackd.policies.text.faults import choices, listed, nearest, quoted


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the model at fault knows.

    ``later``: keys of the contract that are not built yet, and which key each stands for. ``siblings``: keys of which one excludes the others.
    ``inside``: keys that stand one level further in, and where, such as ``under 'with'``.
    ``instead``: keys that only its like has, and what to write in their place.
    """

    keys: tuple[str, ...] = ()
    later: Mapping[str, str] = field(default_factory=dict)
    siblings: frozenset[str] = frozenset()
    inside: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Words:
    """A message without its place. ``offset``: the character inside the value that is at fault."""

    expected: str
    found: str
    hint: str = ""
    offset: int | None = None


_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "too_short": "at least one item",
    "string_too_short": "a string that is not empty",
}
_PATTERNS: dict[str, str] = {}


def describe_pattern(pattern: str, words: str) -> str:
    """Register how a pattern is called in messages; returns the pattern."""
    _PATTERNS[pattern] = words
    return pattern


def word(error: ErrorDetails, allowed: Allowed, written: str = "") -> Words:
    """The error for people. ``written``: the characters of a number, true or false that was found."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    match kind:
        case "expected" | "not_supported":
            return _own(context, kind, value)
        case "missing":
            return Words(f"the key '{error['loc'][-1]}'", "none")
        case "extra_forbidden":
            return _unknown_key(str(error["loc"][-1]), allowed)
        case "union_tag_not_found" | "union_tag_invalid":
            return _no_kind(value, allowed)
        case "string_pattern_mismatch":
            return Words(_PATTERNS.get(context["pattern"], f"text like {context['pattern']}"), quoted(value))
        case "string_too_long":
            return Words(f"at most {context['max_length']} characters", f"{len(str(value))}")
        case "too_long":
            return Words(f"at most {context['max_length']} items", str(context["actual_length"] or "more"))
        case "greater_than_equal":
            return Words(f"{context['ge']} or more", quoted(value))
        case "less_than_equal":
            return Words(f"{context['le']} or less", quoted(value))
        case "literal_error":
            return _literal(str(context["expected"]), value)
        case "string_type" if written:
            return Words(_EXPECTED[kind], written[:60], f"write '{written[:60]}' in quotes")
        case _:
            return Words(_EXPECTED.get(kind, error["msg"]), quoted(value))


def _own(context: Mapping[str, object], kind: str, value: object) -> Words:
    found = str(context.get("found") or quoted(value))
    if kind == "not_supported":
        return Words("", f"{found} is not supported in this version", str(context.get("hint", "")))
    offset = context.get("offset")
    return Words(str(context["expected"]), found, str(context.get("hint", "")), offset if isinstance(offset, int) else None)


def _no_kind(value: object, allowed: Allowed) -> Words:
    """An entry that does not say what kind it is."""
    if not isinstance(value, dict):
        hint = f"write 'use: {value}'" if isinstance(value, str) and "use" in allowed.keys and value.isprintable() and len(value) < 60 else ""
        return Words("a mapping", quoted(value), hint)
    key = guilty_key(value, allowed)
    if key in allowed.later:
        return Words("", f"'{key}' is not supported in this version")
    expected = f"one of the keys {', '.join(dict.fromkeys(allowed.keys))}"
    if key:
        return Words(expected, quoted(key), f"did you mean '{nearest(key, allowed.keys)}'?")
    return Words(expected, ", ".join(quoted(name) for name in list(value)[:5]) or "an empty mapping")


def guilty_key(value: Mapping[object, object], allowed: Allowed) -> str:
    """The key of a kindless entry that most likely was meant to be its kind; empty where none was."""
    names = [name for name in value if isinstance(name, str)]
    later = (name for name in names if name in allowed.later)
    return next(later, next((name for name in names if nearest(name, allowed.keys)), ""))


def _unknown_key(key: str, allowed: Allowed) -> Words:
    if key in allowed.later:
        return Words("", f"'{key}' is not supported in this version")
    if key in allowed.instead:
        return Words("a known key", quoted(key), f"{allowed.instead[key]}; {listed(allowed.keys)}")
    if key in allowed.siblings:
        beside = sorted(allowed.siblings.intersection(allowed.keys))
        return Words("one kind in each entry", f"'{key}' beside '{beside[0]}'", "make it an entry of its own")
    if key in allowed.inside:
        return Words("a known key", quoted(key), f"write it {allowed.inside[key]}; {listed(allowed.keys)}")
    return Words("a known key", quoted(key), choices(key, allowed.keys))


def _literal(expected: str, value: object) -> Words:
    known = [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]
    if len(known) == 1:
        return Words(f"'{known[0]}'" if expected.startswith("'") else expected.lower(), quoted(value))
    near = nearest(value, known) if isinstance(value, str) else ""
    return Words(f"one of {', '.join(known)}", quoted(value), f"did you mean '{near}'?" if near else "")
