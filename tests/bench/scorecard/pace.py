"""How long the deciding of a whole fleet takes: what ``python -m tests.bench step`` measures, by the same names, as lines of the scorecard."""

from collections.abc import Sequence

from tests.bench import figures as bench
from tests.bench import step
from tests.bench.scorecard.rates import Estimate
from tests.bench.scorecard.reach import NOT_YET, Figure


def figures(count: int = step.POLICIES) -> list[Figure]:
    """A line for each way a fleet of so many policies may fare, measured now."""
    return lines(step.figures(count))


def lines(measured: Sequence[bench.Figure]) -> list[Figure]:
    """The bench's figures, each with its budget as the target."""
    return [Figure(one.what, one.budget, True, one.unit, _once(one.value), NOT_YET) for one in measured if one.budget is not None]


def _once(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(value, value, value, 1)
