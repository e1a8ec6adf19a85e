"""A fleet of two services that is split over two daemons with ``--shard``: one journal in PostgreSQL, one receiver, a data folder for each."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.places import Command
from tests.crash.scene import Meter, Record, Scene, Told, World, record_of
from tests.crash.stores import Shared
from tests.exposition import Reply, serving
from tests.postgres import Postgres

SERVICES = ("shop", "basket")
"""By the number of the part that their targets are of: ``command:shop`` is of 0/2, ``command:basket`` of 1/2."""


class Fleet:
    """The services, as one place that is broken while one of them is."""

    def __init__(self, services: Mapping[str, Command]) -> None:
        self._services = tuple(services.values())
        self.target, self.acts_on = self.targets = tuple(service.target for service in self._services)
        self.spec: Mapping[str, Any] = {}
        self.config = {"commands": {name: command for service in self._services for name, command in service.config["commands"].items()}}

    def break_it(self) -> None:
        for service in self._services:
            service.break_it()

    def is_broken(self) -> bool:
        return any(service.is_broken() for service in self._services)

    def each(self) -> tuple[tuple[int, bool], ...]:
        """Of each service: how many writes it got, and whether it is broken."""
        return tuple((service.writes(), service.is_broken()) for service in self._services)

    def writes(self) -> int:
        return sum(service.writes() for service in self._services)

    def refused(self) -> int:
        return 0


class Shards:
    """The daemons, by the number of their part, and what they share."""

    def __init__(self, daemons: tuple[Scene, ...], fleet: Fleet, journal: Shared) -> None:
        self.daemons, self.fleet = daemons, fleet
        self._journal = journal

    def start(self, number: int) -> None:
        """The daemon of this part is at work."""
        daemon = self.daemons[number]
        daemon.start("--shard", f"{number}/{len(self.daemons)}")
        daemon.until(lambda: daemon.answer("/readyz") == 200 and daemon.slots(), "it is at work")

    def start_all(self) -> None:
        """All are at work, and each was told that what runs in its part is good: another part's daemon does not know its policies."""
        for number, (daemon, target) in enumerate(zip(self.daemons, self.fleet.targets, strict=True)):
            self.start(number)
            daemon.until(lambda daemon=daemon, target=target: revisions_of(daemon, target), "first sight of its target")
            (revision,) = revisions_of(daemon, target)
            daemon.client.post("good", target=target, revision=revision, who="test")

    def record(self) -> Record:
        """What stands now."""
        return record_of(self._journal, self.fleet)


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended. ``names``: of the daemons in the journal; ``codes``: how each life of each ended; ``each``: see Fleet.

    ``alone``: what stood, and stood with each service, while one part had no daemon.
    """

    record: Record
    told: tuple[Told, ...]
    names: tuple[str, ...]
    codes: tuple[tuple[int, ...], ...]
    each: tuple[tuple[int, bool], ...]
    alone: tuple[Record, tuple[tuple[int, bool], ...]] | None = None


def both_at_work(shards: Shards) -> Ending:
    """Both services break at once."""
    shards.start_all()
    shards.fleet.break_it()
    return ended(shards)


def one_away(shards: Shards) -> Ending:
    """Both services break while the second part has no daemon: it was killed. It is back once the first has seen an incident of its own through."""
    shards.start_all()
    here, away = shards.daemons
    away.lives[-1].signal(signal.SIGKILL)
    away.lives[-1].end()
    shards.fleet.break_it()
    here.until_told("recovered")
    alone = shards.record(), shards.fleet.each()
    shards.start(1)
    return ended(shards, alone)


def revisions_of(daemon: Scene, target: str) -> list[str]:
    """What was seen of the target, as the daemon tells."""
    return [change["revision"] for change in daemon.get("changes") if change["target"] == target]


def ended(shards: Shards, alone: tuple[Record, tuple[tuple[int, bool], ...]] | None = None) -> Ending:
    """On-call was told that both services are whole; then all are asked to stop."""
    daemons = shards.daemons
    daemons[0].until(lambda: [told.kind for told in daemons[0].told()].count("recovered") == len(daemons), "both are whole")
    codes = tuple(tuple(life.stop() for life in daemon.lives) for daemon in daemons)
    names = tuple(daemon.writer for daemon in daemons)
    return Ending(shards.record(), tuple(daemons[0].told()), names, codes, shards.fleet.each(), alone)


@contextmanager
def shards_of(folder: Path, server: Postgres) -> Iterator[Shards]:
    """The daemons, not started yet, in this new folder and a database that is named after it."""
    services = {}
    for name in SERVICES:
        (own := folder / name).mkdir(parents=True)
        services[name] = Command(own, name=name)
    fleet, journal = Fleet(services), Shared(server, folder.name)
    world = World(journal, {name: service.spec for name, service in services.items()})
    meter = Meter(services["shop"].is_broken, {"/basket": services["basket"].is_broken})
    with ExitStack() as stack:
        page, receiver = stack.enter_context(serving(meter.page)), stack.enter_context(serving(Reply(status=204)))
        daemons = []
        for number in range(len(SERVICES)):
            (own := folder / f"shard-{number}").mkdir()
            daemons.append(Scene(own, fleet, meter, page, receiver, world))
            stack.callback(daemons[-1].clear)
        yield Shards(tuple(daemons), fleet, journal)


def played(tell: Callable[[Shards], Ending], folder: Path, server: Postgres) -> Ending:
    """How it ended."""
    with shards_of(folder, server) as shards:
        return tell(shards)


STORIES: Mapping[str, Callable[[Shards], Ending]] = {"both-at-work": both_at_work, "one-away": one_away}
