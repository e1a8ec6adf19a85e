"""Two replicas whose configs name different contacts, as in a rolling upgrade: neither buries what the other can send."""

from datetime import timedelta

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.notice import Notifier
from rollbackd.controller.journal import parcels
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.outbox import LEASE, Outbox
from tests.controller.journal_samples import HOUR, MINUTE, SECOND, Clock, notice
from tests.controller.outbox_samples import Channel, queue

DIFFER = timedelta(minutes=5)


def replica(store: Store, **channels: list[Notifier]) -> Outbox:
    """An outbox that knows of other replicas; ``platform`` is its fallback where it is a contact."""
    return Outbox(store, channels, fallback="platform" if "platform" in channels else None, orphans_after=DIFFER)


@pytest.fixture
def slack() -> Channel:
    return Channel("slack")


@pytest.fixture
def pager() -> Channel:
    return Channel("pager")


def test_what_another_replica_tries_again_for_a_contact_that_is_new_is_left_to_it(store: Store, clock: Clock, pager: Channel) -> None:
    pager.fault = Transient("429")
    old, new = replica(store, oncall=[Channel()]), replica(store, oncall=[Channel()], payments=[pager])
    queue(store, notice("n-1"), contacts=("payments",))
    assert old.deliver_due() == 0
    new.deliver_due()
    clock.move(30 * SECOND)
    assert old.deliver_due() == 0
    pager.fault = None
    clock.move(HOUR)
    new.deliver_due()
    assert (pager.sent, store.outbox_state().dead) == (["n-1"], 0)


def test_what_another_replica_tries_again_on_a_channel_that_is_new_is_left_to_it(store: Store, clock: Clock, pager: Channel, slack: Channel) -> None:
    slack.fault = Transient("503")
    old, new = replica(store, oncall=[pager]), replica(store, oncall=[pager, slack])
    queue(store, notice("n-1"))
    new.deliver_due()
    clock.move(30 * SECOND)
    assert old.deliver_due() == 0
    slack.fault = None
    clock.move(HOUR)
    new.deliver_due()
    assert (pager.sent, slack.sent) == (["n-1"], ["n-1"])


def test_what_another_replica_is_sending_is_left_to_it_however_old_it_is(store: Store, clock: Clock, pager: Channel) -> None:
    queue(store, notice("n-1"), contacts=("payments",))
    clock.move(HOUR)
    with store.transaction() as tx:
        parcels.route(tx, {"payments": ("pager",)})
        assert len(parcels.take(tx, {("payments", "pager")}, LEASE)) == 1
    replica(store, oncall=[pager]).deliver_due()
    assert (store.outbox_state().waiting, store.outbox_state().dead) == (1, 0)


def test_after_five_minutes_what_no_replica_can_send_is_given_up_and_told_to_the_fallback(store: Store, clock: Clock, slack: Channel) -> None:
    old = replica(store, platform=[slack])
    queue(store, notice("n-1"), contacts=("payments",))
    assert old.deliver_due() == 0
    clock.move(DIFFER)
    old.deliver_due()
    old.deliver_due()
    assert (slack.sent, store.outbox_state().dead) == (["n-1"], 1)


def test_what_follows_on_a_channel_that_is_gone_waits_for_its_turn(store: Store, clock: Clock, pager: Channel, slack: Channel) -> None:
    pager.fault = Transient("down")
    queue(store, notice("trigger"))
    replica(store, oncall=[pager]).deliver_due()
    queue(store, notice("resolve"))
    after = replica(store, oncall=[slack])
    clock.move(4 * MINUTE)
    assert after.deliver_due() == 0
    clock.move(MINUTE)
    after.deliver_due()
    assert slack.sent == ["trigger", "resolve"]
