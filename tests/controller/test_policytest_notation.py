"""Sample values as promtool writes them, each form once, and what is no value."""

import math

import pytest

from rollbackd.controller.policytest.notation import Absent, NotationError, parse_values

GONE, STALE = Absent.MISSING, Absent.STALE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("5", (5.0,), id="a-number"),
        pytest.param("1 2.5 -3 +4 .5 1e3 2E-1", (1.0, 2.5, -3.0, 4.0, 0.5, 1000.0, 0.2), id="numbers"),
        pytest.param("Inf -inf +Inf", (math.inf, -math.inf, math.inf), id="infinities"),
        pytest.param("1+2x3", (1.0, 3.0, 5.0, 7.0), id="growing-is-one-more-than-its-count"),
        pytest.param("-2+4x3", (-2.0, 2.0, 6.0, 10.0), id="growing-from-below-zero"),
        pytest.param("1-2x4", (1.0, -1.0, -3.0, -5.0, -7.0), id="falling"),
        pytest.param("1.5+0.5x2", (1.5, 2.0, 2.5), id="growing-by-fractions"),
        pytest.param("1e2-1e1x2", (100.0, 90.0, 80.0), id="exponents-on-both-sides"),
        pytest.param("7x2", (7.0, 7.0, 7.0), id="repeated-is-one-more-than-its-count"),
        pytest.param("7x0", (7.0,), id="repeated-no-times"),
        pytest.param("_", (GONE,), id="missing"),
        pytest.param("_x3", (GONE, GONE, GONE), id="missing-repeated-is-its-count"),
        pytest.param("1 stale _ 2", (1.0, STALE, GONE, 2.0), id="stale"),
        pytest.param("  0x1\n 0+20x1 ", (0.0, 0.0, 0.0, 20.0), id="blanks-and-lines"),
    ],
)
def test_a_value_reads_as_in_promtool(text, expected):
    assert parse_values(text) == expected


def test_nan_is_a_value():
    assert math.isnan(parse_values("NaN")[0])


def test_no_error_adds_up_along_a_growing_series():
    assert parse_values("0+0.1x10")[10] == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "offset", "found", "hint"),
    [
        pytest.param("1 zwei 3", 2, "'zwei'", "", id="a-word"),
        pytest.param("0+100*60", 0, "'0+100*60'", "small x", id="a-star"),
        pytest.param("0+100X60", 0, "'0+100X60'", "small x", id="a-capital-x"),
        pytest.param("1,2,3", 0, "'1,2,3'", "separated by blanks", id="commas"),
        pytest.param("5 {{schema:0 sum:1}}", 2, "'{{schema:0'", "native histograms", id="native-histogram"),
        pytest.param("0+x5", 0, "'0+x5'", "", id="no-step"),
        pytest.param("0+5x", 0, "'0+5x'", "", id="no-count"),
        pytest.param("0+5x-3", 0, "'0+5x-3'", "", id="a-negative-count"),
        pytest.param("1_000", 0, "'1_000'", "", id="pythons-own-numbers"),
        pytest.param("٣", 0, "'٣'", "", id="foreign-digits"),
        pytest.param("stalex3", 0, "'stalex3'", "", id="promtool-does-not-repeat-stale"),
        pytest.param("   ", 0, "none", "", id="nothing"),
        pytest.param("0 0x99999999999999", 2, "more", "", id="a-repetition-that-was-mistyped"),
        pytest.param("0x60000 0x60000", 8, "more", "", id="too-many-together"),
    ],
)
def test_what_is_no_value_is_refused_at_its_place(text, offset, found, hint):
    with pytest.raises(NotationError) as refused:
        parse_values(text)
    assert (refused.value.offset, refused.value.found) == (offset, found)
    assert hint in refused.value.hint
