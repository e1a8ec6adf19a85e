"""Telling stories one after the other, and finding the shortest part of one that still fails."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.simulation.memory import Memory
from tests.simulation.oracles import Violation
from tests.simulation.story import Event, Story
from tests.simulation.world import World, silence


@dataclass(frozen=True, slots=True)
class Told:
    """How a story went. ``broken``: the promise that it broke, or the bug that it met; empty where all was well. ``heads``: of its journal.

    ``met``: how often which fault, and what else befell its services.
    """

    incidents: int
    broken: str = ""
    text: str = ""
    heads: tuple[str, ...] = ()
    met: Mapping[str, int] = field(default_factory=dict)


class Teller:
    """Tells stories in one place, each from the beginning."""

    def __init__(self, folder: Path, *, has_preconditions: bool = True) -> None:
        self._memory = Memory()
        self._folder = folder
        self._has_preconditions = has_preconditions

    def tell(self, story: Story) -> Told:
        world = self.world(story)
        try:
            return Told(world.tell(), heads=tuple(sorted(world.replicas[0].store.heads().values())), met=dict(world.met))
        except Violation as broken:
            return Told(world.oracles.incidents, broken.name, str(broken), met=dict(world.met))
        except Exception as bug:  # noqa: BLE001 - whatever the product raises is what the story found
            return Told(world.oracles.incidents, type(bug).__name__, repr(bug), met=dict(world.met))

    def world(self, story: Story) -> World:
        """The world of the story before its begin; only one at a time."""
        return World(story, self._memory, self._folder, has_preconditions=self._has_preconditions)

    def shortest(self, story: Story, broken: str) -> Story:
        """The story without every event that it does not need to break the same."""
        return replace(story, events=_needed(story.events, lambda events: self.tell(replace(story, events=events)).broken == broken))


def room() -> Path | None:
    """Where the pause files of stories lie: they are real, in memory where there is one."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


@contextmanager
def teller(*, has_preconditions: bool = True) -> Iterator[Teller]:
    """A teller with a folder of its own."""
    silence()
    with tempfile.TemporaryDirectory(dir=room()) as folder:
        yield Teller(Path(folder), has_preconditions=has_preconditions)


def _needed(events: tuple[Event, ...], still_fails: Callable[[tuple[Event, ...]], bool]) -> tuple[Event, ...]:
    """Halves, quarters and so on are left out as long as it still fails, and at last single events."""
    size = max(1, len(events) // 2)
    while True:
        start, was = 0, len(events)
        while start < len(events):
            rest = (*events[:start], *events[start + size :])
            if still_fails(rest):
                events = rest
            else:
                start += size
        if size == 1 and len(events) == was:
            return events
        size = max(1, size // 2)
