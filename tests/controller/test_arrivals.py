"""Who is told, and how often, when a database that was handed over to people has come, or never will. The database is moto's."""

from datetime import timedelta

import pytest

from rollbackd.adapters.aws.rds import Rds
from rollbackd.adapters.base.errors import Transient
from rollbackd.controller.act.arrivals import Arrivals
from rollbackd.policies.known.incident import Phase
from tests.aws.databases import people
from tests.controller.test_restore import Restoring

pytestmark = pytest.mark.usefixtures("aws_keys")


class Waited(Rds):
    """RDS as it is, but for the state of side instances, which in moto come at once; no connection leaves the test."""

    status = "creating"
    is_silent = False

    def arrival(self, intent):
        if self.is_silent:
            raise Transient("RDS does not answer")
        return super().arrival(intent)

    def _reader(self, place, *patience):
        return Staged(super()._reader(place, *patience), self)

    def reach(self, address):
        self.reached = [*getattr(self, "reached", []), address]
        return "it takes a connection from here"


class Staged:
    """The reader, with side instances in the state that the test wants."""

    def __init__(self, reader, rds):
        self._reader, self._rds = reader, rds

    def __getattr__(self, name):
        return getattr(self._reader, name)

    def instances(self):
        found = self._reader.instances()
        return {name: {**each, "DBInstanceStatus": self._rds.status} if "-rb-" in name else each for name, each in found.items()}


@pytest.fixture
def here(tmp_path, moto):
    made = Restoring(tmp_path, moto.url, Waited, patience=timedelta(seconds=1))
    made.approve("ann")
    made.approve("bob")
    assert made.incident().phase is Phase.HELD
    yield made
    made.world.close()


def replica(here):
    """One that knows nothing but what the journal holds, as after a restart."""
    return Arrivals(here.world.store, here.world.targets, lambda: here.world.at, lambda: None)


def told(here):
    return [(each.kind, each.urgency) for each in here.world.notices() if each.kind in ("arrived", "not-arrived")]


def rds(here):
    return here.world.targets["rds"]


def test_one_that_came_is_told_once_by_two_replicas_and_after_a_restart(here):
    first, second = replica(here), replica(here)
    first.look()
    assert told(here) == []
    rds(here).status = "available"
    for each in (first, second, first, replica(here)):
        here.world.at += timedelta(minutes=3)
        each.look()
    assert told(here) == [("arrived", "notice")]
    notice = here.world.notices()[-1]
    (side,) = here.made()
    assert notice.title.startswith(f"HAS COME {here.incident().target}: {side['DBInstanceIdentifier']} is available beside {here.name}"[:100])
    assert notice.lines[0] == f"endpoint: {side['Endpoint']['Address']}:{side['Endpoint']['Port']}"
    assert f"its data is as of {here.incident().intent.record['point']}; {here.name} serves on, untouched" in notice.lines
    assert "it takes a connection from here" in notice.lines
    assert here.world.kinds()[-1] == "handed_over.ended"
    assert here.incident().phase is Phase.HELD


def test_its_settings_are_compared_with_what_was_asked(here):
    rds(here).status = "available"
    (side,) = here.made()
    people(here.url).modify_db_instance(DBInstanceIdentifier=side["DBInstanceIdentifier"], DBInstanceClass="db.t3.micro", ApplyImmediately=True)
    replica(here).look()
    lines = here.world.notices()[-1].lines
    assert [line for line in lines if "differs" in line] == ["differs from what was asked: DBInstanceClass is db.t3.micro, asked db.t3.medium"]


def test_a_database_is_connected_to_only_when_it_is_told(here):
    rds(here).status = "available"
    one = replica(here)
    for _ in range(3):
        one.look()
    assert len(rds(here).reached) == 1


def test_one_that_failed_is_paged_once_and_each_end_is_news_of_its_own(here):
    one = replica(here)
    rds(here).status = "available"
    one.look()
    rds(here).status = "storage-full"
    one.look()
    replica(here).look()
    assert told(here) == [("arrived", "notice"), ("not-arrived", "page")]
    assert "RESTORE FAILED" in here.world.titles()[-1]


def test_rds_that_does_not_answer_tells_nothing_and_is_asked_again(here):
    one = replica(here)
    rds(here).status, rds(here).is_silent = "available", True
    one.look()
    assert told(here) == []
    rds(here).is_silent = False
    one.look()
    assert told(here) == [("arrived", "notice")]


def test_what_the_store_did_not_take_is_told_the_next_time(here):
    one = replica(here)
    rds(here).status = "available"
    with here.world.locked():
        one.look()
    one.look()
    assert told(here) == [("arrived", "notice")]


def test_one_that_does_not_carry_our_tag_is_none_of_ours(here):
    (side,) = here.made()
    people(here.url).remove_tags_from_resource(ResourceName=side["DBInstanceArn"], TagKeys=["rollbackd:incident"])
    rds(here).status = "available"
    replica(here).look()
    assert told(here) == []


def test_after_the_incident_is_closed_nothing_more_is_told(here):
    here.healthy()
    rds(here).status = "available"
    replica(here).look()
    assert (here.world.incidents(), told(here)) == ((), [])
