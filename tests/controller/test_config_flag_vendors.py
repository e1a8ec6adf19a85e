"""The hosted flag services in the daemon's config: what is read, what is made of it, what is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.base.target import Plan, PlanRequest, Standing, Target, TargetState
from rollbackd.controller.config.flag_vendors import ConfigCatProvider, FlagsmithProvider, GrowthBookProvider, LaunchDarklyProvider
from rollbackd.controller.config.load import load_config, names
from rollbackd.controller.config.values import Config
from rollbackd.controller.wiring.aws import aws
from rollbackd.controller.wiring.flags import flag_targets
from tests.doubles.flags.configcat import CONFIG, PRODUCT, ConfigCat
from tests.doubles.flags.flagsmith import Flagsmith
from tests.doubles.flags.growthbook import GrowthBook
from tests.doubles.flags.launchdarkly import LaunchDarkly
from tests.doubles.flags.vendor import standing

BASE = Path("/etc/rollbackd")
SHORTEST = "apiVersion: rollbackd/v1\nkind: Config\nsources: {prometheus: {url: 'http://127.0.0.1:9090'}}\npolicies: [policies.d]\n"
FLAGS = """\
flags:
  launchdarkly: {token_file: ld, project: shop, sdk_key_files: {production: ld-sdk}, safe_states: {theme: plain, limiter: leave}}
  federal: {kind: launchdarkly, url: 'https://app.launchdarkly.us', sdk_url: 'https://sdk.launchdarkly.us', token_file: /run/ld, project: shop}
  flagsmith: {token_file: fs, project: 7, timeout: 3s}
  ours: {kind: flagsmith, url: 'https://flags.example', token_file: fs, project: 8, ca_file: ca.pem}
  growthbook: {token_file: gb, client_key_files: {production: gb-sdk}, settle: 90s, max_flags: 5}
  configcat: {token_file: cc, product: 08d5-p, config: 08d5-c, sdk_key_files: {production: cc-sdk}, safe_states: {pager: '10'}}
"""


def loaded(text: str) -> Config:
    config = load_config(text, "rollbackd.yaml", BASE)
    assert isinstance(config, Config), config
    return config


def test_each_service_is_read_with_its_public_addresses_as_defaults() -> None:
    flags = loaded(SHORTEST + FLAGS).flags
    assert flags["launchdarkly"] == LaunchDarklyProvider(
        url="https://app.launchdarkly.com",
        token_file=BASE / "ld",
        key_files={"production": BASE / "ld-sdk"},
        safe_states={"theme": "plain", "limiter": "leave"},
        project="shop",
        sdk_url="https://sdk.launchdarkly.com",
    )
    assert flags["flagsmith"] == FlagsmithProvider(
        url="https://api.flagsmith.com",
        token_file=BASE / "fs",
        timeout=timedelta(seconds=3),
        number=7,
        flags_url="https://edge.api.flagsmith.com",
    )
    assert flags["growthbook"] == GrowthBookProvider(
        url="https://api.growthbook.io",
        token_file=BASE / "gb",
        key_files={"production": BASE / "gb-sdk"},
        settle=timedelta(seconds=90),
        max_flags=5,
        project=None,
        sdk_url="https://cdn.growthbook.io",
    )
    assert flags["configcat"] == ConfigCatProvider(
        url="https://api.configcat.com",
        token_file=BASE / "cc",
        key_files={"production": BASE / "cc-sdk"},
        safe_states={"pager": "10"},
        product="08d5-p",
        config="08d5-c",
        cdn_url="https://cdn-global.configcat.com",
    )


def test_a_server_of_ones_own_is_asked_for_evaluations_too() -> None:
    ours = loaded(SHORTEST + FLAGS).flags["ours"]
    assert isinstance(ours, FlagsmithProvider)
    assert ours.flags_url == "https://flags.example"


def test_policies_may_name_each_of_them_with_an_environment_and_a_tag() -> None:
    config = loaded(SHORTEST + FLAGS)
    offered = names(config)
    assert offered.flag_providers == {name: provider.kind for name, provider in config.flags.items()}
    assert offered.with_environments == offered.tagged == frozenset(config.flags)
    assert offered.flag_places["launchdarkly"] == "shop"
    assert offered.flag_places["federal"] == "federal"
    assert offered.flag_places["growthbook"] == "growthbook"


def test_each_kind_that_is_configured_has_a_target_and_no_other() -> None:
    assert set(flag_targets(loaded(SHORTEST + FLAGS).flags, aws({}))) == {"flagd", "launchdarkly", "flagsmith", "growthbook", "configcat"}
    assert set(flag_targets(loaded(SHORTEST).flags, aws({}))) == {"flagd"}


@pytest.mark.parametrize(
    ("written", "says"),
    [
        pytest.param("{launchdarkly: {token_file: t}}", "project", id="no-project"),
        pytest.param("{launchdarkly: {project: shop}}", "token_file", id="no-token"),
        pytest.param("{flagsmith: {token_file: t, project: shop}}", "project", id="a-project-without-a-number"),
        pytest.param("{growthbook: {token_file: t, safe_states: {a: red}}}", "safe_states", id="a-state-that-a-switch-has-not"),
        pytest.param("{configcat: {token_file: t, product: 'a/b', config: c}}", "product", id="an-id-that-is-none"),
        pytest.param("{launchdarkly: {token_file: t, project: shop, url: 'ftp://x'}}", "url", id="no-web-address"),
    ],
)
def test_what_is_missing_or_wrong_is_a_fault_with_its_place(written: str, says: str) -> None:
    faults = load_config(f"{SHORTEST}flags: {written}\n", "rollbackd.yaml", BASE)
    assert not isinstance(faults, Config)
    assert len(faults) == 1
    assert says in str(faults[0])


def wired(flags: str, folder: Path) -> Target:
    (target,) = (target for kind, target in flag_targets(_loaded_in(flags, folder).flags, aws({})).items() if kind != "flagd")
    return target


def _loaded_in(flags: str, folder: Path) -> Config:
    config = load_config(f"{SHORTEST}flags:\n  shop: {flags}\n", "rollbackd.yaml", folder)
    assert isinstance(config, Config), config
    return config


@pytest.mark.parametrize(
    ("vendor", "token", "key", "written"),
    [
        pytest.param(
            LaunchDarkly(),
            "api-secret",
            "sdk-secret",
            "{{kind: launchdarkly, url: {url}, sdk_url: {url}, token_file: token, project: shop, sdk_key_files: {{production: key}}}}",
            id="launchdarkly",
        ),
        pytest.param(Flagsmith(), "api-secret", "", "{{kind: flagsmith, url: {url}, token_file: token, project: 7}}", id="flagsmith"),
        pytest.param(
            GrowthBook(),
            "secret-admin",
            "sdk-abc123",
            "{{kind: growthbook, url: {url}, token_file: token, client_key_files: {{production: key}}}}",
            id="growthbook",
        ),
        pytest.param(
            ConfigCat(),
            "api-user:api-pass",
            "sdk/key",
            f"{{{{kind: configcat, url: {{url}}, cdn_url: {{url}}, token_file: token, product: {PRODUCT}, config: {CONFIG}, "
            "sdk_key_files: {{production: key}}}}",
            id="configcat",
        ),
    ],
)
def test_what_is_configured_switches_a_flag_off_and_sees_it_served(vendor: Any, token: str, key: str, written: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token)
    (tmp_path / "key").write_text(key)
    vendor.add("cart", tags=("checkout",))
    with standing(vendor):
        target = wired(written.format(url=f"'{vendor.url}'"), tmp_path)
        scope = f"{target.kind}:shop/production/tag:checkout"
        state = target.survey([scope])[scope]
        assert isinstance(state, TargetState), state
        plan = target.plan(PlanRequest(scope, "inc-1", state.revision))
        assert isinstance(plan, Plan)
        vendor.lagging = True
        target.apply(plan)
        assert target.look(plan.intent).standing is Standing.UNDERWAY
        vendor.propagate()
        assert target.look(plan.intent).standing is Standing.THERE
