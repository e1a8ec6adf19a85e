"""Rungs that begin at once: each is written once, one does not wait for another, and what they did is verified once."""

from dataclasses import replace

import pytest

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.policies.known.events import Applied, Approved
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import FlagsRung, Mode, RevertRung
from tests.controller.world import EVERY, FLAGS, SHOP, SHOP_POLICY, World

TOGETHER = replace(SHOP_POLICY, ladder=(RevertRung(SHOP, with_next=True), FlagsRung(FLAGS)))
BOTH = ["rung.intended", "rung.applied", "rung.intended", "rung.applied", "rung.settled", "rung.settled"]


class Breaking:
    """A target whose writer dies right before or after its write, or is refused it; everything else is the real one's."""

    def __init__(self, real, before=None, after=None):
        self._real, self._before, self._after = real, before, after

    def __getattr__(self, name):
        return getattr(self._real, name)

    def apply(self, plan):
        if self._before:
            raise self._before
        self._real.apply(plan)
        if self._after:
            raise self._after


def begun(folder, policy=TOGETHER):
    world = World(folder, policy)
    world.slot(0)
    world.good("v1")
    return world


def release(world, *, flips=True):
    """A bad version, and a flag that was switched with it."""
    world.deploy("v2")
    world.flip("on" if flips else "off")
    world.slot(60)
    world.slot(60)


def written(folder):
    return (folder / "applied").read_text().split()


@pytest.fixture
def world(tmp_path):
    world = begun(tmp_path)
    yield world
    world.close()


def test_both_are_written_before_either_is_verified_and_the_incident_ends_once(world, tmp_path):
    release(world)
    assert (written(tmp_path), world.flag()) == (["v1"], "off")
    for _ in range(5):
        world.slot(0)
    assert world.kinds() == ["incident.opened", *BOTH, "incident.closed"]
    assert [kind for _, kind in world.told()] == ["started", "started", "recovered"]


def test_one_that_has_no_suspect_does_not_stop_the_other_and_is_on_record(world, tmp_path):
    release(world, flips=False)
    assert world.kinds() == ["incident.opened", "rung.intended", "rung.applied", "rung.stopped", "rung.settled"]
    assert world.incidents()[0].phase is Phase.VERIFYING
    assert written(tmp_path) == ["v1"]


def test_one_that_fails_does_not_stop_the_other_and_is_named(world):
    world.targets["command"] = Breaking(world.targets["command"], before=Permanent("no space left"))
    release(world)
    assert world.kinds() == ["incident.opened", "rung.intended", "rung.stopped", "rung.intended", "rung.applied", "rung.settled"]
    assert (world.version.read_text(), world.flag()) == ("v2\n", "off")
    for _ in range(5):
        world.slot(60)
    (held,) = world.incidents()
    assert held.held.guard == "ladder"
    assert "no space left" in held.held.reason


def test_where_another_writer_was_at_the_first_the_second_does_not_begin(world, monkeypatch):
    def overtaken(plan):
        world.deploy("v3")
        raise Transient("no answer")

    monkeypatch.setattr(world.targets["command"], "apply", overtaken)
    release(world)
    assert world.kinds() == ["incident.opened", "rung.intended", "rung.stopped", "incident.held"]
    assert (world.guards(), world.flag()) == (["other-writer"], "on")


def test_where_they_do_not_help_the_ladder_goes_on_behind_them(tmp_path):
    world = begun(tmp_path, replace(TOGETHER, ladder=(*TOGETHER.ladder, FlagsRung(FLAGS, only_changed=False, always=True))))
    release(world)
    world.slot(60)
    world.slot(60)
    assert world.kinds()[:7] == ["incident.opened", *BOTH]
    assert world.incidents()[0].held.guard == "ladder"
    assert len(written(tmp_path)) == 1
    world.close()


def test_another_writer_on_one_of_them_holds_the_incident_while_both_are_verified(world):
    release(world)
    world.flip("on")
    world.slot(0)
    assert world.guards() == ["other-writer"]


def test_one_approval_is_of_both_plans_and_begins_both(tmp_path):
    world = begun(tmp_path, replace(TOGETHER, ladder=(RevertRung(SHOP, with_next=True), FlagsRung(FLAGS, mode=Mode.APPROVE))))
    release(world)
    offer = world.incidents()[0].offer
    assert not (tmp_path / "applied").exists()
    assert "; and at once: " in offer.summary
    with world.store.transaction() as tx:
        tx.record(Approved(offer.incident, world.at, offer.plan_digest, "ann"))
    world.slot(60)
    assert (written(tmp_path), world.flag()) == (["v1"], "off")
    assert world.kinds() == ["incident.opened", "rung.offered", "rung.approved", *BOTH]
    world.close()


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        pytest.param("command", {"before": SystemExit()}, id="before-the-first"),
        pytest.param("command", {"after": SystemExit()}, id="after-the-first"),
        pytest.param("flagd", {"before": SystemExit()}, id="before-the-second"),
        pytest.param("flagd", {"after": SystemExit()}, id="after-the-second"),
    ],
)
def test_a_writer_that_dies_leaves_nothing_undone_and_nothing_done_twice(tmp_path, kind, fault):
    world = begun(tmp_path)
    world.targets[kind] = Breaking(world.targets[kind], **fault)
    release(world)
    world.close()
    heir = World(tmp_path, TOGETHER, at=world.at + 12 * EVERY)
    for _ in range(4):
        heir.slot(60)
    assert (written(tmp_path), heir.flag()) == (["v1"], "off")
    assert [heir.kinds().count(kind) for kind in ("rung.intended", "rung.applied", "rung.settled")] == [2, 2, 2]
    heir.close()


def test_a_writer_that_dies_between_the_two_leaves_the_second_to_the_next_look(tmp_path):
    world = begun(tmp_path)
    world.targets["command"] = Breaking(world.targets["command"], after=SystemExit())
    release(world)
    (incident,) = world.incidents()
    with world.store.transaction() as tx:
        tx.record(Applied(incident.id, world.at, 0, SHOP, "accepted"))
    world.close()
    heir = World(tmp_path, TOGETHER, at=world.at)
    for _ in range(3):
        heir.slot(60)
    assert (written(tmp_path), heir.flag()) == (["v1"], "off")
    assert heir.kinds()[1:7] == ["rung.intended", "rung.applied", "rung.settled"] * 2
    heir.close()


def test_no_second_write_begins_while_nobody_knows_what_became_of_the_first(world, tmp_path):
    world.targets["command"] = Breaking(world.targets["command"], after=SystemExit())
    release(world)
    (incident,) = world.incidents()
    with world.store.transaction() as tx:
        blocked = tx.claim(replace(incident.intent, rung=1, target=FLAGS), "test-1", Limits())
    assert (blocked.guard, "nobody knows yet" in blocked.reason) == ("claimed", True)
