"""Flag providers in the daemon's config, and the keys that policies get from them."""

from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.controller.config.flags import FlagdProvider, UnleashProvider
from rollbackd.controller.config.load import load_config, names
from rollbackd.controller.config.values import Config
from rollbackd.controller.wiring.aws import aws
from rollbackd.controller.wiring.flags import flag_targets
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import FlagsRung

BASE = Path("/etc/rollbackd")
HEAD = "apiVersion: rollbackd/v1\nkind: Config\nsources: {scrape: {targets: [{urls: ['http://127.0.0.1:1/metrics']}]}}\npolicies: [policies.d]\n"
UNLEASH = "url: 'https://unleash.example', token_file: tokens/unleash"
POLICY = """apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout}
spec:
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  source: scrape
  match: {app: checkout}
  rollback_when:
    - {name: backlog, gauge: queue_depth, above: 10}
  remedy:
    - flags: {%s}
"""


def read(flags: str) -> Config:
    config = load_config(f"{HEAD}flags: {{{flags}}}\n", "rollbackd.yaml", BASE)
    assert isinstance(config, Config), config
    return config


def said(flags: str) -> list[str]:
    config = load_config(f"{HEAD}flags: {{{flags}}}\n", "rollbackd.yaml", BASE)
    assert not isinstance(config, Config)
    return [str(fault) for fault in config]


def rung(flags: str, remedy: str) -> FlagsRung | list[str]:
    loaded = load_policies({"p.yaml": POLICY % remedy}, names(read(flags)))
    if loaded.faults:
        return [str(fault) for fault in loaded.faults]
    (only,) = loaded.policies[0].ladder
    assert isinstance(only, FlagsRung)
    return only


def test_an_unleash_provider_needs_an_address_and_a_token_and_has_defaults_for_the_rest() -> None:
    assert read(f"unleash: {{{UNLEASH}}}").flags == {
        "unleash": UnleashProvider("https://unleash.example", Path("/etc/rollbackd/tokens/unleash")),
    }


def test_all_of_an_unleash_provider_can_be_said() -> None:
    said_in_full = (
        f"shop: {{kind: unleash, {UNLEASH}, client_token_file: tokens/client, project: shop, ca_file: /ca.pem, timeout: 3s, settle: 20s, "
        "max_flags: 5, safe_states: {old-cart: 'on', banner: leave, cart: 'off'}}"
    )
    assert read(said_in_full).flags == {
        "shop": UnleashProvider(
            url="https://unleash.example",
            token_file=Path("/etc/rollbackd/tokens/unleash"),
            client_token_file=Path("/etc/rollbackd/tokens/client"),
            project="shop",
            ca_file=Path("/ca.pem"),
            timeout=timedelta(seconds=3),
            settle=timedelta(seconds=20),
            safe_states={"old-cart": "on", "banner": "leave", "cart": "off"},
            max_flags=5,
        )
    }


def test_the_cap_of_a_flag_file_can_be_said() -> None:
    assert read("flagd: {file: f.json, max_flags: 3}").flags == {"flagd": FlagdProvider(Path("/etc/rollbackd/f.json"), max_flags=3)}


@pytest.mark.parametrize(
    ("flags", "answer"),
    [
        pytest.param(
            f"unleash: {{{UNLEASH}, safe_states: {{cart: maybe}}}}",
            "rollbackd.yaml:5:99: config › flags › unleash › safe_states › cart: expected one of off, on, leave, found 'maybe'",
            id="a-state-that-a-flag-cannot-have",
        ),
        pytest.param(
            "unleash: {url: 'https://me:secret@unleash.example', token_file: t}",
            "rollbackd.yaml:5:24: config › flags › unleash › url: expected a URL without credentials, found one with a user or a password; "
            "put them into a file and name the file",
            id="credentials-in-the-address",
        ),
        pytest.param(
            f"unleash: {{{UNLEASH}}}, default: {{kind: unleash, {UNLEASH}}}",
            "rollbackd.yaml:5:80: config › flags: expected a place of its own, found the keys of 'unleash'; rename it",
            id="two-providers-with-the-same-keys",
        ),
    ],
)
def test_a_wrong_provider_is_refused_with_the_place_and_what_was_expected(flags: str, answer: str) -> None:
    assert said(flags) == [answer]


def test_the_keys_of_a_provider_that_is_named_as_its_kind_name_the_project() -> None:
    found = rung(f"unleash: {{{UNLEASH}}}", "provider: unleash, environment: production, tag: checkout")
    assert found == FlagsRung("unleash:default/production/tag:checkout", only_changed=True)


def test_the_keys_of_any_other_provider_name_the_provider() -> None:
    found = rung(f"mine: {{kind: unleash, {UNLEASH}}}", "provider: mine, environment: production, flags: [b, a], only: all")
    assert found == FlagsRung("unleash:mine/production/flags:a,b", only_changed=False)


def test_a_rung_without_an_environment_is_refused_where_flags_have_several_states() -> None:
    (found,) = rung(f"unleash: {{{UNLEASH}}}", "provider: unleash, tag: checkout")  # type: ignore[misc]  # faults
    assert found.endswith("flags: expected the key 'environment', found none; unleash keeps a state of each flag for every environment")


def test_each_configured_kind_has_its_target() -> None:
    found = flag_targets(read(f"flagd: {{file: f.json}}, unleash: {{{UNLEASH}}}").flags, aws({}))
    assert {kind: target.kind for kind, target in found.items()} == {"flagd": "flagd", "unleash": "unleash"}
