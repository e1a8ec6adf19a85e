"""What is measured: the signals of conditions, and how a workload shows up in them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher of a selector."""

    label: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric name with its matchers, as written or as the profile knows it."""

    metric: str
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Ratio:
    """Share of bad events: counters ``bad`` over ``total``. The limit is a fraction."""

    bad: Selector
    total: Selector


@dataclass(frozen=True, slots=True)
class Latency:
    """``quantile`` of a histogram above ``limit``, in the histogram's own unit; judged as a share: more than 1 - quantile were slower."""

    histogram: Selector
    quantile: float
    limit: float


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value, or a value as a fraction of ``of``; one number per workload by ``pick``.

    ``second``: the highest of the second-highest unit, which are told apart by the label ``per``; of a single unit, its own.
    """

    value: Selector
    of: Selector | None = None
    pick: Literal["max", "min", "sum", "avg", "second"] = "max"
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """Events within the condition's window. The limit is a number of events.

    ``where``: only of those series that have one of this selector above zero, equal in every label but those that it chooses by.
    """

    events: Selector
    where: Selector | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """Events per second over the condition's window."""

    events: Selector


@dataclass(frozen=True, slots=True)
class Probe:
    """Share of the endpoints that fail a health check: a probe ``name`` of the daemon's config, or ``port`` and ``path`` of the target's own."""

    name: str | None = None
    port: int | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class PromQL:
    """An expression as written: one series per workload, its value compared with the limit. Carries no statistical bound.

    ``reach``: how far back its ranges look.
    """

    expression: str
    reach: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class OfTarget:
    """What the target itself says, as its survey heard it; no metric source is asked. ``fact``: whether its rollout can complete."""

    fact: Literal["rollout"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Events within the condition's window as a share of what it had before the change and, where known, at this time a week ago."""

    events: Selector


@dataclass(frozen=True, slots=True)
class Vanished:
    """Whether the workload still has series of ``metric``, which it had before the change. There is no limit to it."""

    metric: Selector


Signal: TypeAlias = Ratio | Latency | Gauge | Count | Rate | Probe | PromQL | OfTarget | Traffic | Vanished


@dataclass(frozen=True, slots=True)
class Derived:
    """A label computed from another: ``label`` is group 1 of ``pattern`` on ``source``."""

    label: str
    source: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Identity:
    """How the watched workload shows up in a signal: label names, and this workload's values for them, in the same order."""

    labels: tuple[str, ...]
    values: tuple[str, ...]
    derived: Derived | None = None
