"""The model of claim, deadline, precondition, two actors and pause switch, checked by spin over all orders in which things may happen."""

import importlib
import os
import re
import shutil
import subprocess
from functools import reduce
from pathlib import Path

import pytest

MODEL = Path(__file__).parent / "rollback.pml"
PROVEN = re.compile(r"errors: (\d+)")


def checked(folder: Path, *defines: str) -> str:
    """What spin's verifier says of the model with these defines."""
    if shutil.which("spin") is None or shutil.which("gcc") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("spin and gcc are needed in CI: make servers")
        pytest.skip("no spin or gcc: apt-get install spin gcc libc6-dev")
    run(folder, "spin", "-a", *defines, str(MODEL))
    run(folder, "gcc", "-O1", "-w", "-DSAFETY", "-o", "pan", "pan.c")
    return run(folder, "./pan", "-m100000")


def run(folder: Path, *argv: str) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def errors(said: str) -> int:
    found = PROVEN.search(said)
    assert found is not None, said
    assert "max search depth too small" not in said
    return int(found[1])


def test_two_writes_for_one_intent_are_never_both_accepted_and_a_paused_system_starts_no_step(tmp_path: Path) -> None:
    assert errors(checked(tmp_path)) == 0


def test_without_the_precondition_two_writes_are_accepted(tmp_path: Path) -> None:
    said = checked(tmp_path, "-DNO_PRECONDITION")
    assert errors(said) > 0
    assert "assertion violated (accepted<=1)" in said


def test_without_a_look_at_the_switch_a_paused_system_starts_a_step(tmp_path: Path) -> None:
    said = checked(tmp_path, "-DNO_PAUSE")
    assert errors(said) > 0
    assert "is_paused" in said


def test_without_a_second_look_a_write_leaves_long_after_the_switch_was_thrown(tmp_path: Path) -> None:
    said = checked(tmp_path, "-DONE_LOOK")
    assert errors(said) > 0
    assert "is_paused" in said


def test_every_step_of_the_model_names_functions_that_exist() -> None:
    names = re.findall(r"product: ([\w.]+)", MODEL.read_text(encoding="utf-8"))
    assert len(names) > 10
    for name in names:
        parts = name.split(".")
        first = next(n for n, part in enumerate(parts) if part[0].isupper())
        module = importlib.import_module(".".join(parts[:first]))
        assert callable(reduce(getattr, parts[first:], module)), name
