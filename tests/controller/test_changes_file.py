"""What a file of changes is read as, and what of it is refused: no server is needed for either."""

import json

import pytest

from rollbackd.controller.backtest.changes_file import Frame, read_changes
from tests.controller.backtest_samples import TARGET, moment
from tests.policies.literals import HOUR

FRAME = Frame(frozenset({TARGET}), moment(6 * HOUR))
AT = "2023-11-15T00:13:20Z"


def read(text, file="changes.yaml"):
    """The changes, and each fault without the file's name."""
    changes, faults = read_changes(text, file, FRAME)
    return changes, [str(fault).partition(":")[2] for fault in faults]


@pytest.mark.parametrize("indent", [None, 1], ids=["one-line", "many-lines"])
def test_each_row_is_a_change_of_its_own_however_the_file_is_broken_into_lines(indent):
    rows = [{"target": TARGET, "at": f"2023-11-15T0{hour}:13:20Z"} for hour in range(3)]
    changes, faults = read(json.dumps(rows, indent=indent), "changes.json")
    assert faults == []
    assert len({change.id for change in changes}) == 3


def test_a_change_that_is_written_twice_on_one_line_is_a_fault_that_says_where_it_was_first():
    changes, (fault,) = read(f'[{{"target": "{TARGET}", "at": "{AT}"}}, {{"target": "{TARGET}", "at": "{AT}"}}]', "changes.json")
    assert len(changes) == 1
    assert fault.partition(":")[2] == f"91: changes[1]: expected each change once, found {TARGET} at {AT} again; first at changes[0]"


@pytest.mark.parametrize("written", ["1.10", "84e1234", "1e999", "0012345", "0x1f", "true", '"1.10"'])
def test_a_revision_is_the_text_that_was_written(written):
    ((change,), faults) = read(f"- {{target: {TARGET}, at: {AT}, revision: {written}}}")
    assert (change.revision, faults) == (written.strip('"'), [])


@pytest.mark.parametrize("seconds", ["1700007200", "1700007200.0", "1.7000072e9"])
def test_a_time_may_be_a_number_of_seconds_however_json_writes_it(seconds):
    ((change,), faults) = read(f'[{{"target": "{TARGET}", "at": {seconds}}}]', "changes.json")
    assert (change.at, faults) == (moment(2 * HOUR), [])


@pytest.mark.parametrize("column", ["at", "ready", "rolled_back_at"])
@pytest.mark.parametrize("written", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00"])
def test_a_time_that_lies_before_1970_or_is_no_date_is_a_fault_of_its_cell(column, written):
    _, faults = read(f"- {json.dumps({'target': TARGET, 'at': AT} | {column: written})}")
    assert [fault.partition(": ")[2] for fault in faults] == [
        f"changes[0] › {column}: expected a time since 1970 with its zone, such as 2026-07-01T12:00:00Z, found '{written}'"
    ]


def test_a_key_beside_the_list_of_changes_is_a_fault_with_its_place():
    _, faults = read(f"defaults: {{outcome: good}}\nchanges:\n  - {{target: {TARGET}, at: {AT}}}\n")
    assert faults == ["1:1: file: expected a known key, found 'defaults'; allowed: changes"]
