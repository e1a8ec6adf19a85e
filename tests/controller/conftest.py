import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rollbackd.controller.journal.store import Store
from tests.controller.act_samples import Acting
from tests.controller.journal_samples import Clock
from tests.postgres import Postgres

_numbers = itertools.count()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def journals(postgresql: Postgres) -> Postgres:
    """A PostgreSQL with an empty journal in its database ``template``."""
    with psycopg.connect(postgresql.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE template")
    Store.open(postgresql.url("template"), "nobody").close()
    return postgresql


@pytest.fixture
def journal_url(journals: Postgres) -> str:
    """An empty journal of this test's own in PostgreSQL."""
    name = f"journal_{next(_numbers)}"
    with psycopg.connect(journals.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template STRATEGY FILE_COPY")  # type: ignore[call-overload]  # no literal
    return journals.url(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a journal of this test's own is, on each kind of database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    found: str = request.getfixturevalue("journal_url")
    return found


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    store = Store.open(url, "one", clock)
    yield store
    store.close()


@pytest.fixture
def acting(tmp_path: Path) -> Iterator[Acting]:
    acting = Acting(tmp_path)
    yield acting
    acting.close()
