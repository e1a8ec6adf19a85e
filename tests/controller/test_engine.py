"""From readings to the written target: the controller's core with a real store and real targets."""

from dataclasses import replace

import pytest

from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.values import How, SeenChange, Standing
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import Mode, RevertRung
from rollbackd.policies.model.readings import Lack, Unknown
from tests.controller.world import EVERY, FLAGS, SHOP, SHOP_POLICY, World, served


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    world.good("v1")
    yield world
    world.close()


def test_a_bad_version_is_put_back_and_the_recovery_is_proven(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    assert world.version.read_text() == "v1\n"
    for _ in range(5):
        world.slot(0)
    assert world.incidents() == ()
    assert world.kinds() == [
        "incident.opened",
        "rung.stopped",
        "rung.intended",
        "rung.applied",
        "rung.settled",
        "incident.closed",
    ]


def test_a_bad_flag_is_switched_off_before_anything_is_reverted(world):
    world.flip("on")
    world.slot(60)
    world.slot(60)
    assert world.flag() == "off"
    assert world.version.read_text() == "v1\n"
    assert not (world.version.parent / "applied").exists()


def test_a_flag_that_does_not_help_is_followed_by_the_revert(world):
    world.flip("on")
    world.deploy("v2")
    for _ in range(4):
        world.slot(60)
    assert world.flag() == "off"
    assert world.version.read_text() == "v1\n"
    assert world.kinds().count("rung.intended") == 2


def test_after_the_last_rung_it_is_held_and_nothing_is_written_again(world):
    world.deploy("v2")
    for _ in range(12):
        world.slot(60)
    (incident,) = world.incidents()
    assert incident.phase is Phase.HELD
    assert (world.version.parent / "applied").read_text() == "v1\n"


def test_a_change_that_recovers_by_itself_is_left_alone(world):
    world.deploy("v2")
    world.slot(0)
    world.slot(0)
    assert world.version.read_text() == "v2\n"
    assert world.kinds() == []


def test_a_change_that_breaks_again_after_its_incident_was_closed_is_told_to_people_and_left_alone(world):
    world.pause.pause("game day", "ann", world.at)
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    world.pause.resume()
    while world.incidents():
        world.slot(0)
    for _ in range(4):
        world.slot(300)
    again = [entry for entry in world.store.history(50) if entry.kind == "breach.again"]
    assert (len(again), world.incidents(), world.version.read_text()) == (1, (), "v2\n")
    (notice,) = [notice for notice in world.notices() if notice.kind == "breach-again"]
    assert notice.urgency == "page"
    assert any("rollbackd rollback shop" in line for line in notice.lines)


def test_a_look_from_before_an_incident_was_closed_is_no_breach_again(tmp_path):
    other, frozen = (World(tmp_path, replace(SHOP_POLICY, mode=Mode.SUGGEST)) for _ in range(2))
    for each in (other, frozen):
        each.slot(0)
    other.deploy("v2")
    for each in (other, frozen, other, frozen, other):
        each.slot(60)
    frozen.at += EVERY
    look = Batch(frozen.at, frozen.survey(), {"shop": (served(frozen.at, 60),)})
    while other.incidents():
        other.slot(0)
    frozen.engine.cycle(look)
    assert other.kinds() == ["incident.opened", "incident.closed"]
    for world in (other, frozen):
        world.close()


def test_first_sight_of_a_target_is_no_change(tmp_path):
    world = World(tmp_path)
    world.good("v0")
    world.slot(60)
    world.slot(60)
    assert world.incidents() == ()
    assert [entry.kind for entry in world.store.history(10) if entry.kind == "breach.outside_watch"] == ["breach.outside_watch"]
    world.close()


def test_without_a_known_good_revision_nothing_is_written(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    assert world.version.read_text() == "v2\n"
    (incident,) = world.incidents()
    assert incident.phase is Phase.HELD
    assert "no known good revision" in incident.held.reason
    world.close()


def test_a_rolled_back_revision_is_quarantined_and_paged_when_it_is_seen_again(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    for _ in range(5):
        world.slot(0)
    assert (SHOP, "v2") in world.store.quarantined()
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    assert world.version.read_text() == "v2\n"
    (incident,) = world.incidents()
    assert incident.held.guard == "quarantine"
    assert any("was rolled back before and is live again" in title for title in world.titles())


def test_a_long_revision_leaves_room_for_what_has_become_of_it(world):
    long = f"sha256-{'7d9f' * 16}"
    with world.store.transaction() as tx:
        tx.mark(SHOP, long, Standing.QUARANTINED, How.ROLLED_BACK, world.at)
    world.deploy(long)
    world.slot(60)
    page = next(notice for notice in world.notices() if notice.kind == "quarantined")
    assert page.title.startswith(f"NO ACTION TAKEN {SHOP}: revision sha256-7d9f")
    assert page.title.endswith("… was rolled back before and is live again")
    assert page.lines[0] == f"revision {long} was rolled back before and is live again"


def test_a_paused_daemon_writes_nothing_and_says_so(world):
    world.pause.pause("game day", "alice", world.at)
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    assert world.version.read_text() == "v2\n"
    (incident,) = world.incidents()
    assert incident.held.guard == "pause"
    assert "game day" in world.titles()[-1]


def test_observe_journals_once_and_opens_nothing(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, mode=Mode.OBSERVE))
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    for _ in range(4):
        world.slot(60)
    assert world.version.read_text() == "v2\n"
    assert [entry.kind for entry in world.store.history(100)].count("observed") == 1
    assert world.incidents() == ()
    world.close()


def test_suggest_tells_and_does_not_write(tmp_path):
    world = World(tmp_path, SHOP_POLICY, settings=Settings(mode_cap=Mode.SUGGEST))
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    assert world.version.read_text() == "v2\n"
    assert world.titles()[0].startswith("SUGGESTED command:shop")
    world.close()


def test_the_daily_budget_of_a_target_survives_a_restart(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    world.good("v1")
    for version in ("v2", "v3", "v4"):
        world.deploy(version)
        world.slot(60)
        world.slot(60)
        for _ in range(5):
            world.slot(0)
        world.close()
        world = World(tmp_path, at=world.at)
        world.slot(0)
    assert world.version.read_text() == "v4\n"
    assert (tmp_path / "applied").read_text() == "v1\nv1\n"
    world.close()


def test_two_policies_on_one_target_make_one_incident(tmp_path):
    world = World(tmp_path, SHOP_POLICY, replace(SHOP_POLICY, name="other", digest="d2"))
    both = ("shop", "other")
    world.slot(0, policies=both)
    world.good("v1")
    world.deploy("v2")
    world.slot(60, policies=both)
    world.slot(60, policies=both)
    assert world.kinds().count("incident.opened") == 1
    assert world.kinds().count("rung.intended") == 1
    assert world.kinds().count("incident.joined") == 1
    for _ in range(5):
        world.slot(0, policies=both)
    assert world.incidents() == ()
    world.close()


def test_an_incident_that_was_opened_before_a_restart_is_carried_on(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    world.close()
    again = World(tmp_path, at=world.at)
    for _ in range(5):
        again.slot(0)
    assert again.incidents() == ()
    assert again.kinds()[-1] == "incident.closed"
    assert (tmp_path / "applied").read_text() == "v1\n"
    again.close()


def test_a_newer_release_during_verification_is_another_writer(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    world.deploy("v3")
    world.slot(0)
    assert world.version.read_text() == "v3\n"
    assert "other-writer" in [e.body["guard"] for e in world.store.history(50) if e.kind == "incident.held"]


def test_a_revision_that_served_the_bake_time_is_known_good(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, timing=replace(SHOP_POLICY.timing, bake=3 * EVERY)))
    for _ in range(5):
        world.slot(0)
    assert [(k.revision, k.standing) for k in world.store.ledger(SHOP)] == [("v1", Standing.GOOD)]
    world.close()


def test_unread_metrics_leave_an_open_incident_as_it_is(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    for _ in range(3):
        world.read(lambda at: Unknown(at, Lack.ERROR, "refused"))
    (incident,) = world.incidents()
    assert incident.phase is Phase.VERIFYING


def test_messages_carry_the_arithmetic_and_one_key(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    for _ in range(5):
        world.slot(0)
    notices = world.notices()
    assert [notice.kind for notice in notices] == ["started", "recovered"]
    assert len({notice.key for notice in notices}) == 1
    assert "60/600 = 10 % > 5 %" in "\n".join(notices[0].lines)
    assert notices[1].title.startswith("ROLLED BACK command:shop v2 -> v1: verified, healthy for 30s")
    assert notices[1].resolved


def test_an_incident_whose_policy_is_gone_is_held(world):
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    world.engine.adopt((replace(SHOP_POLICY, name="renamed"),))
    world.slot(0, policies=("renamed",))
    assert "policy-removed" in [e.body["guard"] for e in world.store.history(50) if e.kind == "incident.held"]


def test_a_flag_with_a_suspect_but_reverts_of_another_target_keep_to_their_own(tmp_path):
    policy = replace(SHOP_POLICY, target=FLAGS, ladder=(RevertRung(SHOP),))
    world = World(tmp_path, policy)
    world.slot(0)
    world.good("v1")
    world.flip("on")
    world.slot(60)
    world.slot(60)
    (incident,) = world.incidents()
    assert incident.held.guard == "ladder"
    assert world.flag() == "on"
    world.close()


def test_a_change_that_a_pipeline_posted_is_a_suspect_that_nothing_here_can_undo(world):
    posted = Change(SHOP, "db-42", "16", None, world.at, world.at, world.at, posted=True, note="database upgrade to 16")
    with world.store.transaction() as tx:
        tx.see_change(SeenChange(posted))
    world.slot(60)
    world.slot(60)
    (incident,) = world.incidents()
    assert incident.held.guard == "ladder"
    assert "database upgrade to 16" in incident.held.reason
    assert world.version.read_text() == "v1\n"
