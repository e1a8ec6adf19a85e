"""Which pages are open, by the journal alone: on each kind of database, beside other replicas, after compaction."""

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.rows import parcel_of
from rollbackd.controller.journal.schema import journal, outbox
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.messages import plain_notice
from rollbackd.controller.notify.open_pages import OpenPages
from tests.controller.journal_samples import T0, Clock
from tests.controller.outbox_samples import Channel, outbox_for
from tests.controller.test_compaction import compacted
from tests.postgres import Postgres

DAY = timedelta(days=1)
FIRST, SECOND = "blind:prometheus:20250301T030000", "blind:prometheus:20250301T040000"


def made(store: Store) -> OpenPages:
    """As a start makes them."""
    return OpenPages(store, "blind")


def begin(pages: OpenPages, key: str = FIRST, what: str = "prometheus", contact: str = "oncall") -> None:
    pages.open(what, Note("source.blind", T0, {"source": what}), plain_notice("blind", key, "no answer", (), T0), [contact])


def contacts(store: Store) -> list[tuple[str, bool]]:
    """Who is told, in order, and whether of the end."""
    with store.transaction() as tx:
        rows = tx.connection.execute(select(outbox).order_by(outbox.c.turn, outbox.c.contact)).all()
    return [(row.contact, parcel_of(row).notice.resolved) for row in rows]


def end(pages: OpenPages, what: str = "prometheus") -> None:
    def over(key: str) -> Notice:
        return plain_notice("sighted", key, "it answers", (), T0, resolved=True)

    pages.end(what, Note("source.sighted", T0, {"source": what}), over, ["oncall"])


def kinds(store: Store) -> list[str]:
    return [entry.kind for entry in reversed(store.history(100))]


def old(store: Store, clock: Clock, to: Path) -> None:
    """All rows so far are compacted away."""
    clock.move(365 * DAY)
    with store.transaction() as tx:
        tx.note(Note("daemon.paused", clock.at))
    compacted(store, to)
    with store.snapshot() as reading, reading.connected() as connection:
        assert set(connection.execute(select(journal.c.kind)).scalars()) == {"daemon.paused", "journal.exported"}


def test_what_was_opened_and_not_ended_is_open(store: Store) -> None:
    begin(made(store))
    assert (made(store).about("prometheus"), made(store).about("other")) == ((FIRST,), ())
    end(made(store))
    assert made(store).about("prometheus") == ()
    assert kinds(store) == ["source.blind", "source.sighted"]


def test_what_is_asked_twice_is_read_once(store: Store) -> None:
    pages = made(store)
    assert pages.about("prometheus") == ()
    begin(made(store))
    assert pages.about("prometheus") == ()


def test_what_two_replicas_open_and_end_is_told_once(store: Store, url: str, clock: Clock) -> None:
    other = Store.open(url, "two", clock)
    one, two = made(store), made(other)
    for pages in (one, two):
        begin(pages)
    for pages in (one, two, made(other)):
        end(pages)
    other.close()
    assert kinds(store) == ["source.blind", "source.sighted"]
    assert store.outbox_state().waiting == 2


def test_a_page_that_two_shards_open_reaches_the_contacts_of_both_once_and_so_does_its_end(store: Store) -> None:
    one, two = made(store), made(store)
    assert one.about("prometheus") == two.about("prometheus") == ()
    for pages, contact in ((one, "oncall"), (two, "search"), (two, "oncall")):
        begin(pages, contact=contact)
    end(one)
    assert contacts(store) == [("oncall", False), ("search", False), ("oncall", True), ("search", True)]


def test_a_page_that_is_over_already_is_told_to_nobody_who_comes_late(store: Store) -> None:
    one, two = made(store), made(store)
    assert two.about("prometheus") == ()
    begin(one)
    end(one)
    begin(two, contact="search")
    assert contacts(store) == [("oncall", False), ("oncall", True)]


def test_what_two_replicas_open_under_keys_of_their_own_is_one_page_that_either_ends(store: Store) -> None:
    one, two = made(store), made(store)
    assert one.about("prometheus") == two.about("prometheus") == ()
    begin(one, FIRST)
    begin(two, SECOND)
    assert two.about("prometheus") == (FIRST,)
    end(two)
    assert (contacts(store), kinds(store)) == ([("oncall", False), ("oncall", True)], ["source.blind", "source.sighted"])


def test_all_open_pages_about_one_thing_are_ended(store: Store) -> None:
    with store.transaction() as tx:
        for key in (FIRST, SECOND):
            tx.note(Note("source.blind", T0), key)
    assert made(store).about("prometheus") == (FIRST, SECOND)
    end(made(store))
    assert made(store).about("prometheus") == ()


@pytest.mark.parametrize("name", ["a:b", "prometheus-eu", "übersee", "BLIND"])
def test_whatever_the_name_the_page_is_found(store: Store, name: str) -> None:
    begin(made(store), f"blind:{name}:20250301T030000", name)
    assert made(store).about(name) == (f"blind:{name}:20250301T030000",)


def test_a_message_that_was_given_up_is_no_page(store: Store) -> None:
    begin(made(store))
    end(made(store))
    pager = Channel()
    pager.fault = Permanent("404")
    outbox_for(store, oncall=[pager]).deliver_due()
    assert kinds(store)[2:] == ["notice.dead", "notice.dead"]
    assert made(store).about("prometheus") == ()


def test_a_page_whose_row_was_compacted_away_is_still_open_and_ends(store: Store, clock: Clock, tmp_path: Path) -> None:
    begin(made(store))
    old(store, clock, tmp_path / "old.jsonl")
    assert made(store).about("prometheus") == (FIRST,)
    end(made(store))
    assert made(store).about("prometheus") == ()
    assert store.outbox_state().waiting == 2


def test_a_page_that_ended_is_not_open_whatever_was_compacted_away(store: Store, clock: Clock, tmp_path: Path) -> None:
    begin(made(store))
    old(store, clock, tmp_path / "one.jsonl")
    end(made(store))
    assert made(store).about("prometheus") == ()  # only its end is left
    old(store, clock, tmp_path / "two.jsonl")
    assert made(store).about("prometheus") == ()


def test_what_is_dropped_is_given_up_at_once_or_where_others_may_know_it_yet_after_five_minutes_on_end(store: Store) -> None:
    begin(made(store))
    begin(made(store), "blind:old:20250301T030000", "old")
    pages, both = made(store), ("old", "prometheus")
    assert pages.dropped(both, T0) == ()
    for minutes, kept, shared in ((0, (), ()), (4, (), ()), (5, both, ()), (6, ("prometheus",), ()), (11, ("prometheus",), ("old",))):
        alone = tuple(what for what in both if what not in kept)
        assert pages.dropped(kept, T0 + timedelta(minutes=minutes)) == (shared if store.database.is_shared else alone)


def test_a_database_whose_order_ignores_colons_finds_the_page_too(journals: Postgres, clock: Clock) -> None:
    with psycopg.connect(journals.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE shifted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-u-ka-shifted'")
    store = Store.open(journals.url("shifted"), "one", clock)
    begin(made(store))
    assert made(store).about("prometheus") == (FIRST,)
    store.close()
