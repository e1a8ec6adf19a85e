"""Whether matchers on a workload's labels may be pushed down into an expression without changing what it says of that workload."""

import re

import promql_parser as parser

# Functions that work on each series by itself and keep its labels. What is not listed is not assumed.
SERIES_BY_SERIES = re.compile(
    r"(?!absent)[a-z]+_over_time|a?(sin|cos|tan)h?|abs|ceil|changes|clamp(_max|_min)?|deg|i?delta|deriv|exp|floor|histogram_quantile|holt_winters"
    r"|increase|i?rate|ln|log10|log2|predict_linear|rad|resets|round|sgn|sort|sort_desc|sqrt|timestamp"
)
WITHIN_GROUPS = re.compile(r"avg|bottomk|count|group|max|min|quantile|stddev|stdvar|sum|topk")


def is_separable(tree: parser.Expr, labels: frozenset[str]) -> bool:
    """Each series of the result depends only on input series with the same values of ``labels``."""
    match tree:
        case parser.NumberLiteral() | parser.StringLiteral():
            return True
        case parser.VectorSelector():
            return not tree.matchers.or_matchers and tree.offset is None and tree.at is None
        case parser.MatrixSelector():
            return is_separable(tree.vector_selector, labels)
        case parser.SubqueryExpr() | parser.ParenExpr() | parser.UnaryExpr():
            return is_separable(tree.expr, labels)
        case parser.Call():
            return SERIES_BY_SERIES.fullmatch(tree.func.name) is not None and all(is_separable(one, labels) for one in tree.args)
        case parser.AggregateExpr():
            return _groups_keep(tree, labels) and is_separable(tree.expr, labels)
        case parser.BinaryExpr():
            return _join_keeps(tree, labels) and is_separable(tree.lhs, labels) and is_separable(tree.rhs, labels)
    return False


def _groups_keep(tree: parser.AggregateExpr, labels: frozenset[str]) -> bool:
    plain = tree.param is None or isinstance(tree.param, parser.NumberLiteral)
    if not WITHIN_GROUPS.fullmatch(str(tree.op)) or not plain or tree.modifier is None:
        return False
    named = frozenset(tree.modifier.labels)
    return labels <= named if tree.modifier.type == parser.AggModifierType.By else not labels & named


def _join_keeps(tree: parser.BinaryExpr, labels: frozenset[str]) -> bool:
    if tree.modifier is None or tree.modifier.matching is None:
        return True
    if labels & frozenset(tree.modifier.group_labels or ()):
        return False
    named = frozenset(tree.modifier.matching.labels)
    return labels <= named if tree.modifier.matching.type == parser.LabelModifierType.Include else not labels & named
