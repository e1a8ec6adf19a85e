"""Signals as written: what is measured."""

from typing import Annotated, Literal

from pydantic import Field

from rollbackd.policies.documents.base import HistogramText, LabelName, Name, SelectorText, Written


class RatioParts(Written):
    """Two counters: the bad events, and all of them."""

    bad: SelectorText = Field(description="The counter of bad events.")
    total: SelectorText = Field(description="The counter of all events.")


class RatioSignal(Written):
    """The share of bad events."""

    ratio: RatioParts = Field(description="The share of bad events among all.")


class LatencyParts(Written):
    """A histogram of durations."""

    histogram: HistogramText = Field(
        description="The histogram, without _bucket. Its name says its unit: milliseconds if it ends in _milliseconds or _ms, else seconds."
    )
    unit: Literal["seconds", "milliseconds"] | None = Field(None, description="The unit of the histogram's buckets, where its name does not say it.")


class LatencySignal(Written):
    """A quantile of a histogram, judged as the share of requests that are slower than the limit."""

    latency: LatencyParts = Field(description="The histogram of durations.")


class GaugeSignal(Written):
    """A value, or a value as a share of another."""

    gauge: SelectorText = Field(description="The gauge.")
    of: SelectorText | None = Field(None, description="What the gauge is a share of, series by series.")
    pick: Literal["max", "min", "sum", "avg", "second"] = Field(
        "max",
        description="Which one number stands for the workload's series; `second`: of several `per` the second-highest. Default max.",
    )
    per: LabelName | None = Field(None, description="The label that tells the units apart, such as pod; with `pick: second`.")


class CountSignal(Written):
    """The number of events in the window."""

    count: SelectorText = Field(description="The counter of events.")
    where: SelectorText | None = Field(
        None, description="Counts only series that have one of these above zero, equal in every label but those of its matchers."
    )


class RateSignal(Written):
    """Events per second over the window."""

    rate: SelectorText = Field(description="The counter of events.")


class TrafficSignal(Written):
    """Events as a share of what they were before the change."""

    traffic: SelectorText = Field(description="The counter of events.")


class VanishedSignal(Written):
    """Whether a metric that was there before the change is gone."""

    vanished: SelectorText = Field(description="The counter of events.")


class ProbeParts(Written):
    """A health check: one named in the daemon's config, or a port and path of the target's own endpoints."""

    name: Name | None = Field(None, description="A probe of the daemon's config.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="The port of the target's own endpoints.")
    path: Annotated[str, Field(pattern="^/[^ ]*$", max_length=1000)] | None = Field(
        None, description="The path to ask over HTTP; without it, a TCP connection is enough."
    )
