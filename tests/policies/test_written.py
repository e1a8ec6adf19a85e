"""Where a condition of a policy was written."""

from rollbackd.policies.load import load_policies
from rollbackd.policies.resolve.written import conditions_of

TEXT = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout}
spec:
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  match: {app: checkout}
  rollback_when:
    - use: standard
      with:
        p95-latency: {above: 3s}
    - all_of:
        - use: error-rate
          name: bad
        - at_least:
            count: 1
            of:
              - name: slow
                latency: {histogram: search_seconds}
                above: 800ms
"""


def places(part):
    found = {}
    for (policy, condition), written in conditions_of(TEXT, "f.yaml").items():
        assert policy == "checkout"
        findings = written.findings()
        findings.fault(getattr(written, part), "", "x")
        found[condition] = (findings.faults[0].line, findings.faults[0].column, findings.faults[0].trail)
    return found


def test_every_condition_is_found_where_it_was_written():
    in_set = (8, 7, "policy 'checkout' › rollback_when[0]")
    assert places("path") == {
        "error-rate": in_set,
        "p95-latency": in_set,
        "memory": in_set,
        "database-failures": in_set,
        "stuck-rollout": in_set,
        "restarts": in_set,
        "oom-kills": in_set,
        "bad": (12, 11, "policy 'checkout' › rollback_when[1] › all_of[0]"),
        "slow": (17, 17, "policy 'checkout' › rollback_when[1] › all_of[1] › at_least › of[0]"),
    }


def test_the_limit_of_a_condition_is_where_it_was_written_or_changed():
    found = places("limit")
    assert found["p95-latency"][:2] == (10, 30)
    assert found["slow"][:2] == (19, 24)
    assert found["error-rate"][:2] == (8, 7)


def test_every_condition_that_was_loaded_has_a_place():
    (policy,) = load_policies({"f.yaml": TEXT}).policies
    assert {(policy.name, condition.name) for condition in policy.conditions} == set(conditions_of(TEXT, "f.yaml"))
