"""What was read of the time before a change: asked for once, and one answer a condition, however many changes come."""

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta

from rollbackd.adapters.base.source import Answer, Levels, Row, Selector
from rollbackd.adapters.base.source import Identity as Labels
from rollbackd.controller.observe.asking import Asking, answered_together, read
from rollbackd.controller.observe.remembered import Remembered, newest_start
from rollbackd.policies.model.policy import Policy
from tests.policies.literals import HOUR, POLICY, RELEASE, T0

ONE = POLICY
OTHER = dataclasses.replace(ONE, digest="another")


LEVEL = Levels(Selector("up"), None, "max", Labels(()), frozenset())


def asking(answers: list[int], answer: int | None) -> Callable[[], Asking[int | None]]:
    """A question that notes its answer."""

    def ask() -> Asking[int | None]:
        told = yield from read(LEVEL, ((),), T0)
        if answer is not None:
            answers.append(answer)
        return answer if told.rows else None

    return ask


def known_of(known: Remembered[int], policy: Policy, began: datetime, ask: Callable[[], Asking[int | None]]) -> int | None:
    answer = Answer({(): Row({"value": 1.0}, T0)})
    return answered_together({"": known.of(policy, policy.conditions[0], began, ask)}, lambda wants: [{T0: answer} for _ in wants])[""]


def test_one_change_is_asked_about_once_and_the_next_one_anew() -> None:
    known, asked = Remembered[int](), list[int]()
    for began, answer in ((T0, 1), (T0, 2), (T0 + timedelta(hours=1), 3), (T0 + timedelta(hours=1), 4)):
        known_of(known, ONE, began, asking(asked, answer))
    assert asked == [1, 3]


def test_a_policy_that_has_changed_asks_again() -> None:
    known, asked = Remembered[int](), list[int]()
    assert [known_of(known, each, T0, asking(asked, n)) for n, each in enumerate((ONE, OTHER, OTHER), 1)] == [1, 2, 2]


def test_what_was_not_told_is_asked_for_again() -> None:
    known = Remembered[int]()
    assert known_of(known, ONE, T0, asking([], None)) is None
    assert known_of(known, ONE, T0, asking([], 7)) == 7


def test_many_changes_leave_one_answer() -> None:
    known = Remembered[int]()
    for hour in range(1000):
        known_of(known, ONE, T0 + timedelta(hours=hour), asking([], 1))
    assert len(known._known) == 1


def test_our_own_write_begins_no_new_time_before_which_is_the_breach_that_it_answers() -> None:
    revert = dataclasses.replace(RELEASE, id="uid:8", started_early=T0 + HOUR, started_late=T0 + HOUR, first_seen=T0 + HOUR, ours=True)
    assert newest_start(POLICY, (RELEASE, revert), T0 + 2 * HOUR) == RELEASE.started_early
