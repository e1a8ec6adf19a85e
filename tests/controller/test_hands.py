"""What people decide: plans approved by the people who saw them, orders by hand, undo, acknowledgements. A whole core, real files and commands."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.past import Kept, Past
from rollbackd.adapters.base.target import TargetState
from rollbackd.controller.answers.denied import Denied
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.journal.compaction import LEAST, compact
from rollbackd.controller.journal.values import How, Note, Standing
from rollbackd.controller.people.by_hand import ByHand, Wish
from rollbackd.controller.people.declaring import Declaration, declare
from rollbackd.controller.people.hands import Hands
from rollbackd.policies.known.events import Applied, CloseHow, RungEnd, Settled, Stopped
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import Approvals, FlagsRung, Mode, RevertRung
from tests.controller.served import Said, desk_of
from tests.controller.world import FLAGS, SHOP, SHOP_POLICY, World
from tests.policies.literals import T0, intended, no_data

APPROVING = replace(SHOP_POLICY, digest="approve", mode=Mode.APPROVE, ladder=(RevertRung(SHOP),))
TWO = replace(APPROVING, approvals=Approvals(count=2, within=timedelta(minutes=10)))
ASKED_TWICE = replace(SHOP_POLICY, digest="both", mode=Mode.APPROVE)
APPLIED = Applied("", T0, 0, SHOP, "accepted")
SETTLED = Settled("", T0, 0, SHOP, T0, "complete")
FAILED = Stopped("", T0, 0, SHOP, RungEnd.FAILED, "no such image")
SUGGESTING = replace(APPROVING, digest="suggest", mode=Mode.SUGGEST)


class People:
    """A world with a bad release in it, and what its people can do."""

    def __init__(self, folder, policy=APPROVING, **settings):
        self.world = World(folder, policy, **settings)
        self.desk = desk_of(self.world, Said())
        self.hands = Hands(self.desk)
        self.by_hand = ByHand(self.desk, self.hands)
        self.world.slot(0)
        self.world.good("v1")

    def release(self):
        """v2 is out and bad; returns the incident that it leads to."""
        self.world.deploy("v2")
        for _ in range(3):
            self.world.slot(60)
        return self.incident()

    def incident(self):
        (found,) = self.world.incidents()
        return found

    def approve(self, who="ann", plan=None, **more):
        incident = self.incident()
        answer = self.hands.approve(incident.id, plan or incident.offer.plan_digest[:12], who, more.get("reason", ""), more.get("overrides", ()))
        self.settle()
        return answer

    def wish(self, plan, rung=1, **more):
        return Wish(rung, plan, "ann", "customers say so", more.get("overrides", ()))

    def rollback(self, rung=1, **more):
        plan = next(each for each in self.desk.plan("shop").rungs if each.number == rung)
        if overtaken := more.get("overtaken"):
            self.meanwhile(*overtaken)
        answer = self.by_hand.rollback("shop", self.wish(plan.digest, rung, **more))
        self.settle()
        return answer

    def undo(self, incident, **more):
        (rung,) = self.by_hand.undo_plan(incident).rungs
        answer = self.by_hand.undo(incident, self.wish(rung.digest, rung.number, **more))
        self.settle()
        return answer

    def settle(self):
        """The engine does what it was woken for."""
        self.world.engine.decide_again(SHOP)
        self.world.rest()

    def second_plan(self):
        """The incident, whose first rung put a flag back and whose second waits for people."""
        self.world.flip("on")
        self.release()
        self.approve()
        for _ in range(2):
            self.world.slot(60)
        assert self.incident().phase is Phase.AWAITING
        return self.incident()

    def meanwhile(self, rung, target, *after):
        """Once the targets were asked, another replica begins this rung of the incident, and ``after`` comes of it."""
        incident, unhindered = self.incident().id, self.desk.now

        def overtaken():
            self.desk.now = unhindered
            begun = replace(intended(rung, self.world.at, target), incident=incident)
            with self.world.store.transaction() as tx:
                tx.claim(begun, "test-1", Limits())
                for row in after:
                    tx.record(replace(row, incident=incident, at=self.world.at, rung=rung, target=target))
            return unhindered()

        self.desk.now = overtaken

    def before_it_is_written(self, happens):
        """Between a decision's look at the incident and its row, this happens."""
        unhindered = self.desk.now

        def overtaken():
            self.desk.now = unhindered
            happens()
            return unhindered()

        self.desk.now = overtaken

    def flag(self):
        return self.world.flag()

    def version(self):
        return self.world.version.read_text().strip()

    def healthy(self):
        for _ in range(5):
            self.world.slot(0)


@pytest.fixture
def people(tmp_path):
    made = []

    def make(policy=APPROVING, **settings):
        made.append(People(tmp_path, policy, **settings))
        return made[-1]

    yield make
    for each in made:
        each.world.close()


# --- approvals -----------------------------------------------------------------------------------------------------------------------


def test_a_plan_waits_for_people_and_nothing_is_written(people):
    here = people()
    incident = here.release()
    assert (incident.phase, here.version()) == (Phase.AWAITING, "v2")
    assert [title[:15] for title in here.world.titles()] == ["APPROVAL NEEDED"]


def test_an_approved_plan_is_carried_out_and_verified(people):
    here = people()
    here.release()
    said = here.approve().said
    assert here.version() == "v1"
    assert "1 of 1 approvals: it is carried out now" in said
    here.healthy()
    assert not here.world.incidents()
    assert [title.split()[0] for title in here.world.titles()] == ["APPROVAL", "STARTED", "ROLLED"]


def test_two_approvals_are_of_two_people(people):
    here = people(TWO)
    here.release()
    here.approve("ann")
    again = here.approve("ann")
    assert (again.was_changed, here.version()) == (False, "v2")
    here.approve("bob")
    assert here.version() == "v1"
    assert here.incident().intent.by == ("ann", "bob")


def test_who_approves_what_was_approved_a_moment_before_hears_that_it_is_carried_out(people):
    here = people()
    incident = here.release()
    plan = incident.offer.plan_digest[:12]
    here.before_it_is_written(here.approve)
    said = here.hands.approve(incident.id, plan, "bob", "")
    told = "it was approved already and is being carried out (verifying): rollbackd explain command:shop"
    assert (said.was_changed, said.said, here.version()) == (False, told, "v1")
    assert here.hands.approve(incident.id, plan, "eve", "").said == told
    assert here.world.kinds().count("rung.approved") == 1


def test_a_rejection_that_comes_a_moment_after_the_approval_decides_nothing(people):
    here = people()
    incident = here.release()
    here.before_it_is_written(here.approve)
    with pytest.raises(Denied, match=r"does not wait for people any more: inc-.* is verifying; nothing was decided"):
        here.hands.reject(incident.id, incident.offer.plan_digest[:12], "bob", "it is the database")
    assert (here.incident().phase, here.version()) == (Phase.VERIFYING, "v1")


def test_an_approval_for_another_plan_decides_nothing_and_is_on_record(people):
    here = people()
    here.release()
    with pytest.raises(Denied, match=r"is not the plan that inc-.* waits with") as denied:
        here.approve(plan="0" * 12)
    assert denied.value.why == "blocked"
    assert here.version() == "v2"
    assert here.world.kinds()[-1] == "approval.refused"


def test_a_plan_is_not_named_by_a_few_digits(people):
    here = people()
    incident = here.release()
    with pytest.raises(Denied, match="is not the plan"):
        here.approve(plan=incident.offer.plan_digest[:7])


def test_a_plan_that_changed_after_it_was_shown_is_put_to_people_anew(people):
    here = people()
    first = here.release().offer
    here.world.at += timedelta(seconds=1)
    here.world.good("v0")  # served later than v1: the plan would go there now
    here.approve()
    assert here.version() == "v2"
    second = here.incident().offer
    assert (second.to_revision, first.to_revision) == ("v0", "v1")
    here.approve()
    assert here.version() == "v0"


def test_an_approval_after_its_time_is_refused_and_the_incident_is_held(people):
    here = people(TWO)
    here.release()
    here.approve("ann")
    here.world.at += timedelta(minutes=11)
    with pytest.raises(Denied, match="its time is up"):
        here.approve("bob")
    here.world.slot(60)
    assert (here.incident().phase, here.incident().held.guard) == (Phase.HELD, "approval")
    assert here.version() == "v2"


def test_an_approval_waits_for_a_breach_that_is_proven_now(people):
    here = people()
    here.release()
    here.world.read(no_data)
    here.approve()
    assert here.version() == "v2"
    here.world.slot(60)
    assert here.version() == "v1"


def test_a_recovery_ends_the_wait(people):
    here = people()
    here.release()
    for _ in range(40):  # until the bad minutes have left the window
        here.world.slot(0)
    assert not here.world.incidents()
    assert here.version() == "v2"


def test_a_rejected_plan_is_held_and_people_are_told(people):
    here = people()
    incident = here.release()
    here.hands.reject(incident.id, incident.offer.plan_digest[:12], "bob", "it is the database")
    here.settle()
    assert (here.incident().phase, here.incident().held.guard) == (Phase.HELD, "rejected")
    with pytest.raises(Denied, match="no plan of it waits"):
        here.hands.approve(incident.id, incident.offer.plan_digest[:12], "ann", "")
    assert "held by rejected: bob rejected plan" in here.world.titles()[-1]
    assert here.version() == "v2"


def test_a_paused_daemon_takes_no_approval_and_no_override_passes_the_pause(people):
    here = people()
    here.release()
    here.world.pause.pause("db move", "eve", here.world.at)
    with pytest.raises(Denied, match="held by pause"):
        here.approve()
    with pytest.raises(Denied, match="the guard 'pause' is never passed"):
        here.approve(overrides=("pause",), reason="I insist")
    assert here.version() == "v2"


def test_an_override_names_a_guard_that_there_is_and_says_why(people):
    here = people()
    here.release()
    with pytest.raises(Denied, match="there is no guard 'luck'"):
        here.approve(overrides=("luck",), reason="why not")
    with pytest.raises(Denied, match="only with a reason"):
        here.approve(overrides=("cool-down",))
    with pytest.raises(Denied, match="'cool-down,per-hour' is no name of one guard") as denied:
        here.approve(overrides=("cool-down,per-hour",), reason="why not")
    assert denied.value.hint == "give --override once for each"


def test_an_approval_that_guards_hold_back_is_told_the_whole_command(people):
    here = people()
    incident = here.release()
    plan = incident.offer.plan_digest[:12]
    with here.world.store.transaction() as tx:
        tx.mark(SHOP, "v2", Standing.QUARANTINED, How.ROLLED_BACK, here.world.at)
    with pytest.raises(Denied, match="held by quarantine") as denied:
        here.approve()
    assert denied.value.hint == f"to do it all the same: rollbackd approve {incident.id} --plan {plan} --reason why --override quarantine"


def test_the_next_rung_is_put_to_people_too(people):
    here = people(ASKED_TWICE)
    here.second_plan()
    assert (here.flag(), here.version()) == ("off", "v2")
    here.approve()
    assert here.version() == "v1"


# --- taken, labelled -------------------------------------------------------------------------------------------------------------------


def test_an_incident_that_is_taken_begins_nothing_more_by_itself(people):
    here = people(replace(SHOP_POLICY, digest="auto"))
    here.world.flip("on")
    here.world.deploy("v2")
    for _ in range(2):
        here.world.slot(60)
    assert here.world.flag() == "off"
    here.hands.ack(here.incident().id, "ann", "on it", close=False)
    for _ in range(3):
        here.world.slot(60)
    assert (here.version(), here.world.guards()) == ("v2", ["acknowledged"])
    assert "ACKNOWLEDGED command:shop: ann has taken" in " ".join(here.world.titles())


def test_that_an_incident_is_taken_reaches_whoever_is_still_called_for_it(people):
    here = people()
    incident = here.release()
    notice = here.world.notices()[-1]
    with here.world.store.transaction() as tx:
        tx.queue(notice, ("platform",))  # the fallback, where oncall could not be told
    here.hands.ack(incident.id, "ann", "on it", close=False)
    assert [contact for contact, kind in here.world.told() if kind == "acked"] == ["oncall", "platform"]


def test_closing_by_hand_reaches_whoever_was_told_of_the_incident(people):
    here = people()
    incident = here.release()
    notice = here.world.notices()[-1]
    with here.world.store.transaction() as tx:
        tx.queue(notice, ("other-team",))  # joined once, and gone since
    here.hands.ack(incident.id, "ann", "load test", close=True)
    assert [contact for contact, kind in here.world.told() if kind == "acked"][-2:] == ["oncall", "other-team"]
    assert here.world.notices()[-1].resolved


def test_an_incident_may_be_closed_by_hand(people):
    here = people()
    incident = here.release()
    here.hands.ack(incident.id, "ann", "load test", close=True)
    assert not here.world.incidents()
    with pytest.raises(Denied, match="was closed at"):
        here.hands.ack(incident.id, "ann", "", close=False)


def test_an_incident_is_not_closed_by_hand_once_a_step_was_claimed_in_that_moment(people):
    here = people()
    incident = here.release()
    here.meanwhile(0, "command:shop")
    with pytest.raises(Denied, match=r"inc-.* is acting: what is under way has to end first"):
        here.hands.ack(incident.id, "ann", "we fix forward", close=True)
    assert here.incident().acked is None


def test_a_label_is_kept_for_a_closed_incident_too(people):
    here = people()
    incident = here.release()
    here.hands.ack(incident.id, "ann", "", close=True)
    here.hands.label(incident.id, "wrong", "ann", "load test")
    (row,) = here.desk.history(incident.id, 1).items
    assert (row.kind, row.text) == ("incident.labelled", "wrong, by ann: load test")


def test_an_incident_that_there_is_not_is_named(people):
    here = people()
    for ask in (lambda: here.hands.label("inc-nope", "right", "ann", ""), lambda: here.desk.history("inc-nope", 1)):
        with pytest.raises(Denied, match="there is no incident 'inc-nope'"):
            ask()


def test_of_an_incident_that_was_moved_away_its_end_is_said_and_where_its_story_is(people, tmp_path):
    here = people()
    incident = here.release()
    here.hands.ack(incident.id, "ann", "", close=True)
    store = here.world.store
    closed = store.closed_at(incident.id)
    here.world.at = closed + timedelta(days=31)
    with store.transaction() as tx:
        tx.note(Note("daemon.resumed", here.world.at), "resumed")  # the newest row always stays
    compact(store, LEAST, tmp_path / "old.jsonl")
    for ask in (lambda: here.hands.label(incident.id, "right", "ann", ""), lambda: here.desk.history(incident.id, 1)):
        with pytest.raises(Denied, match=f"{closed:%Y-%m-%d %H:%M:%S} UTC, was moved into a file") as denied:
            ask()
        assert denied.value.hint == f"read it there: zgrep {incident.id} FILE"


# --- declared --------------------------------------------------------------------------------------------------------------------------------


class Keeping:
    """A target that keeps revisions from before the daemon looked at it for the first time; or says why it cannot be read."""

    def __init__(self, fault=None):
        self.fault = fault

    def survey(self, keys):
        return {key: self.fault or TargetState(key, "v1") for key in keys}

    def past(self, key):
        return Past((Kept("v0", 1, T0), Kept("v1", 2, T0)), "v1")


def test_what_the_target_itself_keeps_was_seen(people):
    here = people()
    here.desk.targets = {"command": Keeping()}
    assert declare(here.desk, Declaration(SHOP, "v0", Standing.GOOD, "ann")).warning is None
    with pytest.raises(Denied, match=r"v11 was never seen on command:shop \(seen: v1, v0\)") as denied:
        declare(here.desk, Declaration(SHOP, "v11", Standing.GOOD, "ann"))
    assert denied.value.why == "unknown"


def test_a_target_that_cannot_be_read_shows_nothing_and_the_journal_is_believed(people):
    here = people()
    here.desk.targets = {"command": Keeping(Transient("no answer"))}
    assert declare(here.desk, Declaration(SHOP, "v1", Standing.GOOD, "ann")).warning is None
    with pytest.raises(Denied, match="v0 was never seen"):
        declare(here.desk, Declaration(SHOP, "v0", Standing.GOOD, "ann"))


# --- orders ------------------------------------------------------------------------------------------------------------------------------


def test_a_rollback_by_hand_needs_no_proof_and_is_verified_all_the_same(people):
    here = people()
    here.world.deploy("v2")
    here.world.slot(0)
    ordered = here.rollback()
    assert here.version() == "v1"
    incident = here.world.store.incident(ordered.incident)
    assert incident.suspects
    assert incident.suspects == incident.known  # by any other change that is dated about then, somebody else was at work
    here.healthy()
    assert not here.world.incidents()
    assert here.world.kinds() == ["incident.opened", "incident.ordered", "rung.intended", "rung.applied", "rung.settled", "incident.closed"]
    assert any(title.startswith("ROLLED BACK") for title in here.world.titles())


def test_a_suggestion_is_carried_out_by_the_person_who_orders_it(people):
    here = people(SUGGESTING)
    incident = here.release()
    assert incident.phase is Phase.PROPOSED
    here.rollback()
    assert (here.version(), here.incident().id) == ("v1", incident.id)


def test_a_cap_of_observe_leaves_people_their_hands(people):
    here = people(settings=Settings(mode_cap=Mode.OBSERVE))
    here.world.deploy("v2")
    here.world.slot(0)
    here.rollback()
    assert here.version() == "v1"


def test_an_order_that_did_not_help_is_held_and_nothing_follows_by_itself(people):
    here = people(replace(SHOP_POLICY, digest="auto"))
    here.world.flip("on")
    here.world.deploy("v2")
    here.world.slot(0)
    here.rollback()
    assert here.world.flag() == "off"
    for _ in range(3):
        here.world.slot(60)
    assert (here.version(), here.world.guards()) == ("v2", ["by-hand"])
    here.rollback(rung=2)
    assert here.version() == "v1"


def test_an_order_for_a_plan_that_is_no_longer_the_one_is_refused(people):
    here = people()
    here.world.deploy("v2")
    here.world.slot(0)
    with pytest.raises(Denied, match="the plan is another one by now"):
        here.by_hand.rollback("shop", here.wish("0" * 64))
    assert (here.version(), here.world.incidents()) == ("v2", ())


def test_a_guard_holds_an_order_until_it_is_named(people):
    here = people(replace(APPROVING, timing=replace(APPROVING.timing, cooldown=timedelta(hours=1))))
    here.world.deploy("v2")
    here.world.slot(0)
    here.rollback()
    here.healthy()
    here.world.deploy("v3")
    here.world.slot(0)
    with pytest.raises(Denied, match="held by cool-down") as denied:
        here.rollback()
    assert denied.value.hint == "to do it all the same: rollbackd rollback shop --rung 1 --reason 'customers say so' --override cool-down"
    assert here.version() == "v3"
    here.rollback(overrides=("cool-down",))
    assert here.version() == "v1"
    ordered = [row for row in here.desk.history(None, 100).items if row.kind == "incident.ordered"]
    assert ordered[0].text == "rung 1, command:shop, by ann, passing cool-down: customers say so"


def test_no_rung_is_ordered_while_one_is_verified(people):
    here = people()
    here.release()
    here.approve()
    with pytest.raises(Denied, match="is verifying: its rung 1 is not finished"):
        here.by_hand.rollback("shop", here.wish("0" * 64))


def test_who_orders_the_same_rung_twice_is_told_of_the_first(people):
    here = people()
    here.world.deploy("v2")
    here.world.slot(0)
    at = f"{here.world.at:%H:%M:%S}"
    here.rollback()
    with pytest.raises(Denied, match=f"already ordered by ann at {at} UTC in {here.incident().id}") as denied:
        here.by_hand.rollback("shop", here.wish("0" * 64))
    assert (denied.value.why, denied.value.hint) == ("blocked", "follow it: rollbackd status")


def test_no_rung_is_repeated_by_hand_in_one_incident(people):
    here = people(replace(SHOP_POLICY, digest="auto"))
    here.world.flip("on")
    here.release()
    for _ in range(3):
        here.world.slot(60)
    assert here.incident().phase is Phase.HELD
    with pytest.raises(Denied, match="has tried rung 2 already"):
        here.by_hand.rollback("shop", here.wish("0" * 64, rung=2))


@pytest.mark.parametrize(
    ("rung", "after", "why"),
    [
        pytest.param(2, (), "is acting: its rung 1 is not finished", id="without-an-answer"),
        pytest.param(2, (APPLIED,), "is settling: its rung 1 is not finished", id="accepted"),
        pytest.param(2, (APPLIED, SETTLED), "is verifying: its rung 1 is not finished", id="complete"),
        pytest.param(1, (FAILED,), "has tried rung 1 already", id="failed"),
    ],
)
def test_no_rung_is_ordered_that_another_replica_overtook_while_the_targets_were_asked(people, rung, after, why):
    here = people(ASKED_TWICE)
    here.world.flip("on")
    assert here.release().phase is Phase.AWAITING
    with pytest.raises(Denied, match=why):
        here.rollback(rung, overtaken=(0, FLAGS, *after))
    assert "incident.ordered" not in here.world.kinds()


def test_a_rung_is_ordered_although_another_replica_tried_one_below_it_meanwhile(people):
    here = people(ASKED_TWICE)
    here.world.flip("on")
    here.release()
    here.rollback(rung=2, overtaken=(0, FLAGS, FAILED))
    assert here.version() == "v1"


def test_an_incident_whose_policy_is_gone_is_ended_before_anything_is_ordered_under_another(people):
    here = people()
    incident = here.release()
    here.world.engine.adopt((replace(APPROVING, name="checkout-b", digest="renamed"),))
    here.world.slot(60, policies=("checkout-b",))
    way = f"end it first: rollbackd ack {incident.id} --close"
    assert f"before anything is ordered there, end it: rollbackd ack {incident.id} --close" in "\n".join(here.world.lines())
    with pytest.raises(Denied, match=f"{incident.id} is open on command:shop by policy shop, which is no longer loaded") as denied:
        here.by_hand.rollback(SHOP, here.wish(here.desk.plan(SHOP).rungs[0].digest))
    assert (denied.value.why, denied.value.hint) == ("blocked", way)
    here.hands.ack(incident.id, "ann", "", close=True)
    here.by_hand.rollback(SHOP, here.wish(here.desk.plan(SHOP).rungs[0].digest))


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        pytest.param("checkout-b", "known: checkout-old, shop", id="another-policy"),
        pytest.param("checkout-odl", "did you mean checkout-old, which watches command:old?", id="a-misspelling"),
    ],
)
def test_whoever_orders_is_not_sent_to_another_service(people, asked, hint):
    here = people()
    here.world.engine.adopt((APPROVING, replace(APPROVING, name="checkout-old", target="command:old", ladder=())))
    with pytest.raises(Denied, match=f"there is no policy '{asked}'") as denied:
        here.desk.plan(asked)
    assert denied.value.hint == hint


# --- undo ------------------------------------------------------------------------------------------------------------------------------------


def test_a_quarantined_revision_is_gone_back_to_only_by_name(people):
    here = people()
    here.release()
    here.approve()
    incident = here.incident().id
    here.healthy()
    with pytest.raises(Denied, match="held by quarantine: revision v2 of command:shop was rolled back before"):
        here.undo(incident)
    assert here.version() == "v1"
    here.undo(incident, overrides=("quarantine",))
    assert here.version() == "v2"
    here.healthy()
    assert not here.world.incidents()


def test_an_undo_is_undone_as_it_was_shown_and_the_quarantine_is_asked_each_time(people):
    here = people()
    here.release()
    here.approve()
    here.undo(here.incident().id, overrides=("quarantine",))
    second = here.incident().id
    here.world.at += timedelta(seconds=1)  # an order's incident is named by its moment
    (shown,) = here.by_hand.undo_plan(second).rungs
    assert (shown.from_revision, shown.to_revision, here.version()) == ("v2", "v1", "v2")
    here.undo(second, overrides=("per-target-day",))
    third = here.incident()
    assert (here.version(), third.phase, third.intent.plan_digest) == ("v1", Phase.VERIFYING, shown.digest)
    here.world.at += timedelta(seconds=1)
    with pytest.raises(Denied, match="held by quarantine: revision v2"):
        here.undo(third.id, overrides=("per-target-day",))
    with pytest.raises(Denied, match=r"held by per-target-day: .*; held by quarantine: revision v2 of command:shop") as denied:
        here.undo(third.id, overrides=("cool-down",))
    order = f"rollbackd undo {third.id} --rung 1 --reason 'customers say so'"
    named = "--override cool-down --override per-target-day --override quarantine"
    assert denied.value.hint == f"to do it all the same: {order} {named}"
    here.undo(third.id, overrides=("per-target-day", "quarantine"))
    assert here.version() == "v2"


def test_the_plan_of_an_undo_says_whose_write_goes_back_from_where_to_where(people):
    here = people()
    here.release()
    here.approve()
    incident = here.incident().id
    (shown,) = here.by_hand.undo_plan(incident).rungs
    assert (shown.number, shown.what, shown.summary) == (1, f"of {incident}, to be undone: v1 -> v2", "put command:shop back to v2")


def test_what_an_incident_is_writing_just_now_is_not_said_to_be_nothing(people):
    here = people()
    incident = here.release()
    here.meanwhile(0, SHOP)
    here.desk.now()  # the other replica begins it
    with pytest.raises(Denied, match="its write is still under way") as denied:
        here.by_hand.undo_plan(incident.id)
    assert denied.value.why == "blocked"


def test_who_orders_an_undo_twice_is_told_of_the_first(people):
    here = people()
    here.release()
    here.approve()
    first, at = here.incident().id, f"{here.world.at:%H:%M:%S}"
    (before,) = here.by_hand.undo_plan(first).rungs
    here.undo(first, overrides=("quarantine",))
    (shown,) = here.by_hand.undo_plan(first).rungs
    said = f"already ordered by ann at {at} UTC in {here.incident().id}"
    assert (shown.outcome, shown.reason, shown.advice) == ("ordered", said, "follow it: rollbackd status")
    with pytest.raises(Denied, match=said):
        here.by_hand.undo(first, here.wish(before.digest, overrides=("quarantine",)))


def test_an_undo_of_flags_is_undone_to_the_exact_states(people):
    here = people(replace(SHOP_POLICY, digest="auto"))
    here.world.flip("on")
    here.world.deploy("v2")
    here.world.slot(0)
    here.rollback()
    assert here.flag() == "off"
    here.world.at += timedelta(seconds=1)
    here.undo(here.incident().id)
    assert here.flag() == "on"
    here.world.at += timedelta(seconds=1)
    here.undo(here.incident().id, overrides=("per-target-day",))
    assert here.flag() == "off"


def test_undo_of_an_open_incident_closes_it_and_waits_for_no_cool_down(people):
    here = people(replace(APPROVING, timing=replace(APPROVING.timing, cooldown=timedelta(hours=1))))
    here.release()
    here.approve()
    first = here.incident().id
    here.undo(first, overrides=("quarantine",))
    assert here.incident().id != first
    assert here.version() == "v2"
    assert here.world.store.incident(first).how.value == "acked"


def test_whoever_was_told_of_an_incident_is_told_that_an_undo_has_ended_it(people):
    here = people()
    here.release()
    here.approve()
    first = here.incident().id
    here.undo(first, overrides=("quarantine",))
    assert [(told.kind, told.resolved) for told in here.world.notices() if told.key == first][-1] == ("acked", True)


@pytest.mark.parametrize(
    ("after", "why"),
    [
        pytest.param((), "is acting: what is under way has to end first", id="without-an-answer"),
        pytest.param((APPLIED, SETTLED), "has written more meanwhile; nothing was ordered", id="complete"),
    ],
)
def test_nothing_is_undone_while_another_replica_carries_out_the_next_rung(people, after, why):
    here = people(ASKED_TWICE)
    incident = here.second_plan()
    here.meanwhile(1, SHOP, *after)
    with pytest.raises(Denied, match=why):
        here.undo(incident.id)
    assert here.world.kinds().count("incident.opened") == 1
    assert here.world.store.incident(incident.id).is_open


def test_what_was_tried_meanwhile_and_wrote_nothing_hinders_no_undo(people):
    here = people(ASKED_TWICE)
    incident = here.second_plan()
    here.meanwhile(1, SHOP, FAILED)
    here.undo(incident.id)
    assert (here.flag(), here.world.store.incident(incident.id).how) == ("on", CloseHow.ACKED)


def test_an_incident_that_wrote_nothing_has_nothing_to_undo(people):
    here = people()
    with pytest.raises(Denied, match="wrote nothing"):
        here.by_hand.undo_plan(here.release().id)


def test_what_somebody_else_changed_since_is_not_undone(people):
    here = people()
    here.release()
    here.approve()
    incident = here.incident().id
    here.healthy()
    (shown,) = here.by_hand.undo_plan(incident).rungs
    here.world.deploy("v3")
    with pytest.raises(Denied, match="rung 1 cannot be carried out: refused"):
        here.by_hand.undo(incident, here.wish(shown.digest, overrides=("quarantine",)))
    assert here.version() == "v3"


SWITCHING = replace(SHOP_POLICY, digest="switch", ladder=(FlagsRung(FLAGS),))


def switched_off(people):
    """A person switched new-checkout on, that broke the shop, and rollbackd switched it off; banner is off all the while."""
    here = people(SWITCHING)
    here.world.flip("off", banner="off")
    here.world.slot(0)
    here.world.flip("on", banner="off")
    for _ in range(2):
        here.world.slot(60)
    incident = here.incident().id
    here.healthy()
    assert here.flag() == "off"
    return here, incident


def test_another_flag_of_the_scope_that_moved_since_hinders_no_undo_and_stays(people):
    here, incident = switched_off(people)
    here.world.flip("off", banner="on")
    here.undo(incident)
    flags = json.loads(here.world.flags.read_text())["flags"]
    assert {name: flag["defaultVariant"] for name, flag in flags.items()} == {"new-checkout": "on", "banner": "on"}


def test_the_flag_that_was_switched_itself_stays_where_somebody_put_it_since(people):
    here, incident = switched_off(people)
    here.world.flags.write_text(here.world.flags.read_text().replace('"variants"', '"metadata": {"owner": "ann"}, "variants"', 1))
    (shown,) = here.by_hand.undo_plan(incident).rungs
    assert (shown.outcome, "flag 'new-checkout' was changed by somebody since and stays as it is" in shown.reason) == ("refused", True)


# --- a crash between the decision and the deed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decide", ["approve", "order"])
def test_what_people_decided_is_carried_out_after_a_restart(people, tmp_path, decide):
    here = people()
    incident = here.release()
    if decide == "approve":
        here.hands.approve(incident.id, incident.offer.plan_digest[:12], "ann", "")
    else:
        here.by_hand.rollback("shop", here.wish(here.desk.plan("shop").rungs[0].digest))
    here.world.close()
    world = World(tmp_path, APPROVING, at=here.world.at)
    world.slot(60)
    world.slot(60)
    assert world.version.read_text() == "v1\n"
    world.close()


def test_what_an_earlier_incident_was_about_is_no_suspect_of_the_open_one(people):
    here = people(replace(SHOP_POLICY, digest="auto", ladder=(RevertRung(SHOP),)))
    here.world.deploy("v2")
    for bad in (60, 60, 0, 0, 0, 0, 0):
        here.world.slot(bad)
    assert (here.version(), here.world.incidents()) == ("v1", ())
    here.world.pause.pause("game day", "bob", T0)
    here.world.deploy("v3")
    for _ in range(2):
        here.world.slot(60)
    (condition,) = here.desk.explain("shop").items[0].conditions
    assert here.incident().phase is Phase.HELD
    assert [suspect.split()[2] for suspect in condition.suspects] == ["v3"]
