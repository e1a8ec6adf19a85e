"""Row 11 at the start: a journal that a process of its own cannot open yet."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rollbackd.controller.journal.store import Store
from tests.e2e.daemon import Daemon
from tests.faults.house import shop_policy
from tests.servers import free_port, poll


@contextmanager
def kept_by_another(file: Path) -> Iterator[None]:
    """Another process has the journal to itself meanwhile, and lets nobody read it."""
    Store.open(f"sqlite:///{file}", "before").close()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def daemon_in(folder: Path, **config: Any) -> Iterator[Daemon]:
    (folder / "shop").write_text("v1\n")
    shop = {"describe": ["/bin/cat", f"{folder}/shop"], "apply": ["/bin/false", "{revision}"]}
    sources = {"prometheus": {"url": f"http://127.0.0.1:{free_port()}"}}
    contacts = {"oncall": [{"webhook": {"url": f"http://127.0.0.1:{free_port()}"}}]}
    daemon = Daemon(folder, {"sources": sources, "commands": {"shop": shop}, "contacts": contacts, **config}, {"shop": shop_policy()})
    try:
        yield daemon
    finally:
        daemon.kill()


def test_row_11_a_journal_that_another_has_locked_at_the_start_is_waited_for_and_opens_in_place(tmp_path: Path) -> None:
    with daemon_in(tmp_path) as daemon:
        daemon.data.mkdir()
        with kept_by_another(daemon.data / "rollbackd.db"):
            daemon.begin()
            poll(lambda: "another process holds the write lock" in daemon.get("/readyz")[1], within=30)
            daemon.signal(signal.SIGHUP)  # which would end a process that does not heed it
            assert (daemon.get("/readyz")[0], daemon.get("/healthz")[0]) == (503, 200)
        poll(lambda: daemon.get("/readyz")[0] == 200, within=60)
        assert "store.recovered" in [row["kind"] for row in daemon.history()]
        daemon.stop()


def test_row_11_a_stop_while_the_database_is_waited_for_is_a_good_end(tmp_path: Path) -> None:
    with daemon_in(tmp_path, store={"url": f"postgresql://rollbackd@127.0.0.1:{free_port()}/rollbackd"}) as daemon:
        daemon.begin()
        poll(lambda: "the server cannot be reached" in daemon.get("/readyz")[1], within=30)
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < 5
        assert daemon.log.count("store.unopened") == 1
