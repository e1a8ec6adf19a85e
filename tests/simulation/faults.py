"""What breaks in a replica or around it, and for how long."""

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.simulation.replica import Replica, lift
from tests.simulation.story import Event

if TYPE_CHECKING:
    from tests.simulation.world import World

WRITES = ("kill-before-write", "kill-after-write", "write-frozen", "write-lost", "write-late", "write-throttled", "write-denied")
COMMITS = ("kill-before-commit", "kill-after-commit", "commit-fails", "answer-lost")

AT_ONCE = ("kill", "freeze", "missed", "clock", "pause", "resume", "unreadable")
"""These are met when they begin; all others when the replica runs into them."""


def strike(world: "World", replica: Replica, event: Event) -> None:
    """The fault begins; it ends by itself."""
    if replica.is_dead:
        return
    if event.kind in WRITES:
        replica.line.fate, replica.line.seconds = event.kind, event.size
        return
    if event.kind in COMMITS:
        replica.store.fate, replica.store.commits = event.kind, int(event.size)
        return
    if event.kind in AT_ONCE:
        world.met[event.kind] += 1
    match event.kind:
        case "kill":
            replica.die()
        case "freeze" | "missed":
            replica.frozen_until = world.clock.now + timedelta(seconds=event.size)
        case "looks-fail":
            replica.line.blind_looks += int(event.size)
        case "clock":
            replica.skew += timedelta(seconds=event.size)
        case "pager-down":
            world.pager.is_down = True
            world.later(event.size, lambda: setattr(world.pager, "is_down", False))
        case "pause" | "resume" | "unreadable":
            _switch(replica, event.kind)
        case _:
            _for_a_while(world, replica, event)


def _switch(replica: Replica, kind: str) -> None:
    file = replica.pause.file
    if kind == "unreadable" and not file.exists():
        file.mkdir()
    elif kind == "pause" and not file.is_dir():
        replica.shielded(lambda: replica.switch.pause("somebody wants quiet", "ann"))
    elif kind == "resume":
        replica.shielded(lambda: lift(replica))


def _for_a_while(world: "World", replica: Replica, event: Event) -> None:
    owner, name = {
        "cut": (replica.line, "is_cut"),
        "stale": (replica.line, "is_stale"),
        "disk-full": (replica.store, "is_full"),
        "disk-cut": (replica.store, "is_cut"),
    }[event.kind]
    setattr(owner, name, True)
    world.later(event.size, lambda: setattr(owner, name, False))
