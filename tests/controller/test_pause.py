import errno
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.pause.file import Pause
from rollbackd.controller.pause.shared import SharedPause
from rollbackd.controller.pause.switch import Switch
from tests.controller.test_chain import by_hand
from tests.postgres import Postgres
from tests.replicas.pipe import pipe_to

AT = datetime(2025, 3, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "PAUSE"


def test_without_a_file_nothing_is_paused(file: Path) -> None:
    assert Pause(file).read() is None


def test_a_pause_names_its_reason_its_author_and_its_time(file: Path) -> None:
    Pause(file).pause("database\nupgrade", "alice", AT)
    assert Pause(file).read() == "database upgrade (paused by alice at 2025-03-01 03:00:00 UTC)"


def test_a_second_pause_replaces_the_reason(file: Path) -> None:
    Pause(file).pause("first", "alice", AT)
    Pause(file).pause("second", "bob", AT)
    assert Pause(file).read() == "second (paused by bob at 2025-03-01 03:00:00 UTC)"
    assert [each.name for each in file.parent.iterdir()] == ["PAUSE"]


def test_resume_ends_the_pause_and_may_be_repeated(file: Path) -> None:
    Pause(file).pause("first", "alice", AT)
    Pause(file).resume()
    Pause(file).resume()
    assert Pause(file).read() is None


def test_a_file_that_a_person_touched_pauses_without_a_reason(file: Path) -> None:
    file.touch()
    assert Pause(file).read() == f"{file} exists and gives no reason"


def test_whatever_the_file_holds_it_pauses(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00 no text " + b"x" * 100_000)
    reason = Pause(file).read()
    assert reason is not None
    assert len(reason) <= 4096


def test_a_folder_in_its_place_pauses(file: Path) -> None:
    file.mkdir()
    assert Pause(file).read() == f"{file} is no plain file; unreadable means paused"


def test_a_pipe_in_its_place_pauses_at_once(file: Path) -> None:
    os.mkfifo(file)
    assert Pause(file).read() == f"{file} is no plain file; unreadable means paused"


def test_a_link_to_nowhere_pauses(file: Path) -> None:
    file.symlink_to(file.parent / "gone")
    assert Pause(file).read() == f"{file} is a link to nowhere; unreadable means paused"


def test_a_circle_of_links_pauses(file: Path) -> None:
    file.symlink_to(file)
    assert Pause(file).read() == f"the pause file {file} cannot be read (Too many levels of symbolic links); unreadable means paused"


def test_a_link_to_a_file_pauses_with_its_reason(file: Path) -> None:
    (file.parent / "mounted").write_text("freeze")
    file.symlink_to(file.parent / "mounted")
    assert Pause(file).read() == "freeze"


def test_a_missing_folder_pauses(tmp_path: Path) -> None:
    file = tmp_path / "unmounted" / "PAUSE"
    assert Pause(file).read() == f"the folder of the pause file {file} is missing; unreadable means paused"


def test_a_file_in_place_of_the_folder_pauses(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    file = tmp_path / "data" / "PAUSE"
    assert Pause(file).read() == f"the pause file {file} cannot be read (Not a directory); unreadable means paused"


@contextmanager
def without_root() -> Iterator[None]:
    """Root may read everything: for the moment, be nobody."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_a_file_that_may_not_be_read_pauses(file: Path) -> None:
    file.touch(mode=0o000)
    with without_root():
        reason = Pause(file).read()
    assert reason == f"the pause file {file} cannot be read (Permission denied); unreadable means paused"


def test_a_pause_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="unmounted"):
        Pause(tmp_path / "unmounted" / "PAUSE").pause("reason", "alice", AT)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file can take a byte; an empty one can be made."""
    unhindered = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")
        unhindered(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.usefixtures("full")
def test_on_a_full_disk_it_is_paused_all_the_same_and_the_reason_is_said_to_be_lost(file: Path) -> None:
    assert not Pause(file).pause("database upgrade", "alice", AT)
    assert Pause(file).read() == f"{file} exists and gives no reason"
    assert [each.name for each in file.parent.iterdir()] == ["PAUSE"]


@pytest.mark.usefixtures("full")
def test_on_a_full_disk_an_older_reason_stays(file: Path) -> None:
    file.write_text("first\n")
    assert not Pause(file).pause("second", "bob", AT)
    assert Pause(file).read() == "first"


def test_a_pause_that_fails_leaves_nothing_behind(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        Pause(file).pause("reason", "alice", AT)
    assert list(file.parent.iterdir()) == []


def test_a_switch_that_could_not_be_thrown_has_failed_and_was_not_refused(tmp_path: Path) -> None:
    file = tmp_path / "unmounted" / "pause"
    with (
        closing(Store.open(f"sqlite:///{tmp_path}/rollbackd.db", "one")) as store,
        pytest.raises(Denied, match=r"not paused: .* cannot be written") as denied,
    ):
        Switch(Pause(file), store, lambda: AT).pause("game day", "ann")
    assert denied.value.why == "failed"


@pytest.mark.usefixtures("full")
def test_whoever_pauses_on_a_full_disk_is_told_what_is_lost(file: Path) -> None:
    with closing(Store.open(f"sqlite:///{file.parent}/rollbackd.db", "one")) as store:
        state = Switch(Pause(file), store, lambda: AT).pause("game day", "ann")
    assert (state.was_changed, state.paused) == (True, f"{file} exists and gives no reason")
    assert state.warning == f"paused, but the disk is full: {file} does not have the reason"


# --- replicas -------------------------------------------------------------------------------------------------------------------------------------


@contextmanager
def replicas(folder: Path, url: str) -> Iterator[list[tuple[SharedPause, Switch]]]:
    """Two replicas on one journal, each with a folder of its own."""
    stores = [Store.open(url, name) for name in ("one", "two")]
    switches = []
    for store in stores:
        (folder / store.writer).mkdir()
        pause = SharedPause(folder / store.writer / "pause", store)
        switches.append((pause, Switch(pause, store, lambda: AT)))
    try:
        yield switches
    finally:
        for store in stores:
            store.close()


def test_a_pause_on_one_replica_holds_for_all_and_so_does_its_end(tmp_path: Path, journal_url: str) -> None:
    with replicas(tmp_path, journal_url) as ((_, one), (there, _)):
        assert there.read() is None
        one.pause("game day", "ann")
        assert there.read() == "game day (paused by ann on one at 2025-03-01 03:00:00 UTC)"
        one.resume("ann")
        assert there.read() is None


def test_whoever_pauses_after_another_replica_hears_whose_pause_it_replaces(tmp_path: Path, journal_url: str) -> None:
    with replicas(tmp_path, journal_url) as ((_, one), (_, two)):
        assert one.pause("game day", "ann").notes == ()
        assert two.pause("second", "bob").notes == ("it replaces: game day (paused by ann on one at 2025-03-01 03:00:00 UTC)",)


def test_a_file_pauses_its_own_replica_until_it_is_lifted_there(tmp_path: Path, journal_url: str) -> None:
    with replicas(tmp_path, journal_url) as ((here, one), (there, two)):
        here.file.write_text("by hand\n")
        two.resume("bob")
        assert (here.read(), there.read()) == ("by hand", None)
        one.resume("ann")
        assert here.read() is None


def lose_rows_after(url: str, seq: int) -> None:
    """As a standby does that becomes the primary before it had them."""
    with by_hand(url) as connection, connection.begin():
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(f"DELETE FROM journal WHERE seq > {seq}"))


@pytest.mark.parametrize("later", [0, 2, 20], ids=["fewer-rows-than-before", "as-many", "more"])
def test_a_pause_is_heard_where_a_failover_lost_rows_and_numbers_are_given_anew(tmp_path: Path, journal_url: str, later: int) -> None:
    with replicas(tmp_path, journal_url) as ((_, one), (there, two)):
        write_rows(two, 6)
        assert there.read() is None
        lose_rows_after(journal_url, 3)
        one.pause("game day", "ann")
        write_rows(two, later)
        assert "game day" in (there.read() or "")


def test_a_pause_is_heard_once_others_went_on_after_a_failover(tmp_path: Path, journal_url: str) -> None:
    with replicas(tmp_path, journal_url) as ((_, one), (there, two)):
        write_rows(two, 6)
        assert there.read() is None
        lose_rows_after(journal_url, 3)
        assert there.read() is None
        one.pause("game day", "ann")
        assert "game day" in (there.read() or "")


def write_rows(switch: Switch, number: int) -> None:
    with switch._store.transaction() as tx:
        for n in range(number):
            tx.note(Note("observed", AT, {"n": n}))


def test_without_the_journal_the_others_are_unknown_and_a_pause_works_here(tmp_path: Path, journals: Postgres, journal_url: str) -> None:
    with pipe_to(journals.port) as pipe, replicas(tmp_path, journal_url.replace(f":{journals.port}/", f":{pipe.port}/")) as ((here, one), _):
        pipe.close()
        with pytest.raises(StoreError):
            here.read()
        with pytest.raises(Denied, match="still paused for all replicas"):
            one.resume("ann")
        assert "not in the journal" in (one.pause("game day", "ann").warning or "")
        assert "game day" in (here.read() or "")
