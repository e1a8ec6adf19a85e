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
    """Faults of what is left of a document of which parts were ``cut``: only what is certain without them, placed in the ``whole``.

    ``kept``: by the path of each list that is left, which of its items those are. What is missing may have been cut, and so may what a word names:
    neither is said.
    """

    whole: Document = field(kw_only=True)
    cut: frozenset[Path] = frozenset()
    kept: Mapping[Path, tuple[int, ...]] = field(default_factory=dict)

    def _add(self, path: Path, words: Words, severity: Severity, *, at_key: bool = False, offset: int | None = None) -> None:
        written = _in_whole(path, self.kept)
        known, node, _ = locate(self.whole.root, written)
        if known == written and not any(cut[: len(written)] == written for cut in self.cut) and node.data not in self._gone():
            placed = Findings(self.whole, self.faults)
            placed._add(written, words, severity, at_key=at_key, offset=offset)

    def was_cut(self, path: Path) -> bool:
        """Whether something at ``path``, or around it, was cut."""
        written = _in_whole(path, self.kept)
        return any(written[: len(cut)] == cut for cut in self.cut)

    def _gone(self) -> list[str]:
        return [text for path in self.cut for text in _strings(locate(self.whole.root, path)[1])]


def remainder(document: Document, model: type[M]) -> tuple[M, Beside] | None:
    """The document without what is malformed in it, and where its own faults go; None where the rest is no ``model`` either."""
    cut = frozenset(document.empty)
    for _ in range(_ROUNDS):
        kept: dict[Path, tuple[int, ...]] = {}
        root = _left(document.root, (), (), cut, kept)
        try:
            return model.model_validate(root.data), Beside(replace(document, root=root), whole=document, cut=cut, kept=kept)
        except ValidationError as error:
            places = (_in_whole(path_of(root, each["loc"]), kept) for each in error.errors(include_url=False)[:MAX_FAULTS])
            found = {locate(document.root, place)[0] for place in places}
        if () in found:
            return None
        cut |= found
    return None


def _in_whole(path: Path, kept: Mapping[Path, tuple[int, ...]]) -> Path:
    """The path in the whole of what ``path`` leads to in what is left."""
    found: list[str | int] = []
    for depth, step in enumerate(path):
        places = kept.get(path[:depth], ())
        found.append(places[step] if isinstance(step, int) and step < len(places) else step)
    return tuple(found)


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
