"""Fixtures that every test may use. A server is started for those tests only that ask for it."""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import servers
from tests.aws.ecs_double import EcsDouble, ecs_double
from tests.aws.servers import KEYS, aws_keys, ministack, moto
from tests.crash.nursery import nursery
from tests.exposition import Exposition, exposing
from tests.kube import RealKube, running_cluster
from tests.postgres import Postgres, postgres
from tests.unleash import server as unleash_server
from tests.unleash.server import UnleashServer

__all__ = ["aws_keys", "ministack", "moto"]
MINUTE = 60.0
settings.register_profile("untimed", settings(deadline=None))
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def page() -> Iterator[Exposition]:
    """What ``prometheus`` scrapes; tests take ``exposition``, which is the same page, emptied for them."""
    with exposing() as page:
        yield page


@pytest.fixture
def exposition(page: Exposition) -> Exposition:
    """The page that ``prometheus`` scrapes, empty at the start of the test; set its ``text``."""
    page.text, page.fault = "", None
    return page


@pytest.fixture(scope="session")
def prometheus(page: Exposition) -> Iterator[servers.Server]:
    """A real Prometheus that scrapes ``exposition`` every second as job "test".

    It is shared by the whole run, because its first scrape comes five seconds after its start: give each test's series a label of their own.
    Where the samples need not be live, ``servers.prometheus_with_history`` is there in 0.2 s.
    """
    with servers.prometheus(page.address) as server:
        yield server


@pytest.fixture
def alertmanager() -> Iterator[servers.Server]:
    """A real Alertmanager of this test's own, which tells nobody."""
    with servers.alertmanager() as server:
        yield server


@pytest.fixture
def ecs_cloud(aws_keys: None) -> Iterator[EcsDouble]:
    """An empty double of ECS; ``tests.aws.stage.open_stage`` puts a service there."""
    with ecs_double() as double:
        yield double


@pytest.fixture(scope="session")
def real_kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKube]:
    """A real Kubernetes control plane, shared by the whole run: give each test a namespace of its own."""
    with running_cluster(tmp_path_factory.mktemp("kube") / "real") as cluster:
        yield cluster
        assert cluster.node.faults == []


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    """A real PostgreSQL, shared by the whole run: give each test a database of its own."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def daemons() -> Iterator[None]:
    """Daemons can be started as processes of their own (``tests.crash.life``)."""
    nobody = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    with nursery(**KEYS, **nobody):
        yield


@pytest.fixture(scope="session")
def unleash() -> Iterator[UnleashServer]:
    """A real Unleash with its PostgreSQL, shared by the whole run; ``tests.unleash.shop.open_shop`` empties it for a test."""
    with unleash_server.unleash() as server:
        yield server


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failed run: there, every server that a test needs can be had."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", ())) if reporter is not None else 0
    if skipped and os.environ.get("CI") == "true":
        reporter.write_line(f"{skipped} skipped, and CI allows none", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where the time went, by folder: the minutes of CI."""
    spent: Counter[str] = Counter()
    for report in (report for reports in terminalreporter.stats.values() for report in reports if isinstance(report, pytest.TestReport)):
        spent[report.nodeid.split("/")[1] if "/" in report.nodeid else report.nodeid] += report.duration
    if sum(spent.values()) > MINUTE:
        parts = ", ".join(f"{part} {seconds / MINUTE:.1f}" for part, seconds in spent.most_common())
        terminalreporter.write_line(f"minutes by part: {parts}")
