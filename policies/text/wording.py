"""pydantic's errors in our words: what was expected, what was found, what to do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic_core import ErrorDetails

from rollbackd.policies.text.faults import listed, nearest, quoted


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the model at fault knows.

    ``later``: keys of the contract that are not built yet, and which key each stands for. ``siblings``: keys of which one excludes the others.
    ``inside``: keys that stand one level further in, and where, such as ``under 'with'``.
    ``instead``: keys that only its like has, and what to write in their place.
    ``present``: keys that were written, and so are not what another one means.
    """

    keys: tuple[str, ...] = ()
    later: Mapping[str, str] = field(default_factory=dict)
    siblings: frozenset[str] = frozenset()
    inside: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    present: frozenset[str] = frozenset()

    def meant(self, key: str) -> str:
        """The key that an unknown one most likely stands for; empty where there is none.

        No secret is written out, so ``key`` stands for ``key_file``, however like it another key is.
        """
        free = [name for name in self.keys if name not in self.present]
        return f"{key}_file" if f"{key}_file" in free else nearest(key, free)


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
_ONE_WORD = re.compile(r"(?:[A-Za-z_/]|\.{1,2}/)[A-Za-z0-9_./@-]{0,59}")
_IN_NAMESPACE = re.compile(r"([a-z0-9-]{1,63})/([a-z0-9.-]{1,63})")


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
            return Words(_PATTERNS.get(context["pattern"], f"text like {context['pattern']}"), quoted(value), _tidied(value, context["pattern"]))
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
            return Words(_EXPECTED.get(kind, error["msg"]), quoted(value), _as_list(value, allowed) if kind == "list_type" else "")


def _own(context: Mapping[str, object], kind: str, value: object) -> Words:
    found = str(context.get("found") or quoted(value))
    if kind == "not_supported":
        return Words("", f"{found} is not supported in this version", str(context.get("hint", "")))
    offset = context.get("offset")
    return Words(str(context["expected"]), found, str(context.get("hint", "")), offset if isinstance(offset, int) else None)


def _no_kind(value: object, allowed: Allowed) -> Words:
    """An entry that does not say what kind it is."""
    if not isinstance(value, dict):
        return Words("a mapping", quoted(value), _as_kind(value, allowed) if isinstance(value, str) else "")
    key = guilty_key(value, allowed)
    if key in allowed.later:
        return Words("", f"'{key}' is not supported in this version")
    expected = f"one of the keys {', '.join(dict.fromkeys(allowed.keys))}"
    if key:
        return Words(expected, quoted(key), f"did you mean '{nearest(key, allowed.keys)}'?")
    return Words(expected, ", ".join(quoted(name) for name in list(value)[:5]) or "an empty mapping")


def _as_kind(value: str, allowed: Allowed) -> str:
    """How an entry is written of which only the name stands there."""
    entry = _entry(value, allowed)
    if not entry:
        return ""
    return f"write '{entry}'" if entry.startswith("use: ") else f"write {{{entry}}}"


def _entry(value: str, allowed: Allowed) -> str:
    if "kubernetes" in allowed.keys and (parts := _IN_NAMESPACE.fullmatch(value)):
        return f"kubernetes: {{namespace: {parts[1]}, deployment: {parts[2]}}}"
    if value in allowed.keys:
        return f"{value}: {{…}}"
    return f"use: {value}" if "use" in allowed.keys and value.isprintable() and len(value) < 60 else ""


def _as_list(value: object, allowed: Allowed) -> str:
    """How what stands alone is written as a list. Text with a blank in it gets no hint: of a command line it would be a wrong one."""
    if isinstance(value, dict):
        return "begin each entry with '- '" if allowed.keys else ""
    if not isinstance(value, str) or not _ONE_WORD.fullmatch(value):
        return ""
    entry = _entry(value, allowed)
    return f"write [{{{entry}}}]" if entry else f"write [{value}]"


def _tidied(value: object, pattern: str) -> str:
    """The name that was meant by one with capitals, blanks or underscores."""
    if not isinstance(value, str) or not _PATTERNS.get(pattern, "").startswith("a name of a-z") or len(value) > 63:
        return ""
    name = re.sub(r"[_ ]+", "-", value.strip().lower())
    return f"did you mean '{name}'?" if name != value and re.fullmatch(pattern, name) else ""


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
    meant = allowed.meant(key)
    return Words("a known key", quoted(key), f"did you mean '{meant}'? {listed(allowed.keys)}" if meant else listed(allowed.keys))


def _literal(expected: str, value: object) -> Words:
    known = [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]
    if len(known) == 1:
        return Words(f"'{known[0]}'" if expected.startswith("'") else expected.lower(), quoted(value))
    near = nearest(value, known) if isinstance(value, str) else ""
    return Words(f"one of {', '.join(known)}", quoted(value), f"did you mean '{near}'?" if near else "")
