"""The daemon's config as written. Names, addresses, files and argv live here, so that policies need none."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag

from rollbackd.controller.config.accounts import AccountParts
from rollbackd.controller.config.channels import ChannelItem
from rollbackd.controller.config.freezes import FreezeParts, Space
from rollbackd.controller.config.leaves import FilePath, ProbeUrl, WebUrl
from rollbackd.policies.documents.base import Duration, Interval, LabelName, Name, ObjectName, PositiveDuration, Text, Written, first_of, refuse
from rollbackd.policies.documents.conditions import ModeWord
from rollbackd.policies.documents.targets import Region
from rollbackd.policies.text.wording import describe_pattern
from rollbackd.policies.text.yaml_text import Path, Value

REVISION = "{revision}"
SOURCE_KINDS = ("prometheus", "scrape", "cloudwatch")
# Kinds of the contract that this version does not have, each with what to do instead.
LATER_SOURCES = {
    **dict.fromkeys(("datadog", "influxdb"), ""),
    **dict.fromkeys(("thanos", "mimir", "victoriametrics"), "it speaks Prometheus' API: write 'kind: prometheus'"),
}


def _applies(argv: list[str]) -> list[str]:
    whole = [element for element in argv[1:] if element == REVISION]
    if len(whole) != 1 or any(REVISION in element and element != REVISION for element in argv) or argv[0] == REVISION:
        found = "another use of it" if any(REVISION in element for element in argv) else "none"
        raise refuse(f"'{REVISION}' once, as an argument of its own", found, f"for example [deploy, --to, '{REVISION}']")
    return argv


def _describes(argv: list[str]) -> list[str]:
    if any(REVISION in element for element in argv):
        raise refuse("a command that takes no revision", f"'{REVISION}'", "describe prints the revision that is running")
    return argv


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port[:6]) > 65535:
        raise refuse("an address such as 127.0.0.1:8080")
    return text


Argv: TypeAlias = Annotated[list[Text], Field(min_length=1, max_length=100)]


class PrometheusParts(Written):
    """A Prometheus, or what speaks its API."""

    kind: Literal["prometheus"] = Field("prometheus", description="What it is. Default: its name.")
    url: WebUrl = Field(description="Its address.")
    token_file: FilePath | None = Field(None, description="A file that holds a bearer token.")
    ca_file: FilePath | None = Field(None, description="A file with the certificates to trust.")
    scrape_interval: Interval | None = Field(None, description="How often it scrapes. Default 15s.")
    delay: Duration | None = Field(None, description="How long samples take to arrive. Default: one scrape and 5s.")
    timeout: PositiveDuration | None = Field(None, description="The longest wait for an answer. Default 10s.")
    match: dict[LabelName, Text] = Field(
        default_factory=dict, description="Only series with these labels are looked at: of a store for several clusters, those of one. Default: all."
    )


class StaticTarget(Written):
    """Pages of metrics at fixed addresses."""

    siblings: ClassVar[frozenset[str]] = frozenset(("urls", "dns"))

    labels: dict[LabelName, Text] = Field(default_factory=dict, description="Labels put on every series.")
    urls: Annotated[list[WebUrl], Field(min_length=1)] = Field(description="The addresses of the pages.")


class DnsTarget(Written):
    """Pages of metrics at every address that a name has."""

    siblings: ClassVar[frozenset[str]] = frozenset(("urls", "dns"))

    labels: dict[LabelName, Text] = Field(default_factory=dict, description="Labels put on every series.")
    dns: Annotated[str, Field(pattern="^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")] = Field(
        description="The name; every address it has is read."
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(description="The port.")
    path: Annotated[str, Field(pattern="^/[^ ]*$", max_length=1000)] = Field("/metrics", description="The path. Default /metrics.")


class ScrapeParts(Written):
    """Pages of metrics that the daemon reads by itself."""

    kind: Literal["scrape"] = Field("scrape", description="What it is. Default: its name.")
    every: Interval | None = Field(None, description="How often the pages are read. Default 15s.")
    timeout: PositiveDuration | None = Field(None, description="The longest wait for a page. Default: `every`, at most 10s.")
    max_series: Annotated[int, Field(ge=1000, le=1_000_000)] = Field(20_000, description="The most series that are kept of all pages. Default 20000.")
    targets: Annotated[
        list[Annotated[Annotated[StaticTarget, Tag("<urls>")] | Annotated[DnsTarget, Tag("<dns>")], first_of("urls", "dns")]], Field(min_length=1)
    ] = Field(description="What is read.")


class CloudWatchParts(Written):
    """One account's metrics in one region at Amazon."""

    kind: Literal["cloudwatch"] = Field("cloudwatch", description="What it is. Default: its name.")
    account: Name | None = Field(None, description="An account of the config; not needed where there is only one.")
    region: Region | None = Field(None, description="A region of the account; not needed where it has only one.")
    delay: Duration | None = Field(None, description="How long metrics take to arrive. Default 2m.")


class ClusterParts(Written):
    """How a Kubernetes cluster is reached. Neither key: the pod's own service account, else the default kubeconfig."""

    kubeconfig: FilePath | None = Field(None, description="A kubeconfig.")
    context: Text | None = Field(None, description="A context of it.")


class CommandParts(Written):
    """Two commands; no shell is involved."""

    describe: Annotated[Argv, AfterValidator(_describes)] = Field(description="Prints the revision that is running.")
    apply: Annotated[Argv, AfterValidator(_applies)] = Field(description="Puts a revision in place; {revision} is one argument of it.")
    timeout: PositiveDuration | None = Field(None, description="The longest run of either. Default 60s.")
    complete_within: PositiveDuration | None = Field(None, description="How long what was applied may take to be ready. Default 10m.")
    settle: Duration | None = Field(None, description="The wait after it before evidence counts. Default 0s.")


class ProbeParts(Written):
    """A health check by name."""

    urls: Annotated[list[ProbeUrl], Field(min_length=1)] = Field(description="What is asked: http(s)://… or tcp://host:port.")
    timeout: PositiveDuration | None = Field(None, description="The longest wait for each. Default 5s.")


class GuardParts(Written):
    """Limits on what is done by itself."""

    later: ClassVar[Mapping[str, str]] = {"freeze_windows": "'freeze'", "systemic": ""}

    in_flight_per_namespace: Annotated[int, Field(ge=1)] = Field(1, description="Incidents acted on at a time in one namespace. Default 1.")
    in_flight: Annotated[int, Field(ge=1)] = Field(3, description="Incidents acted on at a time in all. Default 3.")
    per_hour: Annotated[int, Field(ge=1)] = Field(10, description="Incidents acted on in an hour. Default 10.")
    per_target_per_day: Annotated[int, Field(ge=1)] = Field(2, description="Incidents acted on for one target in a day. Default 2.")
    cooldown: Duration | None = Field(None, description="Rest of a target after an incident. Default 30m.")
    cooldown_floor: Duration | None = Field(None, description="The least rest that a policy may set for itself. Default: none.")
    known_good_max_age: PositiveDuration | None = Field(None, description="How long ago a known-good revision may have served last. Default 7d.")
    freeze: Annotated[list[FreezeParts], Field(max_length=200)] = Field(
        default_factory=list, description="Times in which nothing is done by itself. Default: none."
    )


class NamespaceParts(Written):
    """What may be done in a namespace."""

    mode_cap: ModeWord = Field(description="The most that may be done there.")


_TOKEN_HASH = describe_pattern("^sha256:[0-9a-f]{64}$", "a hash as `rollbackd token` prints it, such as sha256:…")


class PersonParts(Written):
    """A person who may decide."""

    token_file: FilePath | None = Field(None, description="The file that holds this person's token; it has to be there.")
    token_hash: Annotated[str, Field(pattern=_TOKEN_HASH)] | None = Field(None, description="Or its hash, as `rollbackd token` prints it.")


class ClusterPeopleParts(Written):
    """A Kubernetes cluster that knows the people: whoever has a right of `rollbacks.rollbackd.io` there has it here."""

    cluster: Name | None = Field(None, description="A cluster of `clusters`. Default: the only one.")
    namespace: ObjectName = Field(description="The namespace in which the rights are given.")
    audience: Text | None = Field(None, description="Whom the tokens have to be made for. Default: the cluster's API server.")


class HookParts(Written):
    """Where a pipeline posts changes that it signs."""

    secret_file: FilePath = Field(description="The file with the secrets that it signs by, one a line: `whsec_` and base64, or plain text.")


class ApiParts(Written):
    """The local API, for the command line and the page."""

    listen: Annotated[str, AfterValidator(_address)] = Field("127.0.0.1:8080", description="Where it listens. Default 127.0.0.1:8080.")
    token_file: FilePath | None = Field(None, description="The file that holds its token; made if it is not there. Default: api.token in data_dir.")
    people: dict[Name, PersonParts] = Field(
        default_factory=dict,
        description="People with a token of their own. Where there are any, only they approve, reject, roll back and undo, under a proven name.",
    )
    kubernetes: ClusterPeopleParts | None = Field(None, description="A cluster that proves names as well. Default: none.")
    hooks: dict[Name, HookParts] = Field(
        default_factory=dict, description="Pipelines that post changes by signature instead of a token, each to /hooks/NAME. Default: none."
    )


class HealthParts(Written):
    """The pages for the platform alone, for whoever reaches the address."""

    listen: Annotated[str, AfterValidator(_address)] = Field(description="Where /healthz, /readyz and /metrics are served, and nothing else.")


class HeartbeatParts(Written):
    """Who expects a sign of life, and pages where none comes."""

    url_file: FilePath = Field(description="A file that holds the address to post to, which is a secret.")
    every: Interval | None = Field(None, description="How often. Default 1m.")


class StoreParts(Written):
    """A database that replicas share."""

    url: Text = Field(description="postgresql://USER@HOST/DATABASE, without a password.")
    password_file: FilePath | None = Field(None, description="The file with the password, read at each connect. Default: as libpq finds one.")


def _is_in_parts(value: Any) -> str:
    return "<url>" if isinstance(value, str) else "<parts>"


StoreEntry: TypeAlias = Annotated[Annotated[Text, Tag("<url>")] | Annotated[StoreParts, Tag("<parts>")], Discriminator(_is_in_parts)]


class ConfigDocument(Written):
    """The daemon's config."""

    later: ClassVar[Mapping[str, str]] = dict.fromkeys(("shard", "tls", "page", "sidecar"), "")

    api_version: Literal["rollbackd/v1"] = Field(alias="apiVersion", description="The version of this contract.")
    kind: Literal["Config"] = Field(description="What this document is.")
    mode_cap: ModeWord = Field("auto", description="The most that may be done anywhere. Default auto: each policy decides.")
    namespaces: dict[Space, NamespaceParts] = Field(default_factory=dict, description="Namespaces with a lower cap.")
    sources: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] = Field(description="Metric sources, by name.")
    flags: dict[Name, dict[str, Any]] = Field(default_factory=dict, description="Flag providers, by name.")
    clusters: dict[Name, ClusterParts] = Field(
        default_factory=dict, description="Kubernetes clusters, by name. None: the one it runs in, as `default`."
    )
    accounts: dict[Name, AccountParts] = Field(default_factory=dict, description="Accounts at Amazon, by name.")
    commands: dict[Name, CommandParts] = Field(default_factory=dict, description="Pairs of commands, by name.")
    contacts: dict[Name, Annotated[list[ChannelItem], Field(min_length=1)]] = Field(
        default_factory=dict, description="Who is told, by name: every channel of a contact gets every message."
    )
    fallback: Name | None = Field(None, description="The contact that is told what cannot be delivered to another. Default: none.")
    probes: dict[Name, ProbeParts] = Field(default_factory=dict, description="Health checks, by name.")
    guards: GuardParts | None = Field(None, description="Limits on what is done by itself.")
    store: StoreEntry | None = Field(None, description="The journal's database, by its URL or in parts. Default sqlite:///DATA_DIR/rollbackd.db.")
    policies: Annotated[list[FilePath], Field(min_length=1)] = Field(description="Policy files, and folders of them.")
    api: ApiParts | None = Field(None, description="The local API.")
    health: HealthParts | None = Field(None, description="A second address, for probes and Prometheus. Default: none.")
    heartbeat: HeartbeatParts | None = Field(None, description="A service elsewhere that pages when this daemon falls silent. Default: none.")
    data_dir: FilePath = Field("/data", description="Where the daemon keeps its files. Default /data.")


STAND_INS: Mapping[Path, Value] = {
    ("apiVersion",): "rollbackd/v1",
    ("kind",): "Config",
    ("sources",): {"prometheus": {"url": "http://unnamed"}},
    ("policies",): ["unnamed"],
}
"""In place of what every config has, so that a fault in it hides none of the others'."""
