"""A part of a server, as though there were no other: what prom-label-proxy does for tenants, done by who asks."""

from collections.abc import Sequence

import promql_parser as parser

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Matcher
from rollbackd.adapters.prometheus import promql


def within(text: str, matchers: Sequence[Matcher]) -> str:
    """The expression with these matchers in each of its selectors, and otherwise unchanged. Raises Permanent."""
    if not matchers:
        return text

    def narrowed(node: parser.Expr) -> parser.Expr | None:
        return _narrowed(node, matchers) if isinstance(node, parser.VectorSelector) else None

    return parser.transform(promql.parse(text), post_visit=narrowed).prettify()


def _narrowed(node: parser.VectorSelector, matchers: Sequence[Matcher]) -> parser.Expr:
    plain, written = promql.rebuilt(node).prettify(), node.prettify()
    # What follows the matchers, an offset or an instant, is text here: the parser's trees cannot be built.
    if node.matchers.or_matchers or not written.startswith(plain):
        raise Permanent(f"a selector cannot be kept to a part of the server, so nothing was asked: write it without 'or': {written[:120]}")
    return promql.parse(promql.rebuilt(node, matchers).prettify() + written[len(plain) :])
