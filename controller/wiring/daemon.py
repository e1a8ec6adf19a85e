"""From the config to the parts of one daemon."""

import importlib.metadata
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Protocol, runtime_checkable

from starlette.applications import Starlette

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller import clock
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.act.arrivals import Arrivals
from rollbackd.controller.act.deaths import Deaths
from rollbackd.controller.answers.status import Reload as ReloadLine
from rollbackd.controller.api.app import build_app, build_health_app
from rollbackd.controller.api.hooks import Hooks
from rollbackd.controller.api.metrics import Metrics
from rollbackd.controller.api.token import TokenBook
from rollbackd.controller.config import values
from rollbackd.controller.config.load import names
from rollbackd.controller.engine.engine import Engine
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.journalling import Journalling
from rollbackd.controller.engine.observation import Observation, grids
from rollbackd.controller.engine.view import Facts
from rollbackd.controller.explain.coverage import Fleets
from rollbackd.controller.explain.preview import Preview
from rollbackd.controller.journal.database import database
from rollbackd.controller.journal.store import Store
from rollbackd.controller.logs import Secrets
from rollbackd.controller.notify.audit_watch import AuditWatch
from rollbackd.controller.notify.clocks import Clocks
from rollbackd.controller.notify.outbox import Outbox
from rollbackd.controller.notify.policy_news import PolicyNews
from rollbackd.controller.notify.readiness import Readiness
from rollbackd.controller.notify.roster_news import RosterNews
from rollbackd.controller.notify.store_trouble import StoreTrouble
from rollbackd.controller.notify.storeless import past_the_store
from rollbackd.controller.observe.jobs import watch_jobs
from rollbackd.controller.observe.membership import Membership
from rollbackd.controller.observe.probing import Probing
from rollbackd.controller.observe.readings import Observer
from rollbackd.controller.observe.survey import Surveyor
from rollbackd.controller.pause.file import Pause
from rollbackd.controller.people.bootstrap import Bootstrap
from rollbackd.controller.people.desk import Desk
from rollbackd.controller.policy_files import PolicyFiles
from rollbackd.controller.schedule import Schedule
from rollbackd.controller.secret_files import SecretFiles
from rollbackd.controller.shard import WHOLE, Shard
from rollbackd.controller.starting import NotStarted, hold
from rollbackd.controller.wiring.chores import Chore, chores
from rollbackd.controller.wiring.outside import Outside, outside
from rollbackd.controller.wiring.people import cluster_people
from rollbackd.controller.wiring.store import Opened, open_store
from rollbackd.policies.fleets.policy import FleetPolicy
from rollbackd.policies.model.policy import Mode, Policy

ASKED_AT_ONCE = 4
"""So many questions of a slot are put to its source at the same moment."""

BY_HAND = 8
"""So many more incidents than ``guards.in_flight`` may be acted on at once, where people order it."""


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
    """An application and the host and port that it is served on. ``name``: what the config calls the address."""

    name: str
    listen: tuple[str, int]
    app: Starlette


@dataclass(frozen=True, slots=True)
class Ground:
    """What a daemon stands on, and has before its journal is open. ``tell`` reaches people without that."""

    lock: ExitStack
    reached: Outside
    tell: Callable[[Notice], None]


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
    policy_news: PolicyNews
    membership: Membership
    readiness: Readiness
    startable: Sequence[Startable]
    check: Callable[[Sequence[Policy], Sequence[FleetPolicy], Callable[[], bool]], tuple[str, ...]]
    chores: Sequence[Chore]
    lock: ExitStack


def listens(config: values.Config) -> dict[str, tuple[str, int]]:
    """Where pages are served, by what the config calls the address."""
    return {"api.listen": config.api.listen, **({"health.listen": config.health} if config.health is not None else {})}


def ground_of(config: values.Config, secrets: Secrets) -> Ground:
    """For this config, whose secrets are hidden from here on. Raises NotStarted, StoreError or AdapterError with what to do."""
    lock = hold(config.data_dir, database(config.store).file)
    SecretFiles(config, secrets).learn()
    reached = outside(config, secrets)
    return Ground(lock, reached, past_the_store(reached.contacts, config.fallback))


def wire(
    config: values.Config,
    secrets: Secrets,
    shard: Shard = WHOLE,
    time_is: Callable[[], datetime] | None = None,
    ground: Ground | None = None,
    opened: Opened | None = None,
) -> Parts:
    """The parts for this config [for a part of its targets]. Raises NotStarted, StoreError or AdapterError with what to do, before anything runs.

    ``time_is``: one clock for all that decides, acts and tells, instead of the wall's and the database's own. ``ground`` and ``opened``: where
    they are there already.
    """
    now, ground = time_is or clock.now, ground or ground_of(config, secrets)
    opened = opened or open_store(config, secrets.hide, time_is)
    store, reached = opened.store, ground.reached
    core = _core(config, opened, ground, shard, now)
    eyes = _eyes(config, core, reached, store, now)
    known = names(config)
    files = PolicyFiles(config.policies, known, now)
    readiness = Readiness(store, reached.targets, now, core.outbox.wake)
    news = RosterNews(store, core.outbox.wake)
    membership = Membership(reached.roll, known.contacts, now, _adopt(core, eyes, reached, readiness), news.tell)
    facts = _facts(eyes.schedule, core.engine, files, store.writer, now())
    fleets = Fleets(membership, reached.roll, {name: cluster.is_implied for name, cluster in config.clusters.items()})
    desk = _desk(core, eyes, reached, store, facts, now, known.default_cluster, fleets, _longest_wait(config, eyes.observer))
    watch = AuditWatch(store, now, ground.tell)
    return Parts(
        pages=_pages(config, desk, _tokens(config.api, secrets), Metrics(desk, eyes.clocks, watch)),
        data_dir=config.data_dir,
        store=store,
        engine=core.engine,
        actor=core.actor,
        outbox=core.outbox,
        observation=eyes.observation,
        schedule=eyes.schedule,
        files=files,
        policy_news=PolicyNews(store, core.outbox.wake),
        startable=[source for source in reached.sources.values() if isinstance(source, Startable)],
        membership=membership,
        readiness=readiness,
        check=reached.check,
        chores=chores(config, secrets, desk, core.engine.mailbox.put, eyes.clocks, watch, Arrivals(store, reached.targets, now, core.outbox.wake)),
        lock=ground.lock,
    )


@dataclass(frozen=True, slots=True)
class _Core:
    engine: Engine
    actor: Actor
    outbox: Outbox
    pause: Pause


def _core(config: values.Config, opened: Opened, ground: Ground, shard: Shard, now: Callable[[], datetime]) -> _Core:
    """What decides, acts and tells."""
    store, reached, pause = opened.store, ground.reached, opened.pause(config.data_dir / "pause")
    orphans_after = store.database.may_differ
    trouble = StoreTrouble(store, ground.tell, opened.damage, opened.outage)
    outbox = Outbox(store, reached.contacts, fallback=config.fallback, orphans_after=orphans_after, failed=trouble.failed)

    def outcome(target: str) -> None:
        outbox.wake()
        engine.wake(target)

    most = config.limits.in_flight + BY_HAND  # each takes a thread until its rollout is over
    deaths = Deaths(config.data_dir / "deaths")
    actor = Actor(store, reached.targets, pause, now, outcome, outbox.wake, failed=trouble.failed, most=most, steady=time.monotonic, deaths=deaths)
    mode_cap = config.mode_cap if opened.damage is None else Mode.OBSERVE
    settings = Settings(mode_cap, config.namespace_caps, config.limits, shard, orphans_after)
    engine = Engine(store, actor, Journalling(store, outbox.wake), pause, settings, trouble)
    return _Core(engine, actor, outbox, pause)


@dataclass(frozen=True, slots=True)
class _Eyes:
    observer: Observer
    clocks: Clocks
    observation: Observation
    schedule: Schedule


def _eyes(config: values.Config, core: _Core, reached: Outside, store: Store, now: Callable[[], datetime]) -> _Eyes:
    """What looks, slot by slot, and hands what it saw to the engine."""
    within = {name: source.timeout for name, source in config.sources.items() if isinstance(source, values.PrometheusSource)}
    observer = Observer(reached.sources, Probing(config.probes, reached.addresses), workers=ASKED_AT_ONCE, answers_within=within)
    clocks = Clocks(reached.sources, store, now, lambda: tuple(core.engine.policies.values()), core.outbox.wake)
    observation = Observation(core.engine, observer, Surveyor(reached.targets), clocks)
    return _Eyes(observer, clocks, observation, Schedule(observation.observe, now))


def _desk(
    core: _Core,
    eyes: _Eyes,
    reached: Outside,
    store: Store,
    facts: Callable[[], Facts],
    now: Callable[[], datetime],
    default_cluster: str | None,
    fleets: Fleets,
    longest_wait: Callable[[], timedelta],
) -> Desk:
    return Desk(
        core.engine,
        store,
        core.pause,
        reached.targets,
        lambda: eyes.observer.health,
        facts,
        now,
        default_cluster=default_cluster,
        fleets=fleets,
        preview=Preview(reached.sources),
        bootstrap=Bootstrap(store, reached.sources, reached.targets),
        longest_wait=longest_wait,
    )


def _longest_wait(config: values.Config, observer: Observer) -> Callable[[], timedelta]:
    """Of a slot for its source, while that hangs. Pages of a `scrape` source are read beside the slots, which wait for none of them."""
    timeout = max((source.timeout for source in config.sources.values() if isinstance(source, values.PrometheusSource)), default=timedelta(0))
    # Two more: its first slot asks for the past, too, of what is watched and of the others.
    return lambda: timeout * (ceil(max(observer.asking.values(), default=0) / ASKED_AT_ONCE) + 2)


def _adopt(core: _Core, eyes: _Eyes, reached: Outside, readiness: Readiness) -> Callable[[tuple[Policy, ...], frozenset[str]], None]:
    """What makes policies the ones in force."""

    def adopt(policies: tuple[Policy, ...], unread: frozenset[str]) -> None:
        watch_jobs(reached.targets, policies)  # before the engine decides by them
        core.engine.replace(policies, unread)
        eyes.schedule.keep(grids(policies))
        readiness.keep(policies, unread)

    return adopt


def _pages(config: values.Config, desk: Desk, tokens: TokenBook, metrics: Metrics) -> list[Pages]:
    health = [Pages("health.listen", config.health, build_health_app(desk, metrics))] if config.health is not None else []
    hooks = Hooks({name: hook.secret_file for name, hook in config.api.hooks.items()}, clock.now)
    return [Pages("api.listen", config.api.listen, build_app(desk, metrics, tokens, cluster_people(config), hooks)), *health]


def _tokens(api: values.Api, secrets: Secrets) -> TokenBook:
    try:
        return TokenBook(api.token_file, api.people, secrets.add)
    except OSError as fault:
        said = f"api.token_file or a token_file of api.people: {fault.filename} cannot be read or made ({fault.strerror}); nothing was started"
        raise NotStarted(f"{said}; give uid {os.geteuid()} the right to it") from fault
    except ValueError as fault:
        raise NotStarted(f"{fault}; nothing was started") from fault


def _facts(schedule: Schedule, engine: Engine, files: PolicyFiles, replica: str, started: datetime) -> Callable[[], Facts]:
    version = importlib.metadata.version("rollbackd")

    def facts() -> Facts:
        last = files.last
        reload = ReloadLine(None, False, "the policies were not read yet") if last is None else ReloadLine(last.at, last.is_ok, last.summary)
        faulty = (frozenset[str](), {}) if last is None else (last.unread, last.claimed)
        return Facts(version, replica, started, reload, schedule.missed + engine.mailbox.overtaken, schedule.lateness, *faulty)

    return facts
