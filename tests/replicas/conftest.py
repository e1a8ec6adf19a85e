"""Every story that a selected test asks for is played once, all of them at the same time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.places import deployment
from tests.doubles.kube import KubeDouble, running_double
from tests.postgres import Postgres
from tests.replicas.band import band_of
from tests.replicas.stories import STORIES, Ending


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "band(name): the test looks at how this story ended")


@pytest.fixture(scope="session")
def band_endings(
    request: pytest.FixtureRequest, daemons: None, postgresql: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Ending]]:
    """How a story ended; waits for it."""
    asked = {mark.args[0] for item in request.session.items for mark in item.iter_markers("band")}
    folder = tmp_path_factory.mktemp("replicas")
    with running_double(folder) as double, ThreadPoolExecutor(len(STORIES)) as pool:
        futures = {name: pool.submit(played, name, double, postgresql, folder) for name in STORIES if name in asked}
        yield lambda name: futures[name].result()


@pytest.fixture
def ending(request: pytest.FixtureRequest, band_endings: Callable[[str], Ending]) -> Ending:
    """How the story that the test is marked with ended."""
    (mark,) = request.node.iter_markers("band")
    return band_endings(mark.args[0])


def played(name: str, double: KubeDouble, server: Postgres, folder: Path) -> Ending:
    story, own = STORIES[name], folder / f"band-{name}"
    own.mkdir()
    port = int(double.url.rpartition(":")[2])
    with deployment(double, own) as place, band_of(story.replicas, own, place, server, port) as band:
        return story.tell(band)
