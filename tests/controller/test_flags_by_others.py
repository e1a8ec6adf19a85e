"""Flags that a person touches beside a write of ours: what they did is never on record as ours, and never taken back. GrowthBook's double."""

from dataclasses import replace

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.act.dry_run import dry_undo
from rollbackd.controller.act.order import intent_to
from rollbackd.policies.known.events import Intended, RungEnd, Stopped
from rollbackd.policies.model.policy import FlagsRung
from tests.adapters.flag_stands import growthbook_stand
from tests.controller.act_samples import ACT, ORDER, SHOP, AtOnce
from tests.controller.journal_samples import SECOND, T0
from tests.doubles.flags.vendor import answered


class Overtaken:
    """The stand's target; once it has planned, ``then`` happens."""

    kind = "growthbook"

    def __init__(self, target, then):
        self.target, self.then = target, then

    def __getattr__(self, name):
        return getattr(self.target, name)

    def plan(self, request):
        plan = self.target.plan(request)
        self.then()
        return plan


@pytest.fixture
def stand(tmp_path):
    with growthbook_stand(tmp_path) as stand:
        yield stand


def actor_of(acting, target):
    told = (lambda _: None, lambda: None)
    return Actor(acting.store, {"growthbook": target}, acting.pause, acting.clock, *told, pool=AtOnce(), stop=acting.stop, look_every=SECOND)


def test_a_switch_of_a_person_between_plan_and_write_is_not_on_record_as_ours(acting, stand):
    act = replace(ACT, remedy=FlagsRung(stand.key), from_revision=stand.seen().revision)
    actor_of(acting, Overtaken(stand.target(), lambda: stand.flip("cart", False))).begin(replace(ORDER, act=act))
    assert (acting.kinds(), stand.vendor.writes) == ([Intended, Stopped], [])
    assert acting.events()[1].how is RungEnd.REFUSED
    assert acting.events()[1].reason.startswith("flag 'cart' in GrowthBook")


def test_what_was_written_of_a_write_is_taken_back_though_it_never_was_complete(stand):
    target, plan, answer = stand.target(), stand.planned(), stand.vendor.answer
    stand.vendor.answer = lambda call: answered({"message": "no"}, 500) if call.is_write and "search" in call.parts else answer(call)
    with pytest.raises(Transient, match="'cart' written"):
        target.apply(plan)
    stand.vendor.answer = answer
    (shown,) = dry_undo("shop", SHOP.target, (intent_to(plan, ACT, T0),), {"growthbook": target}).rungs
    assert (shown.outcome, shown.steps) == ("planned", ("flags.cart.enabled: false -> true",))
