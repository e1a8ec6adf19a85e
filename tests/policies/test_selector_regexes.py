"""Regular expressions of selectors: what the metric source would refuse is refused here, and nothing else."""

import pytest

from rollbackd.policies.text.selectors import SelectorError, parse_selector


@pytest.mark.parametrize(
    "pattern", ["a(?=b)", "(?<!a)b", r"(a)\\1", "a++", "a*+", "a?+", "a{2}+", "(?>a)", r"a\\Z", r"\\Ga", "(?#a)", "(?(1)a|b)", "(?P<n>a)(?P=n)"]
)
def test_what_re2_does_not_know_is_refused(pattern: str) -> None:
    with pytest.raises(SelectorError, match="which RE2 does not have"):
        parse_selector(f'up{{a=~"{pattern}"}}')


@pytest.mark.parametrize(
    "pattern", ["a+", r"a\\++", "[+*]+", "x[*+]y", "[^]*+]x", r"\\d{3}", "(?i)a", "(?P<n>a)", "5..|4..", r"a\\+b", "a+?", r"\\pL"]
)
def test_what_re2_knows_is_taken(pattern: str) -> None:
    (matcher,) = parse_selector(f'up{{a=~"{pattern}"}}').matchers
    assert matcher.value == pattern.replace("\\\\", "\\")


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(?x)a b", id="blanks-that-do-not-count"),
        pytest.param("(?u)a", id="unicode"),
        pytest.param("(?x-i:a)", id="for-a-part"),
        pytest.param("(?-)a", id="none-taken-back"),
        pytest.param("(?|a|b)", id="branch-reset"),
        pytest.param("(?i)a**", id="repeat-of-a-repeat"),
        pytest.param("(?i)a{2}{3}", id="count-of-a-count"),
        pytest.param(r"\\u0041", id="code-point"),
        pytest.param(r"(?i)\\h", id="letter-of-others"),
        pytest.param(r"[\\h]", id="letter-of-others-in-a-class"),
    ],
)
def test_a_flag_a_letter_or_a_repeat_that_only_others_have_is_refused(pattern: str) -> None:
    with pytest.raises(SelectorError, match="which RE2 does not have"):
        parse_selector(f'up{{a=~"{pattern}"}}')


@pytest.mark.parametrize(
    "pattern", ["(?ims)a", "(?U)a", "(?i-s:a)", "(?-i)a", r"\\(?=a", r"\\\\1", r"\\12(?i)", r"\\Q(?x)a{1001}\\E", "[[:alpha:]+*]"]
)
def test_flags_and_letters_that_re2_has_are_taken(pattern: str) -> None:
    parse_selector(f'up{{a=~"{pattern}"}}')


@pytest.mark.parametrize(
    "pattern", ["a{1001}", "a{2,1001}", "a{1001,}", "(?i)(a{100}){11}", "((a{11}|b){10}){10}", "(a{501}b?){2}", "a{" + "9" * 900 + "}"]
)
def test_more_repeats_than_re2_takes_are_refused(pattern: str) -> None:
    with pytest.raises(SelectorError, match="more than 1000 repeats, which RE2 does not have"):
        parse_selector(f'up{{a=~"{pattern}"}}')


@pytest.mark.parametrize(
    "pattern", ["a{1000}", "a{1000,}", "(a{100}){10}", "(a{500}|b{500}){2}", "a{1000}b{1000}", "((a{500}){0}){3}", r"a\\{1001}", "[a{1001}]"]
)
def test_as_many_repeats_as_re2_takes_are_taken(pattern: str) -> None:
    parse_selector(f'up{{a=~"{pattern}"}}')
