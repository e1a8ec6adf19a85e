"""What only a shared store has: writers elsewhere, a server that goes away, answers that are lost, a clock that is not ours."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from rollbackd.controller.journal import parcels
from rollbackd.controller.journal.database import database
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.outbox import LEASE
from tests.controller.journal_samples import OPENED, T0, notice
from tests.controller.test_migrations import upgraded_and_compacted, written_by_the_first_version
from tests.postgres import Postgres, postgres
from tests.replicas.pipe import Pipe, pipe_to
from tests.servers import poll

SHORT = timedelta(seconds=2)
HELD_UP = "another replica has been writing for too long"
MADE: tuple[LiteralString, ...] = (
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default FROM information_schema.columns"
    " WHERE table_schema = 'public'",
    "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
)


@pytest.fixture
def url(journal_url: str) -> str:
    return journal_url


@pytest.fixture
def pipe(journals: Postgres) -> Iterator[Pipe]:
    with pipe_to(journals.port) as pipe:
        yield pipe


@pytest.fixture
def piped(url: str, pipe: Pipe, journals: Postgres) -> Iterator[Store]:
    """A store behind the pipe."""
    store = Store.open(url.replace(f":{journals.port}/", f":{pipe.port}/"), "two", patience=SHORT)
    yield store
    store.close()


def paused(store: Store, key: str) -> None:
    with store.transaction() as tx:
        tx.note(Note("daemon.paused", T0), key)


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Another replica is in the middle of a transaction, and stands still there."""
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE")
        yield


# --- writers elsewhere ----------------------------------------------------------------------------------------------------------------------------


def test_a_writer_waits_for_another_replica_only_so_long_and_writes_nothing(url: str) -> None:
    store = Store.open(url, "two", patience=timedelta(seconds=0.3))
    with writing(url), pytest.raises(StoreError, match=f"{HELD_UP}.*nothing was written.*goes on by itself"):
        paused(store, "k")
    paused(store, "k")
    assert store.has_entry("k")
    store.close()


def test_a_replica_that_stands_still_in_a_transaction_is_ended_by_the_server_and_holds_nobody_up(url: str) -> None:
    frozen, other = Store.open(url, "frozen"), Store.open(url, "other")

    def stand_still() -> None:
        with frozen.transaction() as tx:
            tx.note(Note("daemon.paused", T0), "frozen")
            paused(other, "other")

    with pytest.raises(StoreError, match="nothing was written"):
        stand_still()
    assert (other.has_entry("other"), other.has_entry("frozen")) == (True, False)
    for store in (frozen, other):
        store.close()


def test_two_replicas_that_start_at_once_make_one_journal(journals: Postgres) -> None:
    with psycopg.connect(journals.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE at_once")
    faults: list[Exception] = []

    def start(name: str) -> None:
        try:
            Store.open(journals.url("at_once"), name).close()
        except StoreError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=start, args=(f"replica-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_message_is_taken_by_one_of_two_replicas(url: str) -> None:
    one, two = Store.open(url, "one"), Store.open(url, "two")
    with one.transaction() as tx:
        tx.queue(notice("n-1"), ("oncall",))
        parcels.route(tx, {"oncall": ("webhook",)})
    taken = []
    for store in (one, two):
        with store.transaction() as tx:
            taken.append([parcel.notice.id for parcel in parcels.take(tx, {("oncall", "webhook")}, LEASE)])
    assert taken == [["n-1"], []]
    for store in (one, two):
        store.close()


# --- answers that are lost ------------------------------------------------------------------------------------------------------------------------


def test_a_commit_whose_answer_is_lost_is_found_by_reading_and_counts_as_done(piped: Store, pipe: Pipe) -> None:
    with piped.transaction() as tx:
        tx.open(OPENED, "shop")
        pipe.lose_answers()
    assert [incident.id for incident in piped.open_incidents()] == ["inc-1"]


def test_a_commit_that_never_arrived_is_found_missing_and_raises(piped: Store, pipe: Pipe) -> None:
    def write() -> None:
        with piped.transaction() as tx:
            tx.open(OPENED, "shop")
            pipe.lose_all()

    with pytest.raises(StoreError, match=r"cannot be reached.*nothing was written"):
        write()
    assert piped.open_incidents() == ()


def test_a_commit_that_nobody_can_ask_about_says_that_it_is_not_known(piped: Store, pipe: Pipe) -> None:
    def write() -> None:
        with piped.transaction() as tx:
            tx.open(OPENED, "shop")
            pipe.cut()

    with pytest.raises(StoreError, match="whether it holds is not known; nothing is done on it"):
        write()


def test_a_network_that_swallows_everything_is_an_error_in_bounded_time_and_mends_without_a_restart(piped: Store, pipe: Pipe) -> None:
    paused(piped, "before")
    pipe.cut()
    with pytest.raises(StoreError, match=r"cannot be reached.*goes on by itself once it answers"):
        paused(piped, "meanwhile")
    pipe.mend()
    paused(piped, "after")
    assert (piped.has_entry("before"), piped.has_entry("after")) == (True, True)


def test_a_server_that_was_restarted_is_found_again_without_an_error(piped: Store, url: str) -> None:
    paused(piped, "before")
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    paused(piped, "after")


# --- how it is opened -----------------------------------------------------------------------------------------------------------------------------


def test_the_password_is_read_from_its_file_at_each_connect(tmp_path: Path) -> None:
    file = tmp_path / "password"
    with postgres() as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE ROLE ward LOGIN PASSWORD 'first'")
            connection.execute("CREATE DATABASE ward OWNER ward")
        (server.data / "pg_hba.conf").write_text("host all postgres 127.0.0.1/32 trust\nhost all ward 127.0.0.1/32 scram-sha-256\n")
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        where = server.url("ward").replace("postgres@", "ward@")
        file.write_text("wrong\n")
        with pytest.raises(StoreError, match=r"refuses the user or the password.*check the user in the URL, `password_file`") as found:
            Store.open(where, "one", password_file=file)
        assert "wrong" not in str(found.value)
        file.write_text("first\n")
        Store.open(where, "one", password_file=file).close()


def test_a_server_that_became_read_only_is_found_by_a_look_and_by_no_reading() -> None:
    with postgres() as server, psycopg.connect(server.dsn(), autocommit=True) as connection:
        store = Store.open(server.url("postgres"), "one")
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        poll(lambda: _refusal(store) is not None)  # each of the server's processes reads its config anew when it comes to it
        assert store.open_incidents() == ()
        assert re.search("the server takes no writes: it is a standby or read-only.*nothing was written", _refusal(store) or "")
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")
        poll(lambda: _refusal(store) is None)
        store.close()


def _refusal(store: Store) -> str | None:
    """Why it takes no writes."""
    try:
        store.prove_writable()
    except StoreError as fault:
        return str(fault)
    return None


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ("\n", "is empty")])
def test_a_password_file_that_says_nothing_is_named(url: str, tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(StoreError, match=f"password_file {file} {said}"):
        Store.open(url, "one", password_file=file)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        pytest.param("postgresql://postgres@127.0.0.1:1/journal", "cannot be reached", id="nobody-there"),
        pytest.param("{server}/nowhere", "there is no such database.*create it", id="no-database"),
    ],
)
def test_a_server_that_does_not_serve_is_named_with_what_to_do(journals: Postgres, place: str, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        Store.open(place.replace("{server}/", journals.url("")), "one")


def test_a_database_of_something_else_is_refused_and_left_as_it_was(journals: Postgres) -> None:
    with psycopg.connect(journals.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE customers")
    with psycopg.connect(journals.dsn("customers"), autocommit=True) as connection:
        connection.execute("CREATE TABLE customers (name text)")
    with pytest.raises(StoreError, match=r"other tables \(customers\).*give rollbackd one of its own"):
        Store.open(journals.url("customers"), "one")


def test_a_new_database_is_what_the_migrations_lead_to(url: str, journals: Postgres) -> None:
    with psycopg.connect(journals.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE older")
    older = journals.url("older")
    written_by_the_first_version(older)
    Store.open(older, "one").close()
    assert made(url) == made(older)
    assert len(made(url)) > 50


def made(url: str) -> set[tuple[str, ...]]:
    """Everything in the database, as PostgreSQL would say it was made."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return {tuple(map(str, row)) for question in MADE for row in connection.execute(question).fetchall()}


def test_a_journal_of_the_first_version_is_upgraded_as_it_is_and_may_be_compacted(journals: Postgres, tmp_path: Path) -> None:
    with psycopg.connect(journals.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE first_version")
    upgraded_and_compacted(journals.url("first_version"), tmp_path / "old.jsonl")


def test_an_intent_waits_for_the_disk_whatever_the_servers_default_is(url: str) -> None:
    store = Store.open(url, "one")
    with store.transaction() as tx:
        assert tx.connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
    store.close()


def test_the_place_that_messages_name_has_no_secret() -> None:
    assert database("postgresql://u@db/journal?sslkey=/k").place == "postgresql://u@db/journal"
