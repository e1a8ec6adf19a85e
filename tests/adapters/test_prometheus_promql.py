"""Questions as syntax trees: nothing that a value holds can become syntax."""

import re
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
