from dataclasses import replace

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.parcels import MOST_AT_ONCE
from rollbackd.controller.journal.schema import outbox as table
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.outbox import LATE, MAX_AGE, Outbox, backoff
from tests.controller.journal_samples import HOUR, MINUTE, SECOND, Clock, notice
from tests.controller.outbox_samples import Channel, outbox_for, queue

# --- delivery --------------------------------------------------------------------------------------------------------------------------


def test_a_notice_reaches_every_channel_of_its_contact_once(store: Store) -> None:
    pager, chat, other = Channel("pager"), Channel("chat"), Channel()
    outbox = outbox_for(store, oncall=[pager, chat], owners=[other])
    queue(store, notice("n-1"))
    assert outbox.deliver_due() == 2
    assert outbox.deliver_due() == 0
    assert (pager.sent, chat.sent, other.sent) == (["n-1"], ["n-1"], [])
    assert store.outbox_state().waiting == 0


def with_head(page: Notice) -> Notice:
    """As it leaves a journal without rows: a page carries the journal's head."""
    return replace(page, lines=(*page.lines, f"journal head of one: {'0' * 16}"))


def test_the_notice_arrives_as_it_was_queued(store: Store) -> None:
    arrived: list[Notice] = []

    class Keeper(Channel):
        def send(self, notice: Notice) -> None:
            arrived.append(notice)

    queue(store, notice("n-1", resolved=True))
    outbox_for(store, oncall=[Keeper()]).deliver_due()
    assert arrived == [with_head(notice("n-1", resolved=True))]


def test_two_channels_of_one_name_are_both_reached(store: Store) -> None:
    one, two = Channel("webhook"), Channel("webhook")
    queue(store, notice("n-1"))
    outbox_for(store, oncall=[one, two]).deliver_due()
    assert (one.sent, two.sent) == (["n-1"], ["n-1"])


def test_messages_of_one_key_arrive_in_order(store: Store) -> None:
    pager = Channel()
    queue(store, notice("trigger"), notice("update"), notice("resolve", resolved=True))
    outbox_for(store, oncall=[pager]).deliver_due()
    assert pager.sent == ["trigger", "update", "resolve"]


def test_a_story_that_was_told_to_the_end_leaves_nothing_behind(store: Store, clock: Clock) -> None:
    slack = Channel("slack")
    slack.fault = Transient("503")
    outbox = outbox_for(store, oncall=[Channel(), slack])
    queue(store, notice("trigger"), notice("resolve", resolved=True), notice("other", "inc-2"))
    outbox.deliver_due()
    assert told_of(store) == {"inc-1", "inc-2"}  # slack still waits
    slack.fault = None
    clock.move(HOUR)
    outbox.deliver_due()
    assert told_of(store) == {"inc-2"}


def told_of(store: Store) -> set[str]:
    with store.snapshot() as reading, reading.connected() as connection:
        return set(connection.execute(select(table.c.key)).scalars())


def test_a_resolve_does_not_overtake_a_trigger_that_could_not_be_sent(store: Store, clock: Clock) -> None:
    pager = Channel()
    outbox = outbox_for(store, oncall=[pager])
    pager.fault, pager.fails = Transient("503"), {"trigger"}
    queue(store, notice("trigger"), notice("resolve", resolved=True))
    outbox.deliver_due()
    assert pager.sent == []
    pager.fault = None
    clock.move(MINUTE)
    outbox.deliver_due()
    assert pager.sent == ["trigger", "resolve"]


def test_another_key_is_not_held_up_by_a_failing_one(store: Store) -> None:
    pager = Channel()
    pager.fault, pager.fails = Transient("503"), {"bad"}
    queue(store, notice("bad", "inc-1"), notice("good", "inc-2"))
    outbox_for(store, oncall=[pager]).deliver_due()
    assert pager.sent == ["good"]


def test_another_channel_of_the_contact_is_not_held_up_by_a_failing_one(store: Store) -> None:
    pager, chat = Channel("pager"), Channel("chat")
    pager.fault = Transient("down")
    queue(store, notice("trigger"), notice("resolve"))
    outbox_for(store, oncall=[pager, chat]).deliver_due()
    assert (pager.sent, chat.sent) == ([], ["trigger", "resolve"])


# --- trouble ---------------------------------------------------------------------------------------------------------------------------


def test_a_failed_attempt_is_repeated_after_a_while_and_not_at_once(store: Store, clock: Clock) -> None:
    pager = Channel()
    pager.fault = Transient("connection refused")
    outbox = outbox_for(store, oncall=[pager])
    queue(store, notice("n-1"))
    assert outbox.deliver_due() == 1
    assert outbox.deliver_due() == 0
    pager.fault = None
    clock.move(MINUTE)
    assert outbox.deliver_due() == 1
    assert pager.sent == ["n-1"]


def test_the_wait_grows_from_a_second_to_five_minutes_and_is_random() -> None:
    assert backoff(1) == SECOND
    assert all(SECOND <= backoff(4) <= 8 * SECOND for _ in range(50))
    assert all(backoff(1000) <= 5 * MINUTE for _ in range(50))
    assert len({backoff(20) for _ in range(20)}) > 1


def test_a_channel_that_asks_for_quiet_gets_it_for_all_its_messages(store: Store, clock: Clock) -> None:
    pager, chat = Channel("pager"), Channel("chat")
    outbox = outbox_for(store, oncall=[pager, chat])
    pager.fault = Transient("429", retry_after=600)
    queue(store, notice("n-1", "inc-1"), notice("n-2", "inc-2"))
    outbox.deliver_due()
    assert (pager.tried, chat.sent) == (["n-1"], ["n-1", "n-2"])
    clock.move(9 * MINUTE)
    assert outbox.deliver_due() == 0
    pager.fault = None
    clock.move(MINUTE)
    outbox.deliver_due()
    assert pager.sent == ["n-1", "n-2"]


@pytest.mark.parametrize("fault", [Permanent("404: no such hook"), Refused("not that")], ids=["permanent", "refused"])
def test_what_can_never_be_delivered_is_given_up_on_record_and_the_next_goes_on(store: Store, fault: Exception) -> None:
    pager = Channel()
    pager.fault, pager.fails = fault, {"trigger"}
    queue(store, notice("trigger"), notice("resolve"))
    outbox_for(store, oncall=[pager]).deliver_due()
    assert pager.sent == ["resolve"]
    assert (store.outbox_state().waiting, store.outbox_state().dead) == (0, 1)
    (entry,) = store.history(10)
    assert entry.kind == "notice.dead"
    assert entry.body == {
        "parcel": "trigger/oncall/pager",
        "contact": "oncall",
        "channel": "pager",
        "title": "title of trigger",
        "error": str(fault),
    }


def test_after_a_day_of_failures_a_notice_is_given_up(store: Store, clock: Clock) -> None:
    pager = Channel()
    pager.fault = Transient("down")
    outbox = outbox_for(store, oncall=[pager])
    queue(store, notice("n-1"))
    outbox.deliver_due()
    clock.move(MAX_AGE)
    outbox.deliver_due()
    assert store.outbox_state().dead == 0
    clock.move(HOUR)
    outbox.deliver_due()
    assert (store.outbox_state().waiting, store.outbox_state().dead) == (0, 1)


def test_a_bug_in_a_notifier_is_a_failed_attempt_whose_own_words_are_in_the_log_alone(store: Store, clock: Clock) -> None:
    pager = Channel()
    pager.fault, pager.fails = ValueError("no good: https://hooks.example/s3cret"), {"n-1"}
    outbox = outbox_for(store, oncall=[pager])
    queue(store, notice("n-1", "inc-1"), notice("n-2", "inc-2"))
    with capture_logs() as logs:
        for _ in range(3):
            outbox.deliver_due()
            clock.move(HOUR)
    assert (pager.tried.count("n-1"), pager.sent) == (3, ["n-2"])
    assert [line["exc_info"] for line in logs if line["event"] == "notifier.crashed"] == [True]
    clock.move(MAX_AGE)
    outbox.deliver_due()
    assert (store.outbox_state().waiting, store.outbox_state().dead) == (0, 1)
    assert store.history(1)[0].body["error"] == "a fault of its own (ValueError); the log has it"


def test_a_notice_that_waited_for_days_while_nothing_ran_is_still_tried(store: Store, clock: Clock) -> None:
    pager = Channel()
    queue(store, notice("n-1"))
    clock.move(3 * MAX_AGE)
    outbox_for(store, oncall=[pager]).deliver_due()
    assert pager.sent == ["n-1"]


def test_a_contact_that_nobody_configured_is_on_record(store: Store) -> None:
    queue(store, notice("n-1"), contacts=("nobody", "oncall"))
    pager = Channel()
    outbox_for(store, oncall=[pager]).deliver_due()
    assert pager.sent == ["n-1"]
    assert store.history(1)[0].body["error"] == "no contact 'nobody' is configured"


def test_what_waited_for_a_channel_that_is_gone_goes_to_its_successor_in_its_turn(store: Store, clock: Clock) -> None:
    old, new = Channel("old"), Channel("new")
    old.fault = Transient("down")
    queue(store, notice("trigger"))
    outbox_for(store, oncall=[old]).deliver_due()
    queue(store, notice("resolve"))
    outbox_for(store, oncall=[new]).deliver_due()
    assert new.sent == ["trigger", "resolve"]
    clock.move(HOUR)
    assert outbox_for(store, oncall=[old, new]).deliver_due() == 0


def test_receivers_that_a_delivered_notice_did_not_reach_are_logged(store: Store) -> None:
    pager = Channel()
    pager.missed = ("bob@shop.example was refused: 550",)  # type: ignore[attr-defined]
    queue(store, notice("n-1"))
    with capture_logs() as logs:
        outbox_for(store, oncall=[pager]).deliver_due()
    assert [(line["event"], line.get("by")) for line in logs] == [("notice.sent", None), ("notice.missed", ("bob@shop.example was refused: 550",))]


def test_the_log_says_what_kind_of_channel_it_was_whatever_it_is_called(store: Store) -> None:
    class Webhook(Channel):
        pass

    hook = Webhook("oncall")
    hook.fault = Transient("503")
    queue(store, notice("n-1"))
    with capture_logs() as logs:
        outbox_for(store, oncall=[Webhook("oncall"), hook]).deliver_due()
    told = [(line["event"], line["channel"], line["kind"]) for line in logs]
    assert sorted(told) == [("notice.delayed", "oncall#2", "webhook"), ("notice.sent", "oncall#1", "webhook")]


# --- the fallback ----------------------------------------------------------------------------------------------------------------------


def with_fallback(store: Store, pager: Channel, platform: Channel) -> Outbox:
    return Outbox(store, {"oncall": [pager], "platform": [platform]}, fallback="platform")


def test_what_a_contact_rejects_for_good_is_told_to_the_fallback(store: Store) -> None:
    arrived: list[Notice] = []

    class Keeper(Channel):
        def send(self, notice: Notice) -> None:
            arrived.append(notice)

    pager = Channel("pagerduty")
    pager.fault = Permanent("HTTP 400: Invalid routing key")
    queue(store, notice("n-1"))
    with_fallback(store, pager, Keeper()).deliver_due()
    told = "oncall could not be told by pagerduty: HTTP 400: Invalid routing key"
    assert arrived == [replace(notice("n-1"), lines=(told, *with_head(notice("n-1")).lines))]


def test_a_page_that_is_late_is_told_to_the_fallback_once_and_still_tried(store: Store, clock: Clock) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = Transient("503")
    outbox = with_fallback(store, pager, platform)
    queue(store, notice("n-1"))
    outbox.deliver_due()
    assert platform.sent == []
    for _ in range(3):
        clock.move(LATE + MINUTE)
        outbox.deliver_due()
    assert platform.sent == ["n-1"]
    pager.fault = None
    clock.move(HOUR)
    outbox.deliver_due()
    assert pager.sent == ["n-1"]


def test_a_page_that_a_bug_keeps_from_its_contact_is_told_to_the_fallback(store: Store, clock: Clock) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = TypeError("unsupported operand")
    outbox = with_fallback(store, pager, platform)
    queue(store, notice("n-1"))
    for _ in range(2):
        outbox.deliver_due()
        clock.move(LATE + MINUTE)
    outbox.deliver_due()
    assert platform.sent == ["n-1"]


def test_a_page_that_waits_behind_a_message_that_wakes_nobody_is_late_all_the_same(store: Store, clock: Clock) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = Transient("503")
    outbox = with_fallback(store, pager, platform)
    queue(store, replace(notice("started"), urgency="notice"), notice("held"))
    for _ in range(3):
        clock.move(LATE + MINUTE)
        outbox.deliver_due()
    assert (pager.tried.count("held"), platform.sent) == (0, ["held"])


def test_a_notice_that_wakes_nobody_may_be_late(store: Store, clock: Clock) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = Transient("503")
    outbox = with_fallback(store, pager, platform)
    queue(store, replace(notice("n-1"), urgency="notice"))
    outbox.deliver_due()
    clock.move(LATE + MINUTE)
    outbox.deliver_due()
    assert platform.sent == []


def test_a_fallback_that_was_told_of_an_incident_is_told_of_its_end(store: Store) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault, pager.fails = Permanent("400"), {"trigger"}
    queue(store, notice("trigger"), notice("resolve", resolved=True), notice("other", "inc-2", resolved=True))
    with_fallback(store, pager, platform).deliver_due()
    assert (pager.sent, platform.sent) == (["resolve", "other"], ["trigger", "resolve"])


def test_a_fallback_that_was_paged_late_is_told_of_the_end_though_the_contact_is_still_not_reached(store: Store, clock: Clock) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = Transient("503")
    outbox = with_fallback(store, pager, platform)
    queue(store, notice("trigger"), replace(notice("resolve", resolved=True), urgency="notice"))
    outbox.deliver_due()
    assert platform.sent == []
    for _ in range(3):
        clock.move(LATE + MINUTE)
        outbox.deliver_due()
    assert platform.sent == ["trigger", "resolve"]
    pager.fault = None
    clock.move(HOUR)
    outbox.deliver_due()
    assert (pager.sent, platform.sent) == (["trigger", "resolve"], ["trigger", "resolve"])


def test_a_fallback_that_was_paged_late_is_told_that_somebody_has_taken_it(store: Store, clock: Clock) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault, pager.fails = Transient("503"), {"trigger"}
    outbox = with_fallback(store, pager, platform)
    queue(store, notice("trigger"), replace(notice("acked"), kind="acked", urgency="notice"))
    for _ in range(2):
        clock.move(LATE + MINUTE)
        outbox.deliver_due()
    assert (pager.sent, platform.sent) == ([], ["trigger", "acked"])


def test_a_fallback_that_is_paged_of_what_is_over_by_now_hears_that_with_the_page(store: Store, clock: Clock) -> None:
    pager, chat, platform = Channel("pagerduty"), Channel("slack"), Channel("chat")
    chat.fault = Transient("503")
    outbox = Outbox(store, {"oncall": [pager, chat], "platform": [platform]}, fallback="platform")
    queue(store, notice("held"), replace(notice("end", resolved=True), urgency="notice"))
    outbox.deliver_due()
    clock.move(LATE + MINUTE)
    outbox.deliver_due()
    assert platform.sent == ["held", "end"]


@pytest.mark.parametrize("gives_up", [False, True], ids=["late", "given-up"])
@pytest.mark.parametrize("kind", ["acked", "recovered"])
def test_a_fallback_that_was_told_the_end_is_not_paged_after_it_of_what_was_before(store: Store, clock: Clock, kind: str, gives_up: bool) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = Transient("503")
    outbox = with_fallback(store, pager, platform)
    queue(store, notice("trigger"))
    outbox.deliver_due()
    clock.move(LATE + MINUTE)
    outbox.deliver_due()
    queue(store, notice("held"))
    queue(store, replace(notice("end", resolved=kind == "recovered"), kind=kind, urgency="notice"), contacts=("oncall", "platform"))
    outbox.deliver_due()
    assert platform.sent == ["trigger", "end"]
    if gives_up:
        pager.fault = Permanent("410")
    clock.move(LATE + MINUTE)
    outbox.deliver_due()
    assert platform.sent == ["trigger", "end"]
    queue(store, notice("again"))
    for _ in range(2):
        outbox.deliver_due()
        clock.move(LATE + MINUTE)
    assert platform.sent == ["trigger", "end", "again"]


def test_a_fallback_that_was_told_the_end_is_not_told_after_it_that_somebody_has_taken_it(store: Store, clock: Clock) -> None:
    pager, chat, platform = Channel("pagerduty"), Channel("slack"), Channel("chat")
    chat.fault = Transient("503")
    outbox = Outbox(store, {"oncall": [pager, chat], "platform": [platform]}, fallback="platform")
    queue(store, notice("trigger"), replace(notice("acked"), kind="acked", urgency="notice"))
    queue(store, notice("trigger"), contacts=("platform",))
    queue(store, replace(notice("end", resolved=True), urgency="notice"), contacts=("oncall", "platform"))
    outbox.deliver_due()
    assert (pager.sent, platform.sent) == (["trigger", "acked", "end"], ["trigger", "end"])
    chat.fault = None
    clock.move(HOUR)
    outbox.deliver_due()
    assert platform.sent == ["trigger", "end"]
    assert told_of(store) == set()


def test_a_page_that_many_others_keep_from_being_tried_on_a_hanging_channel_is_late_all_the_same(store: Store, clock: Clock) -> None:
    class Hanging(Channel):
        def send(self, notice: Notice) -> None:
            clock.move(10 * SECOND)
            if len(self.tried) == 100:
                self.fault = None
            super().send(notice)

    pager, platform = Hanging("pagerduty"), Channel("chat")
    pager.fault = Transient("no answer")
    outbox = with_fallback(store, pager, platform)
    queue(store, *(replace(notice(f"n-{each}", f"inc-{each}"), urgency="notice") for each in range(100)), notice("page", "inc-page"))
    outbox.deliver_due()
    assert ("page" in pager.tried[:100], platform.sent) == (False, ["page"])


def test_pages_that_a_channel_wants_no_more_of_for_an_hour_are_told_to_the_fallback_at_once(store: Store) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = Transient("429", retry_after=3600)
    outbox = with_fallback(store, pager, platform)
    queue(store, notice("n-1"), notice("n-2", "inc-2"))
    outbox.deliver_due()
    assert (pager.tried, platform.sent) == (["n-1"], ["n-1", "n-2"])


def test_of_a_flood_of_late_pages_so_many_at_a_time_are_handed_over_as_the_store_can_spare(store: Store, clock: Clock) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = Transient("429", retry_after=3600)
    outbox = with_fallback(store, pager, platform)
    queue(store, *(notice(f"n-{each}", f"inc-{each}") for each in range(MOST_AT_ONCE + 1)))
    outbox.deliver_due()
    assert (len(pager.tried), len(platform.sent)) == (1, MOST_AT_ONCE)
    clock.move(HOUR)
    outbox.deliver_due()
    assert (len(platform.sent), len(set(platform.sent))) == (MOST_AT_ONCE + 1, MOST_AT_ONCE + 1)


def test_a_page_on_a_throttled_channel_reaches_the_fallback_though_another_is_always_tried_before_it(store: Store, clock: Clock) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = Transient("429", retry_after=600)
    outbox = with_fallback(store, pager, platform)
    queue(store, notice("n-1"), notice("n-2", "inc-2"))
    outbox.deliver_due()
    assert platform.sent == []
    clock.move(10 * MINUTE)
    outbox.deliver_due()
    assert (pager.tried, platform.sent) == (["n-1", "n-1"], ["n-1", "n-2"])


def test_a_fallback_that_fails_is_no_fallback_of_its_own(store: Store) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    pager.fault = platform.fault = Permanent("410")
    queue(store, notice("n-1"))
    with_fallback(store, pager, platform).deliver_due()
    assert (store.outbox_state().waiting, store.outbox_state().dead) == (0, 2)


def test_what_was_queued_for_a_contact_that_is_configured_no_more_is_told_to_the_fallback(store: Store) -> None:
    pager, platform = Channel("pagerduty"), Channel("chat")
    outbox = with_fallback(store, pager, platform)
    queue(store, notice("n-1"), contacts=("team-that-was-renamed",))
    outbox.deliver_due()
    outbox.deliver_due()
    assert (pager.sent, platform.sent) == ([], ["n-1"])
    assert "no contact 'team-that-was-renamed' is configured" in str(store.history(1)[0].body)
