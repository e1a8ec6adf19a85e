"""Every story that a selected test asks for is played once, all of them at the same time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.doubles.kube import running_double
from tests.postgres import Postgres
from tests.replicas.stories import STORIES, Ending, played
from tests.replicas.wire import no_namespaces


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "band(name): the test looks at how this story ended")


@pytest.fixture(scope="session")
def band_endings(
    request: pytest.FixtureRequest, daemons: None, postgresql: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Ending]]:
    """How a story ended; waits for it."""
    asked = {mark.args[0] for item in request.session.items for mark in item.iter_markers("band")}
    asked -= {name for name in asked if STORIES[name].is_wired and no_namespaces()}
    folder = tmp_path_factory.mktemp("replicas")
    with running_double(folder) as double, ThreadPoolExecutor(len(STORIES)) as pool:
        futures = {name: pool.submit(played, STORIES[name], double, postgresql, folder / f"band-{name}") for name in STORIES if name in asked}
        yield lambda name: futures[name].result()


@pytest.fixture
def ending(request: pytest.FixtureRequest, band_endings: Callable[[str], Ending]) -> Ending:
    """How the story that the test is marked with ended."""
    (mark,) = request.node.iter_markers("band")
    if STORIES[mark.args[0]].is_wired and (reason := no_namespaces()):
        pytest.skip(reason)  # in CI too: nobody can install a privilege
    return band_endings(mark.args[0])
