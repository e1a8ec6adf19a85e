"""A backup is a whole journal of one moment, or there is none."""

import stat
import threading

import pytest

from rollbackd.controller.audit import audit
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.journal.backup import backup
from rollbackd.controller.journal.database import database
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from tests.controller.test_audit_watch import note, tampered
from tests.controller.world import World
from tests.policies.literals import T0


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    note(world, "one")
    yield world
    world.close()


def place(world):
    return database(f"sqlite:///{world.store.database.file}")


def test_a_backup_that_is_restored_has_every_row_and_takes_more(world, tmp_path):
    rows = backup(place(world), tmp_path / "copy.db")
    restored = Store.open(f"sqlite:///{tmp_path}/copy.db", "test-0", lambda: T0)
    assert [row.hash for row in restored.rows()] == [row.hash for row in world.store.rows()]
    with restored.transaction() as tx:
        tx.note(Note("test.noted", T0, {}))
    assert (audit(restored).rows, audit(restored).fault) == (rows + 1, None)
    restored.close()


def test_it_is_for_its_owner_only_and_leaves_nothing_beside_it(world, tmp_path):
    (tmp_path / "backups").mkdir()
    backup(place(world), tmp_path / "backups" / "copy.db")
    assert [file.name for file in (tmp_path / "backups").iterdir()] == ["copy.db"]
    assert stat.S_IMODE((tmp_path / "backups" / "copy.db").stat().st_mode) == 0o600


def test_a_journal_that_is_written_meanwhile_is_copied_whole(world, tmp_path):
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            note(world, "more")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            backup(place(world), tmp_path / f"copy-{number}.db")  # proven by its chain in there
    finally:
        stop.set()
        writer.join()


def test_a_file_that_is_there_is_never_written_over(world, tmp_path):
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(StoreError, match="exists; nothing was made"):
        backup(place(world), tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_a_journal_that_was_changed_is_no_backup(world, tmp_path):
    tampered(world, "UPDATE journal SET body = '{}'")
    with pytest.raises(StoreError, match="its content was changed after it was written; nothing was made"):
        backup(place(world), tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("found", [b"", b"no database at all" * 100])
def test_what_is_no_journal_is_refused(tmp_path, found):
    (tmp_path / "source.db").write_bytes(found)
    with pytest.raises(StoreError, match=r"nothing was made|no database"):
        backup(database(f"sqlite:///{tmp_path}/source.db"), tmp_path / "copy.db")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["source.db"]


def test_a_shared_journal_is_left_to_its_server(tmp_path):
    with pytest.raises(StoreError, match="pg_dump"):
        backup(database("postgresql://rollbackd@127.0.0.1/rollbackd"), tmp_path / "copy.db")


def test_the_command_says_what_it_made(world, tmp_path, capsys):
    config = tmp_path / "rollbackd.yaml"
    config.write_text(
        "apiVersion: rollbackd/v1\nkind: Config\nsources: {prometheus: {url: 'http://127.0.0.1:9'}}\npolicies: [p]\n"
        f"store: sqlite:///{world.store.database.file}\n"
    )
    code = outcome(["backup", "--config", str(config), str(tmp_path / "copy.db")])
    assert (code, "rows, the chain holds" in capsys.readouterr().out) == (0, True)
    assert outcome(["backup", "--config", str(config), str(tmp_path / "copy.db")]) == 1
