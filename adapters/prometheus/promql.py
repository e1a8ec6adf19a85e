"""PromQL as syntax trees: selectors from plain values, templates that are filled in, text at the very end.

The tree types of promql-parser cannot be built, only parsed, and ``str`` of a changed tree does not escape. So text is escaped here, in one place,
parsed, compared with what was meant, and from then on only trees are combined; ``prettify`` of parsed trees escapes correctly.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from itertools import accumulate
from typing import Literal, TypeAlias

import promql_parser as parser

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Derived, Matcher, RowKey, Selector

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_STRINGS = re.compile(r""" "(?:[^"\\]|\\.)*+(?:"|\\?\Z) | '(?:[^'\\]|\\.)*+(?:'|\\?\Z) | `[^`]*` | [#][^\n\r]* """, re.VERBOSE | re.DOTALL)
"""Strings and comments: what stands in one of them begins no other. One that is left open goes on to the end, lest each of its quotes be tried."""
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
Op: TypeAlias = Literal["=", "!=", "=~", "!~"]
OPS: dict[Op, parser.MatchOp] = {"=": parser.MatchOp.Equal, "!=": parser.MatchOp.NotEqual, "=~": parser.MatchOp.Re, "!~": parser.MatchOp.NotRe}
_MATCHERS = re.compile(r"\{[^{}]*\}")
_OPERATORS = re.compile(r"==|!=|[<>]=?|[-+*/%^]|\b(?:and|or|unless|atan2)\b|\[[^\[\]]*:", re.IGNORECASE)
_BRACKETS = re.compile(r"[(\[]|[)\]]")
DEEPEST = 200
"""Parts of an expression within each other, at most, and as many operators: the parser ends the process where it runs out of stack.
That is at 4,000 operators in a thread of 8 MiB, at 250 in one of 512 KiB."""
LONGEST = 20_000
"""Characters: twice what a policy may hold, whose blanks are filled."""
RESTRICTED_ROWS = 50
"""Up to so many workloads are asked for by name; beyond, one question for all is cheaper, and the answer is sifted."""


def literal(text: str) -> str:
    """``text`` as a PromQL string."""
    return '"' + "".join(ESCAPES.get(char, char) for char in text) + '"'


def label(name: str) -> str:
    """``name``, proven to be a label name. Raises Permanent."""
    if not LABEL.fullmatch(name):
        raise Permanent(f"{name[:60]!r} is not a label name, so nothing was asked: correct the policy or the metric profile")
    return name


def labels(names: Iterable[str]) -> str:
    """The names as a grouping list. Raises Permanent."""
    return ", ".join(label(name) for name in names)


def duration(span: timedelta) -> str:
    """A positive span as PromQL, to the millisecond. Raises Permanent."""
    millis = round(span / timedelta(milliseconds=1))
    if millis <= 0:
        raise Permanent(f"a window of {span} cannot be asked for, so nothing was asked: give one that is longer than zero")
    return f"{millis}ms" if millis % 1000 else f"{millis // 1000}s"


def parse(promql: str) -> parser.Expr:
    """The syntax tree of an expression. Raises Permanent."""
    try:
        return parser.parse(promql)
    except ValueError as error:
        raise Permanent(f"not a PromQL expression ({error}), so nothing was asked: {promql[:120]}") from error


def read(written: str) -> parser.Expr:
    """The syntax tree of what a person wrote, no deeper than the parser, and whoever walks it, can follow. Raises Permanent."""
    meant = _without_raw_strings(written)
    if (why := _why_not_followed(meant)) is not None:
        raise _not_followed(why, written)
    tree = parse(meant)
    if not _fits(tree, DEEPEST):
        raise _not_followed(f"nested more than {DEEPEST} deep", written)
    return tree


def patterns(tree: parser.Expr) -> tuple[str, ...]:
    """The regular expressions of its selectors, and those by which it makes labels."""
    found: list[str] = []

    def note(node: parser.Expr) -> None:
        if isinstance(node, parser.VectorSelector):
            every = (node.matchers.matchers, *node.matchers.or_matchers)
            found.extend(one.value for some in every for one in some if op_of(one) in ("=~", "!~"))
        elif isinstance(node, parser.Call) and node.func.name == "label_replace" and isinstance(node.args[-1], parser.StringLiteral):
            found.append(node.args[-1].val)

    parser.walk(tree, pre_visit=note)
    return tuple(found)


def _not_followed(why: str, written: str) -> Permanent:
    return Permanent(f"not a PromQL expression that can be followed (it is {why}), so nothing was asked: {written[:120]}")


def _why_not_followed(promql: str) -> str | None:
    """What would be too much for the parser, asked of the text alone: no tree is deeper than its brackets and its operators together."""
    if len(promql) > LONGEST:
        return f"{len(promql)} characters long, at most {LONGEST} are read"
    bare = _MATCHERS.sub(" ", _STRINGS.sub(" ", promql))
    depths = accumulate(1 if bracket in "([" else -1 for bracket in _BRACKETS.findall(bare))
    operators = len(_OPERATORS.findall(bare))
    if max(depths, default=0) + operators > DEEPEST:
        return f"nested more than {DEEPEST} deep" + (f", where each of its {operators} operators counts" if operators else "")
    return None


def _fits(tree: parser.Expr, depth: int) -> bool:
    return depth > 0 and all(_fits(part, depth - 1) for part in _parts(tree))


def _parts(tree: parser.Expr) -> tuple[parser.Expr, ...]:
    match tree:
        case parser.BinaryExpr():
            return tree.lhs, tree.rhs
        case parser.AggregateExpr():
            return (tree.expr,) if tree.param is None else (tree.expr, tree.param)
        case parser.Call():
            return tuple(tree.args)
        case parser.ParenExpr() | parser.UnaryExpr() | parser.SubqueryExpr():
            return (tree.expr,)
    return ()


def _without_raw_strings(promql: str) -> str:
    """The same with every `raw string` in double quotes: the parser reads escapes in those too, which PromQL does not."""
    return _STRINGS.sub(lambda found: literal(found[0][1:-1]) if found[0].startswith("`") else found[0], promql)


def vector(selector: Selector, extra: Iterable[Matcher] = ()) -> parser.Expr:
    """The instant vector selector with exactly these matchers, whatever characters their values hold. Raises Permanent."""
    if not selector.metric:
        raise Permanent("a selector without a metric name would match everything, so nothing was asked: name the metric")
    return _written(selector.metric, (*selector.matchers, *extra))


def rebuilt(node: parser.VectorSelector, extra: Iterable[Matcher] = ()) -> parser.Expr:
    """A parsed selector without its offset and `@`, and with further matchers."""
    own = (Matcher(one.name, op_of(one), one.value) for one in node.matchers.matchers)
    return _written(node.name or "", (*own, *extra))


def op_of(matcher: parser.Matcher) -> Op:
    """The operator of a parsed matcher, as it is written."""
    return next(text for text, op in OPS.items() if op == matcher.op)


def _written(metric: str, matchers: tuple[Matcher, ...]) -> parser.Expr:
    plain = not metric or METRIC.fullmatch(metric) is not None
    meant = (*(() if plain else (Matcher("__name__", "=", metric),)), *matchers)
    inside = ",".join(f"{label(one.label)}{one.op}{literal(one.value)}" for one in meant)
    tree = parse(f"{metric if plain else ''}{{{inside}}}")
    # The parser's reading of our text is compared with what was meant, so that no value can become syntax.
    if isinstance(tree, parser.VectorSelector) and not tree.matchers.or_matchers:
        read = tuple(Matcher(one.name, op_of(one), one.value) for one in tree.matchers.matchers)
        if read == meant and tree.name == (metric or None if plain else None):
            return tree
    raise Permanent(f"the selector on {metric[:60]!r} does not survive being written as PromQL, so nothing was asked: change its matchers")


def fill(template: str, **trees: parser.Expr) -> parser.Expr:
    """The template with its placeholders, bare metric names in capitals, replaced by trees."""

    def replace(node: parser.Expr) -> parser.Expr | None:
        return trees.get(node.name) if isinstance(node, parser.VectorSelector) and node.name is not None else None

    return parser.transform(parse(template), post_visit=replace)


def derive(tree: parser.Expr, derived: Derived | None) -> parser.Expr:
    """``tree`` with the computed label put on each of its series. Raises Permanent."""
    if derived is None:
        return tree
    # Prometheus anchors the pattern itself.
    arguments = f"{literal(label(derived.label))}, {literal('$1')}, {literal(label(derived.source))}, {literal(derived.pattern)}"
    return fill(f"label_replace(TREE, {arguments})", TREE=tree)


def mark(tree: parser.Expr, name: str, value: str) -> parser.Expr:
    """``tree`` with the label ``name`` set to ``value`` on each of its series."""
    return fill(f"label_replace(TREE, {literal(label(name))}, {literal(value.replace('$', '$$'))}, {literal('')}, {literal('')})", TREE=tree)


def either(*trees: parser.Expr) -> parser.Expr:
    """One vector of all series of all trees, which must differ in a label."""
    first, *others = trees
    for other in others:
        first = fill("LEFT or RIGHT", LEFT=first, RIGHT=other)
    return first


def restriction(names: tuple[str, ...], only: Collection[RowKey], derived: Derived | None) -> tuple[Matcher, ...]:
    """Matchers that every series of the workloads in ``only`` passes: by name while they are few, and the pattern of a computed label."""
    matching = () if derived is None else (Matcher(derived.source, "=~", derived.pattern),)
    if len(only) > RESTRICTED_ROWS:
        return matching
    raw = [(index, name) for index, name in enumerate(names) if derived is None or name != derived.label]
    return (*matching, *(one_of(name, sorted({key[index] for key in only})) for index, name in raw))


def one_of(name: str, values: Sequence[str]) -> Matcher:
    """The label has one of these values."""
    if len(values) == 1:
        return Matcher(name, "=", values[0])
    return Matcher(name, "=~", "|".join(re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", value) for value in values))
