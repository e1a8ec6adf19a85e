"""The command that has the policies read again, as `rollbackd run --help` gives it, finds the daemon, and nothing else that says so."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollbackd.controller.cli.main import outcome
from tests.servers import binary

ROLLBACKD = str(Path(sys.executable).with_name("rollbackd"))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[int]:
    """The process of a `rollbackd run` as the kernel lists it; it waits for its config."""
    binary("pgrep")
    config = tmp_path / "rollbackd.yaml"
    os.mkfifo(config)
    with subprocess.Popen([ROLLBACKD, "run", "--config", str(config)], stderr=subprocess.DEVNULL) as started:
        yield started.pid
        started.kill()


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str]) -> str:
    assert outcome(["run", "--help"]) == 0
    (found,) = [line for line in capsys.readouterr().out.splitlines() if "-HUP -f" in line]
    return found


def test_the_command_finds_the_daemon(daemon: int, line: str) -> None:
    pattern = re.findall(r"pkill -HUP -f '(.+?)'", line)
    assert pattern
    shown = subprocess.run(["pgrep", "-f", *pattern], capture_output=True, text=True, check=False).stdout
    assert str(daemon) in shown.split()


def test_the_shell_that_runs_it_is_not_signalled_itself(line: str) -> None:
    (pattern,) = re.findall(r"pkill -HUP -f '(.+?)'", line)
    assert not re.search(pattern, f"sh -c {line.partition('#')[0]}")
