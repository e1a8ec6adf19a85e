"""From selectors to CloudWatch's metrics: which series at which dimensions with which statistic, and what its silence means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Selector

Dimensions: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, sorted: CloudWatch has a series for each exact set of them."""
WORDS = frozenset({"namespace", "stat", "plus", "missing"})
"""The matchers of a selector that are no dimensions."""
PERCENT = Selector("percent")
"""What a metric in percent is a share of."""
SUM = "Sum"
AVERAGE = "Average"


@dataclass(frozen=True, slots=True)
class Metric:
    """One series as GetMetricData is asked for it: what is paid for."""

    namespace: str
    name: str
    dimensions: Dimensions
    stat: str


@dataclass(frozen=True, slots=True)
class Named:
    """A selector, read. ``names``: the metrics that are added up. ``is_zero_when_missing``: a period without a datapoint had no such event.

    ``stat`` None: the question's own.
    """

    namespace: str
    names: tuple[str, ...]
    dimensions: Mapping[str, str]
    stat: str | None
    is_zero_when_missing: bool

    def metrics(self, place: Mapping[str, str], stat: str) -> tuple[Metric, ...]:
        """The series of a workload that is found at ``place``."""
        dimensions = tuple(sorted({**self.dimensions, **place}.items()))
        return tuple(Metric(self.namespace, name, dimensions, stat) for name in self.names)


def named(selector: Selector) -> Named:
    """The selector, read. Raises Permanent for what CloudWatch cannot be asked."""
    said = {}
    for matcher in selector.matchers:
        if matcher.op != "=":
            raise Permanent(f"{selector.metric}: CloudWatch finds metrics by equal dimensions only; nothing was asked; write {matcher.label}=")
        said[matcher.label] = matcher.value
    if not said.get("namespace"):
        raise Permanent(
            f'{selector.metric}: in which namespace it is was not said; nothing was asked; write {selector.metric}{{namespace="AWS/..."}}'
        )
    plus = tuple(name.strip() for name in said["plus"].split(",")) if "plus" in said else ()
    dimensions = {label: value for label, value in said.items() if label not in WORDS}
    return Named(said["namespace"], (selector.metric, *plus), dimensions, said.get("stat"), said.get("missing") == "0")
