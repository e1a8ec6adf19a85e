"""Who judges a service: rollbackd as it is shipped, and baselines by the rules of their own documentation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tests.bench.scorecard import kayenta
from tests.bench.scorecard.generator import ERRORS_PROMISED, SLOW_PROMISED, Service
from tests.bench.scorecard.seen import Grown, Seen

PROMISES, SILENCE, MEMORY, GAUGES = "promises", "silence", "memory", "gauges"
"""Our policies: what every service is promised, and one each for traffic that stops, for memory and for gauges."""


@dataclass(frozen=True, slots=True)
class Case:
    """One change to be judged: looked at each ``every`` seconds until ``watch`` seconds after it was ready. ``judged_by``: which of our policies."""

    service: Service
    every: float
    watch: float
    judged_by: str = PROMISES

    @property
    def ready(self) -> float:
        """When the change began to serve."""
        return self.service.ready_at or 0.0

    @property
    def end(self) -> float:
        """When its watch ends."""
        return self.ready + self.watch


@dataclass(frozen=True, slots=True)
class Finding:
    """The judge would have rolled back at this time; or, ``held``, would have and left it to people: ``suggested``, as a proposal to them."""

    at: float
    held: bool = False
    suggested: bool = False


Judge: TypeAlias = Callable[[Case], Finding | None]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A judge that others ship. ``source``: title and place of the page that its numbers are from; ``rule``: those numbers."""

    name: str
    rule: str
    source: str
    judge: Judge


WINDOW = 300.0


def _is_out(seen: Grown | None) -> bool:
    """As PromQL compares: nothing, and a share of nothing, is not above a limit."""
    return seen is not None and seen.total > 0 and (seen.bad > ERRORS_PROMISED * seen.total or seen.slow > SLOW_PROMISED * seen.total)


def threshold(case: Case) -> Finding | None:
    """The first look at which the share over five minutes is above the limit."""
    return _held_for(case, 0.0)


def for_2m(case: Case) -> Finding | None:
    """The first look at which it has been above the limit at each look for two minutes."""
    return _held_for(case, 120.0)


def _held_for(case: Case, length: float) -> Finding | None:
    seen, since, at = Seen(case.service), None, case.ready + case.every
    while at <= case.end:
        since = (at if since is None else since) if _is_out(seen.window(at, WINDOW)) else None
        if since is not None and at - since >= length:
            return Finding(at)
        at += case.every
    return None


def flagger(case: Case) -> Finding | None:
    """A check each minute over that minute; ten that fail roll back, ten that pass promote. No values: the check failed."""
    seen, failed, weight, at = Seen(case.service), 0, 0, case.ready + 60
    while at <= case.end and weight < 50:
        checked = seen.window(at, 60)
        if checked is None or not checked.total or _is_out(checked):
            failed += 1
        else:
            weight += 5
        if failed >= 10:
            return Finding(at)
        at += 60
    return None


def argo(case: Case) -> Finding | None:
    """A measurement each five minutes from the second weight on, of the last two scrapes; three that fail, or five errors in a row, abort."""
    seen, failed, errors, at = Seen(case.service), 0, 0, case.ready + 600
    while at <= min(case.end, case.ready + 2400):
        measured = seen.last_two(at, 300)
        errors = errors + 1 if measured is None else 0
        # 0/0 is NaN, and NaN >= 0.95 is false.
        failed += measured is not None and (not measured.total or _is_out(measured))
        if failed >= 3 or errors > 4:
            return Finding(at)
        at += 300
    return None


def rank_test(case: Case) -> Finding | None:
    """Each hour of the watch against the hour before the change, minute by minute."""
    seen, at = Seen(case.service), case.ready + 3600
    before = case.service.changed_at or 0.0
    while at <= case.end + 1:
        for what in ("bad", "slow"):
            control = kayenta.shares(seen, before - 3600, before, what)
            if kayenta.is_high(kayenta.shares(seen, at - 3600, at, what), control):
                return Finding(at)
        at += 3600
    return None


BASELINES: Mapping[str, Baseline] = {
    one.name: one
    for one in (
        Baseline(
            "bare threshold",
            "share over 5 m above the limit at one look",
            "Prometheus, “Query functions” (rate over [5m]), https://prometheus.io/docs/prometheus/latest/querying/functions/",
            threshold,
        ),
        Baseline(
            "for: 2m",
            "the same, at every look for 2 m",
            "Prometheus, “Alerting rules” (what for means; the 2 m are this scorecard's), "
            "https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/",
            for_2m,
        ),
        Baseline(
            "Flagger",
            "interval 1m, threshold 10, maxWeight 50, stepWeight 5, metrics over 1m; the analysis ends when the weight is reached",
            "Flagger, “How it works”, https://docs.flagger.app/usage/how-it-works",
            flagger,
        ),
        Baseline(
            "Argo Rollouts",
            "interval 5m, failureLimit 3 (“three such measurements”), consecutiveErrorLimit 4, irate, from the second weight at 10 m to 40 m",
            "Argo Rollouts, “Analysis & Progressive Delivery” (Background Analysis), "
            "https://argoproj.github.io/argo-rollouts/features/analysis/; the 4 from its issue 2771",
            argo,
        ),
        Baseline(
            "rank test",
            "Mann-Whitney U at 98 %, effect above a quarter of the estimate, minutes of an hour against those of the hour before",
            "Spinnaker, “How canary judgment works”, https://spinnaker.io/docs/guides/user/canary/judge/, "
            "and NetflixACAJudge.scala (tolerance 0.25, confLevel 0.98)",
            rank_test,
        ),
    )
}


def broken(case: Case) -> Finding | None:
    """Rolls back whatever comes, at once. What a test holds the scorecard against."""
    return Finding(case.ready + case.every)
