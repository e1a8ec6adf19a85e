"""The page that most policies are gone, and its end: whoever was paged hears that it is over, whatever the files say by then."""

from dataclasses import replace

import pytest

from rollbackd.controller.notify.policy_news import PolicyNews
from rollbackd.controller.policy_files import Reload
from tests.controller.test_open_pages import contacts, kinds
from tests.policies.literals import MINUTE, POLICY, T0

WHY = "the policies shrank from 3 to 1 policies"
HELD_BACK = Reload(T0, (POLICY,), (), (), WHY)
NOBODYS = Reload(T0 + MINUTE, (replace(POLICY, notify=()),), (), ())
OTHERS = Reload(T0 + MINUTE, (replace(POLICY, notify=("search",)),), (), ())
EMPTY = Reload(T0 + MINUTE, (), (), ())


def news(store):
    """As a start makes it."""
    return PolicyNews(store, lambda: None)


@pytest.mark.parametrize("taken", [pytest.param(NOBODYS, id="without-contacts"), pytest.param(EMPTY, id="empty")])
def test_a_set_without_contacts_ends_the_page_for_whoever_was_paged(store, taken):
    told = news(store)
    told.tell(HELD_BACK)
    told.tell(taken)
    assert contacts(store) == [("oncall", False), ("oncall", True)]


def test_a_set_of_other_contacts_ends_the_page_for_all_of_them(store):
    told = news(store)
    told.tell(HELD_BACK)
    told.tell(OTHERS)
    assert contacts(store) == [("oncall", False), ("oncall", True), ("search", True)]


def test_after_a_restart_the_page_is_ended_once(store):
    news(store).tell(HELD_BACK)
    for _ in range(2):
        news(store).tell(NOBODYS)
    assert contacts(store) == [("oncall", False), ("oncall", True)]
    assert kinds(store) == ["policies.held_back", "policies.taken"]


def test_while_it_is_held_back_people_are_paged_once_and_again_the_next_time(store):
    told = news(store)
    for outcome in (HELD_BACK, replace(HELD_BACK, at=T0 + MINUTE), NOBODYS, replace(HELD_BACK, at=T0 + 2 * MINUTE)):
        told.tell(outcome)
    assert contacts(store) == [("oncall", False), ("oncall", True), ("oncall", False)]


def test_a_set_that_was_never_held_back_is_no_news(store):
    news(store).tell(NOBODYS)
    assert contacts(store) == []
