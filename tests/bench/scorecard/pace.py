"""How long the deciding of a whole fleet takes: `step` alone, on what is read and judged already."""

import time
from datetime import timedelta

from rollbackd.policies.decide.evaluate import evaluate
from rollbackd.policies.decide.step import step
from rollbackd.policies.known.fleet import Fleet
from rollbackd.policies.known.watch import new_watch
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.readings import Counts
from tests.bench.scorecard.shipped import START

CONDITIONS = 4
POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: shop}
spec:
  mode: auto
  target: {kubernetes: {namespace: shop, deployment: shop}}
  metrics: custom
  match: {app: shop}
  rollback_when:
    - {name: a, ratio: {bad: a_failed, total: a}, above: 5%}
    - {name: b, ratio: {bad: b_failed, total: b}, above: 5%}
    - {name: c, ratio: {bad: c_failed, total: c}, above: 5%}
    - {name: d, ratio: {bad: d_failed, total: d}, above: 5%}
  remedy:
    - revert: {to: known-good}
  notify: [oncall]
"""


def step_seconds(conditions: int = 40_000) -> float:
    """Seconds of one core for the decisions of one slot, in a fleet of so many conditions in which all is well."""
    (policy,) = load_policies({"shop.yaml": POLICY}).policies
    minute = timedelta(minutes=1)
    read = (Counts(START - minute, START, 2, 2, 200, START),) * CONDITIONS
    judged = [evaluate(policy, new_watch(policy), None, read, (), Fleet(), START) for _ in range(conditions // CONDITIONS)]
    began = time.process_time()
    for one in judged:
        step(policy, one.watch, None, one.verdicts, (), Fleet(), START + policy.every)
    return time.process_time() - began
