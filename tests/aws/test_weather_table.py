"""No weather is forgotten for any adapter: every cell of the table is a test that is there, or a reason."""

import ast
from functools import cache
from pathlib import Path

import pytest

from rollbackd.adapters.aws.declarations import ALL
from tests.aws.weather import NEVER, WEATHER


@cache
def written_in(file: str) -> frozenset[str]:
    tree = ast.parse((Path(__file__).parent / f"{file}.py").read_text())
    return frozenset(each.name for each in tree.body if isinstance(each, ast.FunctionDef))


@pytest.mark.parametrize("weather", WEATHER)
def test_every_adapter_meets_it_or_a_reason_says_why_not(weather: str) -> None:
    assert set(WEATHER[weather]) == {declared.name for declared in ALL}


@pytest.mark.parametrize("weather", WEATHER)
def test_every_test_of_the_table_is_there(weather: str) -> None:
    named = [cell.split("::") for cell in WEATHER[weather].values() if not cell.startswith(NEVER)]
    assert [name for file, name in named if name not in written_in(file)] == []
