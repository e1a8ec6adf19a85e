import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from threading import Event, Thread

import pytest
from structlog.testing import capture_logs

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal import parcels
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.outbox import LATE, LEASE, MAX_AGE, Outbox
from rollbackd.controller.notify.storeless import past_the_store, tell_without_store
from tests.controller.journal_samples import MINUTE, Clock, notice
from tests.controller.outbox_samples import Channel, outbox_for, queue, until


@pytest.fixture
def running() -> Iterator[list[Outbox]]:
    """Outboxes that are stopped at the end of the test."""
    outboxes: list[Outbox] = []
    yield outboxes
    for each in outboxes:
        each.stop(timedelta(seconds=5))


# --- restarts and replicas -------------------------------------------------------------------------------------------------------------


SENDING = """
import sys, time
from datetime import timedelta
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.outbox import Outbox

class Channel:
    name = "pager"
    def send(self, notice):
        print(notice.id, flush=True)
        time.sleep(60)

Outbox(Store.open(sys.argv[1], "one"), {"oncall": [Channel()]}).deliver_due()
"""


def test_a_process_killed_between_sending_and_noting_it_sends_the_same_id_again(store: Store, url: str, running: list[Outbox]) -> None:
    queue(store, notice("n-1"))
    with subprocess.Popen([sys.executable, "-c", SENDING, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "n-1\n"
        process.kill()
    pager = Channel()
    restarted = outbox_for(store, oncall=[pager])
    assert restarted.deliver_due() == 0
    running.append(restarted)
    restarted.start()
    until(lambda: pager.sent == ["n-1"])


def test_another_replica_waits_for_the_lease_and_then_sends_what_a_dead_one_had_taken(store: Store, url: str, clock: Clock) -> None:
    class Dying(Channel):
        def send(self, notice: Notice) -> None:
            raise KeyboardInterrupt

    queue(store, notice("n-1"))
    with pytest.raises(KeyboardInterrupt):
        outbox_for(store, oncall=[Dying()]).deliver_due()
    pager, other = Channel(), Store.open(url, "two", clock)
    outbox = outbox_for(other, oncall=[pager])
    assert outbox.deliver_due() == 0
    clock.move(3 * MINUTE)
    assert outbox.deliver_due() == 1
    assert pager.sent == ["n-1"]
    other.close()


def test_one_that_stood_still_does_not_put_back_what_another_one_is_sending(store: Store, url: str, clock: Clock) -> None:
    pager, other = Channel(), Store.open(url, "two", clock)

    class Frozen(Channel):
        def send(self, notice: Notice) -> None:
            clock.move(3 * MINUTE)
            with other.transaction() as tx:
                assert len(parcels.take(tx, {("oncall", "pager")}, LEASE)) == 1
            raise Transient("503")

    queue(store, notice("n-1"))
    assert outbox_for(store, oncall=[Frozen()]).deliver_due() == 1
    clock.move(MINUTE)
    assert outbox_for(store, oncall=[pager]).deliver_due() == 0
    other.close()


def test_one_that_stood_still_does_not_call_dead_what_another_one_has_sent_since(store: Store, url: str, clock: Clock) -> None:
    pager, other = Channel(), Store.open(url, "two", clock)

    class Frozen(Channel):
        def send(self, notice: Notice) -> None:
            clock.move(3 * MINUTE)
            assert outbox_for(other, oncall=[pager]).deliver_due() == 1
            raise Permanent("401: the session has expired")

    queue(store, notice("n-1"))
    assert outbox_for(store, oncall=[Frozen()]).deliver_due() == 1
    assert (pager.sent, store.outbox_state().waiting) == (["n-1"], 0)
    assert "notice.dead" not in [entry.kind for entry in store.history(10)]
    other.close()


def test_two_replicas_send_each_notice_once(store: Store, url: str, clock: Clock, running: list[Outbox]) -> None:
    other, pager = Store.open(url, "two", clock), Channel()
    running += [outbox_for(store, oncall=[pager]), outbox_for(other, oncall=[pager])]
    names = [f"n-{number}" for number in range(20)]
    queue(store, *(notice(name, name) for name in names))
    for each in running:
        each.start()
    until(lambda: store.outbox_state().waiting == 0)
    assert sorted(pager.sent) == sorted(names)
    running.pop().stop(timedelta(seconds=5))
    other.close()


# --- the running thread ----------------------------------------------------------------------------------------------------------------


def test_a_hanging_channel_delays_no_other(store: Store, running: list[Outbox]) -> None:
    hanging, chat, mail = Channel("hanging"), Channel("chat"), Channel("mail")
    hanging.open.clear()
    outbox = outbox_for(store, oncall=[hanging, chat], owners=[mail])
    running.append(outbox)
    outbox.start()
    names = ["n-1", "n-2", "n-3"]
    for name in names:
        queue(store, notice(name), contacts=("oncall", "owners"))
        outbox.wake()
    until(lambda: chat.sent == mail.sent == names)
    assert hanging.tried == ["n-1"]
    hanging.open.set()
    until(lambda: hanging.sent == names)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of threads that could not be started: the next two that are to send something."""
    names: list[str] = []
    start = Thread.start

    def starting(thread: Thread) -> None:
        if thread.name.startswith("outbox-") and len(names) < 2:
            names.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(Thread, "start", starting)
    return names


def test_what_no_thread_could_be_started_for_is_sent_by_the_next_that_starts(store: Store, running: list[Outbox], refused: list[str]) -> None:
    pager, chat = Channel("pager"), Channel("chat")
    outbox = outbox_for(store, oncall=[pager, chat])
    running.append(outbox)
    queue(store, notice("n-1"))
    with capture_logs() as logs:
        outbox.start()
        until(lambda: pager.sent == chat.sent == ["n-1"])
    assert refused == ["outbox-oncall-pager"] * 2
    assert [(line["log_level"], line["exc_info"]) for line in logs if line["event"] == "outbox.crashed"] == [("error", True)]
    until(lambda: store.outbox_state().waiting == 0)


def test_a_store_that_takes_nothing_is_told_to_whoever_tells_people_once_in_a_row(store: Store, running: list[Outbox]) -> None:
    told: list[str] = []
    outbox = Outbox(store, {"oncall": [Channel()]}, failed=told.append)
    running.append(outbox)
    queue(store, notice("n-1"))
    with store.transaction() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE outbox RENAME TO elsewhere")
    with capture_logs() as logs:
        outbox.start()
        until(lambda: told)
        outbox.wake()
        outbox.stop(timedelta(seconds=5))
    assert told == [line["error"] for line in logs if line["event"] == "outbox.blocked"]
    assert len(told) == len(set(told))
    with store.transaction() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO outbox")


def test_stopping_does_not_wait_longer_than_its_grace_for_a_hanging_channel(store: Store) -> None:
    hanging = Channel("hanging")
    hanging.open.clear()
    outbox = outbox_for(store, oncall=[hanging])
    queue(store, notice("n-1"))
    outbox.start()
    until(lambda: hanging.tried == ["n-1"])
    outbox.stop(timedelta(milliseconds=20))
    assert store.outbox_state().waiting == 1
    hanging.open.set()
    until(lambda: store.outbox_state().waiting == 0)


def test_an_outbox_that_was_never_started_stops(store: Store) -> None:
    outbox_for(store, oncall=[Channel()]).stop(timedelta(0))


def test_without_a_store_a_channel_that_fails_in_a_way_that_nobody_foresaw_is_tried_again() -> None:
    class Stumbling(Channel):
        def send(self, notice: Notice) -> None:
            super().send(notice)
            if len(self.tried) < 2:
                raise KeyError("id")

    pager = Stumbling()
    for thread in tell_without_store({"oncall": [pager]}, notice("disk-full"), ["oncall"]):
        thread.join(20)
    assert pager.tried == ["disk-full"] * 2


def test_without_a_store_a_notice_is_still_told_and_repeated_until_it_arrives() -> None:
    pager, chat = Channel("pager"), Channel("chat")
    chat.fault = Permanent("no such room")
    for thread in tell_without_store({"oncall": [pager, chat]}, notice("disk-full"), ["oncall", "nobody"]):
        thread.join(20)
    assert (pager.sent, chat.tried) == (["disk-full"], ["disk-full"])


class Unhurried(Event):
    """Waits at once, and keeps for how long it was meant to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0)
        return self.is_set()


class DeadFor(Channel):
    """A pager that is down for so many seconds of an ``Unhurried`` event."""

    def __init__(self, seconds: float, over: Unhurried) -> None:
        super().__init__()
        self.seconds = seconds
        self.over = over

    def send(self, notice: Notice) -> None:
        self.fault = Transient("503") if sum(self.over.waits) < self.seconds else None
        super().send(notice)


def test_without_a_store_a_page_outlives_hours_of_a_dead_pager() -> None:
    over = Unhurried()
    pager = DeadFor(3 * 3600, over)
    for thread in tell_without_store({"oncall": [pager]}, notice("disk-full"), ["oncall"], over):
        thread.join(20)
    assert pager.sent == ["disk-full"]
    assert max(over.waits) <= 300


def test_without_a_store_a_page_that_arrives_nowhere_in_a_day_is_given_up() -> None:
    over = Unhurried()
    with capture_logs() as logs:
        for thread in tell_without_store({"oncall": [DeadFor(1e9, over)]}, notice("disk-full"), ["oncall"], over):
            thread.join(20)
    assert [line["event"] for line in logs] == ["notice.lost"]
    assert 0 <= sum(over.waits) - MAX_AGE.total_seconds() <= 300


def test_without_a_store_the_end_is_told_in_place_of_what_did_not_arrive() -> None:
    pager = Channel()
    pager.fault = Transient("503")
    tell = past_the_store({"oncall": [pager]}, None)
    with capture_logs() as logs:
        tell(notice("disk-full", "store:one"))
        until(lambda: len(pager.tried) > 0)
        pager.fails = {"disk-full"}
        tell(notice("disk-again", "store:one", resolved=True))
        until(lambda: {"notice.overtaken", "notice.sent"} <= {line["event"] for line in logs})
    assert pager.sent == ["disk-again"]


def test_without_a_store_every_contact_is_told_where_the_fallback_can_never_be() -> None:
    pager, others = Channel(), Channel()
    pager.fault = Permanent("HTTP 401")
    tell = past_the_store({"oncall": [others], "platform": [pager]}, "platform")
    tell(notice("disk-full", "store:one"))
    until(lambda: others.sent == ["disk-full"])
    tell(notice("disk-again", "store:one", resolved=True))
    until(lambda: others.sent == ["disk-full", "disk-again"])


def test_without_a_store_one_channel_of_the_fallback_is_enough() -> None:
    pager, chat, others = Channel("pager"), Channel("chat"), Channel()
    pager.fault = Permanent("HTTP 401")
    tell = past_the_store({"oncall": [others], "platform": [pager, chat]}, "platform")
    tell(notice("disk-full", "store:one"))
    until(lambda: (pager.tried, chat.sent) == (["disk-full"], ["disk-full"]))
    tell(notice("disk-again", "store:one", resolved=True))
    until(lambda: chat.sent == ["disk-full", "disk-again"])
    assert others.tried == []


def test_without_a_store_a_contact_that_is_not_reached_in_time_is_said_to_be_so_once_and_still_tried() -> None:
    over, said = Unhurried(), list[float]()
    pager = DeadFor(3 * 3600, over)
    for thread in tell_without_store({"oncall": [pager]}, notice("disk-full"), ["oncall"], over, lambda: said.append(sum(over.waits))):
        thread.join(20)
    assert pager.sent == ["disk-full"]
    assert [0 < LATE.total_seconds() - waited <= 300 for waited in said] == [True]
