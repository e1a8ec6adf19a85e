"""The rung that restores data, from proof to handing over: a whole core, its database in moto."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.adapters.aws.rds import Rds
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.journal.errors import StoreError
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import Approvals, Mode, RestoreRung, RevertRung
from tests.aws.databases import ROLE, made, people, there
from tests.aws.servers import REGION, aws
from tests.controller.test_hands import People
from tests.controller.world import SHOP, SHOP_POLICY

pytestmark = pytest.mark.usefixtures("aws_keys")


class Restoring(People):
    """A world whose last rung restores a database. v2 was bad, and the service still is after v1 was put back."""

    def __init__(self, folder, url, kind, **settings):
        self.url, self.name = url, made(url)
        rungs = (RevertRung(SHOP), RestoreRung(f"rds:prod/{REGION}/{self.name}/point-in-time", Mode.AUTO))
        # What this ladder allows, and what it asks of people, is less careful than a restore is.
        super().__init__(folder, replace(SHOP_POLICY, mode=Mode.AUTO, ladder=rungs, approvals=Approvals(1, timedelta(hours=2))), **settings)
        self.world.targets["rds"] = kind(aws(url, role=ROLE), now=lambda: self.world.at)
        self.release()
        for _ in range(3):
            self.world.slot(60)

    def made(self):
        """The side instances there are."""
        return there(self.url, self.name)


@pytest.fixture
def restoring(tmp_path, moto):
    opened = []

    def make(kind=Rds):
        opened.append(Restoring(tmp_path, moto.url, kind))
        return opened[-1]

    yield make
    for each in opened:
        each.world.close()


def test_a_restore_waits_for_two_people_and_says_what_would_be_lost(restoring):
    here = restoring()
    incident = here.incident()
    assert (incident.phase, here.version(), here.made()) == (Phase.AWAITING, "v1", [])
    assert incident.offer.needed == 2
    assert incident.offer.expires_at - incident.offer.at == timedelta(minutes=30)
    assert "what was written since then, 30 s so far, is not in it" in incident.offer.summary
    title = here.world.titles()[-1]
    assert title.startswith(f"APPROVAL NEEDED rds:prod/{REGION}/{here.name}/point-in-time: make ")
    assert title.endswith("UTC")


def test_one_person_twice_is_not_two_people(restoring):
    here = restoring()
    here.approve("ann")
    again = here.approve("ann")
    here.world.slot(60)
    assert (again.was_changed, here.incident().phase, here.made()) == (False, Phase.AWAITING, [])


def test_what_two_people_approved_is_ordered_once_and_handed_over(restoring):
    here = restoring()
    here.approve("ann")
    here.approve("bob")
    incident = here.incident()
    assert (incident.phase, incident.held.guard, incident.intent.by) == (Phase.HELD, "handed-over", ("ann", "bob"))
    (side,) = here.made()
    assert {"Key": "rollbackd:incident", "Value": incident.id} in side["TagList"]
    assert here.world.kinds()[-3:] == ["rung.applied", "rung.settled", "incident.held"]
    here.world.slot(60)
    assert (len(here.made()), here.incident().phase) == (1, Phase.HELD)
    (notice,) = [each for each in here.world.notices() if each.kind == "held"]
    assert any("to cut over, compare the data, stop the writers, then: aws rds modify-db-instance" in line for line in notice.lines)
    assert not any(line.startswith("by hand:") for line in notice.lines)


def test_an_incident_that_was_handed_over_is_none_in_flight_and_its_end_is_not_called_a_rollback(restoring):
    here = restoring()
    here.approve("ann")
    here.approve("bob")
    assert here.desk.fleet().flights == ()
    here.healthy()
    assert not here.world.incidents()
    assert here.world.titles()[-1].startswith("CLOSED")


def test_an_approval_that_ran_out_makes_nothing(restoring):
    here = restoring()
    here.approve("ann")
    here.world.at += timedelta(minutes=31)
    with pytest.raises(Denied, match="its time is up"):
        here.approve("bob")
    here.world.slot(60)
    assert (here.incident().held.guard, here.made()) == ("approval", [])


def test_approvals_in_time_that_nobody_came_to_carry_out_make_nothing(restoring):
    here = restoring()
    offer = here.incident().offer
    for who in ("ann", "bob"):
        here.hands.approve(here.incident().id, offer.plan_digest, who, "")
    here.world.at += timedelta(minutes=31)
    here.world.slot(60)
    assert (here.incident().held.guard, here.made()) == ("approval", [])
    assert "was approved, but not begun by" in here.incident().held.reason


def test_the_digest_of_another_plan_makes_nothing(restoring):
    here = restoring()
    with pytest.raises(Denied, match="is not the plan"):
        here.approve("ann", plan="0" * 12)
    assert here.made() == []


def test_a_plan_that_changed_since_it_was_approved_is_put_to_people_anew(restoring):
    here = restoring()
    first = here.incident().offer
    people(here.url).modify_db_instance(DBInstanceIdentifier=here.name, DBInstanceClass="db.r6g.large", ApplyImmediately=True)
    here.approve("ann")
    here.approve("bob")
    second = here.incident()
    assert (second.phase, second.approvals, here.made()) == (Phase.AWAITING, (), [])
    assert second.offer.plan_digest != first.plan_digest
    assert "DBInstanceClass: db.r6g.large" in second.offer.steps


def test_nobody_orders_a_restore_alone(restoring):
    here = restoring()
    with pytest.raises(Denied, match="it is two people's to approve"):
        here.rollback(2)
    assert here.made() == []


def test_after_a_restart_a_restore_that_is_not_seen_is_not_asked_for_again(restoring):
    here = restoring(Dying)
    here.approve("ann")
    here.approve("bob")
    assert (here.incident().phase, here.made()) == (Phase.ACTING, [])
    here.world.at += timedelta(hours=3)  # the claim has run out, and what was approved is long past
    for _ in range(3):
        here.world.slot(60)
    assert (here.incident().phase, here.made()) == (Phase.HELD, [])
    assert "a restart came between, and it is not seen" in here.incident().stopped[-1].reason


def test_after_a_restart_a_restore_that_was_ordered_is_handed_over(restoring):
    here = restoring(DyingLate)
    here.approve("ann")
    here.approve("bob")
    assert here.incident().phase is Phase.ACTING
    here.world.at += timedelta(minutes=2)
    for _ in range(3):
        here.world.slot(60)
    assert (here.incident().held.guard, len(here.made())) == ("handed-over", 1)


class Dying(Rds):
    """Its process dies before the order is sent."""

    def apply(self, plan):
        raise StoreError("died before")


class DyingLate(Rds):
    """Its process dies after the order was sent."""

    def apply(self, plan):
        super().apply(plan)
        raise StoreError("died after")
