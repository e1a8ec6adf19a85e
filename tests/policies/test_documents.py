"""Wrong policies: what is said about each, exactly."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbackd.policies.load import load_policies
from rollbackd.policies.resolve.names import Names
from rollbackd.policies.text.faults import Fault, choices, excerpt

DATA = Path(__file__).parent / "testdata"
HEAD = "apiVersion: rollbackd/v1\nkind: RollbackPolicy\nmetadata: {name: checkout}\nspec:\n"
CHECKOUT = (DATA / "checkout.yaml").read_text("utf-8")
NAMES = Names(
    sources=frozenset({"prom-eu", "prom-us"}),
    clusters=frozenset({"eu", "us"}),
    default_cluster=None,
    flag_providers={"flagd": "flagd", "switches": "unleash"},
    tagged=frozenset({"switches"}),
    with_environments=frozenset({"switches"}),
    commands=frozenset({"deploy"}),
    contacts=frozenset({"platform"}),
    probes=frozenset({"login"}),
)


def said(text: str, names: Names | None = None) -> list[str]:
    return [str(fault) for fault in load_policies({"shop.yaml": text}, names).faults]


def wrong_policies() -> list[object]:
    """The sections of wrong_policies.txt."""
    cases: list[object] = []
    for section in (DATA / "wrong_policies.txt").read_text("utf-8").split("\n== ")[1:]:
        name, *lines = section.rstrip().split("\n")
        spec = "".join(f"{line}\n" for line in lines if not line.startswith(">> "))
        answer = [line.removeprefix(">> ") for line in lines if line.startswith(">> ")]
        cases.append(pytest.param(spec, answer, id=name))
    return cases


def test_the_table_holds_at_least_forty_kinds() -> None:
    assert len(wrong_policies()) >= 40


@pytest.mark.parametrize(("spec", "answer"), wrong_policies())
def test_a_wrong_policy_is_refused_with_the_place_and_what_was_expected(spec: str, answer: list[str]) -> None:
    assert said(HEAD + spec) == answer


@pytest.mark.parametrize(("spec", "answer"), wrong_policies())
def test_a_malformed_key_hides_no_other_fault(spec: str, answer: list[str]) -> None:
    found = said(HEAD.replace("{name: checkout}", "{name: checkout, hurry: 15s}") + spec)
    assert "'hurry'" in found[0]
    assert found[1:] == answer


FOUR_FAULTS = """\
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  match: {app: checkout}
  rollback_when:
    - {use: error-rate, with: {above: 5}}
    - {name: slow, latency: {histogram: s_seconds}, above: 800}
    - {name: few, ratio: {bad: a_total, total: b_total}, above: 5%, over: 2h}
  timing: {recover_for: 20m, give_up: 10m}
"""


@pytest.mark.parametrize(
    ("sound", "malformed"),
    [
        pytest.param("namespace: shop", "namespce: shop", id="part-of-the-target"),
        pytest.param("deployment: checkout", "deployment: Check Out", id="name-in-the-target"),
        pytest.param("kubernetes:", "kubernets:", id="kind-of-the-target"),
        pytest.param("target:", "taget:", id="target"),
        pytest.param("{name: checkout}", "{name: Checkout}", id="name"),
        pytest.param("histogram: s_seconds", "histogram: s_seconds_bucket", id="part-of-a-signal"),
        pytest.param("bad: a_total", "bad: 'a_total{code=\"500}'", id="selector"),
    ],
)
def test_a_required_value_that_is_malformed_hides_no_other_fault(sound: str, malformed: str) -> None:
    text = HEAD + FOUR_FAULTS
    found = {fault.partition(" › ")[2] for fault in said(text.replace(sound, malformed, 1))}
    others = {fault.partition(" › ")[2] for fault in said(text)}
    assert len(others) == 3
    assert others < found


def test_a_malformed_condition_hides_no_other_fault_where_it_is_the_only_one() -> None:
    found = said(HEAD + "  target: {command: {name: deploy}}\n  rollback_when: [{usee: memory}]\n  timing: {recover_for: 20m, give_up: 10m}\n")
    assert [fault.split(": ")[1] for fault in found] == ["policy 'checkout' › rollback_when[0]", "policy 'checkout' › timing › recover_for"]


SOUND = """\
  mode: approve
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  match: {app: checkout}
  metrics: istio
  every: 5m
  watch: 4h
  timing: {warmup: 70m, settle: 1m, recover_for: 20m, give_up: 30m}
  rollback_when:
    - {name: few, rate: orders_total, below: 5/m, over: 2h}
    - {name: full, gauge: x_bytes, of: y_bytes, pick: second, per: pod, above: 90%}
    - at_least: {count: 2, of: [{use: error-rate, with: {above: 5%, for: 10m, watch: 3h}}, {use: memory, name: ram}]}
    - all_of: [{name: odd, promql: 'x[2h]', outside: [1, 2]}, {name: slow, latency: {histogram: s_seconds}, above: 800ms, quantile: 0.9}]
    - {name: bad, ratio: {bad: a_total, total: b_total}, above: {of_before: 200%, at_least: 1%}}
  remedy:
    - together:
        - revert: {to: known-good, target: {command: {name: traffic}}}
        - revert: {to: known-good}
    - flags: {provider: switches, environment: staging, tag: shop}
    - flags: {provider: switches, tag: shop}
    - revert: {target: {command: {name: proxy}}}
    - revert: {always: true, mode: approve}
  approvals: {count: 2, within: 1h}
  depends_on: [{name: orders-db, use: few}]
  notify: [platform]
"""
MISSPELT = [
    pytest.param(SOUND[: key.start()] + typo + SOUND[key.end() :], id=f"{typo}-{key.start()}")
    for key in re.finditer(r"[a-z_]+(?=: )|\b[a-z_]+(?=:\n)", SOUND)
    for typo in (f"{key[0][:-1]}", f"x{key[0]}")
    if key[0] != "app"
]


def test_a_policy_to_misspell_is_sound() -> None:
    assert said(HEAD + SOUND) == []


@pytest.mark.parametrize("spec", MISSPELT)
def test_a_misspelt_key_is_one_fault_and_no_other_follows_from_it(spec: str) -> None:
    assert len(said(HEAD + spec)) == 1


LACKING = "  mode: auto\n  target: {command: {name: deploy}}\n  rollback_when: [{name: mine, rate: x_total, above: 5/m}]\n"
MISSING = ["expected a 'remedy' in mode auto, found none", "expected the key 'match', found none", "expected the key 'source', found none"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param("", MISSING, id="nothing-else"),
        pytest.param("  every: 15\n", [*MISSING, "expected a duration"], id="a-malformed-value"),
        pytest.param("  timing: {warm_up: 1m}\n", [*MISSING, "expected a known key"], id="an-unknown-key-elsewhere"),
        pytest.param("  remedy: [{revert: {mode: yolo}}]\n", [*MISSING[1:], "expected one of observe"], id="it-is-what-is-malformed"),
        pytest.param("  metrics: [istio]\n", [MISSING[0], MISSING[2], "expected a string"], id="what-decides-about-it-is-malformed"),
        pytest.param("  remdy: []\n", ["expected a known key"], id="an-unknown-key-that-may-be-meant-for-it"),
    ],
)
def test_a_missing_key_is_said_beside_any_other_fault_that_does_not_explain_it(more: str, expected: list[str]) -> None:
    found = [fault.partition(": policy 'checkout'")[2] for fault in said(HEAD + LACKING + more, replace(NAMES, sources=frozenset({"east", "west"})))]
    assert len(found) == len(expected)
    assert all(any(each in fault for fault in found) for each in expected)


def test_what_was_cut_out_with_a_malformed_part_is_not_called_unknown() -> None:
    spec = "  target: {command: {name: deploy}}\n  match: {app: shop}\n  rollback_when: [{name: mine, above: 5%}, {use: memory}]\n"
    found = said(HEAD + spec + "  depends_on: [{name: orders-db, use: mine}]\n")
    assert len(found) == 1
    assert "rollback_when[0]" in found[0]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("", ["shop.yaml:1:1: file: expected at least one policy, found none"], id="empty-file"),
        pytest.param("- 1\n", ["shop.yaml:1:1: document 1: expected a mapping, found a list"], id="list"),
        pytest.param("hello\n", ["shop.yaml:1:1: document 1: expected a mapping, found 'hello'"], id="word"),
        pytest.param(
            CHECKOUT.replace("rollbackd/v1", "rollbackd/v2"),
            ["shop.yaml:1:13: policy 'checkout' › apiVersion: expected 'rollbackd/v1', found 'rollbackd/v2'"],
            id="another-version",
        ),
        pytest.param(
            CHECKOUT.replace("kind: RollbackPolicy", "kind: Config"),
            [
                "shop.yaml:2:7: config › kind: expected 'RollbackPolicy', found 'Config'; this is a daemon's config: "
                "`rollbackd check --config FILE` reads it; keep it out of the folders of policies"
            ],
            id="a-config-among-the-policies",
        ),
        pytest.param(
            CHECKOUT.replace("name: checkout,", "name: Checkout,"),
            [
                "shop.yaml:3:18: policy 'Checkout' › metadata › name: "
                "expected a name of a-z, 0-9 and '-' (at most 63, no '-' at either end), found 'Checkout'; did you mean 'checkout'?"
            ],
            id="name-with-capitals",
        ),
        pytest.param(
            CHECKOUT.replace("team: payments", "team: 5"),
            ["shop.yaml:3:43: policy 'checkout' › metadata › labels › team: expected a string, found 5; write '5' in quotes"],
            id="label-value-is-a-number",
        ),
        pytest.param(
            CHECKOUT.replace("team: payments", "team: 7e99999"),
            ["shop.yaml:3:43: policy 'checkout' › metadata › labels › team: expected a string, found 7e99999; write '7e99999' in quotes"],
            id="label-value-is-a-number-beyond-all",
        ),
        pytest.param(
            CHECKOUT.replace("team: payments", "team: 1.10"),
            ["shop.yaml:3:43: policy 'checkout' › metadata › labels › team: expected a string, found 1.10; write '1.10' in quotes"],
            id="label-value-is-a-number-that-ends-in-zero",
        ),
        pytest.param(
            CHECKOUT.replace("name: checkout,", "").replace("spec:\n", "spec: &spec\n"),
            [
                "shop.yaml:3:11: document 1 › metadata: expected the key 'name', found none",
                "shop.yaml:4:7: document 1: expected a value without an anchor, found the anchor '&spec'; "
                "anchors are not supported: repeat the value",
            ],
            id="text-and-meaning-wrong-at-once",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_what_was_expected(text: str, answer: list[str]) -> None:
    assert said(text) == answer


def test_a_fault_is_one_line_whatever_its_files_name_holds() -> None:
    (fault,) = load_policies({"a\nb\r.yaml": "- no policy\n"}).faults
    assert str(fault).startswith("a\\nb\\r.yaml:1:1: ")


def test_every_reference_that_the_config_does_not_offer_is_named_with_what_it_offers() -> None:
    text = CHECKOUT.replace("gauge: queue_depth", "probe: logn").replace("above: 2000", "above: 50%")
    assert said(text, NAMES) == [
        "shop.yaml:6:24: policy 'checkout' › target › kubernetes: expected the key 'cluster', found none; there are several: eu, us",
        "shop.yaml:7:11: policy 'checkout' › source: expected a source of the daemon's config, found 'prometheus'; "
        "did you mean 'prom-us'? known: prom-eu, prom-us",
        "shop.yaml:24:14: policy 'checkout' › rollback_when[3] › probe: expected a probe of the daemon's config, found 'logn'; "
        "did you mean 'login'? known: login",
        "shop.yaml:28:25: policy 'checkout' › remedy[0] › flags › provider: expected a flag provider of the daemon's config, found 'unleash'; "
        "known: flagd, switches",
        "shop.yaml:31:12: policy 'checkout' › notify[0]: expected a contact of the daemon's config, found 'oncall'; known: platform",
    ]


def test_a_source_left_out_where_there_are_several_is_a_fault() -> None:
    assert "shop.yaml:5:3: policy 'checkout': expected the key 'source', found none; the daemon's config has these: prom-eu, prom-us" in said(
        CHECKOUT.replace("  source: prometheus\n", ""), NAMES
    )


def test_a_provider_without_tags_or_environments_refuses_them() -> None:
    assert [line for line in said(CHECKOUT.replace("provider: unleash", "provider: flagd"), NAMES) if "flags" in line] == [
        "shop.yaml:28:45: policy 'checkout' › remedy[0] › flags › environment: expected no 'environment', "
        "found 'production'; a flagd provider has none",
        "shop.yaml:28:62: policy 'checkout' › remedy[0] › flags › tag: expected no 'tag', found 'checkout'; a flagd provider has none",
    ]


def test_a_fleet_policy_is_refused_key_by_key_where_it_uses_what_this_version_has_not() -> None:
    assert said((DATA / "fleet.yaml").read_text("utf-8")) == [
        "shop.yaml:11:10: policy 'checkout' › watch: 'until' is not supported in this version",
        "shop.yaml:29:37: policy 'checkout' › remedy[1] › revert › via: 'argocd' is not supported in this version; allowed: auto, patch",
    ]


def test_what_is_known_twice_is_listed_once() -> None:
    assert choices("c", ["a", "b", "a", "b"], "known") == "known: a, b"


def test_a_name_taken_by_another_file_is_a_fault_of_the_later_one() -> None:
    loaded = load_policies({"a.yaml": CHECKOUT, "b.yaml": CHECKOUT})
    assert [str(fault) for fault in loaded.faults] == [
        "b.yaml:3:18: policy 'checkout' › metadata › name: expected a name of its own, found 'checkout' again; first at a.yaml:3"
    ]
    assert [policy.file for policy in loaded.policies] == ["a.yaml"]


def test_a_file_with_a_fault_contributes_nothing_and_the_others_load() -> None:
    second = CHECKOUT.replace("name: checkout,", "name: other,")
    broken = f"{second}---\n{CHECKOUT.replace('name: checkout,', 'name: third,').replace('above: 800ms', 'above: 800')}"
    assert [policy.name for policy in load_policies({"a.yaml": CHECKOUT, "b.yaml": broken}).policies] == ["checkout"]


def test_two_policies_may_watch_one_target() -> None:
    second = CHECKOUT.replace("name: checkout,", "name: other,")
    assert [policy.target for policy in load_policies({"a.yaml": f"{CHECKOUT}---\n{second}"}).policies] == [
        "kubernetes:default/shop/deployment/checkout",
        "kubernetes:default/shop/deployment/checkout",
    ]


def test_warnings_say_once_what_adds_little_and_stop_nothing() -> None:
    text = CHECKOUT.replace("above: 800ms", "above: 800ms\n      for: 2m").replace("above: 10%", "above: 10%\n      for: 3m")
    text = text.replace("  notify: [oncall]\n", "")
    loaded = load_policies({"shop.yaml": text})
    assert [policy.name for policy in loaded.policies] == ["checkout"]
    assert [str(warning) for warning in loaded.warnings] == [
        "shop.yaml:5:3: warning: policy 'checkout': nobody is told in mode suggest; name contacts under 'notify'",
        "shop.yaml:19:12: warning: policy 'checkout' › rollback_when[1] › for: 'for' is shorter than the window it looks at "
        "(payment-failures: 3m of 5m, slow-search: 2m of 5m); the looks share their evidence, so the wait adds little of its own",
        "shop.yaml:25:7: warning: policy 'checkout' › rollback_when[3]: no bound on false rollbacks holds for backlog: suggested at most; "
        "'unbounded: accepted' on a condition lets it act all the same",
    ]


def test_a_file_of_nothing_but_faults_is_not_read_to_its_end() -> None:
    assert len(said("a: b\n---\n" * 5000)) < 200


def test_a_fault_shows_its_line_with_a_caret() -> None:
    fault = Fault("shop.yaml", 2, 10, "policy 'checkout' › above", "a number", "'five'")
    assert excerpt(fault, "a: 1\n  above: five\nb: 2\n") == "    2 |   above: five\n      |          ^"


def test_a_fault_on_an_endless_line_shows_the_part_around_it() -> None:
    fault = Fault("shop.yaml", 1, 501, "policy", "a number", "'x'")
    line, caret = excerpt(fault, "a" * 500 + "x" + "b" * 500).split("\n")
    assert line[caret.index("^")] == "x"
    assert len(line) < 140


def test_a_fault_as_json_keeps_its_parts() -> None:
    (fault,) = load_policies({"shop.yaml": "hello"}).faults
    assert fault.as_dict() == {
        "file": "shop.yaml",
        "line": 1,
        "column": 1,
        "severity": "error",
        "trail": "document 1",
        "expected": "a mapping",
        "found": "'hello'",
        "hint": "",
        "message": "shop.yaml:1:1: document 1: expected a mapping, found 'hello'",
    }


LINES = CHECKOUT.split("\n")
_SCRAPS = st.sampled_from(
    ["{}", "[]", "~", "5%", "-1", "1e999", "{a: {b: 1}}", "[[1]]", "true", "''", "x: y", "'{'", "9" * 400, "\u2028", ".nan", "5m", "use"]
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(LINES) - 1), st.integers(0, 60), st.integers(0, 20), _SCRAPS)
def test_a_policy_damaged_anywhere_loads_or_has_faults_and_never_raises(line: int, start: int, length: int, scrap: str) -> None:
    damaged = LINES[line][:start] + scrap + LINES[line][start + length :]
    loaded = load_policies({"shop.yaml": "\n".join([*LINES[:line], damaged, *LINES[line + 1 :]])}, NAMES)
    assert bool(loaded.policies) != bool(loaded.faults)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["use", "ratio", "name", "above", "all_of", "of", "kubernetes", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["target", "rollback_when", "remedy", "timing", "match", "watch", "notify", "every", "mode"]), _VALUES)
def test_any_value_under_any_key_loads_or_has_faults_and_never_raises(key: str, value: object) -> None:
    spec = {"target": {"kubernetes": {"namespace": "shop", "deployment": "checkout"}}, "rollback_when": [{"use": "standard"}], key: value}
    loaded = load_policies({"shop.yaml": f"{HEAD.replace('spec:', '')}spec: {_flow(spec)}"}, NAMES)
    assert not loaded.policies or not loaded.faults


def _flow(value: object) -> str:
    """The value as YAML, in one line."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case str():
            return "'" + "".join(char for char in value if char.isprintable()).replace("'", "''") + "'"
        case float():
            return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(str(value), str(value))
        case _:
            return str(value)
