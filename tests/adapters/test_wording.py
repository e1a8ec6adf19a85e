"""Text of strangers made fit for a channel."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.adapters.base.wording import cut, fitted, header_id, one_line, short_id, utf16

TEXT = st.text(st.characters(), max_size=60)


def width(line: str) -> int:
    return len(line) + 1


@given(TEXT)
def test_one_line_is_one_line_of_what_can_be_seen(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_one_line_keeps_the_indent_and_the_umlauts() -> None:
    assert one_line("  image für app: a -> b 🔥") == "  image für app: a -> b 🔥"


@given(TEXT, st.integers(1, 80))
def test_what_is_cut_fits_and_shows_it(text: str, most: int) -> None:
    line = cut(one_line(text), most, utf16)
    assert utf16(line) <= most
    assert line == one_line(text) or line.endswith("…")


@given(st.lists(TEXT, max_size=30), st.integers(100, 1000))
def test_what_is_fitted_fits_keeps_the_first_lines_and_counts_the_rest(lines: list[str], most: int) -> None:
    kept = fitted(lines, most, width)
    assert sum(map(width, kept)) <= most
    whole = tuple(one_line(line) for line in lines)
    if kept != whole:
        assert kept[:-1] == whole[: len(kept) - 1]
        assert kept[-1] == f"[{len(lines) - len(kept) + 1} more lines did not fit; rollbackd history has everything]"


@pytest.mark.parametrize(("text", "same"), [("inc-1:held:pause", True), ("für", False), ("a\r\nb", False), (" a", False), ("", True)])
def test_a_header_holds_what_it_may_and_a_digest_of_the_rest(text: str, same: bool) -> None:
    assert (header_id(text) == text) is same
    assert header_id(text).isascii()


def test_two_long_keys_stay_two() -> None:
    one, other = short_id("k" * 300 + "a", 255), short_id("k" * 300 + "b", 255)
    assert (len(one), one == other, short_id("k" * 255, 255)) == (64, False, "k" * 255)
