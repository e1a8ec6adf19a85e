"""What a faulty document says beside its faults: the rest of it, so that faults of meaning come in the same pass as malformed keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rollbackd.policies.text.faults import Severity
from rollbackd.policies.text.validate import Findings, locate, path_of
from rollbackd.policies.text.wording import Words
from rollbackd.policies.text.yaml_text import MAX_FAULTS, Document, Node, Path

M = TypeVar("M", bound=BaseModel)
_ROUNDS = 10
"""Cutting one thing may leave another incomplete; what is not sound by then is not read."""


@dataclass(slots=True)
class Beside(Findings):
    """Faults of a document of which parts were ``cut``: only what is certain without them, placed in the whole document.

    ``kept``: by the path of each list that is left, which of its items those are. What is missing may have been cut, and so may what a word names:
    neither is said.
    """

    cut: frozenset[Path] = frozenset()
    kept: Mapping[Path, tuple[int, ...]] = field(default_factory=dict)

    def shown(self, path: Path) -> str:
        """What was written at ``path``, as a message shows it."""
        return Findings.shown(self, self._whole(path))

    def _add(self, path: Path, words: Words, severity: Severity, *, at_key: bool = False, offset: int | None = None) -> None:
        whole = self._whole(path)
        known, node, _ = locate(self.document.root, whole)
        if known == whole and not any(cut[: len(whole)] == whole for cut in self.cut) and node.data not in self._gone():
            Findings._add(self, whole, words, severity, at_key=at_key, offset=offset)

    def _whole(self, path: Path) -> Path:
        found: list[str | int] = []
        for depth, step in enumerate(path):
            kept = self.kept.get(path[:depth], ())
            found.append(kept[step] if isinstance(step, int) and step < len(kept) else step)
        return tuple(found)

    def _gone(self) -> list[object]:
        return [text for path in self.cut for text in _strings(locate(self.document.root, path)[1])]


def remainder(document: Document, model: type[M]) -> tuple[M, Beside] | None:
    """The document without what is malformed in it, and where its own faults go; None where the rest is no ``model`` either."""
    beside = Beside(document, cut=frozenset(document.empty))
    for _ in range(_ROUNDS):
        kept: dict[Path, tuple[int, ...]] = {}
        root = _left(document.root, (), (), beside.cut, kept)
        beside = replace(beside, kept=kept)
        try:
            return model.model_validate(root.data), beside
        except ValidationError as error:
            found = {locate(document.root, beside._whole(path_of(root, each["loc"])))[0] for each in error.errors(include_url=False)[:MAX_FAULTS]}
        if () in found:
            return None
        beside = replace(beside, cut=beside.cut | found)
    return None


def _left(node: Node, path: Path, left: Path, cut: Iterable[Path], kept: dict[Path, tuple[int, ...]]) -> Node:
    """The node without what is ``cut`` (by paths of the whole); ``left`` is its path in what is left."""
    if isinstance(node.children, dict):
        inside = {key: _left(child, (*path, key), (*left, key), cut, kept) for key, child in node.children.items() if (*path, key) not in cut}
        return node._replace(data={key: child.data for key, child in inside.items()}, children=inside)
    if isinstance(node.children, list):
        indices = tuple(index for index in range(len(node.children)) if (*path, index) not in cut)
        kept[left] = indices
        items = [_left(node.children[index], (*path, index), (*left, place), cut, kept) for place, index in enumerate(indices)]
        return node._replace(data=[child.data for child in items], children=items)
    return node


def _strings(node: Node) -> Iterable[str]:
    if isinstance(node.data, str):
        yield node.data
    children = node.children.values() if isinstance(node.children, dict) else node.children or ()
    for child in children:
        yield from _strings(child)
