"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396), with the oddities of the API server's implementation.

It is laxer than the RFC: "replace" of a member that is not there adds it, a "test" for null holds where there is nothing, an operation without a
value has null, and an index may begin with zeros or count from the end.

And it is stricter: it compares the value of a ``test`` with its own encoding of the object, byte by byte in the leaves, not character by character.
A string holds only if the request spelt it as Go's encoder does ("&" is \\u0026, "é" is itself). A client that spells it otherwise gets 422 although
nothing has changed (kubernetes/apiserver issue 100).
"""

import copy
import json
import json.decoder
import json.scanner
from typing import Any


class PatchFault(Exception):
    """The patch cannot be applied; the document is as it was."""


class Spelt(str):
    """A string that remembers how the request spelt it."""

    __slots__ = ("token",)
    token: str


class _TokenKeepingDecoder(json.JSONDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.parse_string = _read_string
        self.scan_once = json.scanner.py_make_scanner(self)


def _read_string(text: str, end: int, strict: bool = True) -> tuple[str, int]:
    value, after = json.decoder.scanstring(text, end, strict)
    spelt = Spelt(value)
    spelt.token = text[end - 1 : after]
    return spelt, after


def decode(body: bytes) -> Any:
    """The document, its strings with their spelling. Raises ValueError."""
    return _TokenKeepingDecoder().decode(body.decode())


def go_token(value: str) -> str:
    """The string as Go's encoder spells it."""
    token = json.dumps(value, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        token = token.replace(character, f"\\u{ord(character):04x}")
    return token


def plain(value: Any) -> Any:
    """The value without the memory of its spelling."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def apply(document: Any, operations: Any) -> Any:
    """The patched copy. Raises PatchFault where an operation, a ``test`` among them, does not hold."""
    if not isinstance(operations, list):
        raise PatchFault("a JSON Patch is a list of operations")
    root = [copy.deepcopy(document)]
    for operation in operations:
        _run(root, operation)
    return root[0]


def _run(root: list[Any], operation: Any) -> None:
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise PatchFault("an operation needs a path")
    path = _tokens(operation["path"])
    match operation.get("op"):
        case "test":
            if not _holds(root, path, operation.get("value")):
                raise PatchFault(f"testing value {operation['path']} failed")
        case "add":
            _add(root, path, plain(operation.get("value")))
        case "remove":
            _remove(root, path)
        case "replace":
            _replace(root, path, plain(operation.get("value")))
        case "move":
            source = _tokens(operation.get("from"))
            if path[: len(source)] == source and path != source:
                raise PatchFault("a value cannot be moved into itself")
            moved = copy.deepcopy(_read(root, source))
            _remove(root, source)
            _add(root, path, moved)
        case "copy":
            _add(root, path, copy.deepcopy(_read(root, _tokens(operation.get("from")))))
        case other:
            raise PatchFault(f"unknown operation {other!r}")


def _tokens(pointer: Any) -> list[str]:
    """The reference tokens of a JSON Pointer; ``~1`` before ``~0``, so that ``~01`` is ``~1``."""
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise PatchFault(f"not a JSON Pointer: {pointer!r}")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _index(token: str, *, end: int) -> int:
    """Where in a list; ``end`` is the greatest index there may be. -1 is the last element."""
    if not token.removeprefix("-").isdigit() or not -end - 1 <= int(token) <= end:
        raise PatchFault(f"no such index: {token}")
    return int(token) % (end + 1)


def _holds(root: list[Any], path: list[str], asked: Any) -> bool:
    parent = _read(root, path[:-1]) if path else None
    if isinstance(parent, dict) and path[-1] not in parent:
        return asked is None
    return _same(_read(root, path), asked)


def _read(root: list[Any], path: list[str]) -> Any:
    here = root[0]
    for token in path:
        if isinstance(here, dict) and token in here:
            here = here[token]
        elif isinstance(here, list):
            here = here[_index(token, end=len(here) - 1)]
        else:
            raise PatchFault(f"no such path: {token}")
    return here


def _add(root: list[Any], path: list[str], value: Any) -> None:
    if not path:
        root[0] = value
        return
    parent, last = _read(root, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, end=len(parent)), value)
    else:
        raise PatchFault(f"nothing can be added below a scalar: {last}")


def _replace(root: list[Any], path: list[str], value: Any) -> None:
    if not path:
        root[0] = value
        return
    parent = _read(root, path[:-1])
    if not isinstance(parent, dict):
        _read(root, path)
    parent[path[-1] if isinstance(parent, dict) else int(path[-1])] = value


def _remove(root: list[Any], path: list[str]) -> None:
    _read(root, path)
    if not path:
        root[0] = None
        return
    parent = _read(root, path[:-1])
    del parent[path[-1] if isinstance(parent, dict) else int(path[-1])]


def _same(stored: Any, asked: Any) -> bool:
    if isinstance(asked, Spelt):
        return isinstance(stored, str) and asked.token == go_token(stored)
    if type(stored) is not type(asked):
        return False
    if isinstance(stored, dict):
        return stored.keys() == asked.keys() and all(_same(stored[key], asked[key]) for key in stored)
    if isinstance(stored, list):
        return len(stored) == len(asked) and all(map(_same, stored, asked))
    return bool(stored == asked)


def merge(document: Any, patch: Any) -> Any:
    """The document with a merge patch applied: null removes, an object merges, anything else replaces."""
    if not isinstance(patch, dict):
        return plain(patch)
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged
