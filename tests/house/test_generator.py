"""The scorecard's generator knows nothing of who judges it."""

import ast
from pathlib import Path

SCORECARD = Path(__file__).parents[1] / "bench" / "scorecard"
BLIND = ("generator", "gauges", "memory", "randomness")
"""What makes the services."""


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_the_generator_imports_nothing_of_what_is_judged():
    allowed = {"collections.abc", "dataclasses", "math", "random", "statistics", *(f"tests.bench.scorecard.{name}" for name in BLIND)}
    assert {name: imported(SCORECARD / f"{name}.py") - allowed for name in BLIND} == {name: set() for name in BLIND}
