"""What the answers to pause, resume and rearm say of the incidents that are open: held is final, and what was sent is not called back."""

from dataclasses import replace

import pytest

from rollbackd.controller.journal.values import How, Standing
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import Mode, RevertRung
from tests.controller.served import Served
from tests.controller.test_hands import APPROVING, People
from tests.controller.world import SHOP, SHOP_POLICY
from tests.policies.literals import intended

ONE = replace(SHOP_POLICY, digest="one", mode=Mode.AUTO, ladder=(RevertRung(SHOP),))


@pytest.fixture
def here(tmp_path, request):
    made = People(tmp_path, getattr(request, "param", ONE))
    yield made
    made.world.close()


@pytest.fixture
def cli(here, tmp_path, capsys):
    served = Served(here.world, tmp_path)
    yield served.commands(capsys)
    served.close()


def held_by_the_pause(here):
    here.world.pause.pause("db move", "ann", here.world.at)
    return here.release()


def quarantine(here, *revisions):
    with here.world.store.transaction() as tx:
        for revision in revisions:
            tx.mark(SHOP, revision, Standing.QUARANTINED, How.ROLLED_BACK, here.world.at)


def test_resume_names_what_stays_held_and_the_order_that_goes_on(here, cli):
    incident = held_by_the_pause(here)
    order = "rollbackd rollback shop --reason '...'"
    assert cli("resume") == (0, "resumed: it may act again\n", f"{incident.id} on {SHOP} stays held by pause; to act: {order}\n")
    here.rollback()
    assert here.version() == "v1"


def test_resume_says_nothing_of_what_another_guard_holds(here, cli):
    quarantine(here, "v2")
    assert here.release().held.guard == "quarantine"
    here.world.pause.pause("db move", "ann", here.world.at)
    assert cli("resume")[2] == ""


def test_resume_tells_how_an_incident_ends_whose_policy_is_gone(here, cli):
    incident = held_by_the_pause(here)
    here.world.engine.adopt(())
    assert f"stays held by pause; its policy shop is not loaded: to end it: rollbackd ack {incident.id} --close" in cli("resume")[2]


def test_rearm_names_what_stays_held_and_the_order_that_goes_on(here, cli):
    quarantine(here, "v2")
    incident = here.release()
    assert "what is held by then stays held until people order it" in incident.held.reason
    order = "rollbackd rollback shop --reason '...'"
    said = f"{incident.id} on {SHOP} stays held by quarantine; to act: {order}\n"
    assert cli("rearm", SHOP, "v2") == (0, f"{SHOP}: v2 is out of quarantine\n", said)
    here.rollback()
    assert here.version() == "v1"


def test_rearm_of_another_revision_names_nothing(here, cli):
    quarantine(here, "v2", "v9")
    here.release()
    assert cli("rearm", SHOP, "v9")[2] == ""


@pytest.mark.parametrize("here", [APPROVING], indirect=True, ids=["a-plan-is-approved"])
def test_pause_says_what_is_being_written_and_is_not_called_back(here, cli):
    incident = here.release()
    with here.world.store.transaction() as tx:
        tx.claim(replace(intended(0, here.world.at, SHOP), incident=incident.id), "test-1", Limits())
    said = f"{incident.id} is writing now (rung 1 on {SHOP}): what was sent is not called back\n"
    assert cli("pause", "--reason", "db move")[2] == said
    assert "PAUSED: nothing more is begun: db move" in cli("status")[1]


def test_a_second_pause_says_whose_it_replaces(cli):
    assert cli("pause", "--reason", "first")[2] == ""
    said = cli("pause", "--reason", "second")[2]
    assert said.startswith("it replaces: first (paused by ")
    assert len(said.splitlines()) == 1
