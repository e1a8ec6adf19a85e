"""Brings the schema to the version that this code works with. Alembic is imported only when an older journal is to be migrated."""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from rollbackd.controller.journal.errors import StoreUnfit
from rollbackd.controller.journal.schema import LINEAGE, metadata

_FOLDER = Path(__file__).parent / "migrations"
# Alembic's own, as it makes it.
_version = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), nullable=False), PrimaryKeyConstraint("version_num", name="alembic_version_pkc")
)


def version_of(connection: Connection) -> str | None:
    """The schema version of the database, None if it is empty. Raises StoreUnfit if it holds something else than a journal."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if _version.name not in tables:
        raise StoreUnfit(f"store: the database holds other tables ({', '.join(tables[:3])}); it was left as it is; give rollbackd one of its own")
    found = connection.execute(select(_version.c.version_num)).scalar_one_or_none()
    if found not in LINEAGE:
        raise StoreUnfit(
            f"store: schema version {found!r} is unknown to this rollbackd, which knows {', '.join(LINEAGE)}; it was left as it is;"
            " run the rollbackd that wrote it, or a newer one"
        )
    return str(found)


def create(connection: Connection) -> None:
    """The empty database has all that the migrations lead to, in the transaction of ``connection``."""
    metadata.create_all(connection, checkfirst=False)
    _version.create(connection)
    connection.execute(insert(_version).values(version_num=LINEAGE[-1]))


def upgrade(connection: Connection) -> None:
    """The schema is at the head of LINEAGE, in the transaction of ``connection``; nothing is done if it was already."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, LINEAGE[-1])
