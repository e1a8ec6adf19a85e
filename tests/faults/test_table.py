"""Every fault of docs/faults.md has a test that is named by its row, or names one that plays it with real processes; none is lost."""

import re
from pathlib import Path

from tests.faults.elsewhere import ELSEWHERE

ROWS = range(1, 53)
PAGE = Path("docs/faults.md").read_text()
_TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)


def named_in(file: Path) -> list[str]:
    return _TEST.findall(file.read_text())


def named_by_row() -> dict[int, list[str]]:
    """The tests of this folder by the number of their row."""
    found: dict[int, list[str]] = {}
    for file in Path("tests/faults").glob("test_rows_*.py"):
        for name in named_in(file):
            if row := re.match(r"test_row_(\d\d)_", name):
                found.setdefault(int(row[1]), []).append(f"{file.as_posix()}::{name}")
    return found


def rows_of_the_page() -> dict[int, str]:
    """The last column of each row: the tests that prove it."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [len(cells) for cells in lines if len(cells) != 4] == []
    return {int(cells[0]): cells[3] for cells in lines}


def test_every_row_has_a_test() -> None:
    assert [row for row in ROWS if row not in named_by_row() and row not in ELSEWHERE] == []


def test_no_test_is_named_by_a_row_that_there_is_not() -> None:
    assert set(named_by_row()) - {0} <= set(ROWS)


def test_every_test_elsewhere_is_there() -> None:
    named = [test.split("::") for tests in ELSEWHERE.values() for test in tests]
    assert [(file, name) for file, name in named if name not in named_in(Path(file))] == []


def test_the_page_has_every_row_once_and_in_order() -> None:
    assert list(rows_of_the_page()) == list(ROWS)


def test_every_row_of_the_page_names_tests_that_there_are() -> None:
    for row, cell in rows_of_the_page().items():
        files = re.findall(r"`(tests/[\w/]+\.py)`", cell)
        assert files, f"row {row} names no test"
        known = {test.split("::")[0] for test in (*named_by_row().get(row, ()), *ELSEWHERE.get(row, ()))}
        assert set(files) == known, f"row {row}"
