"""Expressions in policy files that a daemon cannot read: faults that need no server, and no policy that is sound otherwise."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rollbackd.policies.fleets.policy import Workload, filled
from rollbackd.policies.text.faults import Fault, Unreadable, quoted
from rollbackd.policies.text.selectors import SelectorError, parse_selector
from rollbackd.policies.text.validate import Findings, locate
from rollbackd.policies.text.yaml_text import Document, Node, Path, parse

ANYONE = Workload("namespace", "name")
"""Fills the blanks of a fleet's expressions."""
CONDITIONS: Path = ("spec", "rollback_when")
MARKS: Path = ("spec", "reversible", "unless")
SELECTORS = ("bad", "total", "histogram", "gauge", "of", "count", "where", "rate")
_REGEX = ("=~", "!~")
_DOUBTFUL = frozenset("\\[{?")
"""Without one of these a regular expression is what it is to whoever reads it: nothing has to be loaded that reads PromQL."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What stands at ``path`` of the document. ``meant``: with its blanks filled, where a fleet has some."""

    document: Document
    path: Path
    written: str
    meant: str


def expressions_in(texts: Mapping[str, str]) -> Iterator[Expression]:
    """Every expression that is written in these files: those of conditions, those that tell a migration, and selectors in doubt."""
    for file, text in texts.items():
        if not isinstance(text, Unreadable) and any(sign in text for sign in ("promql", "metric", *_REGEX)):
            for document in parse(text, file).documents:
                yield from _of(document)


def unreadable(expressions: Iterable[Expression], why_not: Callable[[str], str | None]) -> tuple[Fault, ...]:
    """A fault for each expression that ``why_not`` names a reason against."""
    found: list[Fault] = []
    for one in expressions:
        if (why := why_not(one.meant)) is not None:
            findings = Findings(one.document)
            findings.fault(one.path, "a PromQL expression", quoted(one.written), why)
            found += findings.faults
    return tuple(sorted(set(found)))


def _of(document: Document) -> Iterator[Expression]:
    is_of_fleet = locate(document.root, ("spec", "select"))[0] == ("spec", "select")
    for start, key in ((CONDITIONS, "promql"), (MARKS, "metric")):
        for path, written in _under(document, start, (key,)):
            yield Expression(document, path, written, filled(written, ANYONE) if is_of_fleet else written)
    for path, written in _under(document, CONDITIONS, SELECTORS):
        if _is_doubtful(written):
            yield Expression(document, path, written, written)


def _is_doubtful(written: str) -> bool:
    """Whether it is a selector whose regular expression the daemon may not be able to read, and no fault yet."""
    try:
        return any(one.op in _REGEX and not _DOUBTFUL.isdisjoint(one.value) for one in parse_selector(written).matchers)
    except SelectorError:
        return False


def _under(document: Document, start: Path, keys: Collection[str]) -> Iterator[tuple[Path, str]]:
    known, node, _ = locate(document.root, start)
    return _written(node, start, keys) if known == start else iter(())


def _written(node: Node, path: Path, keys: Collection[str]) -> Iterator[tuple[Path, str]]:
    """Every text under one of these keys, however deep."""
    children = node.children
    pairs: Iterable[tuple[str | int, Node]] = children.items() if isinstance(children, dict) else enumerate(children or ())
    for step, child in pairs:
        if step in keys and isinstance(child.data, str):
            yield (*path, step), child.data
        else:
            yield from _written(child, (*path, step), keys)
