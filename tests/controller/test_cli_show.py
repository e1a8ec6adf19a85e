"""What is written as YAML is read back as it was: by our own reader, of YAML 1.2, and by those of YAML 1.1. None of it speaks to a terminal."""

import io
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from rollbackd.controller.cli.show import as_json, as_yaml, console, say, visible
from rollbackd.policies.text.yaml_text import parse

SHORT = st.text(alphabet="0123456789abcdefeEoxn+-._~", max_size=9)
"""Where a text is most like a number: commits, identifiers, versions."""
LONG = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=["Cc"]))
VALUES = st.one_of(SHORT, LONG, st.integers(), st.booleans(), st.none())


def read(text: str) -> object:
    parsed = parse(text, "f.yaml")
    assert parsed.faults == ()
    return parsed.documents[0].root.data


@pytest.mark.parametrize("text", ["58e7600", "1e5", "0o17", "0x1f", "1.50", "off", "12", "~", ".inf", "2024-01-01", "1:30", ""])
def test_a_text_like_a_number_stays_a_text(text: str) -> None:
    written = as_yaml({"revision": text}, 80)
    assert read(written) == {"revision": text}
    assert yaml.safe_load(written) == {"revision": text}


@given(st.dictionaries(SHORT.filter(bool), st.one_of(VALUES, st.lists(VALUES, max_size=3)), min_size=1, max_size=4))
def test_whatever_is_written_is_read_back(document: dict[str, object]) -> None:
    written = as_yaml(document, 80)
    assert read(written) == document
    assert yaml.safe_load(written) == document


@pytest.mark.parametrize("number", [0.5, 58e7, 1e22, 2.5e-7, float("inf")])
def test_a_number_stays_a_number(number: float) -> None:
    assert read(as_yaml({"limit": number}, 80)) == {"limit": number}


def test_what_comes_twice_stands_twice() -> None:
    """Our reader takes no aliases."""
    labels = {"app": "shop"}
    assert read(as_yaml({"a": labels, "b": labels}, 80)) == {"a": labels, "b": labels}


@pytest.mark.parametrize("text", ["10s", "1.2.3", "v7", "7f9c"])
def test_what_only_begins_like_a_number_needs_no_quotes(text: str) -> None:
    assert as_yaml({"every": text}, 80) == f"every: {text}\n"


# --- what speaks to the terminal ---------------------------------------------------------------------------------------------------------------

SPOKEN = "a\x1b[31mb\x07c\x9bd\u202ee\x7ff\u2028g\x85h"
SHOWN = r"a\x1b[31mb\x07c\x9bd\u202ee\x7ff\u2028g\x85h"


@pytest.mark.parametrize("text", ["two\nlines\tand a tab", "Zoë 👩\u200d🚀 שלום", r"C:\new"])
def test_what_people_write_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_what_speaks_to_a_terminal_is_spelt_out_wherever_it_is_drawn() -> None:
    drawn, table = io.StringIO(), Table.grid()
    out = console(drawn, 200)
    table.add_column()
    table.add_row(SPOKEN)
    out.print(SPOKEN, markup=False)
    out.print(table)
    assert [line.rstrip() for line in drawn.getvalue().split("\n")] == [SHOWN, SHOWN, ""]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "shown"), [("1", "a b c\n"), ("", "\x1b[1ma\x1b[0m \x1b[2mb\x1b[0m \x1b[31mc\x1b[0m\n")], ids=["set", "empty"])
def test_under_no_color_nothing_is_bold_or_dim_either(monkeypatch: pytest.MonkeyPatch, no_color: str, shown: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    drawn = Terminal()
    console(drawn).print("[bold]a[/] [dim]b[/] [red]c[/]")
    assert drawn.getvalue() == shown


def test_what_speaks_to_a_terminal_is_spelt_out_in_talk(capsys: pytest.CaptureFixture[str]) -> None:
    say(SPOKEN)
    assert capsys.readouterr().err == f"{SHOWN}\n"


@pytest.mark.parametrize(
    ("write", "read_back"), [(as_json, json.loads), (lambda document: as_yaml(document, 80), yaml.safe_load)], ids=["json", "yaml"]
)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_documents_hold_nothing_that_speaks_to_a_terminal_and_are_read_back_as_they_were(write, read_back, text: str) -> None:
    document = {f"of {text}": [text, SPOKEN]}
    written = write(document)
    assert visible(written) == written
    assert read_back(written) == document
