"""Which expressions a daemon can read."""

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.prometheus.promql import parse


def why_no_promql(expression: str) -> str | None:
    """Why a daemon would not ask this; None where it would."""
    try:
        parse(expression)
    except Permanent as fault:
        return str(fault.__cause__)
    return None
