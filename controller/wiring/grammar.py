"""Which expressions a daemon can read."""

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.prometheus.promql import read
from rollbackd.adapters.prometheus.questions import is_vector


def why_no_promql(expression: str) -> str | None:
    """Why a daemon would not ask this for one value per workload; None where it would."""
    try:
        tree = read(expression)
    except Permanent as fault:
        return str(fault.__cause__ or fault)
    return None if is_vector(tree) else "it is no instant vector: give one value per workload"
