"""A policy and a test of it as files, for tests that change one thing at a time."""

import json
from pathlib import Path

from rollbackd.controller.policytest.cases import Case
from rollbackd.controller.policytest.load import load_tests
from rollbackd.controller.policytest.looks import Look
from rollbackd.controller.policytest.run import Outcome, run

POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout}
spec:
  mode: auto
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  metrics: custom
  match: {app: checkout}
  rollback_when:
    - name: error-rate
      ratio: {bad: 'http_requests_total{code=~"5.."}', total: http_requests_total}
      above: 5%
      for: 1m
  remedy:
    - revert: {to: known-good}
  notify: [oncall]
"""
FLEET = (
    POLICY.replace("metadata: {name: checkout}", "metadata: {name: web}")
    .replace(
        "  target: {kubernetes: {namespace: shop, deployment: checkout}}", '  select: {kubernetes: {labels: {rollback: "on"}}, expect: {max: 9}}'
    )
    .replace("match: {app: checkout}", "join: {app: $name}")
)
GOOD = 'http_requests_total{app="checkout", code="200"}'
BAD = 'http_requests_total{app="checkout", code="500"}'
# Served from 5 m on, bad until it is put back at 7 m 30 s.
SERIES = [{"series": GOOD, "values": "0+100x80"}, {"series": BAD, "values": "0x20 20+20x9 200x49"}]
CHANGES = [{"at": "5m", "revision": "v2", "ready": "5m30s"}]


def write(folder: Path, *tests: object, policy: str = POLICY, policies: object = ("checkout.yaml",), name: str = "checkout.test.yaml") -> Path:
    """The policy and a file with these tests, in ``folder``; the file of tests."""
    (folder / "checkout.yaml").write_text(policy)
    document = {"apiVersion": "rollbackd/v1", "kind": "PolicyTest", "policies": list(policies), "tests": list(tests)}  # type: ignore[call-overload]
    file = folder / name
    file.write_text(json.dumps(document, indent=2))  # which is YAML
    return file


def written(*expect: object, **parts: object) -> dict[str, object]:
    """One written test: a release that goes bad, and ``parts`` instead of its own."""
    return {"name": "one", "series": SERIES, "changes": CHANGES, "known_good": ["v1"], "expect": list(expect)} | parts


def case_in(folder: Path, test: object, policy: str = POLICY) -> Case:
    """The only case of the file, which has no fault."""
    loaded = load_tests([write(folder, test, policy=policy)])
    assert [str(fault) for fault in loaded.faults] == []
    (case,) = loaded.cases
    return case


def outcome_in(folder: Path, test: object, policy: str = POLICY) -> Outcome:
    """What it comes to."""
    return run(case_in(folder, test, policy))


def at(outcome: Outcome, minutes: float) -> Look:
    """The look at this time."""
    (look,) = [look for look in outcome.looks if look.at.total_seconds() == minutes * 60]
    return look


def faults_in(folder: Path, *tests: object, **parts: object) -> list[str]:
    """Every fault of the file, without its folder."""
    loaded = load_tests([write(folder, *tests, **parts)])  # type: ignore[arg-type]
    return [str(fault).removeprefix(f"{folder}/") for fault in (*loaded.faults, *loaded.warnings)]
