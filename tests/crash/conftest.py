"""Every story that a selected test asks for is played once, all of them at the same time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.scene import scene_of
from tests.crash.stories import STORIES, Ending
from tests.doubles.kube import KubeDouble, running_double

AT_ONCE = 24


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "story(name): the test looks at how this story ended")


@pytest.fixture(scope="session")
def endings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Ending]]:
    """How a story ended; waits for it."""
    asked = {mark.args[0] for item in request.session.items for mark in item.iter_markers("story")}
    folder = tmp_path_factory.mktemp("crash")
    with running_double(folder) as double, ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {name: pool.submit(played, name, double, folder) for name in STORIES if name in asked}
        yield lambda name: futures[name].result()


@pytest.fixture
def ending(request: pytest.FixtureRequest, endings: Callable[[str], Ending]) -> Ending:
    """How the story that the test is marked with ended."""
    (mark,) = request.node.iter_markers("story")
    return endings(mark.args[0])


def played(name: str, double: KubeDouble, folder: Path) -> Ending:
    story = STORIES[name]
    own = folder / name.replace(":", "-").replace(".", "-")
    own.mkdir()
    with story.place(double, own) as place, scene_of(own, place, **story.timing) as scene:
        return story.tell(scene)
