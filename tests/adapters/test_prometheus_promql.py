"""Questions as syntax trees: nothing that a value holds can become syntax."""

import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.source import Derived, Matcher, Selector
from rollbackd.adapters.prometheus import promql
from rollbackd.adapters.prometheus.buckets import KEPT_FOR, Around, KnownBounds, around
from rollbackd.adapters.prometheus.questions import is_vector
from rollbackd.adapters.prometheus.soundness import is_separable
from rollbackd.controller.wiring.grammar import why_no_promql

AT = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_any_label_value_survives_being_written_and_read(value: str) -> None:
    written = promql.vector(Selector("up", (Matcher("a", "=", value),))).prettify()
    tree = promql_parser.parse(written)
    assert isinstance(tree, promql_parser.VectorSelector)
    (read,) = tree.matchers.matchers
    assert (read.name, read.value) == ("a", value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param(r"up{a=~`5\d\d`}", r"5\d\d", id="an-escape"),
        pytest.param('up{a="`",b=~`x"y`}', "`", id="one-in-double-quotes"),
        pytest.param("up{a='`'} # `", "`", id="one-in-single-quotes-and-one-in-a-comment"),
    ],
)
def test_a_raw_string_is_read_as_it_stands(written: str, value: str) -> None:
    tree = promql.read(written)
    assert isinstance(tree, promql_parser.VectorSelector)
    assert tree.matchers.matchers[0].value == value


@pytest.mark.parametrize("form", ["(", "abs(", "up+"], ids=["brackets", "calls", "a-sum"])
def test_an_expression_is_as_deep_as_it_can_be_followed(form: str) -> None:
    def deep(times: int) -> str:
        return form * times + "up" + ")" * (times * form.count("("))

    assert is_vector(promql.read(deep(150)))
    with pytest.raises(Permanent, match="nested more than 200 deep"):
        promql.read(deep(2_000))


READ_IN_A_SMALL_THREAD = """
import sys, threading
from rollbackd.controller.wiring.grammar import why_no_promql
threading.stack_size(512 * 1024)
thread = threading.Thread(target=lambda: print(why_no_promql(sys.stdin.read())))
thread.start()
thread.join()
"""


def why_not(expression: str) -> str:
    """Read by a process of its own: where the parser runs out of stack, that ends and this one does not."""
    ended = subprocess.run([sys.executable, "-c", READ_IN_A_SMALL_THREAD], input=expression, text=True, capture_output=True, check=True)
    return ended.stdout.strip()


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("x" + "+x" * 4_999, id="sum"),
        pytest.param("x" + "^-x" * 3_333, id="powers"),
        pytest.param("-" * 9_999 + "x", id="signs"),
        pytest.param("x" + " > x" * 2_499, id="comparisons"),
        pytest.param("x" + " AND x" * 1_600, id="words"),
        pytest.param("(" * 4_999 + "x" + ")" * 4_999, id="brackets"),
        pytest.param("abs(" * 1_999 + "x" + ")" * 1_999, id="calls"),
        pytest.param("max_over_time(" * 400 + "x" + "[1m:])" * 400, id="subqueries"),
        pytest.param("x # comment \r" + "+x" * 4_990, id="after-a-comment"),
        pytest.param("x{a='\\'',b=\"#\",c=`\\`}" + "+x" * 4_980, id="after-strings"),
    ],
)
def test_an_expression_that_the_parser_cannot_follow_is_refused_before_it_is_parsed(expression: str) -> None:
    assert "it is nested more than 200 deep" in why_not(expression)


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("x" + "+x" * 199, id="sum"),
        pytest.param("x" + "^-x" * 99, id="powers"),
        pytest.param("-(" * 99 + "x" + ")" * 99, id="signs-and-brackets"),
        pytest.param("abs(" * 198 + "x" + ")" * 198, id="calls"),
        pytest.param('x{a="' + "+(" * 1_000 + '"} # ' + "+(" * 1_000, id="operators-in-a-string-and-a-comment"),
        pytest.param(" or ".join(['sum by (ns) (rate(x{a!="b"}[5m]))'] * 150), id="many-side-by-side"),
    ],
)
def test_what_is_read_fits_into_a_small_stack(expression: str) -> None:
    assert why_not(expression) == "None"


def test_a_string_that_is_left_open_is_read_through_once() -> None:
    # With each of its quotes tried as the beginning of another it took 4 s.
    before = time.process_time()
    with pytest.raises(Permanent, match="not a PromQL expression"):
        promql.read('"\\' * 10_000)
    assert time.process_time() - before < 1


@pytest.mark.parametrize("pattern", ["a++", "[a-z]*+", "(a|b)?+"])
def test_a_pattern_that_re2_does_not_know_is_refused_as_in_a_selector(pattern: str) -> None:
    why = why_no_promql(f"sum(rate(x{{a!~'{pattern}'}}[5m])) / sum(rate(x[5m]))")
    assert why == f"found '{pattern[-2:]}', which RE2 does not have, in {pattern!r}"


def test_a_pattern_that_only_re2_knows_is_read() -> None:
    assert why_no_promql(r"x{a=~`\x{2d}[[:alpha:]]\pL\z`}") is None


def test_an_expression_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(Permanent, match="it is 20001 characters long, at most 20000 are read"):
        promql.read("x" * 20_001)


@given(st.lists(TEXT, min_size=2, max_size=4, unique=True), TEXT)
def test_matcher_for_several_values_matches_them_and_nothing_else(values: list[str], other: str) -> None:
    pattern = promql.one_of("a", values).value
    assert [value for value in [*values, other] if re.fullmatch(pattern, value)] == [value for value in [*values, other] if value in values]


@pytest.mark.parametrize(
    "selector",
    [
        pytest.param(Selector(""), id="no-metric"),
        pytest.param(Selector("up", (Matcher('a="b"} or vector(1) or up{c', "=", "d"),)), id="label-that-is-syntax"),
        pytest.param(Selector("up", (Matcher("", "=", "d"),)), id="no-label"),
        pytest.param(Selector("up", (Matcher("a", "=~", "("),)), id="pattern-that-is-none"),
        pytest.param(Selector("up", (Matcher("__name__", "=", "down"),)), id="second-name"),
    ],
)
def test_selector_that_cannot_be_asked_is_refused(selector: Selector) -> None:
    with pytest.raises(Permanent, match="nothing was asked"):
        promql.vector(selector)


def test_metric_name_that_is_syntax_stays_a_name() -> None:
    tree = promql.vector(Selector('up} or vector(1) or {a="b'))
    assert tree.prettify() == '{__name__="up} or vector(1) or {a=\\"b"}'


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        pytest.param(timedelta(minutes=5), "300s", id="minutes"),
        pytest.param(timedelta(seconds=1.5), "1500ms", id="half-a-second"),
        pytest.param(timedelta(days=3), "259200s", id="days"),
    ],
)
def test_window_is_written_to_the_millisecond(span: timedelta, expected: str) -> None:
    assert promql.duration(span) == expected


@pytest.mark.parametrize("span", [timedelta(0), timedelta(seconds=-1), timedelta(microseconds=1)])
def test_window_of_nothing_is_refused(span: timedelta) -> None:
    with pytest.raises(Permanent, match="longer than zero"):
        promql.duration(span)


def test_workloads_are_named_in_the_question_while_they_are_few() -> None:
    few = frozenset({("shop", "a"), ("shop", "b.c")})
    assert promql.restriction(("namespace", "app"), few, None) == (Matcher("namespace", "=", "shop"), Matcher("app", "=~", "a|b\\.c"))


def test_many_workloads_are_not_named_in_the_question() -> None:
    many = frozenset(("shop", str(number)) for number in range(51))
    assert promql.restriction(("namespace", "app"), many, None) == ()


def test_computed_label_is_not_matched_but_its_source_must_fit() -> None:
    derived = Derived("workload", "pod", "(.+)-[a-z0-9]{5}")
    expected = (Matcher("pod", "=~", "(.+)-[a-z0-9]{5}"), Matcher("namespace", "=", "shop"))
    assert promql.restriction(("namespace", "workload"), frozenset({("shop", "a")}), derived) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("x", True, id="selector"),
        pytest.param("sum by (ns, app) (rate(x[5m])) / sum by (app, ns) (rate(y[5m])) > 0.5", True, id="ratio"),
        pytest.param("histogram_quantile(0.95, sum by (ns, app, le) (rate(x_bucket[5m])))", True, id="quantile"),
        pytest.param("max_over_time(sum by (ns, app) (x)[5m:30s])", True, id="subquery"),
        pytest.param("sum without (pod) (x)", True, id="without-another-label"),
        pytest.param("x / on (ns, app) group_left (pod) y", True, id="join-on-the-identity"),
        pytest.param("x unless ignoring (pod) y", True, id="join-ignoring-another-label"),
        pytest.param("-(x + 1)", True, id="arithmetic"),
        pytest.param("topk by (ns, app) (1, x)", True, id="first-within"),
        pytest.param("sum(x)", False, id="sum-of-all"),
        pytest.param("sum by (ns) (x)", False, id="sum-by-too-little"),
        pytest.param("sum without (app) (x)", False, id="sum-without-the-identity"),
        pytest.param("topk(3, x)", False, id="first-of-all"),
        pytest.param("x / scalar(sum(x))", False, id="scalar"),
        pytest.param("x / on () group_left () sum(x)", False, id="join-on-nothing"),
        pytest.param("x / on (ns) group_left (app) y", False, id="join-that-brings-the-identity"),
        pytest.param("x / ignoring (app) y", False, id="join-ignoring-the-identity"),
        pytest.param('label_replace(x, "app", "$1", "pod", "(.*)")', False, id="identity-that-is-computed"),
        pytest.param("absent(x)", False, id="absent"),
        pytest.param("absent_over_time(x[5m])", False, id="absent-over-time"),
        pytest.param('count_values("app", x)', False, id="identity-from-values"),
        pytest.param("vector(1)", False, id="vector"),
        pytest.param("x offset 5m", False, id="offset"),
        pytest.param("x @ 5", False, id="at"),
    ],
)
def test_matchers_are_pushed_down_only_where_they_change_nothing(expression: str, expected: bool) -> None:
    assert is_separable(promql.parse(expression), frozenset({"ns", "app"})) is expected


@pytest.mark.parametrize(
    ("spellings", "limit", "expected"),
    [
        pytest.param(("1", "2.5", "+Inf"), 2.0, Around(("1", "2.5"), frozenset({1.0, 2.5})), id="between"),
        pytest.param(("1", "2", "2.0", "2.5"), 2.0, Around(("2", "2.0"), frozenset({2.0})), id="both-spellings"),
        pytest.param(("1", "2.5"), 9.0, Around(("2.5",), frozenset({2.5})), id="beyond-the-largest"),
        pytest.param(("1", "2.5"), 0.1, Around(("1",), frozenset({1.0})), id="below-the-smallest"),
        pytest.param(("odd", "NaN", "+Inf"), 1.0, Around((), frozenset()), id="none-usable"),
    ],
)
def test_bounds_around_a_limit(spellings: tuple[str, ...], limit: float, expected: Around) -> None:
    assert around(spellings, limit) == expected


def test_bounds_are_remembered_for_a_while_by_the_asked_times() -> None:
    known, histogram = KnownBounds(), Selector("seconds")
    known.remember(histogram, AT, ("1", "2"))
    assert known.recall(histogram, AT + KEPT_FOR - timedelta(seconds=1)) == ("1", "2")
    assert known.recall(histogram, AT + KEPT_FOR) is None
    assert known.recall(histogram, AT - KEPT_FOR) is None


def test_absence_of_bounds_is_not_remembered() -> None:
    known, histogram = KnownBounds(), Selector("seconds")
    known.remember(histogram, AT, ())
    assert known.recall(histogram, AT) is None
