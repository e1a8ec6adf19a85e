"""Fleets on the whole core: members come and go with their labels, a doubtful roster changes nothing, and each member is a target like any other."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.source import Answer
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.notify.roster_news import RosterNews
from rollbackd.controller.observe.membership import Membership
from rollbackd.controller.observe.readings import Observer, SourceHealth
from rollbackd.policies.fleets.members import members
from rollbackd.policies.fleets.policy import Expected, Selection, Workload
from rollbackd.policies.model.policy import Mode
from rollbackd.policies.model.readings import Reading
from rollbackd.policies.model.signals import Gauge, Ratio, Selector
from tests.controller.fleets import CONDITION, FLEET, TEMPLATE, FleetWorld
from tests.controller.test_observe import Literal
from tests.controller.world import EVERY, SHOP_POLICY, served
from tests.policies.literals import MINUTE, SECOND, T0, no_data

DOWN = Transient("no answer to list deployments in all namespaces of cluster default (ConnectTimeoutError).")
CROWD = tuple(f"w{number}" for number in range(2000))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetWorld]:
    """Two members, healthy a slot ago and known to be good."""
    fleet = FleetWorld(tmp_path, "cart", "checkout")
    fleet.membership.refresh()
    fleet.slot(well)
    fleet.good("cart", "checkout")
    yield fleet
    fleet.close()


def well(name: str, at: datetime) -> Reading:
    return served(at, 0)


def checkout_fails(name: str, at: datetime) -> Reading:
    return served(at, 60 if name.endswith("/checkout") else 0)


# --- each member is a target like any other --------------------------------------------------------------------------------------------------


def test_the_member_whose_release_is_bad_is_put_back_and_its_neighbour_is_left_alone(fleet):
    fleet.deploy("cart", "v2")
    fleet.deploy("checkout", "v2")
    for _ in range(2):
        fleet.slot(checkout_fails)
    assert (fleet.version("checkout"), fleet.version("cart")) == ("v1", "v2")


def test_the_incident_of_a_member_carries_the_members_name(fleet):
    fleet.deploy("checkout", "v2")
    for _ in range(2):
        fleet.slot(checkout_fails)
    (incident,) = fleet.world.incidents()
    assert (incident.target, incident.policy) == ("command:checkout", "web/shop/checkout")


def test_a_member_whose_mode_is_lowered_is_only_observed(fleet):
    fleet.listing.shows("cart", "checkout", mode="observe")
    fleet.membership.refresh()
    fleet.deploy("checkout", "v2")
    for _ in range(3):
        fleet.slot(checkout_fails)
    assert (fleet.version("checkout"), fleet.world.incidents()) == ("v2", ())


@pytest.mark.parametrize("how_many", [2, 200])
def test_two_signals_are_two_questions_however_many_members_there_are(how_many):
    conditions = (
        replace(CONDITION, signal=Ratio(Selector("bad_total"), Selector("all_total"))),
        replace(CONDITION, name="memory", signal=Gauge(Selector("memory"))),
    )
    policy = replace(FLEET, template=replace(TEMPLATE, conditions=conditions))
    found = members(policy, [Workload("shop", f"w{number}") for number in range(how_many)], {}, None)
    source = Literal(Answer({}))
    observer = Observer({"prometheus": source}, lambda _: None)
    observer.read([each.policy for each in found if each.policy is not None], T0)
    observer.close()
    assert [len(asked.only) for asked in source.asked] == [how_many, how_many]


OWNED = replace(
    FLEET,
    template=replace(TEMPLATE, conditions=(replace(CONDITION, name="payments", from_library=False),), notify=("platform",)),
    owner="team",
)


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[FleetWorld]:
    """Three members of the team payments, judged by a signal of the policy's own."""
    fleet = FleetWorld(tmp_path, "a", "b", "c", fleets=(OWNED,))
    fleet.listing.shows("a", "b", "c", labels={"team": "payments"})
    fleet.membership.refresh()
    yield fleet
    fleet.close()


def test_a_signal_that_no_member_ever_had_is_one_page_to_the_fallback_and_not_one_for_each(owned):
    for _ in range(4):
        owned.slot(lambda name, at: no_data(at))
        owned.world.at += 5 * MINUTE
    assert owned.world.titles() == ["fleet web: condition payments never had any data; first seen at command:a"]
    assert owned.world.contacts() == {"platform"}


def test_a_source_that_is_blind_is_a_page_to_the_fallback_and_not_to_every_owner(owned):
    blind = {"prometheus": SourceHealth(T0, "refused")}
    for _ in range(2):
        owned.world.at += 6 * MINUTE
        owned.world.engine.cycle(Batch(owned.world.at, owned.world.survey(), {}, health=blind))
    assert owned.world.contacts() == {"platform"}


# --- two policies on one target --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def twice(tmp_path: Path) -> Iterator[FleetWorld]:
    """``checkout`` under two fleets that tell different people; its bad release was put back, and all is well."""
    second = replace(FLEET, template=replace(TEMPLATE, name="all", digest="all", notify=("platform",)), digest="all")
    fleet = FleetWorld(tmp_path, "checkout", fleets=(FLEET, second))
    fleet.membership.refresh()
    fleet.slot(well)
    fleet.good("checkout")
    fleet.deploy("checkout", "v2")
    for _ in range(9):
        fleet.slot(lambda name, at: served(at, 60 if fleet.version("checkout") == "v2" else 0))
    yield fleet
    fleet.close()


def test_two_fleets_on_one_target_are_one_incident_with_one_write(twice):
    kinds = ["incident.closed", "incident.joined", "incident.opened", "rung.applied", "rung.intended", "rung.settled"]
    assert sorted(twice.world.kinds()) == kinds
    assert (twice.folder / "applied").read_text() == "v1\n"


def test_two_fleets_on_one_target_are_one_message_of_a_kind_to_everybody(twice):
    told = twice.world.told()
    assert len(told) == len(set(told))
    assert [contact for contact, kind in told if kind == "started"].count("oncall") == 1
    assert {contact for contact, kind in told if kind == "recovered"} == {"oncall", "platform"}


def test_a_policy_of_its_own_wins_as_soon_as_it_is_there_and_the_fleet_has_it_back_when_it_goes(fleet):
    own = replace(SHOP_POLICY, name="mine", target="command:checkout", ladder=())
    fleet.membership.take((own,), (FLEET,))
    assert fleet.members() == ["mine", "web/shop/cart"]
    fleet.membership.take((), (FLEET,))
    assert fleet.members() == ["web/shop/cart", "web/shop/checkout"]


def test_a_policy_of_its_own_that_could_not_be_loaded_keeps_the_fleet_away_too(fleet):
    fleet.membership.take((), (FLEET,), {"command:checkout": "mine"})
    assert fleet.members() == ["web/shop/cart"]
    assert [member.own for member in fleet.standing().members] == [None, "mine (not loaded: its file has faults)"]


# --- members come and go -----------------------------------------------------------------------------------------------------------------------


def test_a_workload_is_watched_once_it_carries_the_label_and_no_longer_without_it(fleet):
    fleet.listing.shows("cart", "checkout", "search")
    fleet.membership.refresh()
    assert fleet.members() == ["web/shop/cart", "web/shop/checkout", "web/shop/search"]
    fleet.listing.shows("checkout", "search")
    fleet.membership.refresh()
    assert fleet.members() == ["web/shop/checkout", "web/shop/search"]


def test_a_member_that_stays_keeps_its_memory_when_others_come(fleet):
    before = fleet.world.engine.standings["web/shop/cart"]
    fleet.listing.shows("cart", "checkout", "search")
    fleet.membership.refresh()
    assert fleet.world.engine.standings["web/shop/cart"] is before


def test_a_member_that_opts_out_is_not_watched_any_more(fleet):
    fleet.listing.shows("cart", "checkout", opt_out="true")
    fleet.membership.refresh()
    assert fleet.members() == []


def test_only_what_the_selector_says_is_asked_for(tmp_path):
    chosen = replace(FLEET, select=Selection("eu", (("rollback", "on"), ("tier", "web")), ("outlet", "shop")))
    fleet = FleetWorld(tmp_path, "cart", fleets=(chosen,))
    fleet.membership.refresh()
    fleet.close()
    assert fleet.listing.asked == [("eu", {"rollback": "on", "tier": "web"}, ("outlet", "shop"))]


def test_a_fleet_policy_that_changes_holds_at_once_for_the_members_that_are_known(fleet):
    asked = len(fleet.listing.asked)
    fleet.membership.take((), (replace(FLEET, template=replace(TEMPLATE, mode=Mode.SUGGEST, digest="2"), digest="2"),))
    assert {policy.mode for policy in fleet.world.engine.policies.values()} == {Mode.SUGGEST}
    assert len(fleet.listing.asked) == asked


def test_members_of_another_selector_are_no_members(fleet):
    fleet.membership.take((), (replace(FLEET, select=Selection("default", (("tier", "web"),))),))
    assert fleet.members() == []


# --- rosters that are most likely a mistake ------------------------------------------------------------------------------------------------------


def test_a_selector_that_suddenly_matches_2000_watches_nobody_new_and_takes_nobody_away(fleet):
    fleet.listing.shows("cart", *CROWD)
    fleet.membership.refresh()
    assert fleet.members() == ["web/shop/cart", "web/shop/checkout"]


def test_a_selector_that_suddenly_matches_2000_is_one_page_and_one_message_when_it_is_over(fleet):
    fleet.listing.shows(*CROWD)
    for _ in range(3):
        fleet.membership.refresh()
    page = "NO ACTION TAKEN: fleet web: its selector matches 2,000, expected at most 400: nothing new is watched"
    assert fleet.world.titles() == [page]
    fleet.listing.shows("cart", "checkout")
    for _ in range(3):
        fleet.membership.refresh()
    assert fleet.world.titles() == [page, "fleet web: its roster is as expected again, 2 are watched"]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_fleet_that_is_gone_from_the_files_is_off_the_pager(fleet, is_restarted):
    fleet.listing.shows(*CROWD)
    fleet.membership.refresh()
    if is_restarted:  # a page of its own: nobody knows who was watched
        fleet.membership.take((), ())
        fleet.membership.take((), (FLEET,))
        fleet.membership.refresh()
    pages = fleet.world.titles()
    fleet.membership.take((), ())
    for _ in range(2):
        fleet.membership.refresh()
    assert fleet.world.titles()[len(pages) :] == ["fleet web is watched no more"] * len(pages)


def test_a_roster_that_several_replicas_do_not_believe_is_one_page(fleet):
    others = []
    for _ in range(2):
        tell = RosterNews(fleet.world.store, lambda: None).tell
        others.append(Membership(fleet.listing, frozenset({"platform", "payments"}), lambda: fleet.world.at, lambda policies, unread: None, tell))
        others[-1].take((), (FLEET,))
        others[-1].refresh()
    fleet.listing.shows(*CROWD)
    for replica in (fleet.membership, *others):
        fleet.world.at += 9 * SECOND
        replica.refresh()
    assert len(fleet.world.titles()) == 1


def test_what_a_doubtful_roster_holds_is_never_acted_on(fleet):
    fleet.listing.shows("cart", "checkout", *CROWD)
    fleet.membership.refresh()
    fleet.deploy("checkout", "v2")
    for _ in range(2):
        fleet.slot(lambda name, at: served(at, 60 if name.endswith("/checkout") else 0))
    assert fleet.version("checkout") == "v1"
    assert {incident.target for incident in fleet.world.incidents()} == {"command:checkout"}


def test_an_opt_out_counts_even_where_the_roster_is_doubtful(fleet):
    fleet.listing.shows("checkout", *CROWD, opt_out="true")
    fleet.membership.refresh()
    assert fleet.members() == ["web/shop/cart"]


def test_at_the_first_start_a_doubtful_roster_watches_nobody_and_pages_once(tmp_path):
    fleet = FleetWorld(tmp_path, "cart", fleets=(replace(FLEET, expect=Expected(2, 400)),))
    for _ in range(3):
        fleet.membership.refresh()
    titles, names = fleet.world.titles(), fleet.members()
    fleet.close()
    assert titles == ["NO ACTION TAKEN: fleet web: its selector matches 1, expected at least 2: nothing of it is watched"]
    assert names == []


def test_a_selector_that_matches_nothing_never_means_all_and_never_means_none(fleet):
    fleet.listing.shows()
    fleet.membership.refresh()
    assert fleet.members() == ["web/shop/cart", "web/shop/checkout"]
    assert fleet.standing().doubt == "its selector matches 0, expected at least 1"


@pytest.fixture
def shrunk(tmp_path: Path) -> Iterator[FleetWorld]:
    """Of five members two are found."""
    fleet = FleetWorld(tmp_path, "a", "b", "c", "d", "e")
    fleet.membership.refresh()
    fleet.listing.shows("a", "b")
    fleet.membership.refresh()
    yield fleet
    fleet.close()


def test_a_roster_that_shrinks_by_more_than_half_is_held_back(shrunk):
    assert len(shrunk.members()) == 5
    assert shrunk.standing().doubt == "its selector matches 2, and matched 5 before"


def test_a_roster_that_shrank_is_believed_when_it_is_confirmed_twice(shrunk):
    shrunk.membership.refresh(confirm=True)
    assert len(shrunk.members()) == 5
    shrunk.membership.refresh()
    shrunk.membership.refresh(confirm=True)
    assert shrunk.members() == ["web/shop/a", "web/shop/b"]


def test_a_confirmation_counts_only_for_the_roster_that_was_seen(shrunk):
    shrunk.membership.refresh(confirm=True)
    shrunk.listing.shows("a")
    shrunk.membership.refresh(confirm=True)
    assert len(shrunk.members()) == 5


def test_no_confirmation_makes_more_than_the_expected_number_members(fleet):
    fleet.listing.shows(*CROWD)
    for _ in range(3):
        fleet.membership.refresh(confirm=True)
    assert len(fleet.members()) == 2


def test_with_another_expect_the_roster_is_judged_as_at_a_first_start(shrunk):
    shrunk.membership.take((), (replace(FLEET, expect=Expected(2, 3)),))
    assert len(shrunk.members()) == 5
    shrunk.membership.refresh()
    assert shrunk.members() == ["web/shop/a", "web/shop/b"]


# --- a cluster that does not answer ----------------------------------------------------------------------------------------------------------


def test_while_the_cluster_does_not_answer_the_last_members_stay_and_the_standing_says_why(fleet):
    fleet.listing.fault = DOWN
    fleet.membership.refresh()
    assert fleet.members() == ["web/shop/cart", "web/shop/checkout"]
    assert fleet.standing().fault == str(DOWN)


def test_a_cluster_that_does_not_answer_is_asked_once_however_many_fleets_are_in_it(tmp_path):
    second = replace(FLEET, template=replace(TEMPLATE, name="all"), select=Selection("default", (("tier", "web"),)))
    fleet = FleetWorld(tmp_path, "cart", fleets=(FLEET, second))
    fleet.listing.fault = DOWN
    fleet.membership.refresh()
    faults = [standing.fault for standing in fleet.membership.standings()]
    fleet.close()
    assert (len(fleet.listing.asked), faults) == (1, [str(DOWN)] * 2)


def test_people_are_told_of_a_roster_that_is_unread_for_five_minutes_and_when_it_is_read_again(fleet):
    fleet.listing.fault = DOWN
    for minutes in (0, 4, 5, 6):
        fleet.world.at = T0 + minutes * MINUTE
        fleet.membership.refresh()
        assert len(fleet.world.titles()) == (minutes >= 5)
    fleet.listing.fault = None
    fleet.membership.refresh()
    assert fleet.world.titles()[1:] == ["fleet web: its roster is as expected again, 2 are watched"]


def restarted(fleet: FleetWorld, folder: Path) -> FleetWorld:
    """A new process, that finds what the former one found."""
    fleet.close()
    again = FleetWorld(folder, "cart", "checkout")
    again.world.at, again.listing.listed = fleet.world.at, fleet.listing.listed
    return again


NOBODY = "NO ACTION TAKEN: fleet web: its selector matches 2,000, expected at most 400: nothing of it is watched"


def test_a_restart_while_a_roster_is_not_believed_is_one_page_that_nothing_is_watched_any_more_and_all_of_them_end(fleet, tmp_path):
    fleet.listing.shows(*CROWD)
    fleet.membership.refresh()
    for _ in range(2):
        fleet.world.at += MINUTE
        fleet = restarted(fleet, tmp_path)
        fleet.membership.refresh()
        fleet.membership.refresh()
        assert fleet.world.titles()[1:] == [NOBODY]
    fleet.listing.shows("cart", "checkout")
    fleet.membership.refresh()
    titles, keys = fleet.world.titles(), [notice.key for notice in fleet.world.notices()]
    fleet.close()
    assert titles[2:] == ["fleet web: its roster is as expected again, 2 are watched"] * 2
    assert keys[:2] == keys[2:]


def test_a_roster_that_is_well_right_after_the_restart_is_off_the_pager_and_one_that_is_unread_is_not(fleet, tmp_path):
    fleet.listing.shows(*CROWD)
    fleet.membership.refresh()
    again = restarted(fleet, tmp_path)
    again.listing.fault = DOWN
    for minutes in (0, 4):
        again.world.at = fleet.world.at + minutes * MINUTE
        again.membership.refresh()
        assert len(again.world.titles()) == 1
    again.listing.fault = None
    again.listing.shows("cart", "checkout")
    again.membership.refresh()
    titles = again.world.titles()
    again.close()
    assert titles[1:] == ["fleet web: its roster is as expected again, 2 are watched"]


def test_a_roster_that_stays_unread_after_a_restart_is_a_page_that_nothing_of_it_is_watched(fleet, tmp_path):
    again = restarted(fleet, tmp_path)
    again.listing.fault = DOWN
    for minutes in (0, 6, 7):
        again.world.at = fleet.world.at + minutes * MINUTE
        again.membership.refresh()
    (title,) = again.world.titles()
    again.close()
    assert title.endswith("UTC: nothing of it is watched")


def test_an_incident_of_a_member_waits_for_the_roster_after_a_restart(fleet, tmp_path):
    fleet.deploy("checkout", "v2")
    for _ in range(2):
        fleet.slot(checkout_fails)
    (incident,) = fleet.world.incidents()
    fleet.close()
    again = FleetWorld(tmp_path, "cart", "checkout")
    again.world.at = fleet.world.at
    again.listing.fault = DOWN
    again.membership.refresh()
    for _ in range(3):
        again.world.at += EVERY
        again.world.engine.cycle(Batch(again.world.at, again.world.survey(), {}))
    assert [each.phase for each in again.world.incidents()] == [incident.phase]
    again.listing.fault = None
    again.membership.refresh()
    for _ in range(8):
        again.slot(well)
    kinds = again.world.kinds()
    again.close()
    assert ("incident.held" in kinds, kinds[-1]) == (False, "incident.closed")


def test_an_incident_of_a_member_waits_where_the_first_roster_after_a_restart_is_not_believed(fleet, tmp_path):
    fleet.deploy("checkout", "v2")
    for _ in range(2):
        fleet.slot(checkout_fails)
    (incident,) = fleet.world.incidents()
    fleet.listing.shows("cart", "checkout", *CROWD)
    again = restarted(fleet, tmp_path)
    again.membership.refresh()
    again.slot(well)
    phases = [each.phase for each in again.world.incidents()]
    again.close()
    assert phases == [incident.phase]


def test_an_incident_of_a_workload_that_is_no_member_any_more_is_told_to_people(fleet):
    fleet.deploy("checkout", "v2")
    for _ in range(2):
        fleet.slot(checkout_fails)
    fleet.listing.shows("cart")
    fleet.membership.refresh()
    fleet.slot(well)
    assert fleet.world.guards() == ["policy-removed"]


def test_an_incident_whose_policy_is_in_a_file_with_faults_waits_for_that_to_be_mended(fleet):
    fleet.deploy("checkout", "v2")
    for _ in range(2):
        fleet.slot(checkout_fails)
    (incident,) = fleet.world.incidents()
    fleet.membership.take((), (), {}, frozenset({"web"}))
    for _ in range(2):
        fleet.world.engine.tend(fleet.world.at)
    assert (fleet.world.guards(), fleet.world.incidents()) == ([], (incident,))
    fleet.membership.take((), ())
    for _ in range(2):
        fleet.world.engine.tend(fleet.world.at)
    assert fleet.world.guards() == ["policy-removed"]


def test_a_page_that_the_store_did_not_take_is_queued_the_next_time(tmp_path):
    fleet = FleetWorld(tmp_path, "cart", patience=0.2 * SECOND)
    fleet.listing.shows(*CROWD)
    with fleet.world.locked():
        fleet.membership.refresh()
    fleet.membership.refresh()
    titles = fleet.world.titles()
    fleet.close()
    assert len(titles) == 1
