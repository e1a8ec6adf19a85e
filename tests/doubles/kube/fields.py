"""managedFields: who owns which field of an object, kept by the server on every write."""

import json
from typing import Any

Entry = dict[str, Any]
Paths = set[tuple[str, ...]]


def owned_after(entries: list[Entry], before: Entry, after: Entry, manager: str, at: str) -> list[Entry]:
    """The entries once ``manager`` has written ``after`` over ``before``: it takes over every leaf that it set or changed."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    taken = {path for path, value in new.items() if path not in old or old[path] != value}
    gone = old.keys() - new.keys()
    if not taken and not gone:
        return entries
    kept = [_without(entry, taken | gone) for entry in entries]
    own = next((entry for entry in kept if _is(entry, manager, "Update")), None)
    held = _paths(own["fieldsV1"]) if own else set()
    rest = [entry for entry in kept if entry is not own and entry["fieldsV1"]]
    return [*rest, _entry(manager, "Update", after, at, held | taken)] if held | taken else rest


def owned_after_apply(entries: list[Entry], before: Entry, applied: Entry, manager: str, at: str) -> list[Entry]:
    """The entries once ``manager`` has applied ``applied``: it holds all of that, alone where it changed something, else beside others."""
    kept = [_without(entry, changed(before, applied)) for entry in entries if not _is(entry, manager, "Apply")]
    own = _entry(manager, "Apply", before, at, set(dict(_leaves(applied))))
    return [own, *(entry for entry in kept if entry["fieldsV1"])]


def changed(before: Entry, applied: Entry) -> Paths:
    """The leaves that ``applied`` names and that have another value now."""
    now = dict(_leaves(before))
    return {path for path, value in _leaves(applied) if path not in now or now[path] != value}


def holders(entries: list[Entry], paths: Paths, manager: str) -> list[str]:
    """The managers that hold one of ``paths``, but for the applies of ``manager`` itself."""
    return sorted({entry["manager"] for entry in entries if not _is(entry, manager, "Apply") and paths & _paths(entry["fieldsV1"])})


def _is(entry: Entry, manager: str, operation: str) -> bool:
    return entry["manager"] == manager and entry["operation"] == operation and "subresource" not in entry


def _entry(manager: str, operation: str, obj: Entry, at: str, paths: Paths) -> Entry:
    said = {"manager": manager, "operation": operation, "apiVersion": obj["apiVersion"], "time": at}
    return {**said, "fieldsType": "FieldsV1", "fieldsV1": _tree(paths)}


def _leaves(obj: dict[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    meta = obj.get("metadata", {})
    visible = {
        "metadata": {key: meta[key] for key in ("labels", "annotations") if key in meta},
        **{key: value for key, value in obj.items() if key in ("spec", "data")},
    }
    _walk((), visible, found)
    return found


def _walk(path: tuple[str, ...], value: Any, found: list[tuple[tuple[str, ...], Any]]) -> None:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            _walk((*path, f"f:{key}"), item, found)
    elif isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        for item in value:
            _walk((*path, "k:" + json.dumps({"name": item["name"]}, separators=(",", ":"))), item, found)
    else:
        found.append((path, value))


def _tree(paths: Paths) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in sorted(paths):
        here = root
        for token in path:
            here = here.setdefault(token, {})
    return root


def _paths(tree: dict[str, Any], above: tuple[str, ...] = ()) -> Paths:
    if not tree:
        return {above} if above else set()
    return set().union(*(_paths(below, (*above, token)) for token, below in tree.items()))


def _without(entry: dict[str, Any], paths: Paths) -> dict[str, Any]:
    return {**entry, "fieldsV1": _tree(_paths(entry["fieldsV1"]) - paths)}
