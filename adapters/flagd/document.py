"""A flagd flag file as text: where each flag stands in it, and how single flags are replaced without touching another byte.

Never decides what a flag should be.
"""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rollbackd.adapters.base import folders
from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import Json

MAX_BYTES = 8 * 1024 * 1024
_REFERENCE, _RULE = "$ref", "$rule"
_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r'\s*\{[ \t]*\r?\n([ \t]+)"')


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its full state, as ``with_rules`` shows it, and the characters [start, end) of the file that hold it."""

    state: Mapping[str, Json]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A flag file that was read whole. ``path`` is the real file, behind every link; ``rules``: those that its flags share, by name."""

    path: Path
    text: str
    flags: Mapping[str, Flag]
    rules: Mapping[str, Json]


def read_document(file: Path) -> Document:
    """The file as it stands now. Raises Transient where it is missing, cut or no JSON, Permanent where it can never be read."""
    try:
        path = file.resolve(strict=True)
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise Transient(f"the flag file {file} is missing; nothing was changed; check the path and the mount") from error
    except (OSError, RuntimeError) as error:
        raise Permanent(f"the flag file {file} cannot be read ({_plain(error)}); nothing was changed; check its rights") from error
    if len(raw) > MAX_BYTES:
        raise Permanent(f"the flag file {file} is larger than {MAX_BYTES} bytes; nothing was changed; split it")
    try:
        text = raw.decode()
        return Document(path, text, *_content(text))
    except (ValueError, RecursionError) as error:
        raise Transient(f"the flag file {file} is no complete flagd JSON ({error}); nothing was changed; a half-written file mends itself") from error


def _content(text: str) -> tuple[Mapping[str, Flag], Mapping[str, Json]]:
    """Its flags, and the rules that they share."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    document, end = decoder.raw_decode(text, _skip(text, 0))
    if not isinstance(document, dict) or not isinstance(document.get("flags"), dict):
        raise ValueError("it has no 'flags' object")
    if _skip(text, end) != len(text):
        raise ValueError("text follows the document")
    start = next(start for name, start, _ in _members(decoder, text, _skip(text, 0)) if name == "flags")
    flags = {name: Flag(decoder.raw_decode(text, start)[0], start, end) for name, start, end in _members(decoder, text, start)}
    for name, flag in flags.items():
        if not isinstance(flag.state, dict) or not isinstance(flag.state.get("variants"), dict):
            raise ValueError(f"flag '{name}' has no variants")
    rules = document.get("$evaluators") or {}
    if not isinstance(rules, dict):
        raise ValueError("its '$evaluators' are no object")
    return {name: replace(flag, state=with_rules(flag.state, rules)) for name, flag in flags.items()}, rules


def with_rules(state: Mapping[str, Json], rules: Mapping[str, Json]) -> Mapping[str, Json]:
    """The flag with each shared rule beside the reference to it: a change of the rule is one of the flag."""
    return {**state, "targeting": _resolved(state["targeting"], rules)} if rules and "targeting" in state else state


def without_rules(state: Mapping[str, Json]) -> Mapping[str, Json]:
    """The flag as it stands in a file."""
    return {**state, "targeting": _bare(state["targeting"])} if "targeting" in state else state


def _resolved(node: Json, rules: Mapping[str, Json], within: tuple[str, ...] = ()) -> Json:
    if isinstance(node, list):
        return [_resolved(each, rules, within) for each in node]
    if not isinstance(node, Mapping):
        return node
    shown = {key: _resolved(value, rules, within) for key, value in node.items()}
    name = node.get(_REFERENCE)
    if isinstance(name, str) and name in rules and name not in within:
        shown[_RULE] = _resolved(rules[name], rules, (*within, name))
    return shown


def _bare(node: Json) -> Json:
    if isinstance(node, list):
        return [_bare(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    return {key: _bare(value) for key, value in node.items() if key != _RULE or _REFERENCE not in node}


def _members(decoder: json.JSONDecoder, text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each value of the object at ``start``, which is known to be valid."""
    at = _skip(text, start + 1)
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        begin = _skip(text, _skip(text, at) + 1)
        _, end = decoder.raw_decode(text, begin)
        yield name, begin, end
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _without_repeats(pairs: list[tuple[str, Json]]) -> Mapping[str, Json]:
    # Of two members with one name readers keep different ones, so what is live would be a guess.
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it names '{next(name for name in names if names.count(name) > 1)}' twice in one object")
    return members


def _refuse_constant(word: str) -> Json:
    raise ValueError(f"{word} is no JSON")


def with_flags(document: Document, states: Mapping[str, Mapping[str, Json]]) -> str:
    """The document's text with these flags replaced, in its own indentation; every other byte as it was."""
    text = document.text
    found = _INDENT.match(text)
    for name in sorted(states, key=lambda name: document.flags[name].start, reverse=True):
        flag = document.flags[name]
        line = text[text.rfind("\n", 0, flag.start) + 1 : flag.start]
        margin = line[: len(line) - len(line.lstrip(" \t"))]
        # Half of a surrogate pair can be written as an escape only.
        shown = json.dumps(without_rules(states[name]), indent=found[1] if found else None, ensure_ascii=text.isascii() or "\\ud" in text.lower())
        text = text[: flag.start] + shown.replace("\n", ("\r\n" if "\r\n" in text else "\n") + margin) + text[flag.end :]
    return text


def replace_document(document: Document, text: str) -> None:
    """Put ``text`` in the file's place in one step, with its owner and mode, provided that its bytes are still those of ``document``.

    Raises Refused if they are not, Permanent if the folder does not let us (nothing changed either way), Transient if the outcome is unknown.
    """
    path = document.path
    try:
        temporary = _write_beside(path, text)
    except OSError as error:
        raise Permanent(
            f"{path} cannot be replaced ({_plain(error)}); nothing was changed; "
            "the flag file must lie in a writable folder with free space: a ConfigMap or Secret mount is read-only, so change its source instead"
        ) from error
    try:
        if path.read_bytes() != document.text.encode():
            raise Refused(f"{path} changed while it was being replaced; nothing was changed", advice="look at the file and plan again")
        temporary.replace(path)
        folders.sync(path.parent)
    except OSError as error:
        raise Transient(f"replacing {path} failed half-way ({_plain(error)}); it is unknown which content stands; read the file") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_beside(path: Path, text: str) -> Path:
    """A synced file with ``text`` and the owner, mode and place of ``path``; nothing is left behind where it fails."""
    old = path.stat()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".rollbackd", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            if (os.geteuid(), os.getegid()) != (old.st_uid, old.st_gid):
                os.fchown(handle, old.st_uid, old.st_gid)
            os.fchmod(handle, old.st_mode & 0o7777)
            # Readers poll the modification time and reload only when it grew; two writes within one clock tick must both be seen.
            newest = max(os.fstat(handle).st_mtime_ns, old.st_mtime_ns + 1_000_000)
            os.utime(handle, ns=(newest, newest))
            os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    return Path(name)


def _plain(error: OSError | RuntimeError) -> str:
    return getattr(error, "strerror", None) or str(error)
