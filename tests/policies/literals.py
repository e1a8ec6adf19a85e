"""A policy and its world as literals, for tests that change one thing at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rollbackd.policies.decide.decisions import Decision
from rollbackd.policies.decide.evaluate import Evaluation, evaluate
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import Applied, IncidentEvent, Intended, Opened, Settled
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.watch import Watch, new_watch
from rollbackd.policies.model.policy import Condition, FlagsRung, For, Leaf, Limit, Mode, OnNoData, OutsideWatch, Policy, RevertRung, Timing
from rollbackd.policies.model.readings import Counts, Lack, Level, Reading, Unknown
from rollbackd.policies.model.signals import Gauge, Identity, Ratio, Selector

T0 = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EVERY = 15 * SECOND
TARGET = "kubernetes:default/shop/deployment/checkout"
FLAGS = "flagd:shop/tag:checkout"

ERRORS = Condition(
    name="error-rate",
    signal=Ratio(Selector("http_requests_total"), Selector("http_requests_total")),
    limit=Limit(high=0.05, unit="%"),
    confirm=For(timedelta(0)),
    identity=Identity(("app",), ("checkout",)),
    window=5 * MINUTE,
    min_volume=50,
    on_no_data=OnNoData.UNPROVEN,
    mode=Mode.AUTO,
    from_library=True,
)
MEMORY = replace(ERRORS, name="memory", signal=Gauge(Selector("memory"), Selector("limit")), limit=Limit(high=0.95, unit="%"), min_volume=0)

POLICY = Policy(
    name="checkout",
    file="checkout.yaml",
    digest="d1",
    labels=(),
    mode=Mode.AUTO,
    target=TARGET,
    source="prometheus",
    every=EVERY,
    watch=HOUR,
    outside_watch=OutsideWatch.PAGE,
    timing=Timing(),
    conditions=(ERRORS,),
    trigger=Leaf(0),
    ladder=(FlagsRung(FLAGS), RevertRung(TARGET)),
    notify=("oncall",),
)
RELEASE = Change(
    target=TARGET,
    id="uid:7",
    revision="bad7",
    predecessor="good6",
    started_early=T0,
    started_late=T0,
    first_seen=T0,
    ready=T0,
)
FLIP = Change(
    target=FLAGS, id="f2@x", revision="f2", predecessor="f1", started_early=T0 - EVERY, started_late=T0, first_seen=T0, parts=("new-checkout",)
)
CALM = Fleet(revisions={TARGET: "bad7", FLAGS: "f2"}, watched=10)


def counts(at: datetime, bad: float, total: float, block: timedelta = MINUTE) -> Counts:
    return Counts(at - block, at, bad, bad, total, at)


def bad(at: datetime) -> Counts:
    """A tenth of the requests of the last minute failed."""
    return counts(at, 60, 600)


def good(at: datetime) -> Counts:
    """None did."""
    return counts(at, 0, 600)


def level(at: datetime, value: float) -> Level:
    return Level(at, value, at)


def no_data(at: datetime) -> Unknown:
    return Unknown(at, Lack.NODATA, "no series for this workload")


def run(
    policy: Policy,
    readings: dict[datetime, Reading],
    *,
    changes: tuple[Change, ...] = (RELEASE,),
    fleet: Fleet = CALM,
    incident: Incident | None = None,
    watch: Watch | None = None,
) -> Evaluation:
    """The last slot's evaluation after all slots in order. No decision is carried out in between."""
    result = None
    for at, reading in sorted(readings.items()):
        result = evaluate(policy, result.watch if result else watch or new_watch(policy), incident, (reading,), changes, fleet, at)
    assert result is not None
    return result


def slots(start: datetime, end: datetime, every: timedelta = EVERY) -> list[datetime]:
    return [start + i * every for i in range(int((end - start) / every) + 1)]


def kinds(decisions: tuple[Decision, ...]) -> list[str]:
    return [type(decision).__name__ for decision in decisions]


def only(decisions: tuple[Decision, ...], kind: type) -> Decision:
    (found,) = [decision for decision in decisions if isinstance(decision, kind)]
    return found


OPENED = Opened(
    incident="inc-1",
    at=T0 + 5 * MINUTE,
    target=TARGET,
    policy="checkout",
    policy_digest="d1",
    change_id="uid:7",
    revision="bad7",
    suspects=("uid:7",),
    condition="error-rate",
    mode=Mode.AUTO,
    onset=T0 + 4 * MINUTE,
    reason="error-rate 60/600",
    evidence_digest="e",
)


def intended(rung: int = 1, at: datetime = T0 + 5 * MINUTE, target: str = TARGET) -> Intended:
    return Intended(
        incident="inc-1",
        at=at,
        rung=rung,
        target=target,
        from_revision="bad7",
        to_revision="good6",
        plan_digest="p",
        evidence_digest="e",
        deadline=at + 30 * SECOND,
        summary="put back good6",
    )


def verifying(evidence_from: datetime = T0 + 6 * MINUTE, rung: int = 1, *more: IncidentEvent) -> Incident:
    """An incident whose rung has settled and is being measured."""
    applied = Applied("inc-1", T0 + 5 * MINUTE, rung, TARGET, "accepted")
    settled = Settled("inc-1", evidence_from, rung, TARGET, evidence_from, "complete")
    return fold((OPENED, intended(rung), applied, settled, *more))
