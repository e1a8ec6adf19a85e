"""The runner of mutants: which faults it plants, that a test which fails kills one, and that one which changes nothing survives."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.mutants import mutants_of

SAMPLE = "tests/mutation/sample/clamp.py"


def planted(source: str) -> list[str]:
    return [f"{mutant.before} -> {mutant.after}" for mutant in mutants_of("x.py", source)]


def test_the_faults_of_the_sample_are_told_but_the_one_that_changes_nothing_and_those_that_no_test_runs():
    command = [sys.executable, "-m", "tests.mutation", SAMPLE, "--tests", "tests/mutation/sample/asks.py"]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    assert found.returncode == 1, found.stderr
    assert [line.partition(": ")[2] for line in found.stdout.splitlines() if line.startswith(("survived", "uncovered"))] == [
        f"{SAMPLE}:8 clamped: if value > LARGEST: -> if value >= LARGEST:",
        f"{SAMPLE}:15 unasked: return value + LARGEST -> return None",
        f"{SAMPLE}:15 unasked: return value + LARGEST -> return value - LARGEST",
    ]
    assert any(line.split()[:3] == [SAMPLE, "9", "6"] for line in found.stdout.splitlines()), found.stdout


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        pytest.param("x = a < b", ["x = a < b -> x = a <= b", "x = a < b -> x = a >= b"], id="comparison"),
        pytest.param(
            "x = a and b",
            ["x = a and b -> x = a or b", "x = a and b -> x = not a and b", "x = a and b -> x = a and (not b)"],
            id="condition",
        ),
        pytest.param("x = a or b", ["x = a or b -> x = a and b"], id="default"),
        pytest.param("x = min(a)", ["x = min(a) -> x = max(a)"], id="twin"),
        pytest.param("x = 3", ["x = 3 -> x = 4", "x = 3 -> x = 2"], id="number"),
        pytest.param("x = 'pause'", ["x = 'pause' -> x = 'mutated'"], id="name"),
        pytest.param("x = 'Prose is none.'", [], id="prose"),
        pytest.param("f(a=b)", ["f(a=b) -> pass", "f(a=b) -> f()"], id="keyword"),
        pytest.param("log.info('x.happened', a=1)", [], id="log"),
        pytest.param("x: int | None = y", [], id="annotation"),
        pytest.param("for x in y:\n    if x:\n        continue", ["if x: -> pass", "if x: -> if not x:", "continue -> pass"], id="early-exit"),
        pytest.param("def f() -> bool:\n    return g()", ["return g() -> return not g()"], id="claim"),
        pytest.param("def f() -> int:\n    return g()", ["return g() -> return None"], id="value"),
    ],
)
def test_which_faults_are_planted(source, faults):
    assert planted(source) == faults


def test_a_mutant_is_compiled_and_leaves_the_tree_as_it_was():
    source = Path(SAMPLE).read_text()
    mutants = mutants_of(SAMPLE, source)
    names = [mutant.name for mutant in mutants]
    results = []
    for mutant in mutants:
        if mutant.scope == "clamped":
            names_there: dict[str, object] = {}
            exec(mutant.compiled(), names_there)
            results.append([names_there["clamped"](value) for value in (3, 9, 12)])
    assert results.count([3, 9, 9]) == 1, "only the one that changes nothing"
    assert [mutant.name for mutant in mutants_of(SAMPLE, source)] == names
