"""Where a daemon's journal is: a file in its data folder, or a database in PostgreSQL."""

import itertools
import shutil
from pathlib import Path
from typing import Any, Protocol

import psycopg

from rollbackd.controller.journal.store import Store
from tests.postgres import Postgres


class Journal(Protocol):
    """The place of one journal."""

    @property
    def config(self) -> dict[str, Any]:
        """Its part of the daemon's config."""

    def open(self) -> Store:
        """The journal for a reader, while no daemon has to write."""


class File:
    """SQLite's, in this data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._copies = itertools.count()
        self.config: dict[str, Any] = {}

    def open(self) -> Store:
        """Read from a copy: looking must not mend what the next start has to mend."""
        copy = self._data.parent / f"copy.{next(self._copies)}"
        copy.mkdir()
        for file in self._data.glob("rollbackd.db*"):
            shutil.copy(file, copy)
        return Store.open(f"sqlite:///{copy}/rollbackd.db", "reader")


class Shared:
    """A database of this server."""

    def __init__(self, server: Postgres, name: str) -> None:
        """It is made, and empty."""
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]  # no literal
        self._url = server.url(name)
        self.config: dict[str, Any] = {"store": self._url}

    def open(self) -> Store:
        return Store.open(self._url, "reader")
