"""Which change is the newest, and so the one that a breach is answered for."""

from dataclasses import replace
from datetime import timedelta

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
    found = newest_foreign(BOTH, (TARGET,), T0 - timedelta(seconds=1), ())
    assert found is not None
    assert found.id == "uid:2"
