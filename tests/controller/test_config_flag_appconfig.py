"""AppConfig in the daemon's config."""

from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.target import TargetState
from rollbackd.controller.config.flag_appconfig import AppConfigProvider
from rollbackd.controller.config.load import Config, load_config, names
from rollbackd.controller.wiring.aws import aws
from rollbackd.controller.wiring.flags import flag_targets
from tests.aws.appconfig import open_profile
from tests.servers import Server

HEAD = (
    "apiVersion: rollbackd/v1\nkind: Config\nsources: {prometheus: {url: 'http://127.0.0.1:9090'}}\npolicies: [policies.d]\n"
    "accounts: {prod: {id: '111122223333', regions: [eu-west-1]}}\n"
)
LEAST = "account: prod, region: eu-west-1, application: shop, environment: production, profile: flags, strategy: abc1234"


def said(flags: str) -> Config | list[str]:
    config = load_config(f"{HEAD}flags: {flags}\n", "rollbackd.yaml", Path("/etc/rollbackd"))
    return config if isinstance(config, Config) else [str(fault) for fault in config]


def test_a_profile_is_read_key_by_key_and_has_a_target_and_neither_tags_nor_environments() -> None:
    config = said(f"{{shop: {{kind: appconfig, {LEAST}, settle: 90s, max_flags: 3, safe_states: {{ads: leave}}}}, appconfig: {{{LEAST}}}}}")
    assert isinstance(config, Config)
    least = AppConfigProvider(account="prod", region="eu-west-1", application="shop", environment="production", profile="flags", strategy="abc1234")
    assert config.flags["appconfig"] == least
    assert least.settle == timedelta(minutes=1)
    shop = config.flags["shop"]
    assert (shop.settle, shop.max_flags, shop.safe_states) == (timedelta(seconds=90), 3, {"ads": "leave"})
    offered = names(config)
    assert offered.flag_providers == {"shop": "appconfig", "appconfig": "appconfig"}
    assert offered.tagged == offered.with_environments == frozenset()
    assert set(flag_targets(config.flags, aws(config.accounts))) == {"flagd", "appconfig"}


@pytest.mark.parametrize(
    ("written", "says"),
    [
        pytest.param(LEAST.replace("prod,", "test,"), "flags › appconfig › account: expected an account, found 'test'", id="no-such-account"),
        pytest.param(
            LEAST.replace("eu-west-1", "eu-west-2"), "region: expected a region of account prod, found 'eu-west-2'; eu-west-1", id="no-such-region"
        ),
        pytest.param(LEAST.replace(", strategy: abc1234", ""), "strategy", id="no-strategy"),
        pytest.param(f"{LEAST}, safe_states: {{ads: red}}", "safe_states", id="a-state-that-is-none"),
    ],
)
def test_what_is_missing_or_wrong_is_a_fault_with_its_place(written: str, says: str) -> None:
    faults = said(f"{{appconfig: {{{written}}}}}")
    assert isinstance(faults, list)
    (fault,) = faults
    assert says in fault


@pytest.mark.usefixtures("aws_keys")
def test_what_is_wired_reads_the_flags_that_are_in_force(ministack: Server) -> None:
    shop = open_profile(ministack.url)
    shop.deploy({"cart": True})
    # In quotes: an id is made by chance, and 7e99999 without them would be a number.
    places = f"application: '{shop.application}', environment: production, profile: flags, strategy: '{shop.strategy}'"
    text = (
        HEAD.replace("regions:", f"endpoint: '{ministack.url}', regions:") + f"flags: {{appconfig: {{account: prod, region: eu-west-1, {places}}}}}\n"
    )
    config = load_config(text, "rollbackd.yaml", Path("/etc/rollbackd"))
    assert isinstance(config, Config), config
    target = flag_targets(config.flags, aws(config.accounts))["appconfig"]
    assert target.check(["appconfig:appconfig/all"]) == ()
    state = target.survey(["appconfig:appconfig/all"])["appconfig:appconfig/all"]
    assert isinstance(state, TargetState)
    assert state.parts == {"cart": {"enabled": True}}
