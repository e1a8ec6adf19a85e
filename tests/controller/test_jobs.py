"""Jobs that are migrations: who is asked for which, and what a doubt about them keeps from being done."""

from dataclasses import replace

import pytest

from rollbackd.adapters.base.target import TargetState
from rollbackd.adapters.command import Command
from rollbackd.adapters.command.process import never
from rollbackd.adapters.kubernetes import Kubernetes
from rollbackd.controller.observe.jobs import watch_jobs
from rollbackd.policies.model.policy import RevertRung
from tests.controller.world import SHOP, SHOP_POLICY, World, command

CART = "kubernetes:a/shop/deployment/cart"
DOUBT = "whether a migration ran is unknown: not allowed to list jobs"
REVERTS = replace(SHOP_POLICY, ladder=(RevertRung(SHOP),))


class Doubted(Command):
    """A command of whose Jobs nothing is known while there is a ``doubt``, and beside which they ran as ``irreversible`` says."""

    doubt: str | None = None
    irreversible: str | None = None

    def ask(self, key, is_over=never):
        state = super().ask(key, is_over)
        return replace(state, doubt=self.doubt, irreversible=self.irreversible) if isinstance(state, TargetState) else state


class Seer(Kubernetes):
    """What was asked for last."""

    def watch_jobs(self, patterns):
        self.asked = dict(patterns)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, REVERTS)
    world.targets["command"] = Doubted({"shop": command(tmp_path)})
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    yield world
    world.close()


def breached(world):
    """The breach has held for so long that a revert is due."""
    for _ in range(3):
        world.slot(60)


def test_without_a_doubt_the_machine_reverts(world):
    breached(world)
    assert world.version.read_text() == "v1\n"


def test_while_it_is_unknown_whether_a_migration_ran_the_revert_is_put_to_people_with_the_reason(world):
    world.targets["command"].doubt = DOUBT
    breached(world)
    assert world.version.read_text() == "v2\n"
    assert "rung.offered" in world.kinds()
    assert DOUBT in str(world.store.history(100))


def test_a_doubt_that_passed_holds_nothing_up(world):
    world.targets["command"].doubt = DOUBT
    world.slot(0)
    world.targets["command"].doubt = None
    world.slot(0)
    assert [change.irreversible for change in world.engine.book.of([SHOP])] == [None]
    breached(world)
    assert world.version.read_text() == "v1\n"


def test_a_doubt_outlives_the_reading_of_other_policies(world):
    world.targets["command"].doubt = DOUBT
    world.slot(0)
    world.engine.adopt((REVERTS,))
    assert [change.irreversible for change in world.engine.book.of([SHOP])] == [DOUBT]


def test_a_job_that_was_seen_is_kept_with_the_change_when_it_is_gone(world):
    world.slot(0)
    world.targets["command"].irreversible = "Job migrate-42 ran"
    world.slot(0)
    world.targets["command"].irreversible = None
    world.slot(0)
    assert [change.irreversible for change in world.engine.book.of([SHOP])] == ["Job migrate-42 ran"]
    assert [seen.change.irreversible for seen in world.store.latest_changes([SHOP]).values()] == ["Job migrate-42 ran"]


def test_a_kind_that_sees_jobs_is_asked_for_those_of_its_own_targets(world):
    seer = Seer({})
    asks = [replace(REVERTS, target=CART, migration_jobs=("migrate-*",)), replace(REVERTS, target=CART, migration_jobs=("seed", "migrate-*"))]
    watch_jobs({"kubernetes": seer, "command": world.targets["command"]}, [REVERTS, *asks])
    assert seer.asked == {CART: ("migrate-*", "seed")}
    watch_jobs({"kubernetes": seer}, [REVERTS])
    assert seer.asked == {}
