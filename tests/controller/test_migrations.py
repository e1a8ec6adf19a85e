import sqlite3
import subprocess
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from rollbackd.controller.audit import audit
from rollbackd.controller.journal import migrate, schema
from rollbackd.controller.journal.begin import Begin
from rollbackd.controller.journal.chain import GENESIS, JournalRow, row_hash
from rollbackd.controller.journal.compaction import LEAST, compact
from rollbackd.controller.journal.database import database
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from tests.controller.journal_samples import T0, opened


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file: what it may suffer."""
    return f"sqlite:///{tmp_path / 'journal.db'}"


def file_of(url: str) -> Path:
    return Path(str(make_url(url).database))


def test_the_lineage_in_the_code_is_the_lineage_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(revisions)) == schema.LINEAGE


def test_every_table_is_one_that_postgresql_takes() -> None:
    dialect = postgresql.dialect()
    for table in schema.metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert "CREATE" in str(CreateIndex(index).compile(dialect=dialect))
    waiting = next(index for index in schema.outbox.indexes if index.name == "ix_outbox_waiting")
    assert str(CreateIndex(waiting).compile(dialect=dialect)).endswith("WHERE sent_at IS NULL AND dead_at IS NULL")


def test_a_new_file_is_what_the_migrations_lead_to(store: Store, url: str, tmp_path: Path) -> None:
    store.close()
    older = f"sqlite:///{tmp_path / 'older.db'}"
    written_by_the_first_version(older)
    Store.open(older, "one").close()
    assert made(url) == made(older)
    assert {"journal_refuses_update", "journal_refuses_delete"} <= {name for _, name, _ in made(url)}


def made(url: str) -> set[tuple[str, str, str]]:
    """Everything in the file, as it was said to be made; how the lines were broken is all the same."""
    with sqlite3.connect(file_of(url)) as connection:
        rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in rows}


@pytest.mark.parametrize("is_new", [True, False], ids=["empty", "at-its-head"])
def test_a_store_that_needs_no_migration_opens_without_alembic(url: str, is_new: bool) -> None:
    if not is_new:
        Store.open(url, "one").close()
    code = (
        f"import sys; from rollbackd.controller.journal.store import Store; Store.open({url!r}, 'two').close();"
        "sys.exit(sorted(name for name in sys.modules if name.startswith(('alembic', 'mako'))) != [])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_migration_that_fails_leaves_an_empty_file(url: str) -> None:
    by_hand = sqlite3.connect(file_of(url))
    by_hand.execute("CREATE TABLE outbox (mine)")  # the last table that the migration makes
    by_hand.commit()
    engine = create_engine(url, connect_args={"isolation_level": None})
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(Exception, match="already exists"):
            migrate.upgrade(connection)
        connection.exec_driver_sql("ROLLBACK")
    engine.dispose()
    assert by_hand.execute("SELECT name FROM sqlite_master").fetchall() == [("outbox",)]
    by_hand.close()


def written_by_the_first_version(url: str) -> list[JournalRow]:
    """A journal of schema v0001 with rows as that version wrote them."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    rows, prev = [], GENESIS
    for seq in range(1, 4):
        content = ("2025-03-01T03:00:00.000000Z", "daemon.paused", None, None, f"paused:{seq}", "{}")
        rows.append(JournalRow(seq, "one", *content, prev, row_hash(prev, seq, "one", *content)))
        prev = rows[-1].hash
    engine = database(url).engine(timedelta(seconds=5))
    with engine.connect().execution_options(begin=Begin.MIGRATE) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "v0001")
        names = ", ".join(asdict(rows[0]))
        insert = text(f"INSERT INTO journal ({names}) VALUES ({', '.join(f':{name}' for name in asdict(rows[0]))})")
        connection.execute(insert, [asdict(row) for row in rows])
    engine.dispose()
    return rows


def upgraded_and_compacted(url: str, to: Path) -> None:
    """What an old journal has to bear."""
    rows = written_by_the_first_version(url)
    store = Store.open(url, "one", lambda: T0 + timedelta(days=400))
    assert list(store.rows()) == rows
    with store.transaction() as tx:
        assert not tx.note(Note("daemon.paused", T0), "paused:1")
        tx.note(Note("daemon.resumed", T0 + timedelta(days=399)))
    assert (audit(store).rows, audit(store).fault) == (4, None)
    with pytest.raises(StoreError, match="append-only"), store.transaction() as tx:
        tx.connection.execute(text("DELETE FROM journal WHERE seq = 1"))
    assert compact(store, LEAST, to).rows == 3
    assert (audit(store).fault, store.began()) == (None, T0)
    store.close()


def test_a_journal_of_the_first_version_is_upgraded_as_it_is_and_may_be_compacted(url: str, tmp_path: Path) -> None:
    upgraded_and_compacted(url, tmp_path / "old.jsonl")


# --- files that are refused ------------------------------------------------------------------------------------------------------------


def test_a_file_of_something_else_is_refused_and_left_as_it_was(url: str) -> None:
    by_hand = sqlite3.connect(file_of(url))
    by_hand.execute("CREATE TABLE customers (name)")
    by_hand.commit()
    with pytest.raises(StoreError, match=r"other tables \(customers\).*give rollbackd one of its own"):
        Store.open(url, "one")
    assert by_hand.execute("SELECT name FROM sqlite_master").fetchall() == [("customers",)]
    by_hand.close()


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_was(store: Store, url: str) -> None:
    store.close()
    by_hand = sqlite3.connect(file_of(url))
    by_hand.execute("UPDATE alembic_version SET version_num = 'v9999'")
    by_hand.commit()
    with pytest.raises(StoreError, match=r"'v9999' is unknown to this rollbackd.*or a newer one"):
        Store.open(url, "one")
    by_hand.close()


def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(url: str) -> None:
    file_of(url).write_text("not a database, but somebody's notes " * 100)
    before = file_of(url).read_bytes()
    with pytest.raises(StoreError, match=r"damaged or no database.*move the file away yourself"):
        Store.open(url, "one")
    assert file_of(url).read_bytes() == before


def test_a_damaged_file_is_refused_and_left_as_it_was(store: Store, url: str) -> None:
    for number in range(50):
        with store.transaction() as tx:
            tx.open(opened(f"inc-{number}", f"target-{number}"), "shop")
    store.close()
    content = bytearray(file_of(url).read_bytes())
    content[4096 * 2 : 4096 * 6] = b"\xff" * (4096 * 4)
    file_of(url).write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged.*restore a backup"):
        Store.open(url, "one")
    assert file_of(url).read_bytes() == content


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("sqlite://", "in memory would not survive", id="memory"),
        pytest.param("sqlite:///:memory:", "in memory would not survive", id="memory-by-name"),
        pytest.param("mysql://db/rollbackd", "'mysql' is not supported", id="another-kind"),
        pytest.param("postgresql://rollbackd@db/rollbackd?password=hunter2", "holds a password.*put it into a file", id="password-as-parameter"),
        pytest.param("rollbackd.db", "no database URL", id="path"),
        pytest.param("sqlite:////nowhere/at/all/rollbackd.db", "folder does not exist", id="no-folder"),
    ],
)
def test_a_url_that_cannot_be_a_store_is_refused_with_what_to_write(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        Store.open(url, "one")


def test_the_password_of_a_url_is_not_repeated() -> None:
    with pytest.raises(StoreError) as found:
        Store.open("postgresql://user:hunter2@db/rollbackd", "one")
    assert "hunter2" not in str(found.value)
