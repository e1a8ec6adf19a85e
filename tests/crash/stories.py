"""What happens to the daemons: each story once, all at the same time, while the tests wait for how it ended."""

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rollbackd.controller.act.outcome import EXPLAIN
from tests.crash import places
from tests.crash.places import Command, Deployment, Place
from tests.crash.scene import Record, Scene, Told
from tests.doubles.kube import KubeDouble

Build = Callable[[KubeDouble, Path], AbstractContextManager[Place]]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ended. ``codes``: how each life did. ``dead``: what stood when the first one had ended. ``seen``: what its teller noticed."""

    codes: tuple[int, ...]
    dead: Record
    last: Record
    told: tuple[Told, ...]
    told_by_first: tuple[Told, ...]
    seen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def messages(self) -> list[str]:
        """The kinds of the messages, each once: a message whose delivery was not on record when its daemon died is rightly sent again (row 5)."""
        return [told.kind for told in {told.id: told for told in self.told}.values()]


@dataclass(frozen=True, slots=True)
class Story:
    """``tell`` plays it in a new scene around a new place. ``is_shared``: the journal is in PostgreSQL."""

    place: Build
    tell: Callable[[Scene], Ending]
    timing: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Any]] | None = None
    is_shared: bool = False


def a_life_after(scene: Scene, code: int, kind: str = "recovered") -> Ending:
    """A daemon without a fate takes over and ends the story with this message."""
    dead, told_by_first = scene.record(), tuple(scene.told())
    life = scene.start()
    scene.until_told(kind)
    codes, slots = (code, life.stop()), life.slots()
    return Ending(codes, dead, scene.record(), tuple(scene.told()), told_by_first, {"slots": slots})


# --- deadlines that a crash does not move -------------------------------------------------------------------------------------------------


def dead_beyond_complete_by(scene: Scene) -> Ending:
    """Killed while the target settles; back after the moment by which it had to be complete."""
    assert isinstance(scene.place, Command)
    scene.place.obstacle("slow").touch()
    life = scene.start("--kill-at", "after:rung.applied")
    scene.ship()
    code = life.end()
    sleep_until(datetime.fromisoformat(scene.record().of("rung.intended").body["complete_by"]))
    return a_life_after(scene, code)


def dead_beyond_give_up(scene: Scene) -> Ending:
    """Killed while it verifies; back after the moment at which it had to give up, and nothing can be measured any more."""
    life = scene.start("--kill-at", "after:rung.settled")
    scene.ship()
    code = life.end()
    scene.meter.is_silent = True
    sleep_until(datetime.fromisoformat(scene.record().of("rung.settled").body["evidence_from"]), GIVE_UP)
    return a_life_after(scene, code, "held")


GIVE_UP = 10.0


# --- a daemon that is asked to stop -------------------------------------------------------------------------------------------------------


def asked_to_stop_while_settling(scene: Scene) -> Ending:
    """SIGTERM while the target is not complete yet, a minute before it has to be."""
    assert isinstance(scene.place, Command)
    slow = scene.place.obstacle("slow")
    slow.touch()
    life = scene.start()
    scene.ship()
    scene.until(lambda: "rung.applied" in scene.rows(), "the write is accepted")
    code = life.stop()
    slow.unlink()
    return a_life_after(scene, code)


def asked_to_stop_while_applying(scene: Scene) -> Ending:
    """SIGTERM while the command runs."""
    assert isinstance(scene.place, Command)
    stuck = scene.place.obstacle("stuck")
    stuck.touch()
    life = scene.start()
    scene.ship()
    scene.until(lambda: scene.place.writes() == 1, "the command runs")
    life.signal(signal.SIGTERM)
    scene.until(lambda: "daemon.stopping" in life.log(), "it stops")
    stuck.unlink()
    return a_life_after(scene, life.end())


# --- a daemon that is frozen --------------------------------------------------------------------------------------------------------------


def frozen(scene: Scene, meanwhile: Callable[[Scene], object] = lambda _: None, kind: str = "recovered") -> Ending:
    """SIGSTOP between the durable intent and the write, for longer than the claim lasts."""
    life = scene.start("--stop-at", "after:rung.intended")
    scene.ship()
    scene.until(life.is_frozen, "it is frozen")
    dead, told_by_first, refused = scene.record(), tuple(scene.told()), scene.start_another()
    sleep_until(datetime.fromisoformat(dead.of("rung.intended").body["deadline"]))
    meanwhile(scene)
    life.signal(signal.SIGCONT)
    scene.until_told(kind)
    return Ending((life.stop(),), dead, scene.record(), tuple(scene.told()), told_by_first, {"another": refused})


def frozen_in_flight(scene: Scene) -> Ending:
    """SIGSTOP while the API server takes its time over the write, for longer than the claim lasts; meanwhile a newer version is released."""
    place = scene.place
    assert isinstance(place, Deployment)
    life = scene.start()
    scene.meter.is_silent = True  # the bad release is a patch, too: nobody is to notice it before the server is slow
    scene.ship()
    place.world.fault("wait_before", method="PATCH", dry_run=False, namespace=place.stage.namespace, seconds=10)
    scene.meter.is_silent = False
    scene.until(lambda: place.patches(dry_run=False), "the write is under way")
    life.signal(signal.SIGSTOP)
    scene.until(life.is_frozen, "it is frozen")
    dead, told_by_first = scene.record(), tuple(scene.told())
    place.stage.release("shop:3")
    sleep_until(datetime.fromisoformat(dead.of("rung.intended").body["deadline"]))
    life.signal(signal.SIGCONT)
    scene.until_told("superseded")
    seen = {"statuses": place.patches(dry_run=False), "image": place.image()}
    return Ending((life.stop(),), dead, scene.record(), tuple(scene.told()), told_by_first, seen)


def overtaken(scene: Scene) -> None:
    """Somebody ships a newer version."""
    assert isinstance(scene.place, Command)
    scene.place.deploy("v3")


# --- an intent that kills ------------------------------------------------------------------------------------------------------------------


def killed_thrice(scene: Scene) -> Ending:
    """Every daemon that takes the step dies of it."""
    life = scene.start("--kill-at", "after:rung.intended")
    scene.ship()
    codes = [life.end(), *(scene.start("--kill-at", "after:claim.taken_over").end() for _ in range(2))]
    ending = a_life_after(scene, codes.pop(), "held")
    return replace(ending, codes=(*codes, *ending.codes))


# --- a disk that is full -------------------------------------------------------------------------------------------------------------------


def full_before_the_breach(scene: Scene) -> Ending:
    """The disk fills while all is well; then the bad version comes."""
    life = scene.start()
    scene.ship(whole=lambda: life.signal(signal.SIGUSR1))
    scene.until(lambda: scene.judged()["shop"][1] == "breach", "the breach is judged")
    return emptied(scene)


def full_at(point: str, scene: Scene) -> Ending:
    """The disk fills at this point of the journal, and stays full until what the write came to has found no space either."""
    scene.start("--fill-at", point)
    scene.ship()
    scene.until(lambda: scene.answer("/readyz") == 503, "it is not ready")
    time.sleep(EXPLAIN.total_seconds() + 2)  # for so long a write without an answer is looked for
    return emptied(scene)


def emptied(scene: Scene) -> Ending:
    """Nothing acts and all are judged while the disk is full; somebody makes space once that was seen."""
    life = scene.lives[-1]
    scene.until(lambda: scene.answer("/readyz") == 503, "it is not ready")
    dead, told_by_first, rehearsed, slots = scene.record(), tuple(scene.told()), rehearsals(scene), scene.judged()
    scene.until(lambda: all(at > slots[name][0] for name, (at, _) in scene.judged().items()), "all policies are judged on")
    scene.until(lambda: all(at > slots[name][0] for name, (at, _) in scene.judged().items()), "all policies are judged on")
    seen = {"healthz": scene.answer("/healthz"), "verdicts": {n: v for n, (_, v) in scene.judged().items()}, "writes": scene.place.writes()}
    seen |= {"rehearsals": rehearsals(scene) - rehearsed}
    life.signal(signal.SIGUSR2)
    scene.until_told("recovered")
    scene.until(lambda: scene.answer("/readyz") == 200, "it is ready again")
    return Ending((life.stop(),), dead, scene.record(), tuple(scene.told()), told_by_first, seen)


def rehearsals(scene: Scene) -> int:
    """How many dry runs of a patch the API server was asked for."""
    return len(scene.place.patches(dry_run=True)) if isinstance(scene.place, Deployment) else 0


# --- all of them ---------------------------------------------------------------------------------------------------------------------------


def sleep_until(moment: datetime, more: float = 0.0) -> None:
    """Returns after the moment, and so many seconds."""
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds() + more) + 0.1)


def _command(timeout: str = "4s") -> Build:
    return lambda _, folder: places.command(folder, timeout)


STORIES: Mapping[str, Story] = {
    # Those that wait longest begin first.
    "stuck": Story(_command("2s"), killed_thrice),
    "frozen": Story(places.deployment, frozen),
    "frozen-in-flight": Story(places.deployment, frozen_in_flight),
    "full-after-intent": Story(_command("2s"), partial(full_at, "after:rung.intended")),
    "give-up": Story(_command(), dead_beyond_give_up, {"give_up": f"{GIVE_UP:g}s"}),
    "complete-by": Story(_command("8s"), dead_beyond_complete_by),
    "sigterm-settling": Story(_command("60s"), asked_to_stop_while_settling),
    "sigterm-applying": Story(_command("60s"), asked_to_stop_while_applying),
    "overtaken": Story(_command("2s"), partial(frozen, meanwhile=overtaken, kind="superseded")),
    "full-before-breach": Story(_command(), full_before_the_breach),
    "full-before-intent": Story(places.deployment, partial(full_at, "after:incident.opened")),
}
