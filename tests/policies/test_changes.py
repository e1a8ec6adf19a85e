"""Which changes a breach may be blamed on, and which of them is the newest and so the one that is undone."""

from dataclasses import replace

from rollbackd.policies.changes import Change, newest_foreign, suspects, watched
from tests.policies.literals import HOUR, SECOND, T0, TARGET

FIRST = Change(TARGET, "uid:1", "r1", None, T0, T0, first_seen=T0 + SECOND, ready=T0)
# Kubernetes knows the beginning of a change to the second only.
SECOND_IN_THE_SAME_SECOND = replace(FIRST, id="uid:2", revision="r2", predecessor="uid:1", first_seen=T0 + 2 * SECOND)
BOTH = (FIRST, SECOND_IN_THE_SAME_SECOND)


def test_of_two_releases_in_one_second_the_one_seen_later_is_the_first_suspect() -> None:
    assert [change.id for change in suspects(BOTH, HOUR, (), T0 + 10 * SECOND)] == ["uid:2", "uid:1"]


def test_of_two_releases_in_one_second_the_one_seen_later_is_watched_first() -> None:
    assert [change.id for change in watched(BOTH, HOUR, (), T0 + 10 * SECOND)] == ["uid:2", "uid:1"]


def test_of_two_releases_in_one_second_the_one_seen_later_is_what_another_writer_did_last() -> None:
    found = newest_foreign(BOTH, (TARGET,), T0 - SECOND, ())
    assert found is not None
    assert found.id == "uid:2"


# --- a fix that did not help -----------------------------------------------------------------------------------------------------------------

ONSET = T0 + 60 * SECOND
LATER = ONSET + 30 * SECOND
FIX = replace(FIRST, id="uid:2", revision="r2", predecessor="uid:1", started_early=LATER, started_late=LATER, first_seen=LATER, ready=LATER)


def blamed(*changes: Change, answered: frozenset[tuple[str, str]] = frozenset()) -> list[str]:
    return [change.id for change in suspects(changes, HOUR, answered, ONSET)]


def test_a_release_that_replaced_the_bad_one_while_the_breach_went_on_is_the_first_suspect() -> None:
    assert blamed(FIRST, FIX) == ["uid:2", "uid:1"]


def test_a_release_that_superseded_an_incident_and_is_bad_as_well_is_a_suspect() -> None:
    assert blamed(FIRST, FIX, answered=frozenset({(TARGET, "uid:1")})) == ["uid:2"]


def test_a_release_into_a_breach_that_no_change_explains_is_no_suspect() -> None:
    long_ago = T0 - 5 * HOUR
    old = replace(FIRST, started_early=long_ago, started_late=long_ago, first_seen=long_ago, ready=long_ago)
    assert blamed(old, FIX) == []


def test_a_release_after_a_rollback_that_did_not_help_is_no_suspect() -> None:
    ours = replace(FIX, ours=True)
    after = replace(FIX, id="uid:3", revision="r3", predecessor="uid:2", first_seen=LATER + SECOND)
    assert blamed(FIRST, ours, after, answered=frozenset({(TARGET, "uid:1")})) == []
