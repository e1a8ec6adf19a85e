"""Policy tests of two sides: new pods beside old ones, told apart as a change of the test says."""

import pytest

from rollbackd.controller.policytest.load import load_tests
from tests.controller.policytest_samples import POLICY, at, faults_in, outcome_in, written

OF_OLD = POLICY.replace("above: 5%", "above: {of_old: 300%, at_least: 1%}")
OLD, NEW = "checkout-5d4f8c7b9", "checkout-6f7c9d8b4"
SIDES = {"new": NEW, "old": [OLD]}
LADDER = POLICY.replace("    - revert:", "    - revert: {target: {kubernetes: {namespace: shop, deployment: cart}}}\n    - revert:")
RATIO = "ratio: {bad: 'http_requests_total{code=~\"5..\"}', total: http_requests_total}"
GAUGES = POLICY.replace(RATIO, "gauge: http_requests_total").replace("5%", "5")
COMMAND = POLICY.replace("{kubernetes: {namespace: shop, deployment: checkout}}", "{command: {name: checkout}}").replace("revert: {", "revert: {", 1)


def pod(replicaset, good, bad):
    series = f'http_requests_total{{app="checkout", pod="{replicaset}-x2k9p", code="%s"}}'
    return [{"series": series % code, "values": values} for code, values in (("200", good), ("500", bad))]


def served(old_bad, new_bad):
    """Old pods serve all along and new ones from 5 min on; from then on so many of a hundred requests of each are bad."""
    old = pod(OLD, f"0+100x20 {2100 - old_bad}+{100 - old_bad}x60", f"0x20 {old_bad}+{old_bad}x60")
    return old + pod(NEW, f"_x20 0+{100 - new_bad}x60", f"_x20 0+{new_bad}x60")


def change(**parts):
    """A change with sides; of what is None here it says nothing."""
    return {key: value for key, value in ({"at": "5m", "revision": "v2", "sides": SIDES} | parts).items() if value is not None}


def outcome_of(folder, policy, *expect, series, **parts):
    return outcome_in(folder, written(*expect, series=series, changes=[change(**parts)]), policy)


def failures(outcome):
    return [str(mismatch) for mismatch in outcome.mismatches]


# --- what is judged and decided -------------------------------------------------------------------------------------------------------------


def test_where_the_old_pods_are_as_bad_nothing_is_rolled_back_and_the_reason_has_both_counts(tmp_path):
    expect = {"at": "15m", "verdicts": {"error-rate": "ok"}, "decision": "nothing"}
    outcome = outcome_of(tmp_path, POLICY, expect, series=served(20, 20))
    assert failures(outcome) == []
    assert at(outcome, 15).reasons[0].endswith("worse than the old pods: 1.3 times at most 22.1 %, as 800/4,000 = 20 % beside are beyond 5 % as well")


def test_the_same_without_sides_is_judged_as_before(tmp_path):
    assert failures(outcome_of(tmp_path, POLICY, {"at": "7m", "decision": "rollback"}, series=served(20, 20), sides=None)) == []


def test_new_pods_that_are_worse_than_a_limit_of_the_old_ones_are_put_back(tmp_path):
    expect = [
        {"at": "5m", "verdicts": {"error-rate": "unproven"}, "decision": "nothing"},
        {
            "at": "7m",
            "decision": "rollback",
            "remedy": "revert",
            "to": "v1",
            "reason_contains": "error-rate 160/800 = 20 % > 6 %, 300 % of 16/800 = 2 % of the old pods beside",
        },
    ]
    outcome = outcome_of(tmp_path, OF_OLD, *expect, series=served(2, 20))
    assert failures(outcome) == []


def test_recovery_from_a_limit_of_the_old_pods_is_what_stays_below_the_fixed_limit(tmp_path):
    again = pod(OLD, "0+100x20 2098+98x12 3276+100x60", "0x20 2+2x12 26x60")
    series = again + pod(NEW, "_x20 0+80x12 stale", "_x20 0+20x12 stale")
    assert failures(outcome_of(tmp_path, OF_OLD, {"at": "7m", "decision": "rollback"}, {"at": "18m", "decision": "recovered"}, series=series)) == []


@pytest.mark.parametrize(
    ("series", "parts"),
    [
        pytest.param(served(20, 20), {}, id="both-alike"),
        pytest.param(served(2, 20), {"sides": None}, id="nothing-is-said-of-sides"),
        pytest.param(served(2, 20), {"ready": "14m45s"}, id="the-new-pods-are-hardly-ready"),
        pytest.param(pod(OLD, "0+100x19 stale", "0x19 stale") + served(2, 20)[2:], {}, id="the-old-pods-are-gone"),
    ],
)
def test_a_limit_of_the_old_pods_that_is_not_proven_rolls_nothing_back(tmp_path, series, parts):
    assert failures(outcome_of(tmp_path, OF_OLD, {"at": "15m", "decision": "nothing"}, series=series, **parts)) == []


def test_a_limit_of_the_old_pods_is_about_the_new_ones_alone(tmp_path):
    outcome = outcome_of(tmp_path, OF_OLD, {"at": "6m15s", "decision": "nothing"}, series=served(2, 20))
    assert at(outcome, 6.25).reasons[0].startswith("error-rate 100/500 = 20 %")


def test_once_put_back_nothing_is_told_apart(tmp_path):
    outcome = outcome_of(tmp_path, OF_OLD, {"at": "8m", "decision": "rollback"}, series=served(2, 20))
    assert at(outcome, 8).reasons[0].startswith("error-rate 88/800 = 11 %")


def test_a_newer_change_that_says_nothing_of_sides_has_none(tmp_path):
    changes = [change(), {"at": "5m15s", "revision": "v3"}]
    assert failures(outcome_in(tmp_path, written({"at": "15m", "decision": "nothing"}, series=served(2, 20), changes=changes), OF_OLD)) == []


def test_a_posted_change_takes_no_pod_away(tmp_path):
    changes = [change(), {"at": "5m15s", "revision": "db", "posted": True}]
    expect = {"at": "15m", "verdicts": {"error-rate": "breach"}, "decision": "held", "guard": "suspects"}
    assert failures(outcome_in(tmp_path, written(expect, series=served(2, 20), changes=changes), OF_OLD)) == []


# --- what may be written --------------------------------------------------------------------------------------------------------------------


def faults_of(folder, policy=POLICY, series=None, **parts):
    test = written({"at": "6m", "decision": "nothing"}, series=served(20, 20) if series is None else series, changes=[change(**parts)])
    return [fault.partition("changes[0] › ")[2] for fault in faults_in(folder, test, policy=policy)]


@pytest.mark.parametrize(
    ("parts", "policy", "fault"),
    [
        pytest.param(
            {"target": "shop/cart"},
            LADDER,
            "sides: expected no 'sides' of kubernetes:default/shop/deployment/cart, found some; only pods of a watched Deployment are told apart",
            id="another-target-of-the-ladder",
        ),
        pytest.param(
            {},
            COMMAND,
            "sides: expected no 'sides' of command:checkout, found some; only pods of a watched Deployment are told apart",
            id="a-target-without-pods",
        ),
        pytest.param(
            {},
            GAUGES,
            "sides: expected no 'sides' of policy 'checkout', found some; it has no condition about shares, and only shares are told apart",
            id="nothing-about-shares",
        ),
        pytest.param({"posted": True}, POLICY, "sides: expected no 'sides' of a change that is posted, found some; it brings no pods", id="posted"),
        pytest.param(
            {"ready": "never"},
            POLICY,
            "sides: expected no 'sides' of a change that is never ready, found some; the old pods serve alone, so nothing is compared",
            id="never-ready",
        ),
        pytest.param(
            {"sides": {"new": NEW, "old": [OLD, OLD]}},
            POLICY,
            f"sides › old[1]: expected each ReplicaSet once, found '{OLD}' again",
            id="a-replicaset-twice",
        ),
        pytest.param(
            {"sides": {"new": NEW, "old": [OLD, NEW]}},
            POLICY,
            f"sides › old[1]: expected each ReplicaSet once, found '{NEW}' again",
            id="both-new-and-old",
        ),
        pytest.param({"sides": {"new": NEW}}, POLICY, "sides: expected the key 'old', found none", id="new-ones-alone"),
        pytest.param({"sides": {"new": NEW, "old": []}}, POLICY, "sides › old: expected at least one item, found an empty list", id="no-old-ones"),
        pytest.param(
            {"sides": {"new": "v2!", "old": [OLD]}},
            POLICY,
            "sides › new: expected a Kubernetes object name of a-z, 0-9, '-' and '.', found 'v2!'",
            id="no-name",
        ),
        pytest.param(
            {"sides": {"new": f"{NEW}-x2k9p", "old": [OLD]}},
            POLICY,
            f"sides › new: no series is of a pod of ReplicaSet '{NEW}-x2k9p': nothing is compared with it; did you mean '{NEW}'? known: {OLD}, {NEW}",
            id="a-pod-for-its-replicaset",
        ),
    ],
)
def test_what_a_change_may_not_say_of_sides(tmp_path, parts, policy, fault):
    assert faults_of(tmp_path, policy, **parts) == [fault]


def test_a_fault_of_the_sides_stands_at_its_line_and_column(tmp_path):
    (tmp_path / "checkout.yaml").write_text(POLICY)
    file = tmp_path / "t.yaml"
    file.write_text(
        "apiVersion: rollbackd/v1\nkind: PolicyTest\npolicies: [checkout.yaml]\ntests:\n  - name: one\n    changes:\n"
        f"      - at: 5m\n        revision: v2\n        sides: {{new: {NEW}, old: [{NEW}]}}\n    expect: [{{at: 4m, decision: nothing}}]\n"
    )
    (fault,) = load_tests([file]).faults
    assert str(fault).removeprefix(f"{tmp_path}/") == (
        f"t.yaml:9:48: policy test › tests[0] › changes[0] › sides › old[0]: expected each ReplicaSet once, found '{NEW}' again"
    )
