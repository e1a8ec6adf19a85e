"""What holds of an ``apply`` where its daemon is killed by kill -9, and that its guard is not noticed otherwise. With real programs."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.target import Intent, Plan
from rollbackd.adapters.command import Command, CommandSpec
from tests.adapters.commands import DEPLOY, deploy, eventually, is_alive

PLAN = Plan(Intent(DEPLOY, "inc-1", "v2", "v1"), "put it back")
DAEMON = """
import sys
from datetime import timedelta
from rollbackd.adapters.base.target import Intent, Plan
from rollbackd.adapters.command import Command, CommandSpec
script, seconds = sys.argv[1:]
spec = CommandSpec(("/bin/cat", "running"), ("/bin/sh", "-c", script, "sh", "{revision}"), timeout=timedelta(seconds=float(seconds)))
Command({"deploy": spec}).apply(Plan(Intent("command:deploy", "inc-1", "v2", "v1"), "put it back"))
"""
STARTED = "echo $$ > new; mv new started"


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """The file that holds the revision which runs."""
    path = tmp_path / "running"
    path.write_text("v2\n")
    return path


def killed_daemon(folder: Path, script: str, seconds: float) -> int:
    """The process of an ``apply`` that had begun when its daemon was killed."""
    with subprocess.Popen([sys.executable, "-c", DAEMON, script, str(seconds)], cwd=folder) as daemon:
        assert eventually((folder / "started").exists)
        daemon.kill()
    return int((folder / "started").read_text())


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(f"sleep 60 & echo $! > child; {STARTED}; wait", id="with-a-child"),
        pytest.param(f"trap '' TERM; (trap '' TERM; exec sleep 60) & echo $! > child; kill 0; {STARTED}; wait", id="that-signalled-its-group"),
    ],
)
def test_an_apply_whose_daemon_was_killed_goes_on_until_its_time_out_and_not_beyond(running: Path, tmp_path: Path, script: str) -> None:
    began = time.monotonic()
    apply = killed_daemon(tmp_path, script, 3)
    assert is_alive(apply)
    assert eventually(lambda: not is_alive(apply) and not is_alive(int((tmp_path / "child").read_text())))
    assert 3 <= time.monotonic() - began < 10  # when the claim ends


def test_an_apply_whose_daemon_was_killed_may_still_print_and_finish(running: Path, tmp_path: Path) -> None:
    killed_daemon(tmp_path, f'{STARTED}; until [ -e go ]; do sleep 0.01; done; echo said; echo said >&2; printf "$1" > running', 20)
    (tmp_path / "go").touch()
    assert eventually(lambda: running.read_text() == "v1")


def test_an_apply_that_cannot_be_started_changed_nothing(running: Path) -> None:
    target = Command({"deploy": CommandSpec(("/bin/cat", str(running)), ("/no/such/program", "{revision}"))})
    with pytest.raises(Permanent) as raised:
        target.apply(PLAN)
    assert str(raised.value) == (
        "/no/such/program cannot be started ([Errno 2] No such file or directory: '/no/such/program'); "
        "nothing was changed; correct the daemon's config"
    )


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param("exit 255", "255", id="code"),
        pytest.param("kill -9 $$", "-9", id="killed"),
        pytest.param("kill -TERM $$", "-15", id="ended"),
        pytest.param("kill -ALRM $$", "-14", id="its-own-alarm"),
        pytest.param("kill -PIPE $$; exit 0", "-13", id="nobody-reads-on"),
        pytest.param("kill -USR1 $$; exit 0", "-10", id="signalled"),  # nohup leaves this one alone
    ],
)
def test_an_apply_ends_as_its_program_does(running: Path, script: str, code: str) -> None:
    with pytest.raises(Transient, match=f"ended with exit code {code}; it is unknown"):
        deploy(running, apply=script).apply(PLAN)


def test_an_apply_gets_the_minimal_environment_and_no_open_file(running: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.delenv("LANG", raising=False)
    deploy(running, apply=f"cd '{tmp_path}'; env | cut -d= -f1 > names; ls /proc/$$/fd > open").apply(PLAN)
    assert set((tmp_path / "names").read_text().split()) <= {"HOME", "PATH", "PWD", "OLDPWD", "SHLVL", "_", "ROLLBACKD_INCIDENT"}
    assert not set("3456789") & set((tmp_path / "open").read_text().split())  # the shell's own is 10


def test_an_apply_whose_guard_stands_still_is_killed_at_its_time_out_by_the_daemon(running: Path) -> None:
    with pytest.raises(Transient, match="did not end within 1s and was killed"):
        deploy(running, apply=f"[ $PPID = {os.getpid()} ] || kill -STOP $PPID; sleep 60", timeout=timedelta(seconds=1)).apply(PLAN)
