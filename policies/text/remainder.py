"""What a faulty document says beside its faults: the rest of it, so that faults of meaning come in the same pass as malformed keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rollbackd.policies.text.faults import Severity
from rollbackd.policies.text.validate import Findings, locate, path_of
from rollbackd.policies.text.wording import Words
from rollbackd.policies.text.yaml_text import MAX_FAULTS, Document, Node, Path, Value

M = TypeVar("M", bound=BaseModel)
_ROUNDS = 10
"""Cutting one thing may leave another incomplete; what is not sound by then is not read."""


@dataclass(slots=True)
class Beside(Findings):
    """Faults of what is left of a document of which parts were ``cut``: only what is certain without them, placed in the ``whole``.

    ``kept``: by the path of each list that is left, which of its items those are. What is missing may have been cut, and so may what a word names:
    neither is said, but by ``lack``. ``misspelt``: the mappings that had an unknown key, which may be any that they lack.
    """

    whole: Document = field(kw_only=True)
    cut: frozenset[Path] = frozenset()
    misspelt: frozenset[Path] = frozenset()
    kept: Mapping[Path, tuple[int, ...]] = field(default_factory=dict)

    def _add(self, path: Path, words: Words, severity: Severity, *, at_key: bool = False, offset: int | None = None) -> None:
        written = _in_whole(path, self.kept)
        known, node, _ = locate(self.whole.root, written)
        if known == written and not self._holds_cut(written) and node.data not in self._gone():
            placed = Findings(self.whole, self.faults)
            placed._add(written, words, severity, at_key=at_key, offset=offset)

    def lack(self, path: Path, expected: str, hint: str) -> None:
        """Add a fault unless the key was cut, or may be what an unknown one was meant for: whatever else was, it is missing."""
        if not self.was_cut(path):
            Findings(self.whole, self.faults).lack(_in_whole(path, self.kept), expected, hint)

    def was_cut(self, path: Path) -> bool:
        """Whether something at ``path``, or around it, was cut, or may be what an unknown key was meant for."""
        written = _in_whole(path, self.kept)
        known, _, _ = locate(self.whole.root, written)
        return (known != written and known in self.misspelt) or any(written[: len(cut)] == cut for cut in self.cut)

    def is_whole(self, path: Path) -> bool:
        """Whether nothing at ``path``, around it or in it was cut."""
        return not self.was_cut(path) and not self._holds_cut(_in_whole(path, self.kept))

    def _holds_cut(self, written: Path) -> bool:
        return any(cut[: len(written)] == written for cut in self.cut)

    def _gone(self) -> list[str]:
        return [text for path in self.cut if (found := locate(self.whole.root, path))[0] == path for text in _strings(found[1])]


def remainder(document: Document, model: type[M], stand_ins: Mapping[Path, Value]) -> tuple[M, Beside] | None:
    """The document without what is malformed in it, and where its own faults go; None where the rest is no ``model`` either.

    ``stand_ins``: what is read in place of a required value that is malformed or missing. No fault may follow from it.
    """
    cut, misspelt = frozenset(document.empty), frozenset[Path]()
    for _ in range(_ROUNDS):
        kept: dict[Path, tuple[int, ...]] = {}
        root = _Rest(cut, stand_ins, kept).of(document.root, (), ())
        try:
            read = model.model_validate(root.data)
        except ValidationError as error:
            faults = error.errors(include_url=False)[:MAX_FAULTS]
            places = [_in_whole(path_of(root, each["loc"]), kept) for each in faults]
            misspelt |= {place[:-1] for each, place in zip(faults, places, strict=True) if each["type"] == "extra_forbidden"}
            found = {_left_of(place, document, cut, stand_ins) for place in places}
        else:
            return read, Beside(replace(document, root=root), whole=document, cut=cut, misspelt=misspelt, kept=kept)
        if () in found:
            return None
        cut |= found
    return None


def _left_of(place: Path, document: Document, cut: frozenset[Path], stand_ins: Mapping[Path, Value]) -> Path:
    """The place, or the nearest around it that is left, and so can be cut: what is missing may have been cut before."""
    place = place if place in stand_ins else locate(document.root, place)[0]
    while place in cut:
        place = place[:-1]
    return place


def _in_whole(path: Path, kept: Mapping[Path, tuple[int, ...]]) -> Path:
    """The path in the whole of what ``path`` leads to in what is left."""
    found: list[str | int] = []
    for depth, step in enumerate(path):
        places = kept.get(path[:depth], ())
        found.append(places[step] if isinstance(step, int) and step < len(places) else step)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is left of a document without what is ``cut`` (by paths of the whole), the ``stand_ins`` for it put in; fills ``kept``."""

    cut: frozenset[Path]
    stand_ins: Mapping[Path, Value]
    kept: dict[Path, tuple[int, ...]]

    def of(self, node: Node, path: Path, left: Path) -> Node:
        """What is left of the node; ``left`` is its path in what is left."""
        if isinstance(node.children, dict):
            inside = {key: self.of(child, (*path, key), (*left, key)) for key, child in node.children.items() if (*path, key) not in self.cut}
            inside |= {str(place[-1]): node._replace(data=self.stand_ins[place], children=None) for place in self._stood_in(path)}
            return node._replace(data={key: child.data for key, child in inside.items()}, children=inside)
        if isinstance(node.children, list):
            indices = tuple(index for index in range(len(node.children)) if (*path, index) not in self.cut)
            self.kept[left] = indices
            items = [self.of(node.children[index], (*path, index), (*left, place)) for place, index in enumerate(indices)]
            return node._replace(data=[child.data for child in items], children=items)
        return node

    def _stood_in(self, path: Path) -> Iterable[Path]:
        return (place for place in self.cut if place[:-1] == path and place in self.stand_ins)


def _strings(node: Node) -> Iterable[str]:
    if isinstance(node.data, str):
        yield node.data
    children = node.children.values() if isinstance(node.children, dict) else node.children or ()
    for child in children:
        yield from _strings(child)
