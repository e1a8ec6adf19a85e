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
