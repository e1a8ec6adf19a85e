"""The journal's heads leave the machine, and a changed journal is told past itself."""

import sqlite3
from dataclasses import replace

import pytest

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.audit import audit
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.audit_watch import AuditWatch
from rollbackd.controller.notify.messages import plain_notice
from tests.controller.world import World
from tests.policies.literals import T0


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    note(world, "one")
    yield world
    world.close()


def note(world: World, word: str) -> None:
    with world.store.transaction() as tx:
        tx.note(Note("test.noted", T0, {"word": word}))


def tampered(world: World, *statements: str) -> None:
    with sqlite3.connect(world.store.database.file) as connection:
        triggers = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            connection.execute(statement)


def test_a_sound_journal_is_told_to_nobody(world):
    told: list[Notice] = []
    watch = AuditWatch(world.store, lambda: world.at, told.append)
    watch.check()
    note(world, "two")
    watch.check()
    assert (watch.fault, told) == (None, [])


def test_a_changed_row_is_paged_once_past_the_store(world):
    told: list[Notice] = []
    watch = AuditWatch(world.store, lambda: world.at, told.append)
    tampered(world, "UPDATE journal SET body = '{\"word\":\"other\"}' WHERE kind = 'test.noted'")
    watch.check()
    watch.check()
    assert [notice.urgency for notice in told] == ["page"]
    assert told[0].title.startswith("SECURITY: the journal of test-0 is not the one that was written: row ")
    assert watch.fault is not None
    assert told[0].lines[0] == watch.fault  # of the title the end is cut


def test_rows_cut_off_since_the_last_look_show_although_the_chain_holds(world):
    watch = AuditWatch(world.store, lambda: world.at, lambda _: None)
    note(world, "two")
    watch.check()
    tampered(world, "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)")
    watch.check()
    assert watch.fault is not None
    assert watch.fault.endswith("is gone")


@pytest.mark.parametrize(("urgency", "carries"), [("page", True), ("notice", False)])
def test_a_page_carries_the_head_that_audit_verify_asks_for(world, urgency, carries):
    page = replace(plain_notice("k", "key", "title", (), T0), urgency=urgency)
    with world.store.transaction() as tx:
        tx.note(Note("test.noted", T0, {"word": "two"}))
        tx.queue(page, ["oncall"])
    line = "".join(world.lines())
    assert line.startswith("journal head of test-0: ") == carries
    if carries:
        head = line.rpartition(" ")[2]
        note(world, "three")
        assert audit(world.store, [head]).missing == ()
        tampered(world, "DELETE FROM journal WHERE seq > 1")
        assert audit(world.store, [head]).missing == (head,)
