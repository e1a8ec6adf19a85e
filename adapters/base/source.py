"""What a metric source is asked and what it answers. Names, matchers, windows and numbers only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeAlias, runtime_checkable

RowKey: TypeAlias = tuple[str, ...]
"""The values of ``Identity.labels``, in that order: one workload."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher. Values are plain text; escaping is the source's business."""

    label: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and its label matchers."""

    metric: str
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Derived:
    """A label that is computed: ``label`` becomes group 1 of ``pattern`` (RE2, anchored) on the label ``source``."""

    label: str
    source: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Identity:
    """How a workload shows up as labels. An answer has one row for each combination of ``labels``."""

    labels: tuple[str, ...]
    derived: Derived | None = None


@dataclass(frozen=True, slots=True)
class Increases:
    """How much each part's counters grew over the ``window`` that ends at the asked time, summed per workload.

    Row values: one number per part, under the part's name. A part without any series is missing from the row.
    ``where``: a series that has none of this selector above zero at the asked time, equal in every label but those of its matchers, grew by 0.
    """

    parts: tuple[tuple[str, Selector], ...]
    window: timedelta
    identity: Identity
    only: frozenset[RowKey]
    where: Selector | None = None


@dataclass(frozen=True, slots=True)
class Slower:
    """How many observations of a histogram were above ``limit`` in the ``window``, bracketed by its buckets. All in the histogram's unit.

    Row values: ``total``; ``most`` = observations above the nearest bound at or below the limit; ``least`` = those above
    the nearest bound at or above it; ``low`` and ``high`` = the two bounds, of those that all its series have (equal where
    a bucket ends at the limit, ``high`` is inf where the limit lies beyond the largest finite bound, and then ``least`` is 0).
    The truth lies in [least, most].
    """

    histogram: Selector
    limit: float
    window: timedelta
    identity: Identity
    only: frozenset[RowKey]


@dataclass(frozen=True, slots=True)
class Levels:
    """A gauge now, or the gauge divided by ``of`` series by series (joined on every label both sides share), reduced by ``pick`` per workload.

    ``second``: of the highest of each ``per`` the second highest, or the only one.
    Row values: ``value``, and with ``per`` the number of its values as ``units``. Series of pods that are gone take no part, as far as the source can
    tell; ``silent``: all take part that it still knows, for a limit from below, where a part of the pods would look like a fall.
    """

    value: Selector
    of: Selector | None
    pick: Literal["max", "min", "sum", "avg", "second"]
    identity: Identity
    only: frozenset[RowKey]
    per: str | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Expression:
    """A PromQL expression, evaluated as written, one row per series. Row values: ``value``.

    Two series for one workload are a fault of that workload, never a guess.
    """

    promql: str
    identity: Identity
    only: frozenset[RowKey]


Query: TypeAlias = Increases | Slower | Levels | Expression


@dataclass(frozen=True, slots=True)
class Row:
    """What one workload's series said. ``newest`` is the time of the newest sample that took part.

    ``counted``: over what stretch of time, where the source counts in periods of its own; None: over the asked window.
    """

    values: Mapping[str, float]
    newest: datetime
    counted: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query. A workload without series has no row. ``faults`` names workloads whose series cannot be trusted, and why.

    ``known_parts``: the parts for which any series exists in the answer, for any workload.
    A partial answer never arrives as an Answer: it is raised as Transient.
    """

    rows: Mapping[RowKey, Row]
    faults: Mapping[RowKey, str] = field(default_factory=dict)
    known_parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Buckets:
    """The finite bounds that all series of a workload's histogram have, smallest first; ``is_mixed``: some series have others too."""

    shared: tuple[float, ...]
    is_mixed: bool


class Source(Protocol):
    """A metric source. Every method is safe to call from several threads."""

    name: str
    delay: timedelta
    """How long after a moment its samples can be trusted to have arrived; questions are asked for ``slot - delay``."""
    freshness: timedelta
    """Samples older than this at the asked time are stale (two scrapes and ten seconds)."""

    def block(self, every: timedelta) -> timedelta:
        """The shortest window over which an increase can be trusted, as a whole multiple of ``every``."""
        ...

    def read(self, query: Query, at: datetime) -> Answer:
        """The answer as of ``at``, from one atomic read. Raises Transient or Permanent, never a half answer."""
        ...

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        """The answers that ``read`` would have given at past, evenly spaced instants; empty where the source keeps no history."""
        ...


@runtime_checkable
class MeteredSource(Source, Protocol):
    """A source that costs money by the question."""

    @property
    def asked(self) -> int:
        """How many requests for metrics were sent so far."""
        ...

    @property
    def metrics_asked(self) -> int:
        """How many metrics they asked for."""
        ...
