"""The daemon's config: text to frozen values, or every fault in it; and the names that it offers to policies."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rollbackd.controller.config.accounts import read_accounts
from rollbackd.controller.config.channels import channels
from rollbackd.controller.config.documents import (
    LATER_SOURCES,
    SOURCE_KINDS,
    STAND_INS,
    ApiParts,
    CloudWatchParts,
    ConfigDocument,
    PersonParts,
    PrometheusParts,
    ScrapeParts,
    StaticTarget,
)
from rollbackd.controller.config.flag_appconfig import check_accounts
from rollbackd.controller.config.flag_vendors import KINDS
from rollbackd.controller.config.flags import FlagProviderConfig, clashes, place_of
from rollbackd.controller.config.freezes import read_freezes
from rollbackd.controller.config.store import store_config
from rollbackd.controller.config.values import (
    KIND_OF_SOURCE,
    Api,
    CloudWatchSource,
    Cluster,
    ClusterRights,
    Command,
    Config,
    Hook,
    NamedPages,
    NamedProbe,
    PrometheusSource,
    ScrapeSource,
    SignOfLife,
    Source,
    StaticPages,
)
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import Mode
from rollbackd.policies.resolve.names import Names
from rollbackd.policies.text.faults import Fault, choices, quoted
from rollbackd.policies.text.remainder import remainder
from rollbackd.policies.text.validate import Findings, locate, validate, validate_part
from rollbackd.policies.text.yaml_text import Path as Trail
from rollbackd.policies.text.yaml_text import parse

__all__ = ["Config", "certain", "load_config", "names"]

DEFAULT_CLUSTER = "default"
_NONE_LATER: Mapping[str, str] = {}


def load_config(text: str, file: str, base: Path) -> Config | tuple[Fault, ...]:
    """The config, or every fault in it. ``base``: the absolute folder that relative paths start from.

    Whatever a person wrote, nothing is raised and no file is opened.
    """
    parsed = parse(text, file)
    faults = list(parsed.faults)
    if len(parsed.documents) != 1:
        found = f"{len(parsed.documents)}" if parsed.documents else "none"
        return tuple(faults) or (Fault(file, 1, 1, "file", "one document", found),)
    findings = Findings(parsed.documents[0])
    if locate(parsed.documents[0].root, ("kind",))[1].data == "RollbackPolicy":
        # One fault says it all: a policy has none of a config's keys.
        findings.fault(("kind",), "'Config'", "'RollbackPolicy'", "this is a policy: name the daemon's config, whose `policies` lead to it")
        return tuple(sorted((*faults, *findings.faults)))
    written = validate(parsed.documents[0], ConfigDocument, findings)
    config = _Reading(written, findings, base).config() if written is not None else None
    if written is None and (rest := remainder(parsed.documents[0], ConfigDocument, STAND_INS)) is not None:
        sound, beside = rest
        _Reading(sound, beside, base).config()
        findings.faults += beside.faults
    faults += findings.faults
    return config if config is not None and not faults else tuple(sorted(faults))


def certain(text: str, file: str, base: Path, trails: Collection[Trail], also: Collection[Trail] = ()) -> Config | None:
    """What is sound of a config that may be at fault elsewhere, of which only what ``trails`` lead to may be used; None where one of those is not
    written in its place, whole: a default would stand for what was written somewhere else. ``also``: what may be left out, if no other key may have
    been meant for it. As ``load_config`` otherwise.
    """
    parsed = parse(text, file)
    if parsed.faults or len(parsed.documents) != 1 or (rest := remainder(parsed.documents[0], ConfigDocument, {})) is None:
        return None
    sound, beside = rest
    is_written = all(locate(parsed.documents[0].root, trail)[0] == trail for trail in trails)
    if not is_written or not all(beside.is_whole(trail) for trail in (*trails, *also)):
        return None
    return _Reading(sound, beside, base).config()


def names(config: Config) -> Names:
    """What policies may name."""
    return Names(
        sources=frozenset(config.sources),
        clusters=frozenset(config.clusters),
        default_cluster=next(iter(config.clusters)) if len(config.clusters) == 1 else None,
        flag_providers={name: provider.kind for name, provider in config.flags.items()},
        flag_places={name: place_of(name, provider) for name, provider in config.flags.items()},
        tagged=frozenset(name for name, provider in config.flags.items() if provider.has_tags),
        with_environments=frozenset(name for name, provider in config.flags.items() if provider.has_environments),
        commands=frozenset(config.commands),
        contacts=frozenset(config.contacts),
        probes=frozenset(config.probes),
        accounts={name: account.regions for name, account in config.accounts.items()},
        source_kinds={name: KIND_OF_SOURCE[type(source)] for name, source in config.sources.items()},
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """One document on its way to a Config; what it finds wrong is among the findings."""

    written: ConfigDocument
    findings: Findings
    base: Path

    def config(self) -> Config:
        written = self.written
        data_dir = self.base / written.data_dir
        flags, accounts = self._flags(), read_accounts(written.accounts, self.findings)
        check_accounts(flags, accounts, self.findings)
        return Config(
            mode_cap=_mode(written.mode_cap),
            namespace_caps={name: _mode(space.mode_cap) for name, space in written.namespaces.items()},
            sources=self._sources(),
            flags=flags,
            clusters=self._clusters(),
            commands=self._commands(),
            contacts={name: channels(items, self.findings, ("contacts", name), self.base.joinpath) for name, items in written.contacts.items()},
            probes={name: NamedProbe(tuple(each.urls), each.timeout or timedelta(seconds=5)) for name, each in written.probes.items()},
            limits=self._limits(),
            store=(store := store_config(written.store, self.base, data_dir, self.findings)).url,
            store_password=store.password_file,
            policies=tuple(self.base / place for place in written.policies),
            api=(api := self._api(data_dir)),
            data_dir=data_dir,
            fallback=self._fallback(),
            health=self._health(api),
            accounts=accounts,
            heartbeat=SignOfLife(self.base / beat.url_file, beat.every or timedelta(minutes=1)) if (beat := written.heartbeat) else None,
        )

    def _path(self, text: str | None) -> Path | None:
        return self.base / text if text is not None else None

    def _sources(self) -> dict[str, Source]:
        sources: dict[str, Source] = {}
        for name, parts in self.written.sources.items():
            path: Trail = ("sources", name)
            kind = self._kind(parts, name, path, SOURCE_KINDS, LATER_SOURCES)
            if kind == "prometheus" and (prometheus := validate_part(path, PrometheusParts, self.findings)):
                sources[name] = self._prometheus(prometheus)
            if kind == "scrape" and (scrape := validate_part(path, ScrapeParts, self.findings)):
                sources[name] = _scrape(scrape)
            if kind == "cloudwatch" and (cloudwatch := validate_part(path, CloudWatchParts, self.findings)):
                sources[name] = self._cloudwatch(cloudwatch, path)
        return sources

    def _prometheus(self, parts: PrometheusParts) -> PrometheusSource:
        return PrometheusSource(
            parts.url,
            self._path(parts.token_file),
            self._path(parts.ca_file),
            parts.scrape_interval or timedelta(seconds=15),
            parts.delay,
            parts.timeout or timedelta(seconds=10),
            tuple(sorted(parts.match.items())),
        )

    def _cloudwatch(self, parts: CloudWatchParts, path: Trail) -> CloudWatchSource:
        accounts = self.written.accounts
        account = self._only("account", parts.account, accounts, path)
        regions = accounts[account].regions if account in accounts else ()
        return CloudWatchSource(account, self._only("region", parts.region, regions, path) if regions else "", parts.delay)

    def _only(self, key: str, said: str | None, known: Collection[str], path: Trail) -> str:
        """What was said, or the only one there is."""
        if said is None and len(known) == 1:
            return next(iter(known))
        if said is None:
            hint = f"there are several: {', '.join(known)}" if known else "the config has no accounts"
            self.findings.fault(path, f"the key '{key}'", "none", hint)
        elif said not in known:
            self.findings.fault((*path, key), f"one of the config's {key}s", quoted(said), choices(said, known, "known"))
        return said or ""

    def _flags(self) -> dict[str, FlagProviderConfig]:
        providers: dict[str, FlagProviderConfig] = {}
        for name, parts in self.written.flags.items():
            path: Trail = ("flags", name)
            kind = self._kind(parts, name, path, tuple(KINDS))
            if kind and (document := validate_part(path, KINDS[kind].document, self.findings)):
                providers[name] = KINDS[kind].read(document, self.base)
        for first, second in clashes(providers):
            self.findings.fault(("flags", second), "a place of its own", f"the keys of '{first}'", "rename it", at_key=True)
        return providers

    def _kind(
        self, parts: Mapping[str, object], name: str, path: Trail, known: tuple[str, ...], later: Mapping[str, str] = _NONE_LATER
    ) -> str | None:
        """Of what kind an entry is: said, else its name; None after a fault."""
        kind = parts.get("kind", name)
        at_key = "kind" not in parts
        where = path if at_key else (*path, "kind")
        if isinstance(kind, str) and kind in known:
            return kind
        if isinstance(kind, str) and kind in later:
            self.findings.fault(where, "", f"'{kind}' is not supported in this version", later[kind], at_key=at_key)
        elif at_key:
            self.findings.fault(path, "the key 'kind'", "none", f"'{name}' is none of {', '.join(known)}")
        else:
            self.findings.fault(where, f"one of {', '.join(known)}", quoted(kind), choices(kind, known))
        return None

    def _clusters(self) -> dict[str, Cluster]:
        written = {name: Cluster(self._path(each.kubeconfig), each.context) for name, each in self.written.clusters.items()}
        return written or {DEFAULT_CLUSTER: Cluster(is_implied=True)}

    def _commands(self) -> dict[str, Command]:
        return {
            name: Command(
                tuple(each.describe),
                tuple(each.apply),
                each.timeout or timedelta(seconds=60),
                each.complete_within or timedelta(minutes=10),
                each.settle or timedelta(0),
            )
            for name, each in self.written.commands.items()
        }

    def _limits(self) -> Limits:
        """The guard table; what was not written stays at its default."""
        parts = self.written.guards
        if parts is None:
            return Limits()
        return Limits(**parts.model_dump(exclude_none=True, exclude={"freeze"}), freezes=read_freezes(parts.freeze, self.findings))

    def _fallback(self) -> str | None:
        name, contacts = self.written.fallback, self.written.contacts
        if name is not None and name not in contacts:
            self.findings.fault(("fallback",), "a contact", quoted(name), choices(name, contacts, "contacts"))
        return name

    def _api(self, data_dir: Path) -> Api:
        written = self.written.api or ApiParts.model_validate({})
        people = {name: self._token(name, person) for name, person in written.people.items()}
        hooks = {name: Hook(self.base / hook.secret_file) for name, hook in written.hooks.items()}
        return Api(_host_and_port(written.listen), self._path(written.token_file) or data_dir / "api.token", people, self._rights(written), hooks)

    def _token(self, name: str, person: PersonParts) -> Path | str:
        if (person.token_file is None) == (person.token_hash is None):
            found = "neither" if person.token_file is None else "both"
            self.findings.fault(("api", "people", name), "'token_file' or 'token_hash'", found, "`rollbackd token` makes a token and its hash")
        return person.token_hash or self.base / (person.token_file or "")

    def _rights(self, api: ApiParts) -> ClusterRights | None:
        if (written := api.kubernetes) is None:
            return None
        known = self._clusters()
        name = written.cluster or (next(iter(known)) if len(known) == 1 else None)
        if name not in known:
            found = quoted(name) if name is not None else "none"
            self.findings.fault(("api", "kubernetes", "cluster"), "a cluster", found, choices(name or "", known, "clusters"))
        return ClusterRights(name or "", written.namespace, written.audience or "")

    def _health(self, api: Api) -> tuple[str, int] | None:
        written = self.written.health
        if written is None:
            return None
        listen = _host_and_port(written.listen)
        if listen[1] == api.listen[1] != 0:
            self.findings.fault(("health", "listen"), "another port than the API's", quoted(written.listen), "the API serves the same pages")
        return listen


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _scrape(parts: ScrapeParts) -> ScrapeSource:
    pages = tuple(
        StaticPages(tuple(target.urls), dict(target.labels))
        if isinstance(target, StaticTarget)
        else NamedPages(target.dns, target.port, target.path, dict(target.labels))
        for target in parts.targets
    )
    return ScrapeSource(pages, parts.every or timedelta(seconds=15), parts.timeout, parts.max_series)


def _mode(word: str) -> Mode:
    return Mode[word.upper()]
