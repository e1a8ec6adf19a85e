"""The channels of a contact: what is read, what is refused and with which words."""

from pathlib import Path

import pytest

from rollbackd.controller.config.load import load_config
from rollbackd.controller.config.values import Alertmanager, Apprise, Channel, Config, Email, PagerDuty, Slack, Teams, Webhook

HEAD = "apiVersion: rollbackd/v1\nkind: Config\nsources: {prometheus: {url: 'http://127.0.0.1:9090'}}\npolicies: [policies.d]\n"
BASE = Path("/etc/rollbackd")


def load(contacts: str, more: str = "") -> Config | tuple[object, ...]:
    return load_config(f"{HEAD}contacts: {contacts}\n{more}", "rollbackd.yaml", BASE)


def channel(item: str) -> Channel:
    config = load(f"{{oncall: [{item}, {{webhook: {{url: 'http://hooks'}}}}]}}")
    assert isinstance(config, Config), config
    return config.contacts["oncall"][0]


@pytest.mark.parametrize(
    ("item", "value"),
    [
        pytest.param("{pagerduty: {key_file: pd}}", PagerDuty(BASE / "pd"), id="pagerduty"),
        pytest.param(
            "{pagerduty: {key_file: /k, url: 'https://events.eu.pagerduty.com'}}",
            PagerDuty(Path("/k"), "https://events.eu.pagerduty.com"),
            id="pagerduty-eu",
        ),
        pytest.param("{slack: {url_file: hook}}", Slack(url_file=BASE / "hook"), id="slack-webhook"),
        pytest.param(
            "{slack: {token_file: t, channel: '#sre', api_url: 'https://slack-gov.com/api'}}",
            Slack(token_file=BASE / "t", channel="#sre", api_url="https://slack-gov.com/api"),
            id="slack-token",
        ),
        pytest.param("{teams: {url_file: flow}}", Teams(BASE / "flow"), id="teams"),
        pytest.param(
            "{email: {host: mx.example, from: r@shop.example, to: [a@shop.example]}}",
            Email("mx.example", 587, "starttls", "r@shop.example", ("a@shop.example",)),
            id="email-by-default-with-starttls",
        ),
        pytest.param(
            "{email: {host: mx, tls: implicit, ca_file: ca, from: r@x, to: [a@x, b@x], username: me, password_file: p}}",
            Email("mx", 465, "implicit", "r@x", ("a@x", "b@x"), "me", BASE / "p", BASE / "ca"),
            id="email-with-everything",
        ),
        pytest.param(
            "{email: {host: 127.0.0.1, tls: none, from: r@x, to: [a@x]}}", Email("127.0.0.1", 25, "none", "r@x", ("a@x",)), id="email-plain"
        ),
        pytest.param("{webhook: {url_file: hook}}", Webhook(url_file=BASE / "hook"), id="webhook"),
        pytest.param("{alertmanager: {urls: ['http://am:9093']}}", Alertmanager(("http://am:9093",)), id="alertmanager"),
        pytest.param("{apprise: {urls_file: urls}}", Apprise(BASE / "urls"), id="apprise"),
    ],
)
def test_a_channel_is_read(item: str, value: Channel) -> None:
    assert channel(item) == value


ONE = "rollbackd.yaml:5:22: config › contacts › oncall[0]"


@pytest.mark.parametrize(
    ("contacts", "answer"),
    [
        pytest.param(
            "{oncall: [{pagerdtuy: {key_file: k}}]}",
            f"{ONE}: expected one of the keys pagerduty, slack, teams, email, webhook, alertmanager, apprise, found 'pagerdtuy'; "
            "did you mean 'pagerduty'?",
            id="misspelt-channel",
        ),
        pytest.param(
            "{oncall: [{pagerduty: {key_fiel: k}}]}",
            "rollbackd.yaml:5:34: config › contacts › oncall[0] › pagerduty: expected a known key, found 'key_fiel'; did you mean 'key_file'? "
            "allowed: key_file, url",
            id="misspelt-key",
        ),
        pytest.param(
            "{oncall: [{pagerduty: {key: k}}]}",
            "rollbackd.yaml:5:34: config › contacts › oncall[0] › pagerduty: expected a known key, found 'key'; did you mean 'key_file'? "
            "allowed: key_file, url",
            id="a-secret-that-belongs-into-a-file",
        ),
        pytest.param(
            "{oncall: [{slack: {url: 'https://slack.example/T/B/x'}}]}",
            "rollbackd.yaml:5:30: config › contacts › oncall[0] › slack: expected a known key, found 'url'; did you mean 'url_file'? "
            "allowed: api_url, channel, token_file, url_file",
            id="a-secret-address-is-not-that-of-the-api",
        ),
        pytest.param(
            "{oncall: [{slack: {url_file: u}, teams: {url_file: t}}]}",
            "rollbackd.yaml:5:44: config › contacts › oncall[0]: expected one kind in each entry, found 'teams' beside 'slack'; "
            "make it an entry of its own",
            id="two-kinds-in-one-entry",
        ),
        pytest.param(
            "{oncall: [{slack: {url_file: u, token_file: t}}]}",
            "rollbackd.yaml:5:29: config › contacts › oncall[0] › slack: expected either 'url_file', or 'token_file' and 'channel', found both files",
            id="slack-by-two-ways",
        ),
        pytest.param(
            "{oncall: [{slack: {token_file: t}}]}",
            "rollbackd.yaml:5:29: config › contacts › oncall[0] › slack: expected either 'url_file', or 'token_file' and 'channel', "
            "found 'token_file' alone",
            id="slack-without-a-channel",
        ),
        pytest.param(
            "{oncall: [{email: {host: mx, from: r@x, to: [a@x], username: me}}]}",
            "rollbackd.yaml:5:29: config › contacts › oncall[0] › email: expected both 'username' and 'password_file', or neither, found one of them",
            id="login-without-a-password",
        ),
        pytest.param(
            "{oncall: [{email: {host: mx.example, tls: none, from: r@x, to: [a@x]}}]}",
            "rollbackd.yaml:5:53: config › contacts › oncall[0] › email › tls: expected starttls or implicit, found 'none'; "
            "plain text is for a relay on this machine: host 127.0.0.1 or localhost",
            id="plain-text-over-the-network",
        ),
        pytest.param(
            '{oncall: [{email: {host: mx, from: "r@x\\r\\nBcc: evil@x", to: [a@x]}}]}',
            "rollbackd.yaml:5:46: config › contacts › oncall[0] › email › from: expected a mail address such as a@b.example, "
            "found 'r@x\\r\\nBcc: evil@x'",
            id="a-header-in-an-address",
        ),
        pytest.param(
            "{oncall: [{apprise: {urls_file: u}}]}",
            "rollbackd.yaml:5:20: config › contacts › oncall: expected a channel beside apprise, found apprise alone; "
            "it cannot say why it failed, nor resolve a page: name another channel too",
            id="apprise-as-the-only-pager",
        ),
    ],
)
def test_a_wrong_channel_is_refused_with_the_place_and_what_was_expected(contacts: str, answer: str) -> None:
    found = load(contacts)
    assert not isinstance(found, Config)
    assert [str(fault) for fault in found] == [answer]


def test_the_fallback_is_one_of_the_contacts() -> None:
    contacts = "{oncall: [{pagerduty: {key_file: k}}], platform: [{slack: {url_file: u}}]}"
    config = load(contacts, "fallback: platform\n")
    assert isinstance(config, Config)
    assert config.fallback == "platform"
    found = load(contacts, "fallback: platfrom\n")
    assert not isinstance(found, Config)
    assert [str(fault) for fault in found] == [
        "rollbackd.yaml:6:11: config › fallback: expected a contact, found 'platfrom'; did you mean 'platform'? contacts: oncall, platform"
    ]
