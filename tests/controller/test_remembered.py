"""What was read of the time before a change: asked for once, and one answer a condition, however many changes come."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta

from rollbackd.controller.observe.remembered import Remembered, newest_start
from tests.policies.literals import HOUR, POLICY, RELEASE, T0

ONE = POLICY
OTHER = dataclasses.replace(ONE, digest="another")


def asking(answers: list[int], answer: int | None) -> Callable[[], int | None]:
    """A question that notes its answer."""

    def ask() -> int | None:
        if answer is not None:
            answers.append(answer)
        return answer

    return ask


def test_one_change_is_asked_about_once_and_the_next_one_anew() -> None:
    known, asked = Remembered[int](), list[int]()
    for began, answer in ((T0, 1), (T0, 2), (T0 + timedelta(hours=1), 3), (T0 + timedelta(hours=1), 4)):
        known.of(ONE, ONE.conditions[0], began, asking(asked, answer))
    assert asked == [1, 3]


def test_a_policy_that_has_changed_asks_again() -> None:
    known, asked = Remembered[int](), list[int]()
    assert [known.of(each, each.conditions[0], T0, asking(asked, n)) for n, each in enumerate((ONE, OTHER, OTHER), 1)] == [1, 2, 2]


def test_what_was_not_told_is_asked_for_again() -> None:
    known = Remembered[int]()
    assert known.of(ONE, ONE.conditions[0], T0, lambda: None) is None
    assert known.of(ONE, ONE.conditions[0], T0, lambda: 7) == 7


def test_many_changes_leave_one_answer() -> None:
    known = Remembered[int]()
    for hour in range(1000):
        known.of(ONE, ONE.conditions[0], T0 + timedelta(hours=hour), lambda: 1)
    assert len(known._known) == 1


def test_our_own_write_begins_no_new_time_before_which_is_the_breach_that_it_answers() -> None:
    revert = dataclasses.replace(RELEASE, id="uid:8", started_early=T0 + HOUR, started_late=T0 + HOUR, first_seen=T0 + HOUR, ours=True)
    assert newest_start(POLICY, (RELEASE, revert), T0 + 2 * HOUR) == RELEASE.started_early
