"""Changes as the engine sees them: whose they are, which target's, how old, and what they make known good."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from rollbackd.adapters.command import Command, CommandSpec
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How, SeenChange, Standing
from rollbackd.controller.observe.changes import ChangeBook
from rollbackd.controller.observe.past import Past
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import FlagsRung, Mode, RevertRung
from tests.controller.world import EVERY, FLAGS, SHOP, SHOP_POLICY, TIMING, World, command, script, served
from tests.policies.literals import MINUTE, SECOND
from tests.servers import poll

HOUR = timedelta(hours=1)
A = replace(SHOP_POLICY, name="a", digest="a", target="command:a", ladder=(RevertRung("command:a"),))
B = replace(SHOP_POLICY, name="b", digest="b", target="command:b", ladder=(RevertRung("command:b"),))
ROOMY = Settings(limits=Limits(in_flight_per_namespace=5, in_flight=5))


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    world.good("v1")
    yield world
    world.close()


def two_targets(folder, *policies):
    """A world in which command:a and command:b ran v1, which is known good, and both run v2 now."""
    world = World(folder, *policies, settings=ROOMY)
    world.targets["command"] = Command({name: command(folder, name) for name in ("a", "b")})
    for name in ("a", "b"):
        (folder / name).write_text("v1\n")
    world.slot(0, policies=tuple(policy.name for policy in policies))
    for name in ("a", "b"):
        with world.store.transaction() as tx:
            tx.mark(f"command:{name}", "v1", Standing.GOOD, How.DECLARED, world.at)
        (folder / name).write_text("v2\n")
    return world


def test_the_same_version_deployed_to_two_targets_is_two_changes(tmp_path):
    world = two_targets(tmp_path, A, B)
    for looked_at in (("a",), ("a",), ("a", "b"), ("a", "b")):
        world.slot(60, policies=looked_at)
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("v1\n", "v1\n")
    world.close()


def test_a_flag_that_is_switched_on_again_before_it_was_seen_off_is_another_writers_doing(world):
    world.flip("on")
    world.slot(60)
    world.slot(60)
    assert world.flag() == "off"
    world.flip("on")
    world.slot(60)
    (incident,) = world.incidents()
    assert (incident.held.guard, world.flag(), world.version.read_text()) == ("other-writer", "on", "v1\n")


def test_a_flag_write_that_shows_once_the_next_step_has_begun_is_ours(world):
    world.flip("on")
    world.slot(60)
    world.slot(60)
    (incident,) = world.incidents()
    (write,) = incident.writes
    climbed = replace(incident, accepted=(write,), writes=(replace(write, rung=1, target=SHOP),))
    book = ChangeBook(world.store)
    book.load([FLAGS, SHOP], world.at)
    world.at += EVERY
    (seen,) = book.take(world.survey(), (climbed,))
    assert (seen.change.target, seen.change.ours) == (FLAGS, True)


def test_what_a_change_brought_is_kept_of_the_newest_alone_and_known_of_the_others_too(world):
    for variant in ("on", "off", "on"):
        world.flip(variant)
        world.slot(0)
    changes = world.store.changes([FLAGS])
    assert [bool(seen.parts) for seen in world.engine.book._seen[FLAGS]] == [False, False, False, True]
    for before, change in pairwise(changes):
        assert world.engine.book.parts_before(FLAGS, (change.change.id,)) == before.parts != {}
    assert world.engine.book.parts_before(FLAGS, (changes[0].change.id,)) == {}
    again = ChangeBook(world.store)
    again.load([FLAGS], world.at)
    assert [bool(seen.parts) for seen in again._seen[FLAGS]] == [False, False, False, True]


def test_the_same_version_on_two_rungs_is_undone_on_the_first(tmp_path):
    world = two_targets(tmp_path, replace(A, ladder=(RevertRung("command:a"), RevertRung("command:b"))))
    world.slot(60, policies=("a",))
    world.slot(60, policies=("a",))
    assert (tmp_path / "a").read_text() == "v1\n"
    world.close()


def test_an_accepted_write_that_shows_a_moment_later_is_no_other_writer(tmp_path):
    script(tmp_path / "apply.sh", f'(sleep 0.3; echo "$1" > {tmp_path}/version) >/dev/null 2>&1 &')
    world = World(tmp_path)
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    world.slot(60)
    world.slot(60)
    poll(lambda: world.version.read_text() == "v1\n", within=20)
    assert world.guards() == []
    world.close()


def test_a_flag_flipped_just_before_the_write_does_not_end_the_incident(world):
    world.flip("off", other="off")
    world.slot(0)
    world.flip("on", other="off")
    world.deploy("v2")
    world.slot(60)
    world.at += EVERY
    surveyed = world.survey()
    world.flip("on", other="on")
    world.engine.cycle(Batch(world.at, surveyed, {"shop": (served(world.at, 60),)}))
    world.rest()
    for _ in range(4):
        world.slot(60)
    assert world.version.read_text() == "v1\n"


def test_a_ladder_of_overlapping_flag_scopes_climbs_to_the_revert(tmp_path):
    narrow = FlagsRung("flagd:flags/flags:new-checkout")
    wide = FlagsRung(FLAGS, always=True, only_changed=False)
    world = World(tmp_path, replace(SHOP_POLICY, ladder=(narrow, wide, RevertRung(SHOP))))
    world.slot(0)
    world.good("v1")
    world.flip("on")
    world.deploy("v2")
    for _ in range(5):
        world.slot(60)
    assert world.version.read_text() == "v1\n"
    world.close()


def test_first_sight_of_a_target_that_names_its_change_but_not_when_is_no_change(tmp_path):
    world = World(tmp_path)
    script(tmp_path / "describe.sh", f'v=$(cat {tmp_path}/version); printf \'{{"revision":"%s","change":"c-%s"}}\' $v $v')
    described = CommandSpec((str(tmp_path / "describe.sh"),), (str(tmp_path / "apply.sh"), "{revision}"), settle=timedelta(0))
    world.targets["command"] = Command({"shop": described})
    world.good("v0")
    for _ in range(3):
        world.slot(60)
    assert world.kinds() == []
    world.close()


def test_a_version_that_comes_back_over_pods_that_outlived_the_rollout_is_ready_once_it_began(world):
    before = world.at
    world.deploy("v3")
    world.at += timedelta(minutes=1)
    survey = world.survey()
    states = {key: replace(state, ready=before - timedelta(hours=1)) for key, state in survey.states.items()}
    (seen,) = world.engine.book.take(replace(survey, states=states), ())
    assert (seen.change.revision, seen.change.started_early, seen.change.ready) == ("v3", before, before)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(r'{"revision": "v1\ud800"}', id="half-a-character"),
        pytest.param('{"revision": ' + 30_000 * "[", id="too-deep"),
        pytest.param('{"revision": "v3", "started": "0001-01-01T00:00:00+14:00"}', id="before-the-calendar"),
        pytest.param('{"revision": "v3", "started": "9999-12-31T23:59:59-14:00"}', id="beyond-the-calendar"),
    ],
)
def test_what_one_target_says_wrongly_keeps_no_other_from_being_judged(tmp_path, said):
    world = two_targets(tmp_path, A, B)
    (tmp_path / "a").write_text(said)
    for _ in range(3):
        world.slot(60, policies=("b",))
    assert [incident.target for incident in world.store.open_incidents()] == ["command:b"]
    assert "'describe' of command:a" in world.engine.book.sightings["command:a"].fault
    world.close()


# --- evidence of before ------------------------------------------------------------------------------------------------------------------


def test_after_the_recovery_the_bad_requests_of_before_tell_nobody_anything(world):
    world.deploy("v2")
    world.slot(600)
    world.slot(600)
    for _ in range(5):
        world.slot(0)
    told = world.titles()
    for _ in range(10):
        world.slot(0)
    assert world.titles() == told


def test_watch_always_does_not_act_on_the_evidence_of_before_its_rollback(tmp_path):
    always = replace(SHOP_POLICY, watch=None, ladder=(RevertRung(SHOP, always=True),))
    world = World(tmp_path, always, settings=Settings(limits=Limits(cooldown=timedelta(0))))
    world.slot(0)
    world.good("v0", "v1")
    world.deploy("v2")
    world.slot(600)
    world.slot(600)
    for _ in range(12):
        world.slot(0)
    assert (tmp_path / "applied").read_text() == "v1\n"
    world.close()


def test_who_undoes_our_write_before_any_look_saw_it_is_found_at_the_next_look(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, ladder=(RevertRung(SHOP),)))
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    world.slot(0)
    world.slot(60)
    assert world.version.read_text() == "v1\n"
    world.deploy("v2")
    world.slot(60)
    assert world.guards() == ["other-writer"]
    world.close()


def test_a_look_from_before_the_write_of_a_replica_whose_clock_is_late_is_no_other_writer(tmp_path):
    policy = replace(SHOP_POLICY, ladder=(RevertRung(SHOP),))
    world = World(tmp_path, policy)
    store = Store.open(f"sqlite:///{tmp_path}/rollbackd.db", "test-1", lambda: world.at)
    ahead = World(tmp_path, policy, store=store)
    world.slot(0)
    world.good("v1")
    world.deploy("v2")
    world.slot(0)
    ahead.at = world.at
    ahead.slot(0)
    ahead.at += 4 * SECOND
    before = ahead.survey()
    world.slot(60)  # it reverts, within that survey
    assert world.version.read_text() == "v1\n"
    ahead.engine.cycle(Batch(ahead.at, before, {"shop": (served(ahead.at, 0),)}))
    for _ in range(5):
        world.slot(0)
    assert (world.guards(), world.kinds()[-1]) == ([], "incident.closed")
    ahead.close()
    world.close()


# --- what is known good, and for how long -------------------------------------------------------------------------------------------------


def test_a_revision_that_served_for_eight_days_is_still_known_good(tmp_path):
    world = World(tmp_path, replace(SHOP_POLICY, timing=replace(TIMING, bake=3 * EVERY)))
    for _ in range(5):
        world.slot(0)
    for _ in range(8 * 24):
        world.at += HOUR - EVERY
        world.slot(0)
    world.deploy("v2")
    world.slot(600)
    world.slot(600)
    assert world.version.read_text() == "v1\n"
    world.close()


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.AUTO])
def test_what_one_policy_proves_bad_does_not_become_known_good_by_another_unless_that_one_is_on_trial(tmp_path, mode):
    timing = replace(TIMING, bake=5 * MINUTE)
    shop = replace(SHOP_POLICY, timing=timing, ladder=(RevertRung(SHOP),), mode=mode)
    world = World(tmp_path, shop, replace(shop, name="memory", digest="memory", mode=Mode.AUTO))

    def slot(bad):
        world.at += EVERY
        world.engine.cycle(Batch(world.at, world.survey(), {"shop": (served(world.at, bad),), "memory": (served(world.at, 0),)}))
        world.rest()

    slot(0)
    world.deploy("v2")
    slot(0)
    for _ in range(60):
        slot(60)
    good = [(known.revision, known.standing) for known in world.store.ledger(SHOP)]
    assert good == ([("v2", Standing.GOOD)] if mode is Mode.OBSERVE else [])
    world.close()


def test_a_target_in_breach_does_not_become_known_good_by_the_health_of_another(tmp_path):
    timing, cart = replace(TIMING, bake=5 * MINUTE), "command:cart"
    shop = replace(SHOP_POLICY, timing=timing, ladder=(RevertRung(SHOP), RevertRung(cart)))
    watching = replace(shop, name="cart", digest="cart", target=cart, mode=Mode.OBSERVE, ladder=(RevertRung(cart),))
    world = World(tmp_path, shop)
    (tmp_path / "cart").write_text("c1\n")
    world.targets["command"] = Command({"shop": command(tmp_path), "cart": command(tmp_path, "cart")})
    world.engine.adopt((shop, watching))
    for _ in range(60):
        world.at += EVERY
        world.engine.cycle(Batch(world.at, world.survey(), {"shop": (served(world.at, 0),), "cart": (served(world.at, 60),)}))
        world.rest()
    assert [(known.revision, known.standing) for known in world.store.ledger(SHOP)] == [("v1", Standing.GOOD)]
    assert world.store.ledger(cart) == ()
    world.close()


def test_after_a_restart_past_slots_are_no_bake_of_a_release_made_meanwhile(tmp_path):
    policy = replace(SHOP_POLICY, timing=replace(TIMING, bake=4 * MINUTE))
    before = World(tmp_path, policy)
    before.slot(0)
    before.deploy("v2")
    before.slot(0)
    before.close()
    world = World(tmp_path, policy, at=before.at + EVERY)
    past = Past({"shop": 1})
    for at in (world.at - n * EVERY for n in range(30, 0, -1)):
        past.add(at, [served(at, 0)])
    world.engine.cycle(Batch(world.at, world.survey(), {"shop": (served(world.at, 0),)}, past))
    world.rest()
    assert world.store.ledger(SHOP) == ()
    world.close()


def test_a_quarantined_revision_is_paged_though_the_daemon_was_killed_after_seeing_it(tmp_path):
    seeing = World(tmp_path)
    seeing.slot(0)
    with seeing.store.transaction() as tx:
        tx.mark(SHOP, "v2", Standing.QUARANTINED, How.ROLLED_BACK, seeing.at)
    seeing.deploy("v2")
    seeing.at += EVERY
    seeing.engine.book.take(seeing.survey(), ())  # and nothing after it
    seeing.close()
    world = World(tmp_path, at=seeing.at)
    for _ in range(3):
        world.slot(0)
    assert ["rolled back before" in title for title in world.titles()] == [True]
    world.close()


def test_the_book_holds_no_changes_beyond_its_horizon(tmp_path):
    month = World(tmp_path)
    month.slot(0)
    begin = month.at - timedelta(days=30)
    with month.store.transaction() as tx:
        for n in range(300):
            at = begin + n * MINUTE
            tx.see_change(SeenChange(Change(FLAGS, f"f{n}", f"f{n}", f"f{n - 1}", at, at, at)))
    month.close()
    world = World(tmp_path, at=month.at)
    loaded = len(world.engine.book.of([FLAGS]))
    world.engine.book.refresh()
    assert len(world.engine.book.of([FLAGS])) <= loaded + 2
    world.close()


def post_twice(world, irreversible):
    """A pipeline's change of before the next release, which is said to be irreversible only after a slot has seen it."""
    posted = Change(SHOP, "posted:42", "42", None, world.at, world.at, world.at, posted=True)
    with world.store.transaction() as tx:
        tx.see_change(SeenChange(posted))
    world.slot(0)
    with world.store.transaction() as tx:
        tx.see_change(SeenChange(replace(posted, irreversible=irreversible)))


def test_a_posted_change_that_is_posted_again_as_irreversible_keeps_the_running_daemon_from_reverting_across_it(world):
    post_twice(world, "migrates orders")
    world.at += 50 * MINUTE
    world.slot(0)
    world.deploy("v2")
    for _ in range(12):
        world.slot(120)
    assert world.version.read_text() == "v2\n"


def test_another_replica_learns_what_became_irreversible_and_nothing_twice(world, tmp_path):
    other = World(tmp_path, at=world.at)
    post_twice(world, "migrates orders")
    other.engine.book.refresh()
    (known,) = other.engine.book.of([SHOP])
    assert known.irreversible == "migrates orders"
    assert other.store.made_irreversible(other.store.made_irreversible(0)[0])[1] == ()
    other.close()
