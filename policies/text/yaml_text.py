"""YAML text to plain values, each with its place. Text in, values and faults out: no file is opened here.

Scalars mean what YAML 1.2's core schema says, so ``off`` and ``1:30`` are strings. Aliases, tags, merge keys and duplicate keys are refused
before anything is built from them: a policy must read the same to a person and to us, and 400 bytes must not expand to megabytes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import yaml

from rollbackd.policies.text.faults import Fault, Unreadable, quoted

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"
Path: TypeAlias = tuple[str | int, ...]
Place: TypeAlias = tuple[int, int]

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_VALUES = 100_000  # per file: half a million empty ones in 1 MiB took 300 MiB
MAX_FAULTS = 100  # per file: beyond it the list helps nobody

# The C loader where PyYAML was built with it: ten times as fast, the same events.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A flood of %TAG lines takes the C parser quadratic time.
_DIRECTIVE = re.compile("^%.*", re.MULTILINE)
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAY_BE_NO_STRING = frozenset("+-.0123456789~nNtTfF")


class Node(NamedTuple):
    """A value and where it stands. ``children`` by key or index; ``keys``: where each key of a mapping stands.

    ``written``: the characters of a number, true or false, which the value does not tell: ``1.10`` is 1.1.
    """

    data: Value
    line: int
    column: int
    children: "dict[str, Node] | list[Node] | None" = None
    keys: dict[str, Place] | None = None
    written: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file. ``index`` counts from 1.

    ``broken``: places whose value was refused and stands as None: no second fault is due there. ``empty``: paths of written-out nothings.
    """

    file: str
    text: str = field(repr=False)
    index: int
    root: Node
    broken: frozenset[Place] = frozenset()
    empty: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """The documents of a file, and what was refused in it."""

    documents: tuple[Document, ...]
    faults: tuple[Fault, ...]


def parse(text: str, file: str, loader: type[yaml.SafeLoader] = _Loader) -> Parsed:
    """Every document of ``text`` that could be read, and every fault found on the way. Raises nothing."""
    if isinstance(text, Unreadable):
        return Parsed((), (text.fault(file),))
    text = text.removeprefix("\ufeff")
    refused = _refused_unread(text, file)
    if refused:
        return Parsed((), (refused,))
    reading = _Reading(text, file, loader(text))
    try:
        reading.read()
    except _EnoughError:
        reading.close_document()
    except yaml.YAMLError as error:
        reading.syntax_fault(error)
    finally:
        reading.loader.dispose()
    return Parsed(tuple(reading.documents), tuple(reading.faults))


def _refused_unread(text: str, file: str) -> Fault | None:
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        before = text[: unprintable.start()]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        return Fault(file, line, column, "text", "printable text", f"the character U+{ord(unprintable[0]):04X}", "save the file as UTF-8 text")
    directive = _DIRECTIVE.search(text)
    if directive:
        line = text.count("\n", 0, directive.start()) + 1
        return Fault(file, line, 1, "text", "YAML without directives", quoted(directive[0][:40]), "remove the line: it changes nothing here")
    size = len(text.encode())
    if size > MAX_BYTES:
        return Fault(file, 1, 1, "text", "at most 1 MiB", f"{size:,} bytes", "split it into several files")
    return None


def subject(data: object, index: int) -> str:
    """What a message calls a document: the policy's name where it has one."""
    document = data if isinstance(data, dict) else {}
    if document.get("kind") == "Config":
        return "config"
    if document.get("kind") == "PolicyTest":
        return "policy test"
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    noun = "profile" if document.get("kind") == "MetricProfile" else "policy"
    return f"{noun} '{name}'" if isinstance(name, str) and len(name) <= 80 and name.isprintable() else f"document {index}"


def trail(data: object, index: int, path: Path) -> str:
    """Where in a document, for people: ``policy 'checkout' › rollback_when[1] › above``."""
    parts = [subject(data, index)]
    for step in path[1:] if path[:1] == ("spec",) else path:
        if isinstance(step, int):
            parts[-1] += f"[{step}]"
        else:
            parts.append(_shown(step))
    return " › ".join(parts)


def _shown(key: str) -> str:
    """A key as a line may hold it: short, and what is invisible or turns text around by its number."""
    plain = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in key[:60])
    return plain if len(key) <= 60 else f"{plain}…"


class _EnoughError(Exception):
    """Reading on would cost more than it tells."""


@dataclass(slots=True)
class _Reading:
    """One pass over the events of a file. Not re-usable."""

    text: str
    file: str
    loader: yaml.SafeLoader
    documents: list[Document] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _count: int = 0
    _values: int = 0
    _root: Node | None = None
    _sketch: dict[str, Value] = field(default_factory=dict)
    _path: list[str | int] = field(default_factory=list)
    _pending: list[tuple[Path, Place, str, str, str]] = field(default_factory=list)
    _broken: set[Place] = field(default_factory=set)
    _empty: list[Path] = field(default_factory=list)

    def read(self) -> None:
        while True:
            event = self._next()
            if isinstance(event, yaml.StreamEndEvent):
                return
            if isinstance(event, yaml.DocumentStartEvent):
                self._count += 1
                self._root = self._node(self._next(), 0)
            elif isinstance(event, yaml.DocumentEndEvent):
                self.close_document()

    def _next(self) -> yaml.Event:
        event: yaml.Event = self.loader.get_event()  # type: ignore[no-untyped-call]  # the stubs leave it bare
        return event

    def close_document(self) -> None:
        """Name the pending faults after the document they are in, and keep it if it says anything."""
        data = self._root.data if self._root else self._sketch
        for path, (line, column), expected, found, hint in self._pending:
            self.faults.append(Fault(self.file, line, column, trail(data, self._count, path), expected, found, hint))
        if self._root and (self._root.data is not None or self._broken):
            self.documents.append(Document(self.file, self.text, self._count, self._root, frozenset(self._broken), tuple(self._empty)))
        self._root, self._sketch, self._path, self._pending, self._broken, self._empty = None, {}, [], [], set(), []

    def syntax_fault(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = getattr(error, "problem", None) or "text that no parser can read"
        hint = ""
        if "cannot start any token" in problem:
            is_tab = any(text[column - 1 : column] == "\t" for text in self.text.splitlines()[line - 1 : line])
            hint = "indent with spaces, never tabs" if is_tab else "text that begins with this character needs quotes"
        self._count = max(1, self._count)
        self._pending.append((tuple(self._path), (line, column), "valid YAML", f"a syntax error: {problem}", hint))
        self.close_document()

    def _fault(self, place: Place, expected: str, found: str, hint: str = "") -> None:
        self._pending.append((tuple(self._path), place, expected, found, hint))
        if len(self.faults) + len(self._pending) >= MAX_FAULTS:
            raise _EnoughError

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = _place(event)
        self._values += 1
        if self._values > MAX_VALUES:
            self._fault(place, f"at most {MAX_VALUES:,} values in a file", "one more", "split it into several files; the rest was not read")
            raise _EnoughError
        if isinstance(event, yaml.AliasEvent):
            self._broken.add(place)
            self._fault(place, "a value written out", f"the alias '*{str(event.anchor)[:60]}'", "aliases are not supported: repeat the value")
            return Node(None, *place)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            return Node(None, *place)
        if event.anchor is not None:
            self._fault(place, "a value without an anchor", f"the anchor '&{event.anchor[:60]}'", "anchors are not supported: repeat the value")
        if event.tag is not None:
            self._fault(place, "a value without a tag", f"the tag {quoted(event.tag)}", "tags are not supported: remove it")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place)
        if depth == MAX_DEPTH:
            # The C scanner takes quadratic time on deep nesting, so nothing behind this point is read.
            self._fault(place, f"at most {MAX_DEPTH} levels of nesting", "one more", "the rest of the file was not read")
            raise _EnoughError
        return self._mapping(place, depth + 1) if isinstance(event, yaml.MappingStartEvent) else self._sequence(place, depth + 1)

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Node:
        data = scalar(event.value) if event.implicit[0] and event.style in ("", None) else event.value
        if data is None and len(self._empty) < MAX_FAULTS:
            self._empty.append(tuple(self._path))
        return Node(data, *place, written="" if data is None or isinstance(data, str) else event.value)

    def _sequence(self, place: Place, depth: int) -> Node:
        children: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            self._path.append(len(children))
            children.append(self._node(event, depth))
            self._path.pop()
        return Node([child.data for child in children], *place, children)

    def _mapping(self, place: Place, depth: int) -> Node:
        data: dict[str, Value] = self._sketch if depth == 1 else {}
        children: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key_place = _place(event)
            key = self._key(event, depth, keys)
            self._path.append("?" if key is None else key)
            child = self._node(self._next(), depth)
            self._path.pop()
            if key is not None and key not in keys:
                data[key], children[key], keys[key] = child.data, child, key_place
        return Node(data, *place, children, keys)

    def _key(self, event: yaml.Event, depth: int, known: Mapping[str, Place]) -> str | None:
        """The key, or None if it was refused."""
        place = _place(event)
        node = self._node(event, depth) if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag else None
        if not isinstance(event, yaml.ScalarEvent):
            if not isinstance(event, yaml.AliasEvent):
                self._fault(place, "a string as key", quoted(node.data if node else None))
            return None
        is_plain = event.style in ("", None)
        if is_plain and event.value == "<<":
            self._fault(place, "a key", "the merge key '<<'", "merge keys are not supported: write the keys out")
            return None
        if is_plain and not isinstance(value := scalar(event.value), str):
            self._fault(place, "a string as key", quoted(value), f"write '{event.value[:60]}' in quotes")
            return None
        if event.value in known:
            self._fault(place, "each key once", f"{quoted(event.value)} again", f"first at line {known[event.value][0]}")
        return str(event.value)


def _place(event: yaml.Event) -> Place:
    mark: Any = event.start_mark  # the parsers always set it; the stubs say Optional
    return mark.line + 1, mark.column + 1


def scalar(text: str) -> str | int | float | bool | None:
    """What a plain scalar means by the core schema of YAML 1.2."""
    if text and text[0] not in _MAY_BE_NO_STRING:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text[2:], {"o": 8, "x": 16}[text[1]]) if text[1:2] in ("o", "x") else int(text)
    if len(text) <= 300 and _FLOAT.fullmatch(text):
        return float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").lower().replace(".nan", "nan"))
    return text
