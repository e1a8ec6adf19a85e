"""What a backtest says and draws of the looks that it had: by which limit, what is missing, and what counts how often."""

from dataclasses import replace
from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest

from rollbackd.controller.backtest.cases import Found, GivenChange, Judged, Look, Truth, Word
from rollbackd.controller.backtest.conclude import judged
from rollbackd.controller.backtest.margins import Margin, nearest
from rollbackd.controller.backtest.plots import svg
from rollbackd.controller.backtest.replay import LookBack, Replay
from rollbackd.controller.backtest.report import margin_text, summary
from rollbackd.controller.backtest.run import Outcome
from rollbackd.controller.backtest.score import Rate, score
from rollbackd.controller.backtest.spans import windows_of
from rollbackd.policies.judge.evidence import Value
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.model.policy import Condition, For, Limit, OfBefore, Policy
from rollbackd.policies.model.readings import Lack, Reading, Unknown
from rollbackd.policies.model.signals import Latency, Selector
from rollbackd.policies.watching import baseline
from rollbackd.policies.watching.baseline import Before
from tests.policies.literals import ERRORS, HOUR, MEMORY, MINUTE, POLICY, T0, TARGET, counts, slots

SVG = "{http://www.w3.org/2000/svg}"
CHANGE = GivenChange(1, TARGET, T0, revision="v2")
ERRORS_ONLY = replace(POLICY, conditions=(replace(ERRORS, confirm=For(MINUTE)),))


def judged_of(
    change: GivenChange, bad: int | None, policy: Policy = ERRORS_ONLY, look_back: LookBack | None = None, until: timedelta = 3 * HOUR
) -> Judged:
    """The verdict on the change where so many of a hundred requests fail all the time; None: nothing is counted."""
    replay = Replay([policy], [change], {policy.name: windows_of(policy, [change])}, look_back)
    for at in slots(T0 - HOUR, T0 + until):
        reading: Reading = counts(at, bad, 100) if bad is not None else Unknown(at, Lack.NODATA, "no series")
        replay.slot(at, {policy.name: (reading,)})
    (one,) = judged(replay.ways[0], [change], T0 + until)
    return one


def before_of(bad: int) -> LookBack:
    """What was before each change: so many of a hundred requests failed."""

    def look_back(compared, at):
        return {one.policy.name: tuple(_before(condition, one.anchor, bad) for condition in one.policy.conditions) for one in compared}

    return look_back


def _before(condition: Condition, anchor: datetime, bad: int) -> Before:
    readings = [counts(anchor - minutes * MINUTE, bad, 100) for minutes in range(70, 0, -1)]
    return baseline.look_back(condition, anchor, MINUTE, None, readings)


@pytest.mark.parametrize(
    ("back", "bad", "word", "is_censored"),
    [
        pytest.param(2 * HOUR, 1, "ok", False, id="when-its-watch-was-over"),
        pytest.param(HOUR, 1, "ok", False, id="as-its-watch-was-over"),
        pytest.param(HOUR - MINUTE, 1, "inconclusive", True, id="within-its-watch"),
        pytest.param(30 * MINUTE, None, "inconclusive", False, id="without-any-data"),
    ],
)
def test_people_censor_only_a_watch_that_they_cut_short_and_in_which_there_was_something_to_see(back, bad, word, is_censored):
    found = judged_of(replace(CHANGE, rolled_back_at=T0 + back), bad)
    assert (found.word, found.is_censored) == (word, is_censored), found.reason


def test_where_there_is_no_sample_all_three_causes_are_named():
    reason = judged_of(CHANGE, None).reason
    assert all(cause in reason for cause in ("there is no sample", "outside of what Prometheus keeps", "called otherwise", "`--scrape-interval`"))


def test_the_reason_and_the_plot_have_the_limit_that_was_judged_and_no_other_limit_is_proposed():
    found = judged_of(CHANGE, 20, look_back=before_of(20))
    assert (found.word, nearest(found)) == ("ok", None)
    last = found.reason.partition("at the last: ")[2]
    assert "<= 5 %" not in last, last
    assert "worse than before: 1.3 times" in last
    root = ElementTree.fromstring(svg(found))
    limits = [text for text in texts(root) if text.startswith("limit ")]
    assert len(limits) == 1
    assert limits != ["limit 5 %"]
    assert limits[0].removeprefix("limit ") in last


def test_a_limit_that_was_raised_later_is_drawn_as_long_as_each_held():
    late = replace(ERRORS, limit=replace(ERRORS.limit, high=0.3, is_raised=True))
    looks = [look(T0 + minutes * MINUTE, 0.01, late if minutes > 10 else ERRORS) for minutes in range(1, 20)]
    root = ElementTree.fromstring(svg(verdict("ok", looks=looks, policy=POLICY)))
    first, second = [line for line in root.iter(f"{SVG}line") if line.get("class") == "l"]
    assert first.get("x2") == second.get("x1")
    assert [text for text in texts(root) if text.startswith("limit ")] == ["limit 30 %"]


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def look(at: datetime, value: float, condition: Condition) -> Look:
    return Look(at, True, (Verdict(State.OK, Value(value, at)),), (condition,))


def verdict(
    word: Word,
    *,
    number: int = 1,
    outcome: Truth | None = None,
    at: timedelta | None = None,
    is_censored: bool = False,
    looks: list[Look] | None = None,
    policy: Policy = POLICY,
) -> Judged:
    change = GivenChange(number, TARGET, T0, outcome=outcome)
    found = None if at is None else Found("rollback", "error-rate", T0, T0 + at, "because")
    return Judged(policy, change, word, "because", T0, T0 + HOUR, tuple(looks or ()), found, is_censored)


def test_a_change_that_several_policies_judge_counts_once_and_any_rollback_counts_as_one():
    found = [
        verdict("ok", number=1, outcome="bad"),
        verdict("rollback", number=1, outcome="bad", at=9 * MINUTE),
        verdict("rollback", number=1, outcome="bad", at=5 * MINUTE),
        verdict("ok", number=2, outcome="good"),
        verdict("ok", number=2, outcome="good"),
        verdict("ok", number=3, outcome="bad"),
        verdict("inconclusive", number=3, outcome="bad"),
        verdict("inconclusive", number=3, outcome="bad", is_censored=True),
        verdict("ok", number=4),
    ]
    scored = score(found)
    assert (scored.found, scored.false) == (Rate(1, 1), Rate(0, 1))
    assert (scored.censored, scored.undecided, scored.unlabelled, scored.to_proof) == (1, 0, 1, 5 * MINUTE)
    said = summary(Outcome(tuple(found), (), 0, 0, timedelta(0)))
    assert said.startswith("9 verdicts on 4 changes: 2 rollback, 5 ok, 2 inconclusive; ")
    assert summary(Outcome((found[0],), (), 0, 0, timedelta(0))).startswith("1 change: 1 ok; ")


def test_what_is_confirmed_before_the_first_replica_served_is_the_changes_and_its_time_is_from_the_change_on():
    change = replace(CHANGE, ready=T0 + 20 * MINUTE, outcome="bad")
    replay = Replay([ERRORS_ONLY], [change], {POLICY.name: windows_of(ERRORS_ONLY, [change])})
    for at in slots(T0 - HOUR, T0 + 2 * HOUR):
        replay.slot(at, {POLICY.name: (counts(at, 60 if at > T0 else 1, 100),)})
    (found,) = judged(replay.ways[0], [change], T0 + 2 * HOUR)
    assert (found.word, found.found and found.found.at) == ("rollback", T0 + 2 * MINUTE)
    assert score([found]).to_proof == 2 * MINUTE


def test_where_nothing_was_proven_no_limit_is_proposed():
    assert nearest(judged_of(CHANGE, 0)) is None
    assert nearest(judged_of(CHANGE, 1)) is not None


def test_of_a_latency_no_limit_is_proposed_since_what_is_proven_is_a_share():
    latency = replace(ERRORS, signal=Latency(Selector("seconds"), 0.95, 0.8), limit=Limit(high=0.8, unit="s"), confirm=For(MINUTE))
    assert nearest(judged_of(CHANGE, 1, replace(POLICY, conditions=(latency,)))) is None


@pytest.mark.parametrize(
    ("side", "furthest", "limit", "said"),
    [
        ("above", -8, -5, "a limit below -8 would have been breached"),
        ("above", -3, -5, "a limit above -3 would not have been breached"),
        ("above", -3, 5, "a limit below -3 would have been breached"),
        ("above", 1, 0, "a limit above 1 would not have been breached"),
        ("below", -3, -5, "a limit above -3 would have been breached"),
        ("below", -8, -5, "a limit below -8 would not have been breached"),
        ("below", -3, 5, "a limit below -3 would not have been breached"),
        ("below", 3, -5, "a limit above 3 would have been breached"),
    ],
)
def test_what_another_limit_would_have_come_to_holds_below_zero_too(side, furthest, limit, said):
    margin = Margin("level", side, furthest, limit, "", T0)
    assert margin_text(margin).endswith(said)
    assert (margin.ratio > 1) == ("not" in said)


def test_values_and_limits_below_zero_are_drawn_where_they_are():
    level = replace(MEMORY, name="level", limit=Limit(high=-5.0))
    looks = [look(T0 + minutes * MINUTE, -8.0, level) for minutes in range(1, 20)]
    root = ElementTree.fromstring(svg(verdict("ok", looks=looks, policy=replace(POLICY, conditions=(level,)))))
    (line,) = [line for line in root.iter(f"{SVG}line") if line.get("class") == "l"]
    (curve,) = root.iter(f"{SVG}polyline")
    heights = [float(point.partition(",")[2]) for point in (curve.get("points") or "").split()]
    assert 58 < float(line.get("y1") or 0) < min(heights) < 280
    assert "-10" in texts(root)
    assert "0" in texts(root)


def test_the_words_of_a_mark_near_the_right_edge_end_at_it():
    root = ElementTree.fromstring(svg(verdict("rollback", at=HOUR)))
    anchors = {"".join(text.itertext()).split()[0]: text.get("text-anchor") for text in root.iter(f"{SVG}text")}
    assert (anchors["change"], anchors["confirmed"]) == (None, "end")


@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "incomplete"])
def test_what_was_before_a_change_is_asked_for_three_times_and_then_left_unread(is_refused):
    asked = []

    def look_back(compared, at):
        asked.append(at)
        return {} if is_refused else {one.policy.name: (baseline.unread(one.anchor, "too much"),) for one in compared}

    found = judged_of(CHANGE, 20, look_back=look_back, until=HOUR + 10 * MINUTE)
    assert (len(asked), found.word) == (3, "inconclusive")


@pytest.mark.parametrize(("back", "compared"), [(None, 1), (30 * MINUTE, 2)], ids=["nobody-made-it", "people-made-it-later"])
def test_a_change_after_a_rollback_that_people_made_later_is_compared_with_what_was_before_it(back, compared):
    later = GivenChange(2, TARGET, T0 + 2 * HOUR, revision="v3")
    given = [replace(CHANGE, rolled_back_at=None if back is None else T0 + back), later]
    anchors = set()

    def look_back(asked, at):
        anchors.update(one.anchor for one in asked)
        return before_of(1)(asked, at)

    replay = Replay([ERRORS_ONLY], given, {POLICY.name: windows_of(ERRORS_ONLY, given)}, look_back)
    for at in slots(T0 - HOUR, T0 + 2 * HOUR + 10 * MINUTE):
        is_bad = T0 < at < T0 + (back or 10 * HOUR)
        replay.slot(at, {POLICY.name: (counts(at, 60 if is_bad else 1, 100),)})
    assert next(iter(replay.ways[0].found)) == CHANGE.id
    assert len(anchors) == compared, sorted(anchors)
    assert max(anchors) == (T0 if back is None else later.at)


def test_a_change_after_a_rollback_that_nobody_made_says_that_this_is_why_it_is_not_compared():
    relative = replace(ERRORS, confirm=For(MINUTE), limit=Limit(unit="%", of_before=OfBefore(2.0, is_above=True)))
    policy = replace(POLICY, conditions=(relative,))
    given = [CHANGE, GivenChange(2, TARGET, T0 + 2 * HOUR, revision="v3")]
    replay = Replay([policy], given, {policy.name: windows_of(policy, given)}, before_of(1))
    for at in slots(T0 - HOUR, T0 + 4 * HOUR):
        replay.slot(at, {policy.name: (counts(at, 60 if at > T0 else 1, 100),)})
    first, second = judged(replay.ways[0], given, T0 + 4 * HOUR)
    assert (first.word, second.word) == ("rollback", "inconclusive")
    assert "it came after a rollback that nobody made" in second.reason
