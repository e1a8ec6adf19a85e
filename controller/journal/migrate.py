"""Brings the schema to the version that this code works with. Alembic is imported only when there is something to do."""

from pathlib import Path

from sqlalchemy import Connection, inspect

from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.schema import LINEAGE

_FOLDER = Path(__file__).parent / "migrations"
_VERSION_TABLE = "alembic_version"


def version_of(connection: Connection) -> str | None:
    """The schema version of the database, None if it is empty. Raises StoreError if it holds something else than a journal."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if _VERSION_TABLE not in tables:
        raise StoreError(f"store: the database holds other tables ({', '.join(tables[:3])}); it was left as it is; give rollbackd one of its own")
    found = connection.exec_driver_sql(f"SELECT version_num FROM {_VERSION_TABLE}").scalar_one_or_none()  # noqa: S608 - a constant
    if found not in LINEAGE:
        raise StoreError(
            f"store: schema version {found!r} is unknown to this rollbackd, which knows {', '.join(LINEAGE)}; it was left as it is;"
            " run the rollbackd that wrote it, or a newer one"
        )
    return str(found)


def upgrade(connection: Connection) -> None:
    """The schema is at the head of LINEAGE, in the transaction of ``connection``; nothing is done if it was already."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, LINEAGE[-1])
