"""The table of the crash matrix is whole: it knows every kind of row that the journal knows, and says why where it has no cell."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from rollbackd.controller.engine.usual import KIND
from rollbackd.controller.journal.codec import KINDS
from rollbackd.controller.journal.values import Standing
from rollbackd.controller.pause.shared import LIFTED, SET
from tests.crash.journeys import JOURNEYS
from tests.crash.matrix import STORIES
from tests.crash.table import CELLS, FACTS, ROWS, STORES, TARGETS, WRITE

CONTROLLER = Path(__file__).parents[2] / "controller"
COMPOSED = {"transaction.py", "switch.py", "usual.py"}
"""Modules that note rows whose kind is no literal; what these kinds are is asked below."""
NAMED = {row.kind for row in ROWS} | FACTS.keys()


def noted() -> Iterator[tuple[str, str | None]]:
    """Each module that makes notes, and their kinds where they are literals."""
    for file in sorted(CONTROLLER.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Note":
                kind = node.args[0]
                yield file.name, str(kind.value) if isinstance(kind, ast.Constant) else None


def test_every_event_of_an_incident_has_a_row() -> None:
    assert {row.kind for row in ROWS} >= {*KINDS, "claim.taken_over"}


def test_every_other_kind_of_row_has_one_too_or_a_reason_why_not() -> None:
    assert {kind for _, kind in noted() if kind is not None} - NAMED == set()
    assert {f"target.{standing.value}" for standing in Standing} | {KIND, SET, LIFTED} <= NAMED


def test_kinds_that_are_put_together_come_from_known_places_only() -> None:
    assert {module for module, kind in noted() if kind is None} == COMPOSED


def test_each_row_is_named_once() -> None:
    assert len({(row.kind, row.journey) for row in ROWS}) == len(ROWS)
    assert {row.kind for row in ROWS}.isdisjoint(FACTS)


def test_a_row_without_a_call_says_why_and_no_other_does() -> None:
    assert [row.kind for row in ROWS if bool(row.calls) == bool(row.why)] == []


def test_every_row_is_met_on_its_journey_and_every_message_is_one_of_it() -> None:
    for row in ROWS:
        journey = JOURNEYS[row.journey]
        assert row.kind in (*journey.rows, journey.whenever, "change.seen", "claim.taken_over")
        assert {call for call in row.calls if call != WRITE} <= {message.partition("@")[0] for message in journey.messages}


def test_every_transition_is_killed_at_every_moment_on_every_target_in_every_store() -> None:
    expected = {(row, moment, *rest) for row in ROWS for moment, *rest in product(row.moments, TARGETS, STORES)}
    assert {(cell.row, cell.moment, cell.target, cell.store) for cell in CELLS.values()} == expected
    assert all(cell.story in STORIES for cell in CELLS.values())
