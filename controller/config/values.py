"""The daemon's config as the daemon reads it: frozen, typed, every path absolute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from rollbackd.controller.config.accounts import AccountConfig
from rollbackd.controller.config.flags import FlagProviderConfig
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import Mode


@dataclass(frozen=True, slots=True)
class PrometheusSource:
    """A Prometheus, or what speaks its API. ``delay`` None: the source's own choice. ``match``: labels of the series that are looked at."""

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None
    scrape_interval: timedelta = timedelta(seconds=15)
    delay: timedelta | None = None
    timeout: timedelta = timedelta(seconds=10)
    match: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StaticPages:
    """Pages of metrics at fixed addresses; ``labels`` are put on every series."""

    urls: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NamedPages:
    """Pages of metrics at every address that ``host`` has; ``labels`` are put on every series."""

    host: str
    port: int
    path: str = "/metrics"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScrapeSource:
    """Pages of metrics that the daemon reads by itself. ``timeout`` None: the source's own choice. ``max_series``: kept of all pages."""

    targets: tuple[StaticPages | NamedPages, ...]
    every: timedelta = timedelta(seconds=15)
    timeout: timedelta | None = None
    max_series: int = 20_000


@dataclass(frozen=True, slots=True)
class CloudWatchSource:
    """One account's metrics in one region. ``delay`` None: the source's own choice."""

    account: str
    region: str
    delay: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """How a cluster is reached. Neither: the pod's own service account, else the default kubeconfig. ``is_implied``: the config names none."""

    kubeconfig: Path | None = None
    context: str | None = None
    is_implied: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """Two commands as argv. ``{revision}`` is exactly one element of ``apply``."""

    describe: tuple[str, ...]
    apply: tuple[str, ...]
    timeout: timedelta = timedelta(seconds=60)
    complete_within: timedelta = timedelta(minutes=10)
    settle: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver of JSON: its address, or the file that holds it."""

    url: str | None = field(default=None, repr=False)
    url_file: Path | None = None
    secret_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """All instances of an Alertmanager."""

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """A service in PagerDuty. ``url`` None: where PagerDuty is for most."""

    key_file: Path
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Slack:
    """A channel in Slack: the file with an incoming webhook's address, or the one with a bot's token and the channel."""

    url_file: Path | None = None
    token_file: Path | None = None
    channel: str | None = None
    api_url: str | None = None


@dataclass(frozen=True, slots=True)
class Teams:
    """A workflow in Microsoft Teams."""

    url_file: Path


@dataclass(frozen=True, slots=True)
class Email:
    """A mail server, and who gets mail through it. ``username`` and ``password_file``: both or neither."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    sender: str
    recipients: tuple[str, ...]
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Apprise:
    """Whatever apprise speaks."""

    urls_file: Path


@dataclass(frozen=True, slots=True)
class NamedProbe:
    """A health check by name."""

    urls: tuple[str, ...]
    timeout: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class ClusterRights:
    """The cluster that proves names, and the namespace in which it gives the rights."""

    cluster: str
    namespace: str
    audience: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a pipeline posts changes that it signs."""

    secret_file: Path


@dataclass(frozen=True, slots=True)
class Api:
    """Where the local API listens: host and port. ``token_file``: made if it is not there. ``people``: each person's own token file, or its hash."""

    listen: tuple[str, int]
    token_file: Path
    people: Mapping[str, Path | str] = field(default_factory=dict)
    kubernetes: ClusterRights | None = None
    hooks: Mapping[str, Hook] = field(default_factory=dict)


Source: TypeAlias = PrometheusSource | ScrapeSource | CloudWatchSource
KIND_OF_SOURCE = {PrometheusSource: "prometheus", ScrapeSource: "scrape", CloudWatchSource: "cloudwatch"}


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """Where signs of life are posted to: the file with the address, and how often."""

    url_file: Path
    every: timedelta = timedelta(minutes=1)


Channel: TypeAlias = PagerDuty | Slack | Teams | Email | Webhook | Alertmanager | Apprise


@dataclass(frozen=True, slots=True)
class Config:
    """What the operator configured. Every path is absolute. ``store``: a database's URL; ``store_password``: the file with its password.

    ``fallback``: the contact that is told what cannot be delivered to another. ``health``: where the pages for the platform are served beside the
    API, if anywhere.
    """

    mode_cap: Mode
    namespace_caps: Mapping[str, Mode]
    sources: Mapping[str, Source]
    flags: Mapping[str, FlagProviderConfig]
    clusters: Mapping[str, Cluster]
    commands: Mapping[str, Command]
    contacts: Mapping[str, tuple[Channel, ...]]
    probes: Mapping[str, NamedProbe]
    limits: Limits
    store: str
    policies: tuple[Path, ...]
    api: Api
    data_dir: Path
    store_password: Path | None = None
    fallback: str | None = None
    health: tuple[str, int] | None = None
    accounts: Mapping[str, AccountConfig] = field(default_factory=dict)
    heartbeat: SignOfLife | None = None
