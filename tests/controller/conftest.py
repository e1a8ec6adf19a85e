from collections.abc import Iterator
from pathlib import Path

import pytest

from rollbackd.controller.journal.store import Store
from tests.controller.journal_samples import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'journal.db'}"


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    store = Store.open(url, "one", clock)
    yield store
    store.close()
