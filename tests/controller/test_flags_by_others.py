"""Flags that a person touches beside a write of ours: what they did is never on record as ours, and never taken back. GrowthBook's double."""

from dataclasses import replace

import pytest

from rollbackd.controller.act.actor import Actor
from rollbackd.policies.known.events import Intended, RungEnd, Stopped
from rollbackd.policies.model.policy import FlagsRung
from tests.adapters.flag_stands import growthbook_stand
from tests.controller.act_samples import ACT, ORDER, AtOnce
from tests.controller.journal_samples import SECOND


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
