"""Files of policy tests: every fault at its place, in the house's words, and nothing with a fault is run."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollbackd.controller.policytest.load import load_tests
from rollbackd.controller.policytest.run import run
from tests.controller.policytest_samples import CHANGES, FLEET, GOOD, POLICY, faults_in, write, written

PROBE = POLICY.replace("    - name: error-rate", "    - {name: health, probe: {port: 8080, path: /healthz}, above: 50%}\n    - name: error-rate")


def calm(expect=None, **parts):
    return written(expect or {"at": "4m", "decision": "nothing"}, **{"changes": [{"at": "3m", "revision": "v2"}], **parts})


def only(tmp_path, *tests, **parts):
    """The only fault, without its place."""
    (fault,) = faults_in(tmp_path, *tests, **parts)
    return fault.partition(": ")[2]


def test_a_sound_file_has_no_fault_and_no_warning(tmp_path):
    assert faults_in(tmp_path, calm()) == []


def test_a_fault_stands_at_its_line_and_column(tmp_path):
    (tmp_path / "checkout.yaml").write_text(POLICY)
    file = tmp_path / "t.yaml"
    file.write_text(
        "apiVersion: rollbackd/v1\nkind: PolicyTest\npolicies: [checkout.yaml]\ntests:\n  - name: one\n"
        f"    series:\n      - {{series: '{GOOD}', values: '0+100x20 fünf'}}\n"
        "    expect:\n      - at: 4m\n        verdicts: {error-rat: ok}\n"
    )
    loaded = load_tests([file])
    places = [f"{fault.line}:{fault.column}: {fault.trail}: {fault.message}" for fault in loaded.faults]
    assert places == [
        "7:87: policy test › tests[0] › series[0] › values: expected a value such as 5, 0+100x60, 1x20, _, _x4 or stale, found 'fünf'",
        "10:20: policy test › tests[0] › expect[0] › verdicts: expected a condition of policy 'checkout', found 'error-rat'; "
        "did you mean 'error-rate'? known: error-rate",
    ]
    assert loaded.cases == ()


@pytest.mark.parametrize(
    ("written_test", "fault"),
    [
        pytest.param(
            calm({"at": "4m", "verdicts": {"p95": "ok"}}),
            "policy test › tests[0] › expect[0] › verdicts: expected a condition of policy 'checkout', found 'p95'; known: error-rate",
            id="unknown-condition",
        ),
        pytest.param(
            calm(policy="chekout"),
            "policy test › tests[0] › policy: expected a policy of these files, found 'chekout'; did you mean 'checkout'? known: checkout",
            id="unknown-policy",
        ),
        pytest.param(
            calm({"at": "4m", "verdicts": {"error-rate": "brech"}}),
            "policy test › tests[0] › expect[0] › verdicts › error-rate: expected one of ok, breach, unproven, nodata, error, found 'brech'; "
            "did you mean 'breach'?",
            id="unknown-verdict",
        ),
        pytest.param(
            calm({"at": "4m", "decision": "rolback"}),
            "policy test › tests[0] › expect[0] › decision: expected one of nothing, observed, outside, suggested, approval, rollback, held, "
            "recovered, superseded, found 'rolback'; did you mean 'rollback'?",
            id="unknown-decision",
        ),
        pytest.param(
            calm({"at": "4m", "remedy": "flags"}),
            "policy test › tests[0] › expect[0] › remedy: expected a rung of policy 'checkout', found 'flags'; "
            "known: revert, revert kubernetes:default/shop/deployment/checkout, revert shop/checkout",
            id="a-rung-that-the-policy-has-not",
        ),
        pytest.param(
            calm({"at": "4m", "guard": "cooldown"}),
            "policy test › tests[0] › expect[0] › guard: expected a guard, found 'cooldown'; did you mean 'cool-down'? known: approval, cool-down, "
            "freeze, give-up, handed-over, in-flight, in-flight-namespace, ladder, mode, other-writer, pause, per-hour, per-target-day, "
            "quarantine, suspects, systemic",
            id="unknown-guard",
        ),
        pytest.param(
            calm({"at": "4m"}),
            "policy test › tests[0] › expect[0]: expected something that is expected, found a time alone; "
            "write verdicts, decision, remedy, to, guard or reason_contains",
            id="nothing-is-expected",
        ),
        pytest.param(
            calm({"at": "4", "decision": "nothing"}),
            "policy test › tests[0] › expect[0] › at: expected a duration such as 30s, 5m or 1h30m, found '4'",
            id="no-duration",
        ),
        pytest.param(
            calm({"at": "366d", "decision": "nothing"}),
            "policy test › tests[0] › expect: expected at most 20,000 looks, found 2,108,160",
            id="too-long",
        ),
        pytest.param(
            calm(series=[{"series": 'http_requests_total{code=~"5.."}', "values": "0x60"}]),
            "policy test › tests[0] › series[0] › series: expected '=' after the label 'code', found '=~'; a series has one value for each label",
            id="a-matcher-for-a-label",
        ),
        pytest.param(
            calm(series=[{"series": "http_requests_total{code=200}", "values": "0x60"}]),
            "policy test › tests[0] › series[0] › series: expected a quoted value, found '2' at character 26",
            id="no-selector",
        ),
        pytest.param(
            calm(series=[{"series": 'http_requests_total{a="1",a="2"}', "values": "0x60"}]),
            "policy test › tests[0] › series[0] › series: expected each label once, found 'a' again",
            id="a-label-twice",
        ),
        pytest.param(
            calm(
                series=[
                    {"series": f"http_requests_total{{{labels}}}", "values": "0x60"} for labels in ('app="checkout",b="2"', 'b="2",app="checkout"')
                ]
            ),
            'policy test › tests[0] › series[1] › series: expected each series once, found \'http_requests_total{b="2",app="checkout"}\' again',
            id="a-series-twice",
        ),
        pytest.param(
            calm(changes=[{"at": "3m", "revision": "v2", "target": "shop/cart"}]),
            "policy test › tests[0] › changes[0] › target: expected a target of policy 'checkout', found 'shop/cart'; "
            "known: kubernetes:default/shop/deployment/checkout",
            id="a-target-that-the-policy-has-not",
        ),
        pytest.param(
            calm(changes=[{"at": "3m", "revision": "v2", "ready": "2m"}]),
            "policy test › tests[0] › changes[0] › ready: expected a time not before 'at' (3m), found 2m",
            id="ready-before-it-began",
        ),
        pytest.param(
            calm(changes=[{"at": "5m", "revision": "v2", "ready": "nevr"}]),
            "policy test › tests[0] › changes[0] › ready: expected a duration such as 30s, 5m or 1h30m, or never, found 'nevr'",
            id="ready-neither-at-a-time-nor-never",
        ),
        pytest.param(
            calm(changes=[{"at": "2m", "revision": "v2"}, {"at": "120s", "revision": "v3"}]),
            "policy test › tests[0] › changes[1] › at: expected one change of kubernetes:default/shop/deployment/checkout at a time, "
            "found another at 2m",
            id="two-changes-at-once",
        ),
        pytest.param(
            calm(answers=[{"condition": "error-rate", "values": "1x60"}]),
            "policy test › tests[0] › answers[0] › condition: expected a condition with promql or probe, or stuck-rollout, found 'error-rate'; "
            "give the series that it reads",
            id="an-answer-for-what-is-counted",
        ),
        pytest.param(
            calm(others=[{"target": "shop/checkout"}]),
            "policy test › tests[0] › others[0] › target: expected a further target of the ladder, found the policy's own; "
            "write running and known_good of the test",
            id="the-policys-own-target-among-the-others",
        ),
        pytest.param(
            calm(name="a\x1b[2Jname"), "policy test › tests[0] › name: expected a line of printable text, found 'a\\x1b[2Jname'", id="escapes"
        ),
        pytest.param(calm(expekt=[]), "policy test › tests[0]: expected a known key, found 'expekt'", id="unknown-key"),
    ],
)
def test_what_a_test_may_not_say(tmp_path, written_test, fault):
    assert only(tmp_path, written_test).startswith(fault)


def test_answers_are_for_known_conditions_and_each_once(tmp_path):
    answers = [{"condition": name, "values": "1x60"} for name in ("helth", "health", "health")]
    faults = faults_in(tmp_path, calm(answers=answers), policy=PROBE)
    assert ["did you mean 'health'?" in faults[0], "each condition once" in faults[1], len(faults)] == [True, True, 2]


def test_all_faults_are_told_at_once(tmp_path):
    faults = faults_in(tmp_path, calm({"at": "4m", "verdicts": {"a": "ok", "b": "ok"}}), calm(name="two", policy="other"))
    assert len(faults) == 3


def test_a_malformed_key_hides_no_other_fault_of_the_file(tmp_path):
    series = [{"series": GOOD, "values": "0+100y60"}]
    faults = faults_in(
        tmp_path,
        calm(mode="bold", series=series),
        calm({"at": "4m", "verdicts": {"p95": "ok"}}, policy="checkout"),
        policies=["checkout.yaml", "gone.yaml"],
    )
    assert [fault.partition(" › ")[2].partition(":")[0] for fault in faults] == [
        "policies[1]",
        "tests[0] › series[0] › values",
        "tests[0] › mode",
        "tests[1] › name",
        "tests[1] › expect[0] › verdicts",
    ]


@pytest.mark.parametrize(
    ("parts", "count"),
    [
        pytest.param({"interval": "never"}, 1, id="interval"),
        pytest.param({"policy": 5}, 1, id="policy"),
        pytest.param({"member": 5}, 1, id="member"),
        pytest.param({"expect": "soon"}, 1, id="expect"),
        pytest.param({"name": ""}, 1, id="name"),
        pytest.param({"expect": [{"at": "4m", "verdict": {}}]}, 1, id="a-misspelt-expectation"),
        pytest.param({"changes": [*CHANGES, {"at": "5m", "revision": "v3", "target": 5}]}, 1, id="the-target-of-a-change"),
    ],
)
def test_no_fault_follows_from_one_that_was_told(tmp_path, parts, count):
    assert len(faults_in(tmp_path, calm() | parts)) == count


@pytest.mark.parametrize(("key", "value"), [("policies", "checkout.yaml"), ("kind", "Test"), ("apiVersion", 1), ("tests", {})])
def test_a_required_key_that_is_malformed_hides_no_other_fault(tmp_path, key, value):
    document = DOCUMENT | {"policies": ["gone.yaml"], "tests": [calm(series=[{"series": "{", "values": "1"}])]}
    expected = {"policies": 2, "kind": 3, "apiVersion": 3, "tests": 2}
    file = tmp_path / "t.yaml"
    file.write_text(json.dumps(document | {key: value}))
    assert len(load_tests([file]).faults) == expected[key]


def test_a_policy_file_that_is_not_there_hides_no_fault_that_does_not_depend_on_it(tmp_path):
    test = written({"at": "4m"}, {"at": "4m", "guard": "luck"}, series=[{"series": "{", "values": "1x60"}, {"series": GOOD, "values": "x"}])
    faults = faults_in(tmp_path, test, calm(answers=[{"condition": "health", "values": "y"}]), policies=["gone.yaml"])
    assert [fault.partition(" › ")[2].partition(":")[0] for fault in faults] == [
        "policies[0]",
        "tests[0] › series[0] › series",
        "tests[0] › series[1] › values",
        "tests[0] › expect[0]",
        "tests[0] › expect[1] › guard",
        "tests[1] › name",
        "tests[1] › answers[0] › values",
    ]


def test_a_name_is_used_once(tmp_path):
    assert only(tmp_path, calm(), calm()) == "policy test › tests[1] › name: expected a name of its own, found 'one' again"


def test_a_policy_file_that_is_not_there_is_named_with_its_nearest(tmp_path):
    assert only(tmp_path, calm(), policies=["chekout.yaml"]) == (
        "policy test › policies[0]: expected a policy file, or a folder of them, found 'chekout.yaml'; did you mean 'checkout.yaml'?"
    )


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        pytest.param("elsewhere/x.yaml", "there is no such file; paths are relative to the test file", id="no-folder"),
        pytest.param("empty", "it holds no .yaml and no .yml", id="an-empty-folder"),
        pytest.param("x" * 290, "it cannot be read: File name too long", id="a-name-that-is-too-long"),
    ],
)
def test_a_place_without_policies_is_a_fault(tmp_path, place, hint):
    (tmp_path / "empty").mkdir()
    assert only(tmp_path, calm(), policies=[place]).endswith(hint)


def test_faults_of_a_policy_are_those_that_check_tells_and_its_tests_are_not_run(tmp_path):
    file = write(tmp_path, calm(), policy=POLICY + "  remedi: []\n")
    loaded = load_tests([file])
    (fault,) = loaded.faults
    assert str(fault).startswith(f"{tmp_path}/checkout.yaml:17:3: policy 'checkout': expected a known key, found 'remedi'")
    assert loaded.cases == ()


def test_a_policy_that_reads_cloudwatch_is_not_tried_on_series_of_a_prometheus(tmp_path):
    signal = """ratio: {bad: 'http_requests_total{code=~"5.."}', total: http_requests_total}"""
    policy = POLICY.replace("metrics: custom", "metrics: ecs").replace(signal, """ratio: {bad: 'A{namespace="S"}', total: 'B{namespace="S"}'}""")
    said = only(tmp_path, calm(), policy=policy)
    assert said.startswith("policy test › tests[0]: expected a policy that reads a Prometheus, found 'checkout'; it reads CloudWatch")


def test_where_there_are_several_policies_a_test_says_which(tmp_path):
    assert only(tmp_path, calm(), policy=POLICY + "---\n" + POLICY.replace("name: checkout}", "name: cart}", 1)) == (
        "policy test › tests[0]: expected the key 'policy', found none; the files hold cart, checkout"
    )


def member(**notes):
    return {"namespace": "shop", "deployment": "checkout", "annotations": {f"rollbackd.io/{key}": value for key, value in notes.items()}}


@pytest.mark.parametrize(
    ("parts", "policy", "fault"),
    [
        pytest.param(
            {},
            FLEET,
            "policy test › tests[0]: expected the key 'member', found none; policy 'web' is a fleet's: say which workload it is tried on",
            id="a-fleet-without-a-member",
        ),
        pytest.param(
            {"member": member()},
            POLICY,
            "policy test › tests[0] › member: expected no 'member' for policy 'checkout', found one; "
            "it names its target; only a fleet policy has members",
            id="a-member-without-a-fleet",
        ),
        pytest.param(
            {"member": member(**{"opt-out": "true"})},
            FLEET,
            "policy test › tests[0] › member: expected a workload that fleet 'web' watches, found one that has opted out",
            id="a-member-that-opted-out",
        ),
    ],
)
def test_a_fleet_policy_and_a_member_go_together(tmp_path, parts, policy, fault):
    assert only(tmp_path, calm(**parts), policy=policy) == fault


def test_what_is_wrong_with_a_members_annotations_is_a_warning(tmp_path):
    (warning,) = faults_in(tmp_path, calm(member=member(mode="brave")), policy=FLEET)
    assert "warning: policy test › tests[0] › member: " in warning
    assert "brave" in warning


def test_policies_may_be_a_folder(tmp_path):
    (tmp_path / "policies.d").mkdir()
    (tmp_path / "policies.d" / "checkout.yaml").write_text(POLICY)
    assert faults_in(tmp_path, calm(), policies=["policies.d"]) == []


def test_a_series_that_nobody_reads_is_a_warning(tmp_path):
    series = [{"series": 'http_request_total{app="checkout"}', "values": "0x60"}]
    assert only(tmp_path, calm(series=series)) == (
        "warning: policy test › tests[0] › series[0] › series: no condition of policy 'checkout' reads http_request_total; "
        "did you mean 'http_requests_total'?"
    )


@pytest.mark.parametrize(
    ("condition", "series", "is_read"),
    [
        pytest.param("{use: error-rate}", 'http_requests_total{namespace="shop",pod="checkout-5d4f8c7b9-x2k9p",code="200"}', True, id="a-pod"),
        pytest.param(
            "{use: error-rate}", 'http_requests_total{namespace="shop",pod="checkout-5d4f8c7b9-abcde",code="200"}', False, id="no-pods-name"
        ),
        pytest.param("{use: error-rate}", 'http_requests_total{namespace="shop",pod="cart-5d4f8c7b9-x2k9p",code="200"}', False, id="anothers-pod"),
        pytest.param("{use: error-rate}", 'http_requests_total{pod="checkout-5d4f8c7b9-x2k9p"}', False, id="no-namespace"),
        pytest.param("{name: a, gauge: 'depth{queue!~\"dead.*\"}', above: 5}", 'depth{app="checkout",queue="mail"}', True, id="a-matcher"),
        pytest.param("{name: a, gauge: 'depth{queue!~\"dead.*\"}', above: 5}", 'depth{app="checkout",queue="deadmail"}', False, id="a-matcher-fails"),
        pytest.param("{name: a, gauge: used, of: most, above: 95%}", 'most{pod="p"}', True, id="what-a-gauge-is-measured-against"),
        pytest.param("{name: a, gauge: used, of: most, above: 95%}", 'used{pod="p"}', False, id="the-gauge-itself"),
        pytest.param("{name: a, latency: {histogram: h}, above: 2s}", 'h_bucket{app="checkout",le="2"}', True, id="buckets"),
    ],
)
def test_a_series_that_no_condition_reads_as_its_own_is_a_warning(tmp_path, condition, series, is_read):
    own = "{use" in condition
    policy = POLICY.replace("  metrics: custom\n  match: {app: checkout}\n", "") if own else POLICY
    policy = policy.partition("  rollback_when:")[0] + f"  rollback_when: [{condition}]\n  remedy: [{{revert: {{}}}}]\n  notify: [oncall]\n"
    found = faults_in(tmp_path, calm(series=[{"series": series, "values": "0x60"}]), policy=policy)
    assert ["reads this series of" in fault for fault in found] == ([] if is_read else [True])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            {"at": "5m", "ready": "6m"}, "at: the change begins at 5m, after the last expectation (4m); expect something later", id="begins-later"
        ),
        pytest.param(
            {"at": "3m", "ready": "5m"},
            "ready: it is ready at 5m, after the last expectation (4m); expect something later, or write never",
            id="ready-later",
        ),
    ],
)
def test_a_change_after_the_last_expectation_is_a_warning(tmp_path, change, said):
    found = only(tmp_path, calm({"at": "4m", "decision": "nothing"}, changes=[{"revision": "v2", **change}]))
    assert found == f"warning: policy test › tests[0] › changes[0] › {said}"


@pytest.mark.parametrize("change", [{"at": "4m"}, {"at": "3m", "ready": "4m"}, {"at": "3m", "ready": "never"}])
def test_a_change_until_the_last_expectation_is_none(tmp_path, change):
    assert faults_in(tmp_path, calm({"at": "4m", "decision": "nothing"}, changes=[{"revision": "v2", **change}])) == []


def test_values_that_end_before_the_test_are_a_warning_unless_they_say_so(tmp_path):
    def series(values):
        return [{"series": GOOD, "values": values}]

    said = "the values end at 3m and the test goes on until 4m: from then on there is no sample; say so with _ or stale, or write more"
    assert only(tmp_path, calm(series=series("0x12"))).endswith(said)
    assert faults_in(tmp_path, calm(series=series("0x12 stale"))) == []
    assert faults_in(tmp_path, calm(series=series("0x12 _"))) == []


def test_a_single_value_may_be_a_bare_number(tmp_path):
    assert faults_in(tmp_path, calm({"at": "0s", "decision": "nothing"}, changes=[], series=[{"series": GOOD, "values": 5}])) == []


def test_in_a_folder_other_documents_are_passed_over_and_a_file_that_is_named_is_not(tmp_path):
    write(tmp_path, calm())
    assert [len(load_tests([tmp_path]).cases), load_tests([tmp_path]).faults] == [1, ()]
    (fault,) = load_tests([tmp_path / "checkout.yaml"]).faults
    assert str(fault).endswith("expected 'PolicyTest', found 'RollbackPolicy'; `rollbackd check` reads policies")


def test_a_file_is_read_once_however_often_it_is_named(tmp_path):
    file = write(tmp_path, calm())
    assert len(load_tests([file, tmp_path, file]).cases) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("tests: [", id="no-yaml"),
        pytest.param("- a list\n", id="a-list"),
        pytest.param("kind: PolicyTest\n", id="almost-nothing"),
        pytest.param("apiVersion: rollbackd/v1\nkind: PolicyTest\npolicies: []\ntests: []\n", id="empty-lists"),
        pytest.param(
            "apiVersion: rollbackd/v1\nkind: PolicyTest\npolicies: [..]\ntests: [{name: a, expect: [{at: 1m, verdicts: {}}]}]\n", id="no-verdict"
        ),
        pytest.param("apiVersion: rollbackd/v1\nkind: PolicyTest\npolicies: [.]\ntests: [{name: a, expect: 5}]\n", id="wrong-types"),
    ],
)
def test_whatever_is_written_is_a_fault_and_no_error_of_ours(tmp_path, text):
    file = tmp_path / "t.yaml"
    file.write_text(text)
    loaded = load_tests([file])
    assert loaded.faults
    assert loaded.cases == ()


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["5m", "_x3", "ok", "revert", "v1", "{", "*"])
)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=4)
ROLLOUT = [{"at": "5m", "revision": "v2", "sides": {"new": "checkout-6f7c9d8b4", "old": ["checkout-5d4f8c7b9"]}}]
DOCUMENT = {
    "apiVersion": "rollbackd/v1",
    "kind": "PolicyTest",
    "policies": ["checkout.yaml"],
    "tests": [calm(mode="auto", guards={"paused": "x"}, others=[], answers=[], running="v1", interval="15s", policy="checkout", changes=ROLLOUT)],
}


def paths_in(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths_in(inner, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(list(paths_in(DOCUMENT))), new=ANYTHING)
def test_nothing_that_is_written_makes_it_fall_over(tmp_path, path, new):
    (tmp_path / "checkout.yaml").write_text(POLICY)
    file = tmp_path / "t.yaml"
    file.write_text(json.dumps(replaced(DOCUMENT, path, new)))
    loaded = load_tests([file])
    assert bool(loaded.faults) != bool(loaded.cases)
    for case in loaded.cases:
        run(case)
