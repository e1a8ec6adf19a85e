"""A target system that hangs while the daemon starts: everything else is watched at once, and a stop waits for nothing of it."""

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.corner import Corner, exposed, shop_policy
from tests.e2e.daemon import Daemon, policy
from tests.servers import poll

ERRORS = {"name": "errors", "gauge": "rollbackd_paused", "above": 0.5}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A sound shop beside a command whose ``describe`` never ends; each of its runs writes its process into ``asked``."""
    corner = Corner(tmp_path / "shop")
    hang = tmp_path / "hang.sh"
    hang.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/asked\nexec sleep 1000\n")
    hang.chmod(hang.stat().st_mode | stat.S_IXUSR)
    with exposed(corner) as page:
        config = {**corner.config(page), "contacts": {"oncall": [{"webhook": {"url": "http://127.0.0.1:9"}}]}}
        config["commands"]["hung"] = {"describe": [str(hang)], "apply": [str(hang), "{revision}"], "timeout": "60s"}
        hung = policy("hung", {"command": {"name": "hung"}}, ERRORS, match={"app": "shop"}, source="scrape")
        daemon = Daemon(tmp_path, config, {"shop": shop_policy(), "hung": hung})
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.kill()
            for process in running(tmp_path):
                os.kill(process, signal.SIGKILL)


def asked(folder: Path) -> list[int]:
    """The processes that were asked how the hanging target stands."""
    return [int(line) for line in (folder / "asked").read_text().split()] if (folder / "asked").exists() else []


def running(folder: Path) -> list[int]:
    return [process for process in asked(folder) if Path(f"/proc/{process}").exists()]


def test_slots_begin_while_a_target_hangs(daemon: Daemon) -> None:
    poll(lambda: "daemon.started" in daemon.log and daemon.ask("status")["daemon"]["last_slot"])


def test_a_stop_and_a_sighup_wait_for_no_target_that_hangs_and_leave_nothing_of_it_behind(daemon: Daemon, tmp_path: Path) -> None:
    poll(lambda: len(asked(tmp_path)) >= 2)  # the check at the start, and the first slot
    daemon.write_policy("more", shop_policy("more"))
    daemon.reload()
    poll(lambda: len(asked(tmp_path)) >= 3)
    began = time.monotonic()
    daemon.stop()
    assert (time.monotonic() - began < 10, running(tmp_path)) == (True, [])
    assert "target.not_ready" not in daemon.log  # what a stop cut short is no fault of the target
