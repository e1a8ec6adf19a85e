"""The store where the disk is full, the file is locked, or the process is killed: nothing lost, nothing half, and it goes on by itself."""

import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from rollbackd.controller.journal.chain import verify
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from tests.controller.journal_samples import HELD, OPENED, T0
from tests.rights import OBEYING

FULL_DISK = """
import resource, sys
from datetime import datetime, UTC
from pathlib import Path
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note

store = Store.open(sys.argv[1], "one")
def write(number):
    with store.transaction() as tx:
        tx.note(Note("filler", datetime.now(UTC), {"number": number, "text": "x" * 3000}))

for number in range(31):
    write(number)
size = Path(sys.argv[1].removeprefix("sqlite:///") + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, resource.RLIM_INFINITY))
failed = []
for number in range(31, 34):
    try:
        write(number)
    except StoreError as error:
        failed.append(str(error))
print(len(failed), len(store.history(100)))
print(failed[0])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write(99)
print([entry.body["number"] for entry in store.history(2)])
"""

FULL_IN_A_CALM = """
import resource, sys
from datetime import datetime, UTC
from pathlib import Path
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note

store = Store.open(sys.argv[1], "one")
with store.transaction() as tx:
    tx.note(Note("filler", datetime.now(UTC), {}))
store.prove_writable()
size = Path(sys.argv[1].removeprefix("sqlite:///") + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
try:
    store.prove_writable()
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.prove_writable()
print(len(store.history(100)))
"""

READ_ONLY = """
import sys
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.store import Store

store = Store.open(sys.argv[1], "one")
with store.snapshot(), store.snapshot():
    pass  # two connections lie idle, opened for reading
reader = store.snapshot()
reader.__enter__().open_incidents()  # and one is at work
for _ in sys.stdin:
    try:
        store.prove_writable()
        print("fine", flush=True)
    except StoreError as error:
        print(error, flush=True)
    if reader is not None:
        reader.__exit__(None, None, None)
        reader = None
"""

ENDLESS = """
import sys
from datetime import datetime, UTC
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note

store = Store.open(sys.argv[1], "one")
number = 0
while True:
    with store.transaction() as tx:
        tx.note(Note("counted", datetime.now(UTC), {"number": number}))
        tx.note(Note("counted", datetime.now(UTC), {"number": number + 1}))
    number += 2
    print(number, flush=True)
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file: what it may suffer."""
    return f"sqlite:///{tmp_path / 'journal.db'}"


def test_on_a_full_disk_what_was_committed_stays_and_the_store_goes_on_once_there_is_space(url: str) -> None:
    run = subprocess.run([sys.executable, "-c", FULL_DISK, url], capture_output=True, text=True, check=True)
    counts, message, newest = run.stdout.splitlines()
    assert counts == "3 31"
    assert "the disk does not take or give data" in message
    assert "nothing was written" in message
    assert "goes on by itself" in message
    assert newest == "[99, 30]"
    store = Store.open(url, "one")
    assert verify(store.rows()) is None
    assert len(store.history(100)) == 32
    store.close()


def test_a_full_disk_is_found_by_a_look_that_leaves_no_row(url: str) -> None:
    run = subprocess.run([sys.executable, "-c", FULL_IN_A_CALM, url], capture_output=True, text=True, check=True)
    message, rows = run.stdout.splitlines()
    assert "the disk does not take or give data" in message
    assert rows == "1"


@pytest.mark.parametrize("parts", [pytest.param(("",), id="file"), pytest.param(("", "-wal", "-shm"), id="all")])
def test_a_read_only_file_is_found_by_looking_and_once_mended_the_same_process_goes_on(url: str, parts: tuple[str, ...]) -> None:
    keeper = Store.open(url, "two")  # so that the write-ahead log is there all the while, as it is beside a command at work
    with keeper.transaction() as tx:
        tx.note(Note("daemon.paused", T0))
    files = [Path(f"{make_url(url).database}{part}") for part in parts]
    for file in files:
        file.chmod(0o444)
    with subprocess.Popen([*OBEYING, sys.executable, "-c", READ_ONLY, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def look() -> str:
            print(file=process.stdin, flush=True)
            return process.stdout.readline()

        assert "the file or its folder is read-only" in look()
        for file in files:
            file.chmod(0o644)
        said = [look(), look()]
        process.stdin.close()
    assert said == ["fine\n", "fine\n"]
    keeper.close()


def test_a_process_killed_while_it_writes_loses_no_commit_and_leaves_no_half_of_one(url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(40)][-1]
        process.kill()
    store = Store.open(url, "one")
    rows = len(store.history(10_000))
    assert rows >= acknowledged
    assert rows % 2 == 0
    assert verify(store.rows()) is None
    store.close()


def test_a_writer_gives_up_with_a_reason_while_another_process_holds_the_lock_and_goes_on_after_it(store: Store, url: str) -> None:
    hasty = Store.open(url, "two", patience=timedelta(milliseconds=50))
    other = sqlite3.connect(str(make_url(url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"another process holds the write lock.*nothing was written"):  # noqa: SIM117 - the first one raises
        with hasty.transaction():
            pass
    assert hasty.history(1) == ()
    other.execute("ROLLBACK")
    other.close()
    with hasty.transaction() as tx:
        assert tx.note(Note("daemon.paused", T0))
    hasty.close()


def test_a_nested_transaction_is_an_error_and_no_deadlock(url: str) -> None:
    store = Store.open(url, "one", patience=timedelta(milliseconds=50))
    with store.transaction() as tx:
        with pytest.raises(StoreError, match="another thread has been writing"):  # noqa: SIM117
            with store.transaction():
                pass
        tx.note(Note("daemon.paused", T0))
    assert len(store.history(10)) == 1
    store.close()


def test_an_incident_row_that_a_newer_version_wrote_is_an_error_that_names_the_row(store: Store) -> None:
    with store.transaction() as tx:
        tx.open(OPENED, "shop")
        tx.record(HELD)
        tx.note(Note("rung.stopped", T0, {"incident": "inc-1", "colour": "red"}, incident="inc-1"))
    with pytest.raises(StoreError, match=r"journal row 3 \(rung.stopped\): Stopped: unknown key 'colour'.*nothing was decided"):
        store.open_incidents()


def test_a_path_that_cannot_be_opened_gives_a_reason(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"the file cannot be opened.*rollbackd may write there"):
        Store.open(f"sqlite:///{tmp_path}", "one")
