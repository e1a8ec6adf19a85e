"""The threat model names tests that there are, and each defence one of them."""

import re
from pathlib import Path

PAGE = Path("docs/threat-model.md").read_text()


def test_every_test_that_it_names_is_there():
    named = set(re.findall(r"[\w/]*test_\w+\.py", PAGE))
    assert len(named) > 20
    there = {path.as_posix() for path in Path("tests").rglob("test_*.py")}
    assert {name for name in named if not any(path.endswith(f"/{name}") or path == name for path in there)} == set()


def test_every_defence_names_what_shows_it():
    tables = [table for table in PAGE.split("\n\n") if table.startswith("| threat |")]
    rows = [row for table in tables for row in table.splitlines()[2:]]
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"`(tests/crash|[\w/]*test_\w+\.py)`", row.split("|")[3])] == []
