"""From the config to the parts of one daemon. The only place that names every adapter."""

import fcntl
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Protocol, assert_never, runtime_checkable

from starlette.applications import Starlette

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.roster import Roll
from rollbackd.adapters.base.source import Source
from rollbackd.adapters.base.target import Target
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.act.arrivals import Arrivals
from rollbackd.controller.answers.status import Reload as ReloadLine
from rollbackd.controller.api.app import build_app, build_health_app
from rollbackd.controller.api.metrics import Metrics
from rollbackd.controller.api.token import TokenBook
from rollbackd.controller.bootstrap import Bootstrap
from rollbackd.controller.clock import now
from rollbackd.controller.config import values
from rollbackd.controller.config.accounts import AccountConfig
from rollbackd.controller.config.read import names
from rollbackd.controller.engine.engine import Engine
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.journalling import Journalling
from rollbackd.controller.explain.coverage import Fleets
from rollbackd.controller.explain.preview import Preview
from rollbackd.controller.journal.store import Store
from rollbackd.controller.logs import Secrets
from rollbackd.controller.notify.audit_watch import AuditWatch
from rollbackd.controller.notify.clocks import Clocks
from rollbackd.controller.notify.outbox import Outbox, past_the_store
from rollbackd.controller.notify.readiness import Readiness
from rollbackd.controller.notify.roster_news import RosterNews
from rollbackd.controller.notify.store_trouble import StoreTrouble
from rollbackd.controller.observe.jobs import watch_jobs
from rollbackd.controller.observe.membership import Membership
from rollbackd.controller.observe.observation import Observation, grids
from rollbackd.controller.observe.probing import Addresses, Probing
from rollbackd.controller.observe.readings import Observer
from rollbackd.controller.observe.survey import Surveyor
from rollbackd.controller.people.desk import Desk
from rollbackd.controller.people.view import Facts
from rollbackd.controller.policy_files import PolicyFiles
from rollbackd.controller.schedule import Schedule
from rollbackd.controller.shard import WHOLE, Shard
from rollbackd.controller.wiring.aws import aws_targets, cloudwatch
from rollbackd.controller.wiring.channels import notifiers
from rollbackd.controller.wiring.chores import Chore, chores
from rollbackd.controller.wiring.flags import flag_targets
from rollbackd.controller.wiring.people import cluster_people
from rollbackd.controller.wiring.store import open_store
from rollbackd.policies.fleets.policy import FleetPolicy
from rollbackd.policies.model.policy import Mode, Policy

ORPHANS_AFTER = timedelta(minutes=5)
"""How long replicas may differ in the policies that they have read: a ConfigMap reaches the pods within a minute or two."""


@runtime_checkable
class Startable(Protocol):
    """A source that works in the background."""

    def start(self) -> None:
        """It works from now on."""
        ...

    def stop(self) -> None:
        """It works no more."""
        ...


@dataclass(frozen=True, slots=True)
class Pages:
    """An application and the host and port that it is served on."""

    listen: tuple[str, int]
    app: Starlette


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that one daemon is made of; nothing of it runs yet."""

    pages: Sequence[Pages]
    data_dir: Path
    store: Store
    engine: Engine
    actor: Actor
    outbox: Outbox
    observation: Observation
    schedule: Schedule
    files: PolicyFiles
    membership: Membership
    readiness: Readiness
    startable: Sequence[Startable]
    check: Callable[[Sequence[Policy], Sequence[FleetPolicy]], tuple[str, ...]]
    chores: Sequence[Chore]
    lock: IO[str]


def wire(config: values.Config, secrets: Secrets, shard: Shard = WHOLE) -> Parts:
    """The parts for this config [for a part of its targets]. Raises StoreError, AdapterError or OSError with what to do, before anything runs."""
    config.data_dir.mkdir(parents=True, exist_ok=True)
    lock = hold(config.data_dir / "lock")
    opened = open_store(config)
    store, pause = opened.store, opened.pause(config.data_dir / "pause")
    sources = {name: _source(name, source, config.accounts) for name, source in config.sources.items()}
    targets = _targets(config)
    contacts = {name: notifiers(name, channels, secrets) for name, channels in config.contacts.items()}
    outbox = Outbox(store, contacts, fallback=config.fallback)

    def outcome(target: str) -> None:
        outbox.wake()
        engine.wake(target)

    def adopt(policies: tuple[Policy, ...], unread: frozenset[str]) -> None:
        watch_jobs(targets, policies)  # before the engine decides by them
        engine.replace(policies, unread)
        schedule.keep(grids(policies))
        readiness.keep(policies)

    trouble = StoreTrouble(store, past_the_store(contacts, config.fallback), opened.damage)
    actor = Actor(store, targets, pause, now, outcome, outbox.wake, failed=trouble.failed)
    orphans_after = ORPHANS_AFTER if store.database.is_shared else timedelta(0)
    mode_cap = config.mode_cap if opened.damage is None else Mode.OBSERVE
    settings = Settings(mode_cap, config.namespace_caps, config.limits, shard, orphans_after)
    engine = Engine(store, actor, Journalling(store, outbox.wake), pause, settings, trouble)
    observer = Observer(sources, Probing(config.probes, _addresses(targets)))
    clocks = Clocks(sources, store, now, lambda: tuple(engine.policies.values()), outbox.wake)
    observation = Observation(engine, observer, Surveyor(targets), clocks)
    watch = AuditWatch(store, now, past_the_store(contacts, config.fallback))
    schedule = Schedule(observation.observe, now)
    files = PolicyFiles(config.policies, names(config), now)
    readiness = Readiness(store, targets, now, outbox.wake)
    roll = _roll(targets)
    membership = Membership(roll, names(config).contacts, now, adopt, RosterNews(store, outbox.wake).tell)
    tokens = TokenBook(config.api.token_file, config.api.people, secrets.add)
    facts = _facts(schedule, engine, files, store.writer)
    fleets = Fleets(membership, roll, config.clusters)
    desk = Desk(
        engine,
        store,
        pause,
        targets,
        lambda: observer.health,
        facts,
        now,
        default_cluster=names(config).default_cluster,
        fleets=fleets,
        preview=Preview(sources),
        bootstrap=Bootstrap(store, sources, targets),
    )
    return Parts(
        pages=_pages(config, desk, tokens, Metrics(desk, clocks, watch)),
        data_dir=config.data_dir,
        store=store,
        engine=engine,
        actor=actor,
        outbox=outbox,
        observation=observation,
        schedule=schedule,
        files=files,
        startable=[source for source in sources.values() if isinstance(source, Startable)],
        membership=membership,
        readiness=readiness,
        check=lambda policies, fleets: (*unlisted(roll, fleets), *problems(targets, policies)),
        chores=chores(config, secrets, desk, clocks, watch, Arrivals(store, targets, now, outbox.wake)),
        lock=lock,
    )


def _pages(config: values.Config, desk: Desk, tokens: TokenBook, metrics: Metrics) -> list[Pages]:
    health = [Pages(config.health, build_health_app(desk, metrics))] if config.health is not None else []
    return [Pages(config.api.listen, build_app(desk, metrics, tokens, cluster_people(config))), *health]


def hold(file: Path) -> IO[str]:
    """This process alone works in the file's folder until it ends. Raises OSError if another does."""
    handle = file.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        handle.close()
        raise OSError(f"another rollbackd works in {file.parent}; nothing was started; stop it, or give this one a data_dir of its own") from fault
    return handle


def problems(targets: Mapping[str, Target], policies: Sequence[Policy]) -> tuple[str, ...]:
    """What would stop a rollback of these policies' targets, found before it is needed."""
    keys = dict.fromkeys(key for policy in policies for key in policy.targets)
    found: list[str] = []
    for kind, target in targets.items():
        mine = [key for key in keys if key.startswith(f"{kind}:")]
        found += target.check(mine) if mine else ()
    return tuple(found)


def unlisted(roll: Roll | None, fleets: Sequence[FleetPolicy]) -> tuple[str, ...]:
    """What would keep the members of these fleets from being found, each line once."""
    found: list[str] = []
    for select in (fleet.select for fleet in fleets):
        try:
            found += roll.roll_rights(select.cluster, select.namespaces) if roll is not None else ()
        except AdapterError as fault:
            found.append(str(fault))
    return tuple(dict.fromkeys(found))


def _source(name: str, config: values.Source, accounts: Mapping[str, AccountConfig]) -> Source:
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
            )
        case values.ScrapeSource():
            from rollbackd.adapters.scrape import Endpoint, Scrape, by_name

            def discover() -> Sequence[Endpoint]:
                found: list[Endpoint] = []
                for pages in config.targets:
                    if isinstance(pages, values.StaticPages):
                        found += [Endpoint(url, pages.labels) for url in pages.urls]
                    else:
                        found += by_name(pages.host, pages.port, pages.path, pages.labels)()
                return found

            return Scrape(name, discover, interval=config.every, now=now, timeout=config.timeout)
        case values.CloudWatchSource():
            return cloudwatch(name, config, accounts)
        case _:
            assert_never(config)


def _targets(config: values.Config) -> dict[str, Target]:
    """The kinds of targets that are configured. An SDK is imported only for its own."""
    from rollbackd.adapters.command import Command, CommandSpec

    commands = {n: CommandSpec(c.describe, c.apply, timeout=c.timeout, settle=c.settle) for n, c in config.commands.items()}
    found: dict[str, Target] = {"command": Command(commands), **flag_targets(config.flags, config.accounts)}
    if config.clusters:
        from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes

        found["kubernetes"] = Kubernetes({n: ClusterAccess(c.kubeconfig, c.context) for n, c in config.clusters.items()})
    return {**found, **aws_targets(config.accounts)}


def _roll(targets: Mapping[str, Target]) -> Roll | None:
    """The kind of target that knows which workloads there are."""
    return next((target for target in targets.values() if isinstance(target, Roll)), None)


def _addresses(targets: Mapping[str, Target]) -> dict[str, Addresses]:
    """The kinds of targets that know the addresses of their own replicas."""
    return {kind: target.addresses for kind, target in targets.items() if hasattr(target, "addresses")}


def _facts(schedule: Schedule, engine: Engine, files: PolicyFiles, replica: str) -> Callable[[], Facts]:
    started, version = now(), importlib.metadata.version("rollbackd")

    def facts() -> Facts:
        last = files.last
        reload = ReloadLine(None, False, "the policies were not read yet") if last is None else ReloadLine(last.at, last.is_ok, last.summary)
        return Facts(version, replica, started, reload, schedule.missed + engine.overtaken, schedule.lateness)

    return facts
