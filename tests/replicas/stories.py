"""What happens to several daemons on one journal: each story once, all at the same time."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from tests.crash.scene import Record, Told
from tests.crash.stories import sleep_until
from tests.replicas.band import Band


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ended. ``patches``: the status of each write that reached the API server. ``codes``: how the daemons ended."""

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
    """``tell`` plays it with so many replicas."""

    replicas: int
    tell: Callable[[Band], Ending]


def ended(band: Band, **seen: Any) -> Ending:
    """All that still live are asked to stop."""
    lives = [replica.lives[-1] for replica in band.replicas]
    codes = tuple(life.stop() if life.process.poll() is None else life.end() for life in lives)
    return Ending(band.record(), tuple(band.told()), tuple(band.place.patches(dry_run=False)), codes, seen)


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
    band.start("--stop-at", point, "--once", str(band.replicas[0].folder / "struck"))
    band.ship()
    band.until(band.frozen, "one is frozen")
    (zombie,) = band.frozen()
    band.until_told("recovered")
    before = len(band.place.patches(dry_run=False))
    slots = len(zombie.slots())
    zombie.lives[-1].signal(signal.SIGCONT)
    zombie.until(lambda: len(zombie.slots()) > slots + 2, "it is at work again")
    if point == "write":
        zombie.until(lambda: len(band.place.patches(dry_run=False)) > before, "its write arrives")
    return ended(band, before=before)


def without_database(band: Band) -> Ending:
    """One does not reach the database any more, before anything is wrong; later it does again."""
    band.start()
    lonely, other = band.replicas
    wait_for_all(band)
    lonely.database.cut()
    lonely.until(lambda: lonely.answer("/readyz") == 503, "it says so")
    judged = lonely.lives[-1].slots()
    other.ship()
    other.until_told("recovered")
    lonely.until(lambda: len(lonely.lives[-1].slots()) > len(judged) + 1, "it judges on")
    alone = lonely.lives[-1].log()
    lonely.database.mend()
    lonely.until(lambda: lonely.answer("/readyz") == 200, "it is ready again, without a restart")
    return ended(band, by=other.writer, alone=alone)


def without_api(band: Band) -> Ending:
    """One does not reach the API server any more, before anything is wrong."""
    band.start()
    lonely, other = band.replicas
    wait_for_all(band)
    lonely.api.cut()
    other.ship()
    other.until_told("recovered")
    lonely.api.mend()
    return ended(band, by=other.writer)


def wait_for_all(band: Band) -> None:
    """All are at work."""
    for replica in band.replicas:
        replica.until(lambda replica=replica: replica.answer("/readyz") == 200 and replica.slots(), "it is at work")


def took(record: Record) -> float:
    """Seconds from the end of the claim to its takeover."""
    deadline = datetime.fromisoformat(record.of("rung.intended").body["deadline"])
    return (record.of("claim.taken_over").at - deadline).total_seconds()


STORIES: Mapping[str, Story] = {
    # Those that wait longest begin first.
    "frozen": Story(2, partial(frozen, "after:rung.intended")),
    "zombie": Story(2, partial(frozen, "write")),
    "killed": Story(3, killed),
    "without-api": Story(2, without_api),
    "without-database": Story(2, without_database),
    "together": Story(3, together),
}

__all__ = ["STORIES", "Ending", "Story", "sleep_until", "took"]
