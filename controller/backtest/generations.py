"""Changes from the cluster's own account in Prometheus: kube-state-metrics counts the generations of each Deployment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rollbackd.adapters.base.source import Answer, Identity, Levels, Row, Selector, Source
from rollbackd.controller.backtest.cases import GivenChange

METRIC = "kube_deployment_status_observed_generation"
STEP = timedelta(seconds=30)
"""How far apart the looks are: as often as kube-state-metrics is usually scraped. What a look shows says when it was scraped."""
LABELS = ("namespace", "deployment")


def changes_in(source: Source, targets: Sequence[str], since: datetime, until: datetime) -> tuple[GivenChange, ...]:
    """Each new generation of the Deployments among ``targets``: it came after the last scrape of the one before, and by its own first scrape.

    A generation is new with every change of the spec, so that scaling by hand counts too. Raises Transient or Permanent.
    """
    rows = {target: row for target in targets if (row := _row(target)) is not None}
    if not rows:
        return ()
    instants = [since + index * STEP for index in range((until - since) // STEP + 1)]
    answers = source.read_history(Levels(Selector(METRIC), None, "max", Identity(LABELS), frozenset(rows.values())), instants)
    found = sorted((one for target, row in rows.items() for one in _changes(target, row, answers)), key=lambda one: (one.at, one.target))
    return tuple(replace(one, number=number) for number, one in enumerate(found, 1))


def _row(target: str) -> tuple[str, str] | None:
    kind, _, rest = target.partition(":")
    parts = rest.split("/")
    return (parts[1], parts[3]) if kind == "kubernetes" and len(parts) == 4 else None


def _changes(target: str, row: tuple[str, str], answers: Mapping[datetime, Answer]) -> Iterator[GivenChange]:
    last: Row | None = None
    for at in sorted(answers):
        found = answers[at].rows.get(row)
        if found is None or "value" not in found.values:
            continue  # a hole in the history is no change
        generation = found.values["value"]
        if last is not None and generation != last.values["value"]:
            yield GivenChange(0, target, found.newest, revision=f"generation {generation:g}", early=last.newest)
        last = found
