"""Where each condition of a policy was written, for findings that come after it was read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rollbackd.policies.resolve.profiles import library
from rollbackd.policies.text.validate import Findings, locate
from rollbackd.policies.text.yaml_text import Document, Node, Path, parse

Key: TypeAlias = tuple[str, str]
"""The names of a policy and of its condition."""
LIMITS = ("above", "below", "outside")


@dataclass(frozen=True, slots=True)
class Written:
    """A document and the paths in it to a condition and to its limit, or to what stands for them."""

    document: Document
    path: Path
    limit: Path

    def findings(self) -> Findings:
        """An empty collection of faults in this document."""
        return Findings(self.document)


def conditions_of(text: str, file: str) -> Mapping[Key, Written]:
    """Every condition that the sound policies of ``text`` have. A condition of a set stands where the set is named, or changed by `with`."""
    found: dict[Key, Written] = {}
    for document in parse(text, file).documents:
        start: Path = ("spec", "rollback_when")
        _, name, _ = locate(document.root, ("metadata", "name"))
        path, node, _ = locate(document.root, start)
        if path == start:
            for condition, at, inside in _walk(node, start):
                found[str(name.data), condition] = Written(document, at, _limit(document, inside) or at)
    return found


def _walk(node: Node, path: Path) -> Iterator[tuple[str, Path, Path]]:
    """Each condition's name, where it stands, and the mapping that may hold its limit."""
    if isinstance(node.children, list):
        for index, child in enumerate(node.children):
            yield from _walk(child, (*path, index))
        return
    data = node.data if isinstance(node.data, dict) else {}
    use, name = data.get("use"), data.get("name")
    if isinstance(use, str) and use in library().sets:
        for member in library().sets[use]:
            yield member, path, (*path, "with", member)
    elif isinstance(use, str):
        yield (name if isinstance(name, str) else use), path, (*path, "with")
    elif isinstance(name, str):
        yield name, path, path
    else:
        # all_of, any_of, and at_least, whose entries stand under `of`
        for key, child in (node.children or {}).items():
            yield from _walk(child, (*path, key))


def _limit(document: Document, inside: Path) -> Path | None:
    paths = [(*inside, side) for side in LIMITS]
    return next((path for path in paths if locate(document.root, path)[0] == path), None)
