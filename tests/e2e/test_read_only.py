"""A journal that cannot be written, before anything happens: seen without a release, and gone on from once somebody has mended it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.corner import TARGET, Corner, exposed, shop_policy
from tests.e2e.daemon import Daemon
from tests.rights import OBEYING
from tests.servers import free_port, poll


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """It ran once, and runs now on a journal that it may not write; nothing was released and nothing is wrong with the shop."""
    corner = Corner(tmp_path / "shop")
    hook = {"webhook": {"url": f"http://127.0.0.1:{free_port()}"}}
    with exposed(corner) as page:
        daemon = Daemon(tmp_path, {**corner.config(page), "contacts": {"oncall": [hook]}}, {"shop": shop_policy()})
        try:
            daemon.start()
            poll(lambda: daemon.history(TARGET))
            daemon.stop()
            journal(daemon).chmod(0o444)
            daemon.begin(OBEYING)
            yield daemon
            daemon.stop()
        finally:
            daemon.kill()


def journal(daemon: Daemon) -> Path:
    return daemon.data / "rollbackd.db"


def test_a_read_only_journal_is_seen_in_a_calm_and_once_mended_the_daemon_goes_on_by_itself(daemon: Daemon) -> None:
    poll(lambda: daemon.get("/readyz")[0] == 503)
    assert "the file or its folder is read-only" in daemon.get("/readyz")[1]
    assert "\nrollbackd_journal_ok 0" in daemon.get("/metrics")[1]
    assert "STORE FAILS" in daemon.run("status").stdout
    doctor = daemon.run("doctor")
    assert (doctor.returncode, ": rollbackd.db, rollbackd.db-wal, rollbackd.db-shm -> " in doctor.stdout) == (2, True), doctor.stdout
    journal(daemon).chmod(0o644)
    poll(lambda: daemon.get("/readyz")[0] == 200, within=75)
    daemon.api.post("good", target=TARGET, revision="v1", who="ann")
    assert "store.recovered" in [row["kind"] for row in daemon.history()]
