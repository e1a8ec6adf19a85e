"""A sound fault server, and a daemon that was wired to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.house import House, house_in
from tests.faults.server import FaultServer, fault_server


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """It answers as it should, until it is told otherwise."""
    with fault_server() as server:
        yield server


@pytest.fixture
def house(tmp_path: Path, server: FaultServer) -> Iterator[House]:
    """A daemon that watches the service ``shop``."""
    with house_in(tmp_path, server) as house:
        yield house
