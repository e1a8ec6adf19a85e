"""A journal that is damaged at the start: left as it is, told at once, and nothing is done without it."""

from pathlib import Path

import pytest

from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.errors import StoreDamaged, StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.logs import Secrets
from rollbackd.controller.notify.store_trouble import StoreTrouble
from rollbackd.controller.wiring.daemon import Parts, wire
from rollbackd.controller.wiring.store import open_store
from rollbackd.policies.model.policy import Mode
from tests.controller.test_config import SHORTEST, read
from tests.policies.literals import MINUTE, T0

JUNK = b"SQLite format 3\x00" + b"\xff" * 4096


@pytest.fixture
def parts(tmp_path):
    (tmp_path / "rollbackd.db").write_bytes(JUNK)
    parts = wire(read(f"{SHORTEST}data_dir: {tmp_path}\n"), Secrets())
    yield parts
    parts.store.close()
    parts.lock.close()


def test_the_file_is_left_as_it_is_and_no_new_journal_lies_beside_it(parts: Parts, tmp_path: Path):
    assert (tmp_path / "rollbackd.db").read_bytes() == JUNK
    assert not list(tmp_path.glob("*.db-*"))
    assert [file.name for file in tmp_path.glob("*.db")] == ["rollbackd.db"]
    assert tmp_path not in Path(str(parts.store.database.file)).parents


def test_a_page_in_the_middle_that_is_damaged_is_found_at_the_start_as_well(tmp_path: Path):
    file = tmp_path / "rollbackd.db"
    store = Store.open(f"sqlite:///{file}", "test-0", lambda: T0)
    with store.transaction() as tx:
        for number in range(400):
            tx.note(Note("pause.set", T0, {"reason": f"game day {number}", "who": "ann"}))
    store.close()
    text = bytearray(file.read_bytes())
    middle = len(text) // 2 // 4096 * 4096
    text[middle : middle + 4096] = b"\xff" * 4096
    file.write_bytes(text)
    opened = open_store(read(f"{SHORTEST}data_dir: {tmp_path}\n"), str)
    opened.store.close()
    assert opened.damage is not None
    assert file.read_bytes() == bytes(text)


def test_it_only_observes_and_obeys_nobody(parts: Parts):
    assert parts.engine.settings.mode_cap is Mode.OBSERVE
    assert "only looking on: " in (parts.engine._pause.read() or "")
    assert parts.engine.trouble.fault is not None


def test_people_are_told_once_and_at_once_and_it_is_not_over_before_a_restart(tmp_path: Path):
    store, told = Store.open(f"sqlite:///{tmp_path}/other.db", "test-0", lambda: T0), list[Notice]()
    trouble = StoreTrouble(store, told.append, "the file is damaged")
    trouble.check(T0)
    trouble.prove_over(T0 + MINUTE)
    trouble.failed("the disk is full")
    trouble.check(T0 + MINUTE)
    store.close()
    assert [notice.title for notice in told] == ["NO ACTION TAKEN: the journal of test-0 is damaged; it only looks on, nothing is undone"]
    assert trouble.fault == "the file is damaged"


def test_a_file_that_is_only_out_of_reach_is_no_damage(tmp_path: Path):
    (tmp_path / "rollbackd.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened") as refused:
        open_store(read(f"{SHORTEST}data_dir: {tmp_path}\n"), str)
    assert not isinstance(refused.value, StoreDamaged)


def test_a_journal_of_no_bytes_is_not_begun_anew(tmp_path: Path):
    file = tmp_path / "rollbackd.db"
    file.touch()
    with pytest.raises(StoreDamaged, match="the file is empty, as after a copy that failed; it was left as it is; restore a backup"):
        Store.open(f"sqlite:///{file}", "test-0", lambda: T0)
    assert file.stat().st_size == 0
