"""A YAML document against a pydantic model: every fault, each at the line and column where it was written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from rollbackd.policies.text.faults import Fault, Severity, quoted
from rollbackd.policies.text.wording import Allowed, Words, guilty_key, word
from rollbackd.policies.text.yaml_text import MAX_FAULTS, Document, Node, Path, Place, trail

M = TypeVar("M", bound=BaseModel)
_KEY = "[key]"  # how pydantic says that the key, not its value, is at fault
_KINDLESS = ("union_tag_not_found", "union_tag_invalid")


@dataclass(slots=True)
class Findings:
    """Collects the faults of one document; each is placed by the path to the value at fault."""

    document: Document
    faults: list[Fault] = field(default_factory=list)

    def fault(self, path: Path, expected: str, found: str, hint: str = "", *, at_key: bool = False, offset: int | None = None) -> None:
        """Add a fault at the value (or the key) that ``path`` leads to, or at its nearest parent that was written.

        ``offset``: the character inside a string value that is at fault.
        """
        self._add(path, Words(expected, found, hint), "error", at_key=at_key, offset=offset)

    def lack(self, path: Path, expected: str, hint: str) -> None:
        """Add a fault at the mapping in which the key that ``path`` ends in is missing."""
        self.fault(path[:-1], expected, "none", hint)

    def warn(self, path: Path, said: str, hint: str = "") -> None:
        """Add a warning: it stops nothing from loading."""
        self._add(path, Words("", said, hint), "warning")

    def shown(self, path: Path) -> str:
        """What was written at ``path``, as a message shows it."""
        return quoted(locate(self.document.root, path)[1].data)

    def was_cut(self, path: Path) -> bool:
        """Whether something was written at ``path`` that had its fault already and is not in the document: then nothing follows from its absence."""
        return False

    def is_whole(self, path: Path) -> bool:
        """Whether nothing at or in ``path`` had its fault already and is not in the document: only then is it all that was written."""
        return True

    @property
    def is_faulty(self) -> bool:
        """Whether anything worse than a warning was found."""
        return any(fault.severity == "error" for fault in self.faults)

    def _add(self, path: Path, words: Words, severity: Severity, *, at_key: bool = False, offset: int | None = None) -> None:
        document = self.document
        known, node, key_place = locate(document.root, path)
        place = key_place if at_key and key_place and known == path else (node.line, node.column)
        if place in document.broken and not at_key:
            return
        if offset is not None and isinstance(node.data, str):
            place = (node.line, node.column + _characters_in(document, node, offset))
        name = trail(document.root.data, document.index, path[:-1] if at_key else path)
        self.faults.append(Fault(document.file, *place, name, words.expected, words.found, words.hint, severity))


def locate(root: Node, path: Path) -> tuple[Path, Node, Place | None]:
    """How far ``path`` was written, the node there, and where its key stands (None for the root and for list items)."""
    node, key_place = root, None
    for depth, step in enumerate(path):
        children = node.children
        if isinstance(children, dict) and isinstance(step, str) and step in children:
            key_place, node = (node.keys or {}).get(step), children[step]
        elif isinstance(children, list) and isinstance(step, int) and step < len(children):
            key_place, node = None, children[step]
        else:
            return path[:depth], node, key_place
    return path, node, key_place


def _characters_in(document: Document, node: Node, offset: int) -> int:
    """How far right of the scalar's start its character ``offset`` stands; 0 where escapes or line breaks make that unknowable."""
    line = document.text.split("\n", node.line)[node.line - 1]
    value, start = str(node.data), node.column - 1
    if line.startswith(value, start):
        return offset
    is_quoted = line[start : start + 1] in ("'", '"') and line.startswith(value, start + 1)
    return offset + 1 if is_quoted else 0


def validate(document: Document, model: type[M], findings: Findings) -> M | None:
    """The document as ``model``, or None and at least one fault among the findings."""
    for path in document.empty:
        findings.fault(path, "a value", "nothing", "give it a value or remove the key")
    read = validate_part((), model, findings)
    return None if document.empty else read


def validate_part(path: Path, model: type[M], findings: Findings) -> M | None:
    """What stands at ``path`` as ``model``, or None and at least one fault among the findings."""
    try:
        return model.model_validate(locate(findings.document.root, path)[1].data)
    except ValidationError as error:
        _report(path, error.errors(include_url=False)[:MAX_FAULTS], model, findings)
        return None


def _report(start: Path, errors: list[ErrorDetails], model: type[BaseModel], findings: Findings) -> None:
    node = locate(findings.document.root, start)[1]
    unknown: dict[Path, list[tuple[str, Allowed]]] = {}
    said = []
    for error in errors:
        path = start + path_of(node, error["loc"])
        is_key = path[-1:] == (_KEY,) and len(locate(findings.document.root, path)[0]) < len(path)
        path = path[:-1] if is_key else path
        is_kindless = error["type"] in _KINDLESS
        # Of a list, too, it is the entries that something is said of.
        known = _allowed(model, (*error["loc"], "") if is_kindless or error["type"] == "list_type" else error["loc"])
        allowed = replace(known, present=_written_in(findings.document.root, path[:-1]))
        if is_kindless and isinstance(error["input"], dict) and (key := guilty_key(error["input"], allowed)):
            path = (*path, key)
        said.append((error, path, allowed, is_key))
        if error["type"] == "extra_forbidden":
            unknown.setdefault(path[:-1], []).append((str(path[-1]), allowed))
    for error, path, allowed, is_key in said:
        if path in findings.document.empty or _stands_for(error, path, unknown.get(path[:-1], [])):
            continue
        words = word(error, allowed, locate(findings.document.root, path)[1].written)
        is_missing = error["type"] == "missing"
        at_key = is_key or error["type"] == "extra_forbidden" or (error["type"] in _KINDLESS and path[-1:] != error["loc"][-1:])
        findings.fault(path[:-1] if is_missing else path, words.expected, words.found, words.hint, at_key=at_key, offset=words.offset)


def _stands_for(error: ErrorDetails, path: Path, unknown: list[tuple[str, Allowed]]) -> bool:
    """Whether a missing key is merely misspelt or replaced by a key that has its own fault: one fault is enough."""
    if error["type"] != "missing":
        return False
    return any(beside.later.get(key, beside.meant(key)) == path[-1] for key, beside in unknown)


def _written_in(root: Node, path: Path) -> frozenset[str]:
    """The keys of the mapping that ``path`` leads to."""
    children = locate(root, path)[1].children
    return frozenset(children) if isinstance(children, dict) else frozenset()


def path_of(root: Node, loc: tuple[int | str, ...]) -> Path:
    """The path as a person wrote it, of pydantic's: without the union tags that pydantic puts in between."""
    path: list[int | str] = []
    node: Node | None = root
    for step in loc:
        children = node.children if node else None
        child = children.get(str(step)) if isinstance(children, dict) else None
        if child is None and isinstance(step, str) and step.startswith("<") and step.endswith(">"):
            continue
        if isinstance(children, list) and isinstance(step, int) and step < len(children):
            child = children[step]
        path.append(step)
        node = child
    return tuple(path)


def _allowed(model: type[BaseModel], loc: tuple[int | str, ...]) -> Allowed:
    """What the model that ``loc`` ends in allows: found by walking the models along it."""
    current: Mapping[str, type[BaseModel]] = {"": model}
    is_by_name = False
    for step in loc[:-1]:
        if isinstance(step, int):
            continue
        if step in current and step:
            current = {"": current[step]}
        elif is_by_name:
            is_by_name = False
        else:
            at = current.get("")
            annotation = _annotation(at, step) if at else None
            current, is_by_name = dict(_models(annotation)), _is_mapping(annotation)
    owner = current.get("")
    if owner is None:
        later = {key: other for kind in current.values() for key, other in getattr(kind, "later", {}).items()}
        return Allowed(tuple(tag.strip("<>").split(" ")[0] for tag in current), later)
    keys = tuple(field.alias or name for name, field in owner.model_fields.items())
    return Allowed(keys, getattr(owner, "later", {}), getattr(owner, "siblings", frozenset()), _inside(owner), getattr(owner, "instead", {}))


def _inside(owner: type[BaseModel]) -> Mapping[str, str]:
    """Where each key of the models one level further in stands, unless that could be in several places."""
    found: dict[str, set[str]] = {}
    for name, info in owner.model_fields.items():
        where = f"{'in an entry of' if _has_entries(info.annotation) else 'under'} '{info.alias or name}'"
        for _, model in _models(info.annotation):
            for key, inner in model.model_fields.items():
                found.setdefault(inner.alias or key, set()).add(where)
    return {key: next(iter(places)) for key, places in found.items() if len(places) == 1}


def _annotation(model: type[BaseModel], key: str) -> Any:
    for name, info in model.model_fields.items():
        if key in (name, info.alias):
            return info.annotation
    return None


def _models(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """The models in an annotation, under their union tags ('' where there is none)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
    elif get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        tag = next((mark.tag for mark in marks if isinstance(mark, Tag)), None)
        for found, model in _models(inner):
            yield (tag or found), model
    else:
        for part in get_args(annotation):
            yield from _models(part)


def _is_mapping(annotation: Any) -> bool:
    return _is_made_of(annotation, (dict,))


def _has_entries(annotation: Any) -> bool:
    return _is_made_of(annotation, (dict, list))


def _is_made_of(annotation: Any, kinds: tuple[type, ...]) -> bool:
    origin = get_origin(annotation)
    if origin in (Annotated, Union, UnionType):
        return any(_is_made_of(part, kinds) for part in get_args(annotation))
    return origin in kinds
