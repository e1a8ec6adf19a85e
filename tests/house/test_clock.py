"""Time comes in as an argument."""

import ast
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).parents[2]
WALL = {"now", "utcnow", "today"}


def reads_of_the_wall_clock(part: str) -> Iterator[str]:
    for file in sorted((REPO / part).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_wall(node.func):
                yield f"{file.relative_to(REPO)}:{node.lineno}"


def _is_wall(call: ast.Attribute) -> bool:
    owner = call.value.id if isinstance(call.value, ast.Name) else ""
    return (owner in {"datetime", "date"} and call.attr in WALL) or (owner == "time" and call.attr == "time")


def test_the_wall_clock_is_read_in_one_place():
    # The demo is a user of the daemon with a watch of its own.
    found = [place for part in ("policies", "adapters", "controller") for place in reads_of_the_wall_clock(part) if "/demo/" not in place]
    assert [place.partition(":")[0] for place in found] == ["controller/clock.py"]
