"""The stories of the matrix: one for each cell of the table, and those of two rungs that begin at once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from tests.crash import places
from tests.crash.journeys import JOURNEYS, Journey
from tests.crash.places import Both
from tests.crash.scene import Scene
from tests.crash.stories import Build, Ending, Story
from tests.crash.table import CELLS, STORES, TARGETS, Cell


def killed(points: tuple[str, ...], journey: Journey, scene: Scene) -> Ending:
    """SIGKILL at each of these points of the journal, each time of another daemon; the last one brings the incident to its end."""
    scene.meter.is_calm, scene.meter.has_sequel = journey.is_calm, journey.has_sequel
    fate = ("--armed", str(scene.armed), "--kill-at")
    life = scene.start(*fate, points[0])
    scene.ship(is_good_known=journey.is_good_known)
    codes = [scene.until_dead(life, journey.people)]
    codes += [scene.until_dead(scene.start(*fate, point), journey.people) for point in points[1:]]
    dead, told = scene.record(), tuple(scene.told())
    last = scene.start()
    scene.until(lambda: (journey.people(scene), journey.has_arrived(scene))[1], f"{journey.messages} have arrived")
    return Ending((*codes, last.stop()), dead, scene.record(), tuple(scene.told()), told)


def _place(target: str, *, is_left: bool = False) -> Build:
    match target:
        case "kubernetes":
            return places.deployment
        case "flags":
            return lambda _, folder: places.flag(folder, is_left=is_left)
        case "ecs":
            return lambda *_: places.service()
        case _:
            return lambda _, folder: places.command(folder)


def _story(cell: Cell) -> Story:
    journey = JOURNEYS[cell.row.journey]
    points = (journey.first_dies_at, cell.point) if journey.first_dies_at else (cell.point,)
    # Everything else without a known good has nowhere to go; a flag always has, unless it is not to be touched.
    place = _place(cell.target, is_left=not journey.is_good_known)
    return Story(place, partial(killed, points, journey), policies=journey.policies, is_shared=cell.store == "postgresql")


# --- two rungs at once ---------------------------------------------------------------------------------------------------------------------

BETWEEN = ("after:rung.applied", "after:rung.intended#2", "before:rung.applied#2")
"""Where a daemon is killed after the first of two writes: before the second is intended, before it is sent, before it is on record."""
WITH_FLAGS = tuple(target for target in TARGETS if target != "flags")
TWICE = Journey((), ("started@oncall", "recovered@oncall"))


@dataclass(frozen=True, slots=True)
class Pair:
    """Flags and this target, put back at once."""

    point: str
    target: str
    store: str

    @property
    def story(self) -> str:
        """The name of its story."""
        return f"flags-and-{self.target}-{self.store}-{self.point}"


def killed_between(point: str, scene: Scene) -> Ending:
    """SIGKILL there; the next daemon brings the incident to its end."""
    ending = killed((point,), TWICE, scene)
    assert isinstance(scene.place, Both)
    return replace(ending, seen={"each": scene.place.each()})


def _story_of_pair(pair: Pair) -> Story:
    other = _place(pair.target)
    return Story(
        lambda double, folder: places.both(folder, other(double, folder)),
        partial(killed_between, pair.point),
        policies={"shop": {}},
        is_shared=pair.store == "postgresql",
    )


PAIRS: Mapping[str, Pair] = {pair.story: pair for pair in (Pair(*each) for each in product(BETWEEN, WITH_FLAGS, STORES))}

STORIES: Mapping[str, Story] = {
    # Those that wait longest begin first.
    **{cell.story: _story(cell) for cell in sorted(CELLS.values(), key=lambda cell: cell.row.kind != "claim.taken_over")},
    **{pair.story: _story_of_pair(pair) for pair in PAIRS.values()},
}
