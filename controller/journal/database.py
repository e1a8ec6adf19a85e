"""Which database a store URL names, and how it is opened."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from rollbackd.controller.journal import sqlite
from rollbackd.controller.journal.errors import StoreError, StoreUnfit

EXAMPLES = "write sqlite:////data/rollbackd.db, or postgresql://USER@HOST/DATABASE"

SECRETS = frozenset({"password", "sslpassword"})
"""Parameters that no URL may have."""


@dataclass(frozen=True, slots=True)
class Database:
    """``place``: how messages name it, without a secret. ``file``: of SQLite; None: several replicas share it."""

    url: URL
    place: str
    file: Path | None
    password_file: Path | None = None

    @property
    def is_shared(self) -> bool:
        """Other replicas may work on it at the same time."""
        return self.file is None

    @property
    def may_differ(self) -> timedelta:
        """How long replicas may differ in the config and policies that they have read: a ConfigMap reaches the pods within a minute or two."""
        return timedelta(minutes=5) if self.is_shared else timedelta(0)

    def engine(self, patience: timedelta) -> Engine:
        """Connections to it, which nothing was asked yet. ``patience``: how long to wait for another writer. Raises StoreError."""
        if self.file is None:
            # Imported where it is used: the driver is 8 MB that a daemon on SQLite does not need.
            from rollbackd.controller.journal import postgres

            return postgres.make_engine(self.url, self.password_file, patience)
        if not self.file.parent.is_dir():
            raise StoreError(f"store {self.file}: its folder does not exist; make it, or mount the volume")
        return sqlite.make_engine(self.file, patience)

    def check(self, connection: Connection) -> None:
        """Returns if it is whole and can promise durability. Raises StoreError."""
        if self.file is not None:
            sqlite.check(connection, self.file)

    def touch(self, connection: Connection) -> None:
        """A write that changes nothing was made in the connection's transaction, and fails wherever a row would. Raises the driver's error."""
        if self.file is not None:
            sqlite.touch(connection)
        else:
            # Of no row; but a standby, and a server that is set to read only, refuse the statement as such.
            connection.exec_driver_sql("UPDATE claims SET incident = incident WHERE false")


def in_file(file: Path) -> Database:
    """The database in a SQLite file, whatever its name is."""
    return Database(URL.create("sqlite", database=str(file)), str(file), file)


def database(url: str, password_file: Path | None = None) -> Database:
    """What the URL names. Raises StoreUnfit where it names nothing that a journal can be kept in."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreUnfit(f"store: no database URL; {EXAMPLES}") from error
    match parsed.get_backend_name():
        case "sqlite":
            file = sqlite.file_in(parsed)
            return Database(parsed, str(file), file)
        case "postgresql":
            if parsed.password is not None or SECRETS & parsed.query.keys():
                raise StoreUnfit("store: the URL holds a password; nothing was opened; put it into a file and name that: {url, password_file}")
            return Database(parsed, parsed.set(query={}).render_as_string(), None, password_file)
        case other:
            raise StoreUnfit(f"store: {other!r} is not supported; {EXAMPLES}")
