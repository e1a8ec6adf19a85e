"""Every story that a selected test asks for is played once, all of them at the same time."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash import matrix, stories
from tests.crash.scene import World, scene_of
from tests.crash.stores import Shared
from tests.crash.stories import Ending, Story
from tests.doubles.kube import KubeDouble, running_double
from tests.postgres import Postgres

AT_ONCE = 24
STORIES = {**stories.STORIES, **matrix.STORIES}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "story(name): the test looks at how this story ended")


@pytest.fixture(scope="session")
def endings(request: pytest.FixtureRequest, daemons: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Ending]]:
    """How a story ended; waits for it."""
    asked = {mark.args[0] for item in request.session.items for mark in item.iter_markers("story")}
    server = _server(request) if any(STORIES[name].is_shared for name in asked) else None
    folder = tmp_path_factory.mktemp("crash")
    with running_double(folder) as double, ThreadPoolExecutor(AT_ONCE) as pool:
        told = {name: story for name, story in STORIES.items() if name in asked and (server or not story.is_shared)}
        futures = {name: pool.submit(played, story, _own(folder, name), double, server) for name, story in told.items()}
        yield lambda name: futures[name].result()


@pytest.fixture
def ending(request: pytest.FixtureRequest, endings: Callable[[str], Ending]) -> Ending:
    """How the story that the test is marked with ended."""
    (mark,) = request.node.iter_markers("story")
    if STORIES[mark.args[0]].is_shared:
        request.getfixturevalue("postgresql")  # skips the test where there is none
    return endings(mark.args[0])


def _server(request: pytest.FixtureRequest) -> Postgres | None:
    """The other stories are told without it."""
    try:
        server: Postgres = request.getfixturevalue("postgresql")
    except pytest.skip.Exception:
        return None
    return server


def _own(folder: Path, name: str) -> Path:
    """A folder whose name a namespace and a database may bear."""
    own = folder / re.sub(r"[^a-z0-9]+", "-", name)
    own.mkdir()
    return own


def played(story: Story, own: Path, double: KubeDouble, server: Postgres | None) -> Ending:
    journal = Shared(server, own.name) if server is not None and story.is_shared else None
    world = World(journal) if story.policies is None else World(journal, story.policies, seconds=2)
    with story.place(double, own) as place, scene_of(own, place, world, **story.timing) as scene:
        return story.tell(scene)
