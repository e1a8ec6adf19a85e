"""The small faults that are planted one at a time: which they are, and how each is written into the syntax tree of a module. Runs nothing."""

import ast
import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
TWINS = {"min": "max", "max": "min", "any": "all", "all": "any"}
WORD = re.compile(r"[a-z][\w-]*")
"""Names that code compares or stores, such as those of guards. Prose is no behaviour."""
NO_BEHAVIOUR = ("annotation", "returns", "decorator_list", "bases", "format_spec", "ctx", "pattern")
ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
LEGIBLE = 24
"""A change is shown within an expression of so many characters at least, so that it can be told from others in the same function."""


@dataclass(frozen=True)
class Mutant:
    """One fault: what ``slot`` of ``parent`` holds becomes ``new``, or is taken out where that is None.

    ``scope``: the outermost function or method whose body it is in, empty where it is in none. ``lines``: those of its statement.
    """

    file: str
    scope: str
    line: int
    lines: range
    before: str
    after: str
    tree: ast.Module = field(repr=False, compare=False)
    parent: ast.AST = field(repr=False, compare=False)
    slot: tuple[str, int | None] = field(repr=False, compare=False)
    new: ast.AST | None = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """What stays the same while lines move: by this a mutant is found again."""
        return f"{self.file} {self.scope or '(module)'}: {self.before} -> {self.after}"

    def compiled(self) -> CodeType:
        """The module with the fault in it."""
        old = _put(self.parent, self.slot, self.new)
        try:
            return compile(ast.fix_missing_locations(self.tree), self.file, "exec")
        finally:
            _put_back(self.parent, self.slot, old)


@dataclass(frozen=True)
class _Place:
    """Where the walk is: the scope, the innermost statement, the expressions around, and whether strings are names here."""

    scope: str = ""
    owner: str = ""
    statement: ast.stmt | None = None
    around: tuple[ast.AST, ...] = ()
    has_names: bool = True
    is_claim: bool = False


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Every fault that can be planted in this module, in the order of its text; each is another program."""
    tree = ast.parse(source)
    found: list[Mutant] = []
    for parent, slot, new, place in _walk(tree, _Place()):
        statement = place.statement
        assert statement is not None
        before, after = _texts(parent, slot, new, place)
        if before != after:
            found.append(Mutant(file, place.scope, _line_of(parent, slot, statement), _lines(statement), before, after, tree, parent, slot, new))
    return found


def _walk(node: ast.AST, place: _Place) -> Iterator[tuple[ast.AST, tuple[str, int | None], ast.AST | None, _Place]]:
    for slot, child in _children(node):
        inside = _entered(node, slot[0], child, place)
        for new in _proposed(node, child, inside):
            yield node, slot, new, inside
        yield from _walk(child, inside)


def _children(node: ast.AST) -> Iterator[tuple[tuple[str, int | None], ast.AST]]:
    """What may be changed: no annotation, decorator, docstring, import, log line or f-string format."""
    for name, value in ast.iter_fields(node):
        if name in NO_BEHAVIOUR or (isinstance(node, ast.ClassDef) and name == "keywords"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _is_left_alone(child):
                yield (name, index), child


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return True  # whether two lists are as long as each other is asserted, not decided
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"
    if not isinstance(node, ast.Expr):
        return False
    call = node.value.func if isinstance(node.value, ast.Call) else None
    is_log = isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "log"
    return is_log or isinstance(node.value, ast.Constant)


def _entered(node: ast.AST, name: str, child: ast.AST, place: _Place) -> _Place:
    scope, owner = place.scope, place.owner
    if isinstance(node, ast.ClassDef):
        owner = f"{owner}{node.name}."
    if isinstance(node, FUNCTION) and name == "body" and not scope:
        scope = f"{owner}{node.name}"
    has_names = place.has_names and not isinstance(node, ast.JoinedStr)
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        has_names = not isinstance(node, ast.ClassDef)
    if isinstance(child, ast.stmt):
        return _Place(scope, owner, child, (), has_names, _is_claim(node, place))
    around = (*place.around, node) if isinstance(node, ast.expr | ast.comprehension | ast.keyword) else ()
    return _Place(scope, owner, place.statement, around, has_names, place.is_claim)


def _is_claim(node: ast.AST, place: _Place) -> bool:
    """Whether the function around says that it returns a bool."""
    if isinstance(node, FUNCTION):
        return isinstance(node.returns, ast.Name) and node.returns.id == "bool"
    return place.is_claim


def _proposed(parent: ast.AST, node: ast.AST, place: _Place) -> Iterator[ast.AST | None]:
    match node:
        case ast.Compare():
            yield from _compared(node)
        case ast.BoolOp():
            yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.BinOp() if (twin := CALCULATED.get(type(node.op))) is not None:
            yield _with(node, op=twin())
        case ast.Constant():
            yield from (ast.Constant(value) for value in _other_values(node.value, place.has_names))
        case ast.Name(id=("min" | "max" | "any" | "all") as name):
            yield _with(node, id=TWINS[name])
        case ast.keyword(arg=str()):
            yield None
        case ast.stmt():
            yield from _proposed_statements(node, place)
    if _is_condition(parent, node):
        yield ast.UnaryOp(ast.Not(), node)


def _is_condition(parent: ast.AST, node: ast.AST) -> bool:
    """Whether its truth is asked, and nothing else here turns it round."""
    if not isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.NamedExpr | ast.Subscript):
        return False
    if isinstance(parent, ast.BoolOp):  # ``value or default`` asks for no truth
        return isinstance(parent.op, ast.And) or any(isinstance(each, ast.Compare | ast.BoolOp | ast.UnaryOp) for each in parent.values)
    return node in parent.ifs if isinstance(parent, ast.comprehension) else node is getattr(parent, "test", None)


def _compared(node: ast.Compare) -> Iterator[ast.Compare]:
    for index, operator in enumerate(node.ops):
        for other in COMPARED[type(operator)]:
            yield _with(node, ops=[*node.ops[:index], other(), *node.ops[index + 1 :]])


def _other_values(value: object, has_names: bool) -> Sequence[Any]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int | float):
        return value + 1, value - 1
    return ("mutated",) if isinstance(value, str) and has_names and WORD.fullmatch(value) else ()


def _proposed_statements(node: ast.stmt, place: _Place) -> Iterator[ast.AST]:
    match node:
        case ast.Return(value=ast.expr() as value) if place.is_claim and not isinstance(value, ast.Compare | ast.BoolOp | ast.Constant | ast.UnaryOp):
            yield ast.Return(ast.UnaryOp(ast.Not(), value))
        case ast.Return(value=ast.expr() as value) if not place.is_claim and not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.If() if not node.orelse and isinstance(node.body[-1], ENDS):
            yield ast.Pass()


def _with(node: Any, **changed: object) -> Any:
    found = copy.copy(node)
    for name, value in changed.items():
        setattr(found, name, value)
    return found


def _put(parent: ast.AST, slot: tuple[str, int | None], new: ast.AST | None) -> Any:
    """The new node in its place; the old one comes back, or the whole list where one was taken out."""
    name, index = slot
    held = getattr(parent, name)
    if index is None:
        setattr(parent, name, new)
        return held
    setattr(parent, name, [*held[:index], *([] if new is None else [new]), *held[index + 1 :]])
    return held


def _put_back(parent: ast.AST, slot: tuple[str, int | None], old: Any) -> None:
    setattr(parent, slot[0], old)


def _texts(parent: ast.AST, slot: tuple[str, int | None], new: ast.AST | None, place: _Place) -> tuple[str, str]:
    """The change within the smallest expression that is long enough to be known by, or in the first line of its statement."""
    statement = place.statement
    assert statement is not None
    if isinstance(new, ast.stmt):
        return _header(statement), _header(new)
    wide = next((each for each in reversed(place.around) if not isinstance(each, ast.keyword) and len(ast.unparse(each)) >= LEGIBLE), statement)
    before = _header(wide)
    old = _put(parent, slot, new)
    after = _header(wide)
    _put_back(parent, slot, old)
    return before, after


def _header(node: ast.AST) -> str:
    return ast.unparse(node).strip().splitlines()[0]


def _line_of(parent: ast.AST, slot: tuple[str, int | None], statement: ast.stmt) -> int:
    held = getattr(parent, slot[0])
    node = held if slot[1] is None else held[slot[1]]
    line = getattr(node, "lineno", statement.lineno)
    return line if line in _lines(statement) else statement.lineno  # positions within f-strings are not to be relied on


def _lines(statement: ast.stmt) -> range:
    """The lines of a statement without those of the statements inside it."""
    inner = [each.lineno for each in getattr(statement, "body", ()) if isinstance(each, ast.stmt)]
    last = max(statement.lineno, min(inner) - 1) if inner else statement.end_lineno or statement.lineno
    return range(statement.lineno, last + 1)
