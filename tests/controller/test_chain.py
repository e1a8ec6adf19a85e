from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import IntegrityError

from rollbackd.controller.journal.chain import GENESIS, SHOWN, Break, JournalRow, row_hash, verify
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from tests.controller.journal_samples import CLOSED, OPENED, T0

CHANGED = "its content was changed after it was written"
GAP = "the row before it was removed, inserted or changed"


def chained(*writers: str) -> list[JournalRow]:
    """One row for each name, chained."""
    last: dict[str, str] = {}
    rows = []
    for seq, writer in enumerate(writers, start=1):
        prev, content = last.get(writer, GENESIS), ("2025-03-01T03:00:00.000000Z", "note", None, None, None, f'{{"n":{seq}}}')
        rows.append(JournalRow(seq, writer, *content, prev, row_hash(prev, seq, writer, *content)))
        last[writer] = rows[-1].hash
    return rows


def test_an_untouched_journal_of_two_writers_holds() -> None:
    assert verify(chained("a", "b", "a", "a", "b")) is None
    assert verify([]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"body": '{"n":9}'},
        {"at": "2025-03-01T03:00:00.000001Z"},
        {"kind": "other"},
        {"target": "t"},
        {"incident": "i"},
        {"key": "k"},
        {"seq": 20},
        {"hash": "0" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_column_breaks_the_chain_at_its_row(change: dict[str, object]) -> None:
    rows = chained("a", "a", "a")
    rows[1] = replace(rows[1], **change)  # type: ignore[arg-type]  # one column each
    assert verify(rows) == Break(rows[1].seq, "a", CHANGED)


def test_a_row_that_was_made_to_fit_itself_breaks_the_chain_at_the_next_row_of_its_writer() -> None:
    rows = chained("a", "b", "a")
    forged = replace(rows[0], body="{}")
    rows[0] = replace(forged, hash=row_hash(GENESIS, 1, "a", forged.at, "note", None, None, None, "{}"))
    assert verify(rows) == Break(3, "a", GAP)


def test_a_removed_row_breaks_the_chain_of_its_writer_only() -> None:
    first, _, second, third = chained("a", "b", "a", "a")
    assert verify([first, second, third]) is None
    assert verify([first, third]) == Break(4, "a", GAP)


def test_rows_that_repeat_only_the_beginning_of_the_former_hash_follow_on_older_ones() -> None:
    rows = chained("a", "b", "a", "a")
    rows[2:] = [replace(row, prev=row.prev[:SHOWN]) for row in rows[2:]]
    assert verify(rows) is None
    assert verify([rows[0], rows[1], rows[3]]) == Break(4, "a", GAP)


def test_swapped_rows_break_the_chain() -> None:
    first, second = chained("a", "a")
    assert verify([second, first]) == Break(2, "a", GAP)


def test_the_rest_of_a_journal_holds_from_the_heads_that_were_kept() -> None:
    rows = chained("a", "b", "a", "b")
    assert verify(rows[2:]) == Break(3, "a", GAP)
    assert verify(rows[2:], {"a": rows[0].hash, "b": rows[1].hash}) is None


def test_every_row_the_store_writes_is_chained_over_reopening_and_per_writer(store: Store, url: str) -> None:
    with store.transaction() as tx:
        tx.open(OPENED, "shop")
        tx.note(Note("daemon.paused", T0, {"reason": "überprüft 🛑"}), "paused:1")
    other = Store.open(url, "two")
    with other.transaction() as tx:
        tx.record(CLOSED)
    with store.transaction() as tx:
        tx.note(Note("daemon.resumed", T0))
    rows = list(other.rows())
    assert verify(rows) is None
    assert [row.writer for row in rows] == ["one", "one", "two", "one"]
    assert [row.prev for row in rows] == [GENESIS[:SHOWN], rows[0].hash[:SHOWN], GENESIS[:SHOWN], rows[1].hash[:SHOWN]]
    assert other.heads() == {"one": rows[3].hash, "two": rows[2].hash}
    other.close()


@contextmanager
def by_hand(url: str) -> Iterator[Connection]:
    """Somebody with a database client."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("statement", ["UPDATE journal SET body = '{}'", "DELETE FROM journal"])
def test_the_database_refuses_to_change_or_remove_a_journal_row(store: Store, url: str, statement: str) -> None:
    with store.transaction() as tx:
        tx.open(OPENED, "shop")
    with by_hand(url) as connection, pytest.raises(IntegrityError, match="append-only"):
        connection.execute(text(statement))


def test_a_row_edited_behind_the_trigger_is_found(store: Store, url: str) -> None:
    with store.transaction() as tx:
        tx.open(OPENED, "shop")
        tx.record(CLOSED)
    with by_hand(url) as connection:
        is_file = connection.dialect.name == "sqlite"
        connection.execute(text("DROP TRIGGER journal_refuses_update" if is_file else "DROP TRIGGER journal_refuses_change ON journal"))
        connection.execute(text("UPDATE journal SET at = 'yesterday' WHERE seq = 1"))
        connection.commit()
    assert verify(store.rows()) == Break(1, "one", CHANGED)
