"""A command target with real programs, small shell scripts over a file that holds the revision, and what it says."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import TargetState
from rollbackd.adapters.command import Command, CommandSpec

DEPLOY = "command:deploy"


def sh(script: str, *arguments: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script, "sh", *arguments)


def deploy(running: Path, describe: str = "", apply: str = "", **options: Any) -> Command:
    """A target whose ``describe`` prints the file and whose ``apply`` writes it, unless told otherwise."""
    return Command(
        {
            "deploy": CommandSpec(
                describe=sh(describe) if describe else ("/bin/cat", str(running)),
                apply=sh(apply or f"printf %s \"$1\" > '{running}'", "{revision}"),
                **{"timeout": timedelta(seconds=20), **options},
            )
        }
    )


def seen(target: Command) -> TargetState:
    state = target.survey([DEPLOY])[DEPLOY]
    assert isinstance(state, TargetState)
    return state


def error(target: Command, key: str = DEPLOY) -> AdapterError:
    state = target.survey([key])[key]
    assert isinstance(state, AdapterError)
    return state


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return False


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
