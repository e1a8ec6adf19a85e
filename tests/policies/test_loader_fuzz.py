"""Any text as a policy, or as the daemon's config: it loads, or has faults with a place, few and short ones; never an exception."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbackd.controller.config.load import Config, load_config
from rollbackd.policies.load import load_policies
from rollbackd.policies.text.faults import Fault, excerpt
from rollbackd.policies.text.yaml_text import MAX_FAULTS, MAX_VALUES, parse

LONGEST = 500
"""Characters of a fault's line: a page and a terminal show it whole."""
POLICY = """apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout, labels: {team: payments}}
spec:
  mode: suggest
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  match: {app: checkout}
  every: 15s
  watch: 1h
  timing: {warmup: 60s}
  rollback_when:
    - use: standard
      with: {error-rate: {above: 3%, except: {path: /healthz}}, memory: {watch: 24h}}
    - name: payment-failures
      ratio: {bad: 'payments_total{result="error"}', total: payments_total}
      above: 10%
    - at_least: {of: [{use: restarts}, {name: slow, latency: {histogram: h_seconds}, quantile: 0.95, above: 800ms}], count: 2}
    - name: backlog
      gauge: queue_depth
      above: {of_before: 200%}
      for: 10m
  remedy:
    - flags: {provider: unleash, environment: production, tag: checkout, only: changed}
    - revert: {to: known-good, via: auto}
  reversible: always
  notify: [oncall]
"""
FLEET = POLICY.replace(
    "target: {kubernetes: {namespace: shop, deployment: checkout}}\n  match: {app: checkout}",
    "select: {kubernetes: {labels: {rollback: 'on'}}, expect: {min: 5, max: 40}}\n  join: {app: $name, namespace: $namespace}",
)
CONFIG = """apiVersion: rollbackd/v1
kind: Config
mode_cap: auto
sources:
  prometheus: {url: 'http://127.0.0.1:9090', token_file: /secrets/token, timeout: 5s}
  local: {kind: scrape, targets: [{dns: shop.local, port: 80}, {urls: ['http://shop/metrics'], labels: {app: shop}}]}
flags: {unleash: {url: 'http://unleash', token_file: /secrets/unleash}}
clusters: {prod: {kubeconfig: /kube, context: prod}}
commands: {deploy: {describe: [deploy, show], apply: [deploy, --to, '{revision}']}}
contacts: {oncall: [{pagerduty: {key_file: /secrets/pd}}, {webhook: {url_file: /secrets/hook}}]}
guards: {in_flight: 2, cooldown: 30m}
api: {listen: '127.0.0.1:8080', hooks: {deploys: {secret_file: /secrets/deploys}}, people: {ann: {token_file: /secrets/ann}}}
store: sqlite:////data/rollbackd.db
policies: [policies.d/]
"""
SCRAPS = st.sampled_from(
    [
        *("&a ", "*a", "&" + "a" * 3000, "*" + "a" * 3000, "<<: ", "!!python/object:os.system ", "!x ", "%TAG ! !x\n", "---\n", "...\n", "\ufeff"),
        *("[" * 30, "{a: " * 30, "- " * 30, "? ", "]", "}", "|\n", ">-\n  ", "'", '"', "\\x00", "\t", "\n", "\r", "\x85", "\u2028", "\u202e", "\x00"),
        *("\ud800", "\U0001f4a9", "é", "ß" * 400, "x" * 5000, "9" * 5000, "1e999", "-1", ".nan", ".inf", "0x" + "f" * 299, "1h" * 300, "100%" * 50),
        *("$name", "$(x)", "${", "{{", "http://[", "tcp://x:99999", "{revision}", "null", "~", "true", ": ", ", ", "{}", "[]", "''", "#"),
    ]
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), SCRAPS | st.text(max_size=12)), min_size=1, max_size=6)
QUIETLY = settings(max_examples=250, deadline=None, derandomize=True, database=None)


def edited(text: str, edits: list[tuple[float, int, str]]) -> str:
    """The text with something cut and something put in, at several places."""
    for place, cut, scrap in edits:
        start = int(place * len(text))
        text = text[:start] + scrap + text[start + cut :]
    return text


def check(faults: tuple[Fault, ...], text: str) -> None:
    assert len(faults) <= 2 * MAX_FAULTS
    for fault in faults:
        assert fault.line >= 1
        assert fault.column >= 1
        assert fault.line <= len(text.splitlines()) + 1
        assert len(str(fault)) <= LONGEST, str(fault)
        assert str(fault).isprintable(), repr(str(fault))
        assert len(excerpt(fault, text)) <= LONGEST


@QUIETLY
@given(st.sampled_from([POLICY, FLEET, f"{POLICY}---\n{FLEET}"]), EDITS)
def test_a_policy_damaged_in_several_places_loads_or_has_faults(text: str, edits: list[tuple[float, int, str]]) -> None:
    damaged = edited(text, edits)
    loaded = load_policies({"shop.yaml": damaged})
    check((*loaded.faults, *loaded.warnings), damaged)
    assert not loaded.faults or not loaded.policies


@QUIETLY
@given(EDITS)
def test_a_config_damaged_in_several_places_is_read_or_has_faults(edits: list[tuple[float, int, str]]) -> None:
    damaged = edited(CONFIG, edits)
    found = load_config(damaged, "rollbackd.yaml", Path("/etc/rollbackd"))
    if not isinstance(found, Config):
        assert found
        check(found, damaged)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: &" + "a" * (1 << 19) + " 1", "without an anchor", id="endless-anchor"),
        pytest.param("a: *" + "a" * (1 << 19), "written out", id="endless-alias"),
        pytest.param("a: !" + "a" * (1 << 19) + " 1", "without a tag", id="endless-tag"),
        pytest.param("? " + "k" * (1 << 19) + "\n: 1\n", "apiVersion", id="endless-key"),
        pytest.param("kind: " + "k" * (1 << 19), "apiVersion", id="endless-word"),
        pytest.param("watch: " + "9" * (1 << 19), "apiVersion", id="endless-number"),
        pytest.param("- *a\n" * 200_000, "written out", id="many-aliases"),
        pytest.param("{a: " * 200_000, "levels of nesting", id="deep"),
        pytest.param("---\n" * 200_000, "", id="many-documents"),
    ],
)
def test_what_is_endless_is_refused_in_short(text: str, says: str) -> None:
    faults = load_policies({"shop.yaml": text}).faults
    check(faults, text)
    assert any(says in str(fault) for fault in faults)


def test_a_file_of_nothing_but_values_is_not_read_to_its_end() -> None:
    text = "[" + "a: 1," * 200_000 + "]"
    (fault,) = parse(text, "f.yaml").faults
    assert fault.expected == f"at most {MAX_VALUES:,} values in a file"
