"""What deciding a fleet costs: 10,000 policies of four bounded conditions in the middle of a watch, one slot, one core."""

import time
from datetime import timedelta

from rollbackd.policies.decide.evaluate import decide, evaluate
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.watch import Watch, new_watch, take
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Counts
from tests.bench.figures import Figure
from tests.policies.literals import T0

POLICIES = 10_000
MINUTE = timedelta(minutes=1)
SLOTS = 50
POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: shop}
spec:
  mode: auto
  target: {kubernetes: {namespace: shop, deployment: shop}}
  metrics: custom
  match: {app: shop}
  every: 1m
  rollback_when:
    - {name: a, ratio: {bad: a_failed, total: a}, above: 5%, for: 1h}
    - {name: b, ratio: {bad: b_failed, total: b}, above: 5%, for: 1h}
    - {name: c, ratio: {bad: c_failed, total: c}, above: 5%, for: 1h}
    - {name: d, ratio: {bad: d_failed, total: d}, above: 5%, for: 1h}
  remedy:
    - revert: {to: known-good}
  notify: [oncall]
"""
SHARES = {"all is well (1 %)": 0.01, "all just above the limit (5.1 %)": 0.051, "all far above it (20 %)": 0.2}


def figures(count: int = POLICIES) -> list[Figure]:
    """Judging and deciding one slot in which a block ends for every condition, by how the fleet fares."""
    return [Figure(f"step, {4 * count:,} conditions: {name}", seconds(share, count), "s of CPU", 1.0) for name, share in SHARES.items()]


def seconds(share: float, count: int) -> float:
    """Seconds of one core for ``count`` such policies. One watch stands for all: they cost the same."""
    (policy,) = load_policies({"shop.yaml": POLICY}).policies
    release = Change(policy.target, "c1", "v2", None, T0, T0, T0, ready=T0)
    watch = _watched(policy, release, share)
    at = T0 + (SLOTS + 1) * MINUTE
    before = take(policy, watch, _counts(share, SLOTS + 1))
    began = time.process_time()
    for _ in range(count):
        decide(policy, before, None, (release,), Fleet(), at)
    return time.process_time() - began


def _watched(policy: Policy, release: Change, share: float) -> Watch:
    watch = new_watch(policy)
    for slot in range(1, SLOTS + 1):
        watch = evaluate(policy, watch, None, _counts(share, slot), (release,), Fleet(), T0 + slot * MINUTE).watch
    return watch


def _counts(share: float, slot: int) -> tuple[Counts, ...]:
    at = T0 + slot * MINUTE
    return (Counts(at - MINUTE, at, 600 * share, 600 * share, 600.0, at),) * 4
