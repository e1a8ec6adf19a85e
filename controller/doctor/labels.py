"""Which labels a workload's series carry: an example of those that were found, and a guess at those that no profile knows."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rollbackd.adapters.base.source import Derived, Expression, Identity, Increases, Levels, Matcher, Query, RowKey, Selector, Slower

WORKLOAD_LABELS = (
    "service_name",
    "app",
    "app_kubernetes_io_name",
    "deployment",
    "job",
    "exported_job",
    "service",
    "exported_service",
    "ingress",
    "application",
    "container",
)
"""Where a workload's name is looked for, the most telling first."""
NAMESPACE_LABELS = ("k8s_namespace_name", "namespace", "exported_namespace", "kubernetes_namespace", "service_namespace")
LOOKED_THROUGH = 200
"""So many pods of a namespace are looked through for one of the workload."""

Labels: TypeAlias = Mapping[str, str]
Show: TypeAlias = Callable[[Selector, int], tuple[Labels, ...]]
"""The labels of up to so many series of a selector. Raises Transient or Permanent."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment and where it is."""

    namespace: str
    name: str


def main_selector(query: Query) -> Selector | None:
    """What the query counts or reads in the first place; None where that is not one metric."""
    match query:
        case Increases(parts=parts):
            return dict(parts).get("total", parts[0][1])
        case Slower(histogram=histogram):
            return Selector(f"{histogram.metric}_bucket", histogram.matchers)
        case Levels(value=value):
            return value
        case Expression():
            return None


def told_apart(identity: Identity, row: RowKey) -> Labels:
    """The labels as series carry them by which this workload is told apart; of a computed one, about what it is computed from."""
    derived = identity.derived
    pairs = zip(identity.labels, row, strict=True)
    return dict((derived.source, f"{value}-…") if derived and label == derived.label else (label, value) for label, value in pairs)


def telling_first(labels: Labels, identity: Identity) -> Labels:
    """The same labels, those that tell workloads apart before the others."""
    derived = identity.derived
    telling = [derived.source if derived and label == derived.label else label for label in identity.labels]
    return {name: labels[name] for name in dict.fromkeys((*telling, *labels)) if name in labels}


def example(show: Show, selector: Selector, identity: Identity, row: RowKey) -> Labels:
    """The labels of one of the workload's series; empty if none can be shown. Raises Transient or Permanent."""
    derived = identity.derived
    chosen = tuple(_matcher(label, value, derived) for label, value in zip(identity.labels, row, strict=True))
    shown = show(_with(selector, *chosen), 1 if derived is None else LOOKED_THROUGH)
    if derived is not None:
        name = row[identity.labels.index(derived.label)]
        shown = tuple(labels for labels in shown if _group(derived, labels) == name)
    return shown[0] if shown else {}


def _matcher(label: str, value: str, derived: Derived | None) -> Matcher:
    # Which pods are the workload's is decided below, by the pattern itself: this only keeps the answer small.
    return Matcher(derived.source, "=~", f"{re.escape(value)}-.+") if derived is not None and label == derived.label else Matcher(label, "=", value)


def _group(derived: Derived, labels: Labels) -> str | None:
    found = re.fullmatch(derived.pattern, labels.get(derived.source, ""))
    return found[1] if found else None


def guess(show: Show, selector: Selector, workload: Workload) -> Labels:
    """Labels by equality that lead to series which seem to be the workload's; empty if there are none. Raises Transient or Permanent."""
    return next(_guesses(show, selector, workload), {})


def _guesses(show: Show, selector: Selector, workload: Workload) -> Iterator[Labels]:
    values = (workload.name, f"{workload.namespace}/{workload.name}")
    for label in WORKLOAD_LABELS:
        for value in values:
            shown = show(_with(selector, Matcher(label, "=", value)), LOOKED_THROUGH)
            places = [name for name in NAMESPACE_LABELS for labels in shown if labels.get(name) == workload.namespace]
            if places:
                yield {label: value, places[0]: workload.namespace}
            elif shown and not any(name in labels for name in NAMESPACE_LABELS for labels in shown):
                yield {label: value}


def _with(selector: Selector, *matchers: Matcher) -> Selector:
    return Selector(selector.metric, (*selector.matchers, *matchers))
