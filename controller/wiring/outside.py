"""From the config to everything that the daemon reads and writes outside: sources, targets and contacts. Nothing is asked or sent yet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import assert_never

from rollbackd.adapters.aws import Aws
from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.notice import Notifier
from rollbackd.adapters.base.roster import Roll
from rollbackd.adapters.base.source import Source
from rollbackd.adapters.base.target import AnswersAlone, Target
from rollbackd.controller.clock import now
from rollbackd.controller.config import values
from rollbackd.controller.logs import Secrets
from rollbackd.controller.observe.probing import Addresses
from rollbackd.controller.wiring.aws import aws, aws_targets, cloudwatch
from rollbackd.controller.wiring.channels import notifiers
from rollbackd.controller.wiring.flags import flag_targets
from rollbackd.policies.fleets.policy import FleetPolicy
from rollbackd.policies.model.policy import Policy


@dataclass(frozen=True, slots=True)
class Outside:
    """By the names that the config and the keys of policies use."""

    sources: Mapping[str, Source]
    targets: Mapping[str, Target]
    contacts: Mapping[str, Sequence[Notifier]]

    @property
    def roll(self) -> Roll | None:
        """The kind of target that knows which workloads there are."""
        return next((target for target in self.targets.values() if isinstance(target, Roll)), None)

    @property
    def addresses(self) -> dict[str, Addresses]:
        """The kinds of targets that know the addresses of their own replicas."""
        return {kind: target.addresses for kind, target in self.targets.items() if hasattr(target, "addresses")}

    def check(self, policies: Sequence[Policy], fleets: Sequence[FleetPolicy], is_over: Callable[[], bool]) -> tuple[str, ...]:
        """What would stop a rollback of these policies' targets, or keep the members of these fleets from being found, before either is needed.

        Takes as long as what it asks. Once it ``is_over`` nothing that was started for it runs on.
        """
        return (*_unlisted(self.roll, fleets), *_problems(self.targets, policies, is_over))


def outside(config: values.Config, secrets: Secrets) -> Outside:
    """All of the config's. Raises AdapterError where a part can never work."""
    for library in _libraries(config):
        import_module(library)
    amazon = aws(config.accounts)
    return Outside(
        sources={name: source_of(name, source, amazon) for name, source in config.sources.items()},
        targets=targets_of(config, amazon),
        contacts={name: notifiers(name, channels, secrets) for name, channels in config.contacts.items()},
    )


def _libraries(config: values.Config) -> Iterator[str]:
    """What several threads would import when they first need it: where two imports wait for each other, Python hands one of them half a module."""
    yield "requests"
    if config.clusters:
        yield "kubernetes"
    if config.accounts:
        yield "boto3"


def source_of(name: str, config: values.Source, amazon: Aws) -> Source:
    """The source; nothing is asked yet. Raises AdapterError for what can never be asked."""
    match config:
        case values.PrometheusSource():
            from rollbackd.adapters.prometheus import Prometheus

            return Prometheus(
                name,
                config.url,
                token_file=config.token_file,
                ca_file=config.ca_file,
                scrape_interval=config.scrape_interval,
                delay=config.delay,
                timeout=config.timeout,
                match=config.match,
            )
        case values.ScrapeSource():
            from rollbackd.adapters.scrape import Endpoint, Scrape, by_name

            def discover() -> Sequence[Endpoint | AdapterError]:
                found: list[Endpoint | AdapterError] = []
                for pages in config.targets:
                    if isinstance(pages, values.StaticPages):
                        found += [Endpoint(url, pages.labels) for url in pages.urls]
                        continue
                    try:
                        found += by_name(pages.host, pages.port, pages.path, pages.labels)()
                    except AdapterError as fault:  # a service without a ready pod has no address: no reason to read nobody else's pages
                        found.append(fault)
                return found

            return Scrape(name, discover, interval=config.every, now=now, timeout=config.timeout, max_series=config.max_series)
        case values.CloudWatchSource():
            return cloudwatch(name, config, amazon)
        case _:
            assert_never(config)


def targets_of(config: values.Config, amazon: Aws) -> dict[str, Target]:
    """The kinds of targets that are configured. An SDK is imported only for its own. Raises AdapterError for one that can never be written."""
    from rollbackd.adapters.command import Command, CommandSpec

    commands = {
        n: CommandSpec(c.describe, c.apply, timeout=c.timeout, complete_within=c.complete_within, settle=c.settle) for n, c in config.commands.items()
    }
    found: dict[str, Target] = {"command": Command(commands), **flag_targets(config.flags, amazon)}
    if config.clusters:
        from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes

        found["kubernetes"] = Kubernetes({n: ClusterAccess(c.kubeconfig, c.context) for n, c in config.clusters.items()})
    return {**found, **aws_targets(amazon)}


def _problems(targets: Mapping[str, Target], policies: Sequence[Policy], is_over: Callable[[], bool]) -> tuple[str, ...]:
    """What would stop a rollback of these policies' targets, found before it is needed."""
    keys = dict.fromkeys(key for policy in policies for key in policy.targets)
    found: list[str] = []
    for kind, target in targets.items():
        mine = [key for key in keys if key.startswith(f"{kind}:")]
        if mine:
            found += target.check(mine, is_over) if isinstance(target, AnswersAlone) else target.check(mine)
    return tuple(found)


def _unlisted(roll: Roll | None, fleets: Sequence[FleetPolicy]) -> tuple[str, ...]:
    """What would keep the members of these fleets from being found, each line once."""
    found: list[str] = []
    for select in (fleet.select for fleet in fleets):
        try:
            found += roll.roll_rights(select.cluster, select.namespaces) if roll is not None else ()
        except AdapterError as fault:
            found.append(str(fault))
    return tuple(dict.fromkeys(found))
