"""Which expressions a daemon can read."""

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.prometheus.promql import patterns, read
from rollbackd.adapters.prometheus.questions import is_vector
from rollbackd.policies.text.regexes import foreign_to_re2


def why_no_promql(expression: str) -> str | None:
    """Why a daemon would not ask this for one value per workload, or Prometheus not answer; None where they would."""
    try:
        tree = read(expression)
    except Permanent as fault:
        return str(fault.__cause__ or fault)
    if not is_vector(tree):
        return "it is no instant vector: give one value per workload"
    return next(filter(None, map(_why_not_re2, patterns(tree))), None)


def _why_not_re2(pattern: str) -> str | None:
    # Whether it is a pattern at all has been judged by who read the tree.
    foreign = foreign_to_re2(pattern)
    return None if foreign is None else f"found {foreign} in {pattern[:60]!r}"
