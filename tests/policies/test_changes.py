"""Which changes a breach may be blamed on, and which of them is the newest and so the one that is undone."""

from dataclasses import replace

import pytest

from rollbackd.policies.known.changes import Change, is_undone, is_watched, just_seen, newest_foreign, suspects, watched
from tests.policies.literals import FLIP, HOUR, MINUTE, SECOND, T0, TARGET

FIRST = Change(TARGET, "uid:1", "r1", None, T0, T0, first_seen=T0 + SECOND, ready=T0)
# Kubernetes knows the beginning of a change to the second only.
SECOND_IN_THE_SAME_SECOND = replace(FIRST, id="uid:2", revision="r2", predecessor="uid:1", first_seen=T0 + 2 * SECOND)
BOTH = (FIRST, SECOND_IN_THE_SAME_SECOND)


def test_of_two_releases_in_one_second_the_one_seen_later_is_the_first_suspect() -> None:
    assert [change.id for change in suspects(BOTH, HOUR, (), T0 + 10 * SECOND)] == ["uid:2", "uid:1"]


def test_what_began_at_the_moment_of_the_onset_came_too_late_for_it() -> None:
    assert suspects((FIRST,), HOUR, (), T0) == ()
    assert suspects((FIRST,), HOUR, (), T0 + SECOND) == (FIRST,)


def test_a_watch_is_open_from_the_very_moment_of_the_change_to_the_last_of_its_window() -> None:
    moments = (T0 - SECOND, T0, T0 + HOUR, T0 + HOUR + SECOND)
    assert [is_watched((FIRST,), HOUR, (), at) for at in moments] == [False, True, True, False]


def test_of_two_releases_in_one_second_the_one_seen_later_is_watched_first() -> None:
    assert [change.id for change in watched(BOTH, HOUR, (), T0 + 10 * SECOND)] == ["uid:2", "uid:1"]


def test_of_two_releases_in_one_second_the_one_seen_later_is_what_another_writer_did_last() -> None:
    found = newest_foreign(BOTH, (TARGET,), T0 - SECOND, ())
    assert found is not None
    assert found.id == "uid:2"


def test_what_a_late_clock_dates_before_a_decision_that_did_not_know_it_is_news_and_what_it_knew_is_not() -> None:
    decided = FIRST.first_seen + 5 * MINUTE
    assert newest_foreign((FIRST,), (TARGET,), decided - SECOND, ()) == FIRST
    assert newest_foreign((FIRST,), (TARGET,), decided - SECOND, just_seen((FIRST,), decided - SECOND)) is None
    assert (newest_foreign((FIRST,), (TARGET,), decided, ()), just_seen((FIRST,), decided)) == (None, ())  # no clock is as late as that


# --- a release into a breach ---------------------------------------------------------------------------------------------------------------------

ONSET = T0 + 60 * SECOND
LATER = ONSET + 30 * SECOND
FIX = replace(FIRST, id="uid:2", revision="r2", predecessor="uid:1", started_early=LATER, started_late=LATER, first_seen=LATER, ready=LATER)


def test_a_release_into_a_breach_is_no_suspect_for_it_since_the_former_revision_may_still_be_serving() -> None:
    assert [change.id for change in suspects((FIRST, FIX), HOUR, (), ONSET)] == ["uid:1"]


FLIPPED = replace(FLIP, parts=("new-checkout", "other"))
PUT_BACK = replace(FLIP, id="f3@x", ours=True, started_early=T0 + MINUTE, started_late=T0 + MINUTE, parts=("new-checkout", "other"))


@pytest.mark.parametrize(
    ("change", "ours", "is_so"),
    [
        pytest.param(FLIPPED, PUT_BACK, True, id="all-of-it"),
        pytest.param(FLIPPED, replace(PUT_BACK, parts=("other",)), False, id="a-part-of-it"),
        pytest.param(FLIPPED, replace(PUT_BACK, ours=False), False, id="by-others"),
        pytest.param(FLIPPED, replace(PUT_BACK, target=TARGET), False, id="elsewhere"),
        pytest.param(FLIPPED, replace(PUT_BACK, started_late=T0 + 5 * MINUTE), False, id="after-the-breach-began"),
        pytest.param(FLIPPED, replace(PUT_BACK, started_late=FLIP.started_late - MINUTE), False, id="before-it"),
        pytest.param(replace(FLIPPED, parts=()), replace(PUT_BACK, parts=()), True, id="without-parts"),
        pytest.param(replace(FLIPPED, parts=(), posted=True), replace(PUT_BACK, parts=()), False, id="posted"),
    ],
)
def test_what_we_had_put_back_before_a_breach_is_undone(change: Change, ours: Change, is_so: bool) -> None:
    assert is_undone(change, (change, ours), T0 + 5 * MINUTE) is is_so
