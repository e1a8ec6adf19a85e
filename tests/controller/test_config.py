"""The daemon's config: what is read, what is refused and with which words."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbackd.controller.config.flags import FlagdProvider
from rollbackd.controller.config.load import load_config, names
from rollbackd.controller.config.values import (
    Alertmanager,
    Api,
    Cluster,
    Command,
    Config,
    NamedPages,
    NamedProbe,
    PrometheusSource,
    ScrapeSource,
    StaticPages,
    Webhook,
)
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import Mode
from rollbackd.policies.resolve.names import Names

BASE = Path("/etc/rollbackd")
SHORTEST = "apiVersion: rollbackd/v1\nkind: Config\nsources: {prometheus: {url: 'http://127.0.0.1:9090'}}\npolicies: [policies.d]\n"
WHOLE = """\
apiVersion: rollbackd/v1
kind: Config
mode_cap: suggest
namespaces: {shop: {mode_cap: observe}, 'command:deploy': {mode_cap: auto}}
sources:
  prometheus:
    {url: https://prometheus.example, token_file: tokens/prom, ca_file: /etc/ca.pem, scrape_interval: 30s, delay: 5s, timeout: 3s,
    match: {cluster: eu}}
  pages:
    kind: scrape
    every: 5s
    timeout: 2s
    max_series: 60000
    targets:
      - {labels: {app: shop}, urls: ['http://127.0.0.1:9000/metrics', 'http://127.0.0.1:9001/metrics']}
      - {labels: {app: search}, dns: search.internal, port: 9100, path: /m}
flags:
  flagd: {file: flags.json, settle: 2s, safe_states: {new-checkout: 'off'}}
  switches: {kind: flagd, file: /srv/flags.json}
clusters:
  eu: {kubeconfig: kube/eu, context: admin@eu}
  us: {}
commands:
  deploy: {describe: [deploy, current], apply: [deploy, --to, '{revision}'], timeout: 2m, complete_within: 5m, settle: 10s}
contacts:
  oncall:
    - webhook: {url_file: hook, secret_file: hook-secret}
    - alertmanager: {urls: ['http://am-0:9093', 'http://am-1:9093']}
probes: {login: {urls: ['https://login.example/healthz', 'tcp://login.example:443'], timeout: 1s}}
guards: {in_flight_per_namespace: 2, in_flight: 5, per_hour: 20, per_target_per_day: 4, cooldown: 5m, cooldown_floor: 1m, known_good_max_age: 14d}
store: sqlite:///state/journal.db
policies: [policies.d, /srv/policies/shop.yaml]
api: {listen: '[::1]:9999', token_file: token}
health: {listen: '0.0.0.0:8081'}
data_dir: state
"""


def read(text: str) -> Config:
    config = load_config(text, "rollbackd.yaml", BASE)
    assert isinstance(config, Config), config
    return config


def said(text: str) -> list[str]:
    config = load_config(text, "rollbackd.yaml", BASE)
    return [] if isinstance(config, Config) else [str(fault) for fault in config]


def test_an_unknown_key_hides_no_fault_of_what_stands_beside_it():
    text = SHORTEST.replace("http://", "ftp://") + "hurry: 5s\nfallback: nobody\n"
    faults = [str(fault) for fault in load_config(text, "rollbackd.yaml", BASE)]
    assert [fault.split(":")[1] for fault in faults] == ["3", "5", "6"]


@pytest.mark.parametrize(
    ("sound", "malformed", "count"),
    [
        pytest.param("policies: [policies.d]", "policies: nope", 1, id="policies-no-list"),
        pytest.param("policies: [policies.d]", "policies: []", 1, id="policies-none"),
        pytest.param("policies: [policies.d]", "polices: [policies.d]", 1, id="policies-misspelt"),
        pytest.param("kind: Config", "kind: Confg", 1, id="kind"),
        pytest.param("apiVersion: rollbackd/v1", "apiVersion: 1", 1, id="version"),
        pytest.param(SHORTEST.splitlines()[2], "sources: prometheus", 1, id="sources"),
    ],
)
def test_a_required_value_that_is_malformed_hides_no_other_fault(sound: str, malformed: str, count: int) -> None:
    assert sound in SHORTEST
    faults = said(SHORTEST.replace(sound, malformed) + "fallback: nobody\napi: {people: {ann: {}}}\n")
    assert [fault.split(": ")[1].partition(" › ")[2] for fault in faults[-2:]] == ["fallback", "api › people › ann"]
    assert len(faults) == count + 2


def test_the_shortest_config_has_safe_defaults() -> None:
    assert read(SHORTEST) == Config(
        mode_cap=Mode.AUTO,
        namespace_caps={},
        sources={"prometheus": PrometheusSource("http://127.0.0.1:9090")},
        flags={},
        clusters={"default": Cluster(is_implied=True)},
        commands={},
        contacts={},
        probes={},
        limits=Limits(),
        store="sqlite:////data/rollbackd.db",
        policies=(Path("/etc/rollbackd/policies.d"),),
        api=Api(("127.0.0.1", 8080), Path("/data/api.token")),
        data_dir=Path("/data"),
    )


def test_a_command_has_a_minute_for_each_run_and_ten_to_be_complete() -> None:
    (command,) = read(f"{SHORTEST}commands: {{deploy: {{describe: [d], apply: [d, '{{revision}}']}}}}\n").commands.values()
    assert (command.timeout, command.complete_within, command.settle) == (timedelta(minutes=1), timedelta(minutes=10), timedelta(0))


def test_a_whole_config_is_read_key_by_key() -> None:
    assert read(WHOLE) == Config(
        mode_cap=Mode.SUGGEST,
        namespace_caps={"shop": Mode.OBSERVE, "command:deploy": Mode.AUTO},
        sources={
            "prometheus": PrometheusSource(
                url="https://prometheus.example",
                token_file=Path("/etc/rollbackd/tokens/prom"),
                ca_file=Path("/etc/ca.pem"),
                scrape_interval=timedelta(seconds=30),
                delay=timedelta(seconds=5),
                timeout=timedelta(seconds=3),
                match=(("cluster", "eu"),),
            ),
            "pages": ScrapeSource(
                targets=(
                    StaticPages(("http://127.0.0.1:9000/metrics", "http://127.0.0.1:9001/metrics"), {"app": "shop"}),
                    NamedPages("search.internal", 9100, "/m", {"app": "search"}),
                ),
                every=timedelta(seconds=5),
                timeout=timedelta(seconds=2),
                max_series=60_000,
            ),
        },
        flags={
            "flagd": FlagdProvider(Path("/etc/rollbackd/flags.json"), timedelta(seconds=2), {"new-checkout": "off"}),
            "switches": FlagdProvider(Path("/srv/flags.json")),
        },
        clusters={"eu": Cluster(Path("/etc/rollbackd/kube/eu"), "admin@eu"), "us": Cluster()},
        commands={
            "deploy": Command(
                ("deploy", "current"), ("deploy", "--to", "{revision}"), timedelta(minutes=2), timedelta(minutes=5), timedelta(seconds=10)
            )
        },
        contacts={
            "oncall": (
                Webhook(url_file=Path("/etc/rollbackd/hook"), secret_file=Path("/etc/rollbackd/hook-secret")),
                Alertmanager(("http://am-0:9093", "http://am-1:9093")),
            )
        },
        probes={"login": NamedProbe(("https://login.example/healthz", "tcp://login.example:443"), timedelta(seconds=1))},
        limits=Limits(
            in_flight_per_namespace=2,
            in_flight=5,
            per_hour=20,
            per_target_per_day=4,
            cooldown=timedelta(minutes=5),
            cooldown_floor=timedelta(minutes=1),
            known_good_max_age=timedelta(days=14),
        ),
        store="sqlite:////etc/rollbackd/state/journal.db",
        policies=(Path("/etc/rollbackd/policies.d"), Path("/srv/policies/shop.yaml")),
        api=Api(("::1", 9999), Path("/etc/rollbackd/token")),
        data_dir=Path("/etc/rollbackd/state"),
        health=("0.0.0.0", 8081),
    )


def test_policies_may_name_what_the_config_offers() -> None:
    assert names(read(WHOLE)) == Names(
        sources=frozenset({"prometheus", "pages"}),
        clusters=frozenset({"eu", "us"}),
        default_cluster=None,
        flag_providers={"flagd": "flagd", "switches": "flagd"},
        flag_places={"flagd": "flagd", "switches": "switches"},
        tagged=frozenset({"flagd", "switches"}),
        with_environments=frozenset(),
        commands=frozenset({"deploy"}),
        contacts=frozenset({"oncall"}),
        probes=frozenset({"login"}),
        source_kinds={"prometheus": "prometheus", "pages": "scrape"},
    )


def test_the_only_cluster_is_the_default() -> None:
    assert names(read(SHORTEST)).default_cluster == "default"
    assert names(read(f"{SHORTEST}clusters: {{eu: {{}}}}\n")).default_cluster == "eu"


def test_an_address_that_may_be_a_secret_is_in_no_repr() -> None:
    config = read(f"{SHORTEST}contacts: {{oncall: [{{webhook: {{url: 'https://hooks.example/T0/B0/hush'}}}}]}}\n")
    assert "hush" not in repr(config)


def test_an_address_that_may_be_a_secret_is_in_no_message() -> None:
    assert said(f"{SHORTEST}contacts: {{oncall: [{{webhook: {{url: 'hooks.example/T0/B0/hush'}}}}]}}\n") == [
        "rollbackd.yaml:5:37: config › contacts › oncall[0] › webhook › url: "
        "expected a URL that starts with http:// or https://, found something else"
    ]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("", ["rollbackd.yaml:1:1: file: expected one document, found none"], id="empty"),
        pytest.param(f"{SHORTEST}---\n{SHORTEST}", ["rollbackd.yaml:1:1: file: expected one document, found 2"], id="two-documents"),
        pytest.param(
            SHORTEST.replace("kind: Config", "kind: RollbackPolicy"),
            [
                "rollbackd.yaml:2:7: document 1 › kind: expected 'Config', found 'RollbackPolicy'; "
                "this is a policy: name the daemon's config, whose `policies` lead to it"
            ],
            id="a-policy",
        ),
        pytest.param(
            "apiVersion: rollbackd/v1\nkind: Config\n",
            [
                "rollbackd.yaml:1:1: config: expected the key 'policies', found none",
                "rollbackd.yaml:1:1: config: expected the key 'sources', found none",
            ],
            id="nothing-to-do",
        ),
        pytest.param(
            SHORTEST.replace("prometheus: {", "main: {"),
            ["rollbackd.yaml:3:17: config › sources › main: expected the key 'kind', found none; 'main' is none of prometheus, scrape, cloudwatch"],
            id="source-of-no-kind",
        ),
        pytest.param(
            SHORTEST.replace("prometheus: {", "main: {kind: promteus, "),
            [
                "rollbackd.yaml:3:24: config › sources › main › kind: expected one of prometheus, scrape, cloudwatch, found 'promteus'; "
                "did you mean 'prometheus'? allowed: cloudwatch, prometheus, scrape"
            ],
            id="source-of-unknown-kind",
        ),
        pytest.param(
            SHORTEST.replace("prometheus: {", "datadog: {"),
            ["rollbackd.yaml:3:11: config › sources: 'datadog' is not supported in this version"],
            id="source-not-built-yet",
        ),
        pytest.param(
            SHORTEST.replace("prometheus: {", "thanos: {"),
            ["rollbackd.yaml:3:11: config › sources: 'thanos' is not supported in this version; it speaks Prometheus' API: write 'kind: prometheus'"],
            id="source-that-speaks-the-same-api",
        ),
        pytest.param(
            SHORTEST.replace("url:", "uri:"),
            [
                "rollbackd.yaml:3:24: config › sources › prometheus: expected a known key, found 'uri'; did you mean 'url'? "
                "allowed: ca_file, delay, kind, match, scrape_interval, timeout, token_file, url"
            ],
            id="misspelt-key-of-a-source",
        ),
        pytest.param(
            SHORTEST.replace("http://127.0.0.1:9090", "127.0.0.1:9090"),
            ["rollbackd.yaml:3:29: config › sources › prometheus › url: expected a URL that starts with http:// or https://, found something else"],
            id="url-without-scheme",
        ),
        pytest.param(
            SHORTEST.replace("http://127", "http://me:secret@127"),
            [
                "rollbackd.yaml:3:29: config › sources › prometheus › url: expected a URL without credentials, found one with a user or a password; "
                "put them into a file and name the file"
            ],
            id="credentials-in-a-url",
        ),
        pytest.param(
            f"{SHORTEST}contacts: {{oncall: [{{opsgenie: {{key_file: k}}}}]}}\n",
            ["rollbackd.yaml:5:22: config › contacts › oncall[0]: 'opsgenie' is not supported in this version"],
            id="channel-not-built-yet",
        ),
        pytest.param(
            f"{SHORTEST}contacts: {{oncall: []}}\n",
            ["rollbackd.yaml:5:20: config › contacts › oncall: expected at least one item, found an empty list"],
            id="contact-without-channels",
        ),
        pytest.param(
            f"{SHORTEST}contacts: {{oncall: [{{webhook: {{secret_file: s}}}}]}}\n",
            ["rollbackd.yaml:5:31: config › contacts › oncall[0] › webhook: expected either 'url' or 'url_file', found neither"],
            id="webhook-to-nowhere",
        ),
        pytest.param(f"{SHORTEST}shard: 1\n", ["rollbackd.yaml:5:1: config: 'shard' is not supported in this version"], id="shard-not-built-yet"),
        pytest.param(
            f"{SHORTEST}commands: {{deploy: {{describe: [d], apply: [d, '--to={{revision}}']}}}}\n",
            [
                "rollbackd.yaml:5:43: config › commands › deploy › apply: expected '{revision}' once, as an argument of its own, "
                "found another use of it; for example [deploy, --to, '{revision}']"
            ],
            id="revision-inside-an-argument",
        ),
        pytest.param(
            f"{SHORTEST}commands: {{deploy: {{describe: [d], apply: [/bin/true]}}}}\n",
            [
                "rollbackd.yaml:5:43: config › commands › deploy › apply: expected '{revision}' once, as an argument of its own, "
                "found none; for example [deploy, --to, '{revision}']"
            ],
            id="no-revision",
        ),
        pytest.param(
            f"{SHORTEST}commands: {{deploy: {{describe: [d], apply: ['{{revision}}']}}}}\n",
            [
                "rollbackd.yaml:5:43: config › commands › deploy › apply: expected '{revision}' once, as an argument of its own, "
                "found another use of it; for example [deploy, --to, '{revision}']"
            ],
            id="revision-as-the-program",
        ),
        pytest.param(
            f"{SHORTEST}commands: {{deploy: {{describe: deploy current, apply: [d, '{{revision}}']}}}}\n",
            ["rollbackd.yaml:5:31: config › commands › deploy › describe: expected a list, found 'deploy current'"],
            id="a-shell-line-for-argv",
        ),
        pytest.param(
            f"{SHORTEST}guards: {{in_flight: 0}}\n",
            ["rollbackd.yaml:5:21: config › guards › in_flight: expected 1 or more, found 0"],
            id="guard-of-zero",
        ),
        pytest.param(
            f"{SHORTEST}guards: {{in_fligth: 1}}\n",
            [
                "rollbackd.yaml:5:10: config › guards: expected a known key, found 'in_fligth'; did you mean 'in_flight'? allowed: cooldown, "
                "cooldown_floor, freeze, in_flight, in_flight_per_namespace, known_good_max_age, per_hour, per_target_per_day"
            ],
            id="misspelt-guard",
        ),
        pytest.param(
            f"{SHORTEST}store: postgresql://rollbackd:hunter2@db/rollbackd\n",
            [
                "rollbackd.yaml:5:8: config › store: expected a URL without a password, found one with a password; "
                "write the password into a file: store: {url: …, password_file: …}"
            ],
            id="a-password-in-the-store's-url",
        ),
        pytest.param(
            f"{SHORTEST}store: {{url: 'postgresql://db/rollbackd?password=hunter2'}}\n",
            [
                "rollbackd.yaml:5:14: config › store › url: expected a URL without a password, found one with a password; "
                "write the password into a file: store: {url: …, password_file: …}"
            ],
            id="a-password-among-the-parameters",
        ),
        pytest.param(
            f"{SHORTEST}store: postgresql://rollbackd@db\n",
            ["rollbackd.yaml:5:8: config › store: expected postgresql://USER@HOST/DATABASE, found no name of a database"],
            id="a-store-without-a-name",
        ),
        pytest.param(
            f"{SHORTEST}store: postgres://rollbackd@db/rollbackd\n",
            ["rollbackd.yaml:5:8: config › store: expected postgresql://USER@HOST/DATABASE, found another URL"],
            id="another-name-for-postgresql",
        ),
        pytest.param(
            f"{SHORTEST}store: {{url: 'sqlite:////data/a.db', password_file: p}}\n",
            ["rollbackd.yaml:5:38: config › store: expected no password for a file, found one; remove it, or name a PostgreSQL in `url`"],
            id="a-password-for-a-file",
        ),
        pytest.param(
            f"{SHORTEST}store: {{pasword_file: p, url: 'postgresql://db/rollbackd'}}\n",
            [
                "rollbackd.yaml:5:9: config › store: expected a known key, found 'pasword_file'; did you mean 'password_file'? "
                "allowed: password_file, url"
            ],
            id="misspelt-key-of-the-store",
        ),
        pytest.param(
            f"{SHORTEST}store: 'sqlite:///:memory:'\n",
            [
                "rollbackd.yaml:5:8: config › store: expected a database that outlives the daemon, found 'sqlite:///:memory:'; "
                "write sqlite:////data/rollbackd.db"
            ],
            id="a-journal-in-memory",
        ),
        pytest.param(
            SHORTEST.replace("{prometheus: {url: 'http://127.0.0.1:9090'}}", "{scrape: {targets: [{urls: ['http://a/m']}], max_series: 20}}"),
            ["rollbackd.yaml:3:67: config › sources › scrape › max_series: expected 1000 or more, found 20"],
            id="fewer-series-than-a-page-has",
        ),
        pytest.param(
            f"{SHORTEST}api: {{listen: 8080}}\n",
            ["rollbackd.yaml:5:15: config › api › listen: expected a string, found 8080; write '8080' in quotes"],
            id="port-alone",
        ),
        pytest.param(
            f"{SHORTEST}api: {{listen: 'localhost:99999'}}\n",
            ["rollbackd.yaml:5:15: config › api › listen: expected an address such as 127.0.0.1:8080, found 'localhost:99999'"],
            id="port-out-of-range",
        ),
        pytest.param(
            f"{SHORTEST}namespaces: {{shop: {{mode_cap: off}}}}\n",
            ["rollbackd.yaml:5:31: config › namespaces › shop › mode_cap: expected one of observe, suggest, approve, auto, found 'off'"],
            id="cap-of-no-mode",
        ),
        pytest.param(
            SHORTEST.replace("[policies.d]", "[]"),
            ["rollbackd.yaml:4:11: config › policies: expected at least one item, found an empty list"],
            id="no-policies",
        ),
        pytest.param(
            f"{SHORTEST}health: {{listen: '0.0.0.0:8080'}}\n",
            [
                "rollbackd.yaml:5:18: config › health › listen: expected another port than the API's, found '0.0.0.0:8080'; "
                "the API serves the same pages"
            ],
            id="health-where-the-api-is",
        ),
        pytest.param(
            f"{SHORTEST}health: {{listen: ':8081'}}\n",
            ["rollbackd.yaml:5:18: config › health › listen: expected an address such as 127.0.0.1:8080, found ':8081'"],
            id="health-without-a-host",
        ),
        pytest.param(
            f"{SHORTEST}guards:\n",
            ["rollbackd.yaml:5:8: config › guards: expected a value, found nothing; give it a value or remove the key"],
            id="written-nothing",
        ),
    ],
)
def test_a_wrong_config_is_refused_with_the_place_and_what_was_expected(text: str, answer: list[str]) -> None:
    assert said(text) == answer


LINES = WHOLE.split("\n")


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(LINES) - 1),
    st.integers(0, 60),
    st.integers(0, 20),
    st.sampled_from(["{}", "[]", "~", "-1", "1e999", "http://[", "'{revision}'", "tcp://x:99999", "::", "true", "''", ".nan"]),
)
def test_a_config_damaged_anywhere_is_read_or_refused_never_raised(line: int, start: int, length: int, scrap: str) -> None:
    damaged = LINES[line][:start] + scrap + LINES[line][start + length :]
    config = load_config("\n".join([*LINES[:line], damaged, *LINES[line + 1 :]]), "rollbackd.yaml", BASE)
    assert isinstance(config, Config) or config


def test_a_shared_store_names_its_password_by_a_file() -> None:
    config = load_config(f"{SHORTEST}store: {{url: 'postgresql://rollbackd@db/rollbackd', password_file: pw}}\n", "rollbackd.yaml", BASE)
    assert isinstance(config, Config)
    assert (config.store, config.store_password) == ("postgresql://rollbackd@db/rollbackd", BASE / "pw")
