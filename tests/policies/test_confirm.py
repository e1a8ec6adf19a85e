"""What one look does to the memory of a condition, and when a breach is confirmed: the edges of each rule."""

from dataclasses import replace

import pytest

from rollbackd.policies.judge.bursts import Calm
from rollbackd.policies.judge.evidence import Bounds, Nothing, Share, Sums, Value
from rollbackd.policies.judge.tally import begin
from rollbackd.policies.judge.trial import Trial
from rollbackd.policies.judge.verdict import State, Verdict
from rollbackd.policies.known.watch import Look, Run, Track
from rollbackd.policies.model.policy import Bound, Breaches, For, OnNoData
from rollbackd.policies.watching.confirm import is_confirmed, mark
from tests.policies.literals import ERRORS, EVERY, HOUR, MEMORY, MINUTE, SECOND, T0, level

AT = T0 + HOUR
TWICE = 2 * EVERY
HOLDING = replace(MEMORY, on_no_data=OnNoData.HOLD)
THREE_OF_FIVE = replace(MEMORY, confirm=Breaches(3, 5))
KEPT = {"readings": (level(T0, 0.5),), "had_data": True, "tally": begin(T0, HOUR, None), "calm": Calm(T0)}
"""What no look changes."""


def breach(newest=AT):
    return Verdict(State.BREACH, Value(0.99, newest))


OK = Verdict(State.OK, Value(0.5, AT))
UNPROVEN = Verdict(State.UNPROVEN, Nothing("too few"))
SILENT = Verdict(State.NODATA, Nothing("no series"))
BEFORE = Look(AT - EVERY, True, AT - EVERY)


def marked(track, verdict, condition=MEMORY, at=AT):
    return mark(condition, track, verdict, EVERY, at)


def running(last, breaches=4):
    """A track in breach since ten minutes ago, which was last seen so."""
    return Track(run=Run(AT - 10 * MINUTE, last, breaches, AT - 10 * MINUTE, last), onset=AT - 10 * MINUTE, last_breach=last)


# --- health -----------------------------------------------------------------------------------------------------------------------


def test_proven_health_ends_a_breach_and_nothing_else():
    track = running(AT - EVERY)._replace(**KEPT)
    assert marked(track, OK) == Track(ok_since=AT, ok_last=AT, **KEPT)


@pytest.mark.parametrize(("verdict", "last"), [pytest.param(OK, AT, id="ok"), pytest.param(UNPROVEN, AT - TWICE, id="unknown")])
def test_health_lasts_over_two_looks_and_no_longer(verdict, last):
    kept = marked(Track(ok_since=T0, ok_last=AT - TWICE), verdict)
    assert (kept.ok_since, kept.ok_last) == (T0, last)
    anew = marked(Track(ok_since=T0, ok_last=AT - TWICE - SECOND), verdict)
    assert (anew.ok_since, anew.ok_last) == ((AT, AT) if verdict is OK else (None, None))


def test_a_breach_ends_health_and_begins():
    assert marked(Track(ok_since=T0, ok_last=AT - EVERY, **KEPT), breach()) == Track(
        run=Run(AT, AT, 1, AT, AT), onset=AT, last_breach=AT, ok_since=None, ok_last=None, **KEPT
    )


def test_what_is_unknown_keeps_what_is_known():
    track = running(AT - EVERY)._replace(ok_since=T0, ok_last=AT - EVERY, **KEPT)
    assert marked(track, UNPROVEN) == track


# --- the onset --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("silence", "onset"),
    [
        pytest.param(15 * MINUTE, AT - 10 * MINUTE, id="remembered"),
        pytest.param(15 * MINUTE + SECOND, AT, id="too-long-ago"),
    ],
)
def test_a_breach_keeps_its_onset_through_a_silence(silence, onset):
    assert marked(running(AT - silence), breach()).onset == onset


def test_a_breach_that_nobody_saw_last_begins_now():
    assert marked(Track(onset=T0, last_breach=None), breach()).onset == AT
    assert marked(Track(onset=None, last_breach=AT - EVERY), breach()).onset == AT


# --- the run ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "verdict", "condition", "expected"),
    [
        pytest.param(AT - TWICE, breach(), MEMORY, 5, id="a-breach-two-looks-later"),
        pytest.param(AT - TWICE - SECOND, breach(), MEMORY, 1, id="a-breach-after-a-gap"),
        pytest.param(AT - MINUTE, breach(), HOLDING, 5, id="a-breach-after-a-gap-that-is-held"),
        pytest.param(AT - TWICE, UNPROVEN, MEMORY, 4, id="doubt-two-looks-later"),
        pytest.param(AT - TWICE - SECOND, UNPROVEN, MEMORY, None, id="doubt-after-a-gap"),
        pytest.param(AT - MINUTE, SILENT, HOLDING, 4, id="silence-is-held"),
        pytest.param(AT - MINUTE, SILENT, MEMORY, None, id="silence-is-not-held"),
        pytest.param(AT - MINUTE, UNPROVEN, HOLDING, None, id="doubt-is-never-held"),
    ],
)
def test_a_run_goes_on_or_begins_anew_or_ends(last, verdict, condition, expected):
    run = marked(running(last), verdict, condition).run
    assert (run.breaches if run else None) == expected


@pytest.mark.parametrize(
    ("newest", "kept"),
    [
        pytest.param(AT, AT, id="a-sample-of-its-own"),
        pytest.param(AT - EVERY, AT - EVERY, id="the-same-sample"),
        pytest.param(AT - MINUTE, AT - EVERY, id="an-older-sample"),
    ],
)
def test_a_run_spans_the_samples_that_it_rests_on(newest, kept):
    assert marked(running(AT - EVERY), breach(newest)).run == Run(AT - 10 * MINUTE, AT, 5, AT - 10 * MINUTE, kept)


def test_a_run_begins_with_the_sample_that_is_looked_at_and_not_with_the_look():
    assert marked(Track(), breach(AT - MINUTE)).run == Run(AT, AT, 1, AT - MINUTE, AT - MINUTE)


def test_what_is_out_of_its_limit_runs_before_it_is_proven():
    bounded = replace(ERRORS, bound=Bound(0.01))
    share = Share(60, 60, 600, Bounds(0.07, 0.13), AT - MINUTE, AT, AT)
    doubted = Verdict(State.UNPROVEN, share, Trial(T0, 4.6, 0, Sums(60, 60, 600), ()))
    assert marked(Track(), doubted, bounded).run == Run(AT, AT, 1, AT, AT)
    assert marked(Track(), doubted, bounded).onset is None


# --- confirmed ----------------------------------------------------------------------------------------------------------------------


def lasting(length=2 * MINUTE, breaches=8, spanned=72 * SECOND, verdict=None, duration=2 * MINUTE):
    track = Track(run=Run(AT - length, AT, breaches, AT - spanned, AT))
    return is_confirmed(replace(MEMORY, confirm=For(duration)), track, verdict or breach(), EVERY, None, AT)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        pytest.param({}, True, id="eight-of-nine-looks-and-three-fifths-of-the-time"),
        pytest.param({"length": 2 * MINUTE - SECOND}, False, id="too-short"),
        pytest.param({"breaches": 7}, False, id="too-few-looks"),
        pytest.param({"spanned": 71 * SECOND}, False, id="samples-too-close-together"),
        pytest.param({"duration": MINUTE, "length": MINUTE, "breaches": 4, "spanned": 36 * SECOND}, True, id="four-of-five-looks"),
        pytest.param({"duration": MINUTE, "length": MINUTE, "breaches": 3, "spanned": MINUTE}, False, id="three-of-five-looks"),
        pytest.param({"verdict": UNPROVEN}, False, id="not-proven-now"),
        pytest.param({"duration": 0 * SECOND, "length": 0 * SECOND, "breaches": 1, "spanned": 0 * SECOND}, True, id="at-once"),
    ],
)
def test_a_breach_is_confirmed_by_its_length_its_looks_and_their_samples(run, expected):
    assert lasting(**run) is expected


def test_without_a_run_nothing_is_confirmed():
    assert not is_confirmed(MEMORY, Track(), breach(), EVERY, None, AT)


def looks(*breaches):
    """Looks, the last of them now."""
    moments = [AT - back * EVERY for back in range(len(breaches))]
    return tuple(Look(moments[back], seen, None if seen is None else moments[back]) for back, seen in reversed(list(enumerate(reversed(breaches)))))


@pytest.mark.parametrize(
    ("recent", "since", "expected"),
    [
        pytest.param(looks(True, False, True, False, True), None, True, id="three-of-five"),
        pytest.param(looks(False, False, True, False, True), None, False, id="two-of-five"),
        pytest.param(looks(True, True, False, False, None, True), None, False, id="older-than-five"),
        pytest.param(looks(True, False, True, False, True), AT - 4 * EVERY, True, id="all-since-the-change"),
        pytest.param(looks(True, False, True, False, True), AT - 4 * EVERY + SECOND, False, id="one-from-before"),
    ],
)
def test_looks_confirm_once_enough_of_the_last_were_breaches(recent, since, expected):
    track = running(AT)._replace(recent=recent)
    assert is_confirmed(THREE_OF_FIVE, track, breach(), EVERY, since, AT) is expected


@pytest.mark.parametrize(
    ("verdict", "seen"),
    [
        pytest.param(breach(), (BEFORE, Look(AT, True, AT)), id="breach"),
        pytest.param(breach(AT - EVERY), (BEFORE,), id="the-same-sample-again"),
        pytest.param(Verdict(State.OK, Value(0.5, AT - EVERY)), (replace(BEFORE, breach=False),), id="the-last-look-at-a-sample-has-the-last-word"),
        pytest.param(breach(AT - TWICE), (BEFORE,), id="an-older-sample"),
        pytest.param(OK, (BEFORE, Look(AT, False, AT)), id="ok"),
        pytest.param(UNPROVEN, (BEFORE, Look(AT, None, None)), id="unknown"),
    ],
)
def test_a_sample_is_remembered_as_what_the_looks_at_it_proved(verdict, seen):
    assert marked(running(AT - EVERY)._replace(recent=(BEFORE,)), verdict, THREE_OF_FIVE).recent == seen


def test_a_sample_that_is_seen_again_after_a_silence_is_no_new_one():
    recent = (BEFORE, Look(AT - SECOND, None, None))
    assert marked(running(AT - EVERY)._replace(recent=recent), breach(AT - EVERY), THREE_OF_FIVE).recent == recent


def test_looks_more_often_than_scrapes_confirm_no_earlier_and_no_later_than_the_scrapes_do():
    """A sample a minute, a look each quarter: two samples of a breach confirm `for: 45s`, and three of five samples the other rule."""
    for_a_while, track, confirmed = replace(MEMORY, confirm=For(3 * EVERY)), Track(), []
    of_samples, other = THREE_OF_FIVE, Track()
    for quarter in range(12):
        at = T0 + quarter * EVERY
        verdict = breach(T0 + quarter // 4 * MINUTE)
        track, other = mark(for_a_while, track, verdict, EVERY, at), mark(of_samples, other, verdict, EVERY, at)
        confirmed.append((is_confirmed(for_a_while, track, verdict, EVERY, None, at), is_confirmed(of_samples, other, verdict, EVERY, None, at)))
    assert [each[0] for each in confirmed] == [False] * 4 + [True] * 8
    assert [each[1] for each in confirmed] == [False] * 8 + [True] * 4


def test_no_more_looks_are_remembered_than_the_rule_asks_about():
    assert marked(Track(recent=looks(True, True, True, True, None)), OK, THREE_OF_FIVE).recent[-1] == Look(AT, False, AT)
    assert len(marked(Track(recent=looks(True, True, True, True, None)), OK, THREE_OF_FIVE).recent) == 5
    assert marked(Track(recent=looks(True)), OK).recent == ()


def test_the_first_breach_is_a_look_whatever_sample_it_rests_on():
    assert marked(Track(), breach(T0), THREE_OF_FIVE).recent == (Look(AT, True, T0),)
