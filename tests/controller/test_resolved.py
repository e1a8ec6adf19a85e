"""A revision that goes by its full name only later, as a release of ECS does whose tags are resolved: judged and put back as one change."""

from dataclasses import replace

import pytest

from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.target import TargetState
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import SeenChange
from rollbackd.controller.notify.written import after_rollback
from rollbackd.controller.observe.changes import ChangeBook, Survey
from rollbackd.policies.known.events import Applied, RungEnd, Settled
from rollbackd.policies.known.fold import fold
from tests.controller.act_samples import ACT, ORDER, Acting, AtOnce, Deployments
from tests.controller.journal_samples import CHECKOUT, MINUTE, OPENED, T0, change, intended

JUDGED = replace(ORDER, act=replace(ACT, from_revision="api:3@unresolved"))


class Releases(Deployments):
    """What runs is ``state``; whatever is asked is refused."""

    def __init__(self, state):
        super().__init__()
        self.state, self.asked = state, []

    def survey(self, keys):
        return dict.fromkeys(keys, self.state)

    def plan(self, request):
        self.asked.append(request)
        raise Refused("not now")


@pytest.fixture
def acting(tmp_path):
    return Acting(tmp_path)


def begin(acting, target, *orders):
    """An actor that knows this target alone was given the orders."""
    acting.target = target
    actor = acting.made(pool=AtOnce(), stop=acting.stop)
    for order in orders:
        actor.begin(order)


@pytest.mark.parametrize(
    ("revision", "change_id", "how"),
    [
        pytest.param("api:3@unresolved", "uid/7", RungEnd.REFUSED, id="as-it-was-judged"),
        pytest.param("api:3@4f1c", "uid/7", RungEnd.REFUSED, id="resolved-since"),
        pytest.param("api:3@4f1c", "uid/8", RungEnd.SUPERSEDED, id="another-release-of-the-definition"),
        pytest.param("api:31@4f1c", "uid/7", RungEnd.SUPERSEDED, id="another-revision-of-the-change"),
    ],
)
def test_only_another_name_of_the_change_that_was_judged_is_no_other_revision(acting, revision, change_id, how):
    begin(acting, Releases(TargetState(CHECKOUT, revision, change_id)), JUDGED)
    assert [event.how for event in acting.events()] == [how]


def test_a_target_that_is_asked_for_a_plan_is_told_which_change_was_judged(acting):
    target = Releases(TargetState(CHECKOUT, "rev-b"))
    begin(acting, target, ORDER, replace(ORDER, act=replace(ACT, rung=1, undo=intended("inc-1"))))
    assert [request.change for request in target.asked] == ["uid/7", None]


@pytest.mark.parametrize(
    ("planned", "shown", "is_ours"),
    [
        pytest.param("api:2@4f1c", "api:2@unresolved", True, id="not-resolved-yet"),
        pytest.param("api:2@4f1c", "api:2@77aa", False, id="other-images"),
        pytest.param("api:2@4f1c", "api:21@unresolved", False, id="another-definition"),
        pytest.param("api:2", "api:2@4f1c", False, id="both-known"),
    ],
)
def test_what_we_put_back_is_ours_before_its_images_are_resolved(store: Store, planned, shown, is_ours):
    book = ChangeBook(store)
    with store.transaction() as tx:
        tx.see_change(SeenChange(change("uid/7", "api:3@12")))
    book.load([CHECKOUT], T0)
    write = replace(intended("inc-1"), to_revision=planned)
    incident = replace(fold((OPENED, write)), accepted=(write,))
    (seen,) = book.take(Survey(1.0, T0 + MINUTE, {CHECKOUT: TargetState(CHECKOUT, shown, "uid/8")}), (incident,))
    assert seen.change.ours is is_ours


@pytest.mark.parametrize(("left", "lines"), [("api:3@unresolved", 0), ("api:3@4f1c", 1)])
def test_people_are_told_only_of_a_quarantine_that_there_is(left, lines):
    write = replace(intended("inc-1"), from_revision=left)
    applied = Applied("inc-1", T0 + MINUTE, write.rung, write.target, "accepted")
    settled = Settled("inc-1", T0 + MINUTE, write.rung, write.target, T0 + 2 * MINUTE, "complete")
    assert len([line for line in after_rollback(fold((OPENED, write, applied, settled))) if "rearm" in line]) == lines
