"""What happens to several daemons on one journal: each story once, all at the same time."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.crash.places import deployment
from tests.crash.scene import Record, Told
from tests.crash.stories import sleep_until
from tests.doubles.kube import KubeDouble
from tests.postgres import Postgres
from tests.replicas.band import Band, Replica, band_of
from tests.replicas.pipe import pipe_to
from tests.replicas.wire import wire_to


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ended. ``told``: what on-call got about the service. ``patches``: the status of each write that reached the API server.

    ``codes``: how the daemons ended.
    """

    record: Record
    told: tuple[Told, ...]
    patches: tuple[Any, ...]
    codes: tuple[int, ...]
    seen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def messages(self) -> list[str]:
        """The kinds of the messages, as often as they came."""
        return [told.kind for told in self.told]


@dataclass(frozen=True, slots=True)
class Story:
    """``tell`` plays it with so many replicas. ``is_wired``: over real links, which lose packets where they are cut."""

    replicas: int
    tell: Callable[[Band], Ending]
    is_wired: bool = False


def ended(band: Band, **seen: Any) -> Ending:
    """All that still live are asked to stop."""
    lives = [replica.lives[-1] for replica in band.replicas]
    codes = tuple(life.stop() if life.process.poll() is None else life.end() for life in lives)
    # One that is cut off for over two minutes pages for its own sake, and says when that is over: it depends on how busy the machine is.
    told = tuple(message for message in band.told() if not message.kind.startswith("store"))
    return Ending(band.record(), told, tuple(band.place.patches(dry_run=False)), codes, seen)


def together(band: Band) -> Ending:
    """Nothing happens to any of them."""
    band.start()
    band.ship()
    band.until_told("recovered")
    return ended(band)


def killed(band: Band) -> Ending:
    """The one that claimed is killed before it writes."""
    lives = band.start("--kill-at", "after:rung.intended")
    band.ship()
    band.until(lambda: any(life.process.poll() is not None for life in lives), "one is dead")
    band.until_told("recovered")
    return ended(band)


def frozen(point: str, band: Band) -> Ending:
    """The one that claimed stands still at this point until another one has done its work, and wakes up."""
    zombie = held_at(point, band)
    band.until_told("recovered")
    before = len(band.place.patches(dry_run=False))
    slots = len(zombie.slots())
    zombie.lives[-1].signal(signal.SIGCONT)
    zombie.until(lambda: len(zombie.slots()) > slots + 2, "it is at work again")
    return ended(band, before=before)


def late(band: Band) -> Ending:
    """The write of the one that claimed is on its way while another one takes over and does the work, and arrives then."""
    holder = held_at("write", band)
    holder.api.cut()
    holder.lives[-1].signal(signal.SIGCONT)
    band.until_told("recovered")
    before = len(band.place.patches(dry_run=False))
    holder.api.mend()
    holder.until(lambda: len(band.place.patches(dry_run=False)) > before, "its write arrives")
    return ended(band, before=before)


def without_database(band: Band) -> Ending:
    """One does not reach the database any more, before anything is wrong; later it does again."""
    band.start()
    lonely, *others = band.replicas
    wait_for_all(band)
    lonely.database.cut()
    lonely.until(lambda: lonely.answer("/readyz") == 503, "it says so")
    judged = lonely.lives[-1].slots()
    others[0].ship()
    others[0].until_told("recovered")
    lonely.until(lambda: len(lonely.lives[-1].slots()) > len(judged) + 1, "it judges on")
    alone = lonely.lives[-1].log()
    lonely.database.mend()
    lonely.until(lambda: lonely.answer("/readyz") == 200, "it is ready again, without a restart")
    return ended(band, by=names_of(others), alone=alone)


def without_api(band: Band) -> Ending:
    """One does not reach the API server any more, before anything is wrong."""
    band.start()
    lonely, *others = band.replicas
    wait_for_all(band)
    lonely.api.cut()
    others[0].ship()
    others[0].until_told("recovered")
    lonely.api.mend()
    return ended(band, by=names_of(others))


def holder_without_api(band: Band) -> Ending:
    """The one that claimed does not reach the API server any more before it writes; another one does the work; later it reaches it again."""
    holder = held_at("after:rung.intended", band)
    holder.api.cut()
    holder.lives[-1].signal(signal.SIGCONT)
    band.until_told("recovered")
    slots = len(holder.slots())
    holder.api.mend()
    holder.until(lambda: len(holder.slots()) > slots + 2, "it is at work again")
    return ended(band, by=holder.writer)


def holder_without_database(band: Band) -> Ending:
    """The one that claimed writes and does not reach the database any more: nobody learns from it that it has written."""
    holder = held_at("write", band)
    holder.database.cut()
    holder.lives[-1].signal(signal.SIGCONT)
    band.until(lambda: 200 in band.place.patches(dry_run=False), "its write is accepted")
    band.until_told("recovered")
    holder.database.mend()
    holder.until(lambda: holder.answer("/readyz") == 200, "it is ready again, without a restart")
    return ended(band, by=holder.writer)


def held_at(point: str, band: Band) -> Replica:
    """The one that claimed stands still at this point."""
    band.start("--stop-at", point, "--once", str(band.replicas[0].folder / "struck"))
    band.ship()
    band.until(band.frozen, "one is frozen")
    (holder,) = band.frozen()
    return holder


def wait_for_all(band: Band) -> None:
    """All are at work."""
    for replica in band.replicas:
        replica.until(lambda replica=replica: replica.answer("/readyz") == 200 and replica.slots(), "it is at work")


def names_of(replicas: Sequence[Replica]) -> tuple[str, ...]:
    """Their names in the journal."""
    return tuple(replica.writer for replica in replicas)


def took(record: Record) -> float:
    """Seconds from the end of the claim to its takeover."""
    deadline = datetime.fromisoformat(record.of("rung.intended").body["deadline"])
    return (record.of("claim.taken_over").at - deadline).total_seconds()


def played(story: Story, double: KubeDouble, server: Postgres, folder: Path) -> Ending:
    """How it ended, in this new folder and a database that is named after it."""
    folder.mkdir()
    port = int(double.url.rpartition(":")[2])
    way_to = wire_to if story.is_wired else pipe_to
    with deployment(double, folder) as place, band_of(story.replicas, folder, place, server, port, way_to) as band:
        return story.tell(band)


STORIES: Mapping[str, Story] = {
    # Those that wait longest begin first. Whatever happens to one of them happens to one of two, and to one of three.
    "frozen": Story(3, partial(frozen, "after:rung.intended")),
    "zombie": Story(2, partial(frozen, "write")),
    "late": Story(2, late),
    "holder-partitioned-from-api": Story(2, holder_without_api, is_wired=True),
    "holder-partitioned-from-database": Story(2, holder_without_database, is_wired=True),
    "killed": Story(3, killed),
    "killed-of-two": Story(2, killed),
    "partitioned-from-api": Story(3, without_api, is_wired=True),
    "partitioned-from-database": Story(3, without_database, is_wired=True),
    "without-api": Story(2, without_api),
    "without-database": Story(2, without_database),
    "together": Story(3, together),
}

__all__ = ["STORIES", "Ending", "Story", "sleep_until", "took"]
