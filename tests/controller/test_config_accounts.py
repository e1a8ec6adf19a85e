"""Accounts in the daemon's config."""

from pathlib import Path

import pytest

from rollbackd.controller.config.accounts import AccountConfig
from rollbackd.controller.config.load import Config, load_config, names

HEAD = "apiVersion: rollbackd/v1\nkind: Config\nsources: {prometheus: {url: 'http://127.0.0.1:9090'}}\npolicies: [policies.d]\n"
ROLE = "arn:aws:iam::111122223333:role/rollbackd"


def said(accounts: str) -> Config | list[str]:
    config = load_config(f"{HEAD}accounts: {accounts}\n", "rollbackd.yaml", Path("/etc/rollbackd"))
    return config if isinstance(config, Config) else [str(fault) for fault in config]


def test_an_account_is_read_key_by_key() -> None:
    written = (
        f"{{prod: {{id: '111122223333', role: '{ROLE}', external_id: rb-7, regions: [eu-west-1, eu-central-1],"
        " endpoint: 'http://127.0.0.1:4566', reregister: true}}"
    )
    config = said(written)
    assert isinstance(config, Config)
    assert config.accounts == {
        "prod": AccountConfig("111122223333", ("eu-west-1", "eu-central-1"), ROLE, "rb-7", "http://127.0.0.1:4566", reregister=True)
    }
    assert names(config).accounts == {"prod": ("eu-west-1", "eu-central-1")}


def test_the_least_that_an_account_says_is_its_number_and_its_regions() -> None:
    config = said("{prod: {id: '111122223333', regions: [eu-west-1]}}")
    assert isinstance(config, Config)
    assert config.accounts == {"prod": AccountConfig("111122223333", ("eu-west-1",))}


WHERE = "rollbackd.yaml:5:"


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        pytest.param(
            "id: 111122223333, regions: [eu-west-1]",
            "expected a string, found 111122223333; write '111122223333' in quotes",
            id="number-without-quotes",
        ),
        pytest.param("id: '1234', regions: [eu-west-1]", "expected an account id of twelve digits, in quotes, found '1234'", id="short-id"),
        pytest.param("id: '111122223333', regions: []", "expected at least one item", id="no-region"),
        pytest.param("id: '111122223333', regions: [Ireland]", "expected a region such as eu-west-1, found 'Ireland'", id="no-such-region"),
        pytest.param(
            "id: '111122223333', regions: [eu-west-1], role: rollbackd", "expected the ARN of a role, found 'rollbackd'", id="role-without-arn"
        ),
        pytest.param(
            f"id: '222222222222', regions: [eu-west-1], role: '{ROLE}'",
            "expected a role of account 222222222222, found one of 111122223333",
            id="role-of-another-account",
        ),
        pytest.param("id: '111122223333', regions: [eu-west-1], external_id: x7", "expected a 'role' beside it, found none", id="external-id-alone"),
        pytest.param(
            "id: '111122223333', regions: [eu-west-1], endpoint: 'https://attacker.example'",
            "expected an address on loopback, for tests, found 'attacker.example'; leave the key out",
            id="endpoint-elsewhere",
        ),
        pytest.param("id: '111122223333', regions: [eu-west-1], secret: x", "expected a known key, found 'secret'", id="a-secret"),
    ],
)
def test_a_fault_says_where_and_what_was_expected(account: str, expected: str) -> None:
    faults = said(f"{{prod: {{{account}}}}}")
    assert isinstance(faults, list)
    assert len(faults) == 1, faults
    assert faults[0].startswith(WHERE)
    assert expected in faults[0], faults[0]
