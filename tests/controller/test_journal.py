from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from rollbackd.controller.journal import folding, rows, statements
from rollbackd.controller.journal.schema import outbox
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Blocked, Claim, Note
from rollbackd.controller.logs import Secrets
from rollbackd.policies.known.events import CloseHow
from rollbackd.policies.known.fold import fold
from rollbackd.policies.known.incident import Phase
from rollbackd.policies.model.policy import Mode
from tests.controller.journal_samples import (
    APPLIED,
    CART,
    CHECKOUT,
    CLOSED,
    EVENTS,
    HELD,
    INTENDED,
    JOINED,
    LIMITS,
    MINUTE,
    OPENED,
    SETTLED,
    STOPPED,
    T0,
    Clock,
    begin,
    claim,
    notice,
    opened,
)


def test_an_exception_inside_a_transaction_undoes_all_of_it(store: Store) -> None:
    def write_and_fail() -> None:
        with store.transaction() as tx:
            tx.open(OPENED, "shop")
            tx.queue(notice("n-1"), ("oncall",))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert store.outbox_state().waiting == 0
    assert store.history(10) == ()
    assert store.open_incidents() == ()


def test_what_was_committed_is_there_after_reopening(store: Store, url: str) -> None:
    begin(store)
    store.close()
    again = Store.open(url, "one")
    assert [incident.id for incident in again.open_incidents()] == ["inc-1"]
    again.close()


def test_a_look_at_whether_it_takes_writes_leaves_the_journal_as_it_was(store: Store) -> None:
    begin(store)
    before = list(store.rows())
    store.prove_writable()
    assert list(store.rows()) == before


def test_a_transaction_reads_what_it_has_written(store: Store) -> None:
    with store.transaction() as tx:
        tx.open(OPENED, "shop")
        assert tx.incident("inc-1") == fold([OPENED])


def test_a_reader_does_not_wait_for_a_writer_and_sees_the_state_before_it(store: Store) -> None:
    with store.transaction() as tx:
        tx.open(OPENED, "shop")
        assert store.open_incidents() == ()


def test_the_database_clock_is_aware_and_utc(url: str) -> None:
    store = Store.open(url, "one")
    assert abs(store.now() - datetime.now(UTC)) < MINUTE
    store.close()


def test_a_second_note_with_the_same_key_changes_nothing(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.note(Note("policy.observed", T0, {"reason": "first"}), "observed:1")
        assert not tx.note(Note("policy.observed", T0, {"reason": "second"}), "observed:1")
    assert [entry.body for entry in store.history(10)] == [{"reason": "first"}]
    assert store.has_entry("observed:1")


def test_notes_without_a_key_may_repeat(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.note(Note("daemon.paused", T0))
        assert tx.note(Note("daemon.paused", T0))
    assert [entry.seq for entry in store.history(10)] == [2, 1]


def test_history_of_a_target_holds_the_rows_of_its_incidents_too(store: Store) -> None:
    begin(store)
    begin(store, "inc-2", CART)
    with store.transaction() as tx:
        tx.record(HELD)
        tx.note(Note("change.seen", T0, target=CHECKOUT))
    assert [entry.kind for entry in store.history(10, target=CHECKOUT)] == ["change.seen", "incident.held", "incident.opened"]
    assert [entry.kind for entry in store.history(1, incident="inc-2")] == ["incident.opened"]


def test_an_incident_is_the_fold_of_what_was_recorded(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.open(OPENED, "shop")
        assert tx.record(JOINED)
        assert isinstance(tx.claim(INTENDED, "one", LIMITS), Claim)
        assert tx.record(APPLIED)
        assert tx.record(SETTLED)
        assert tx.record(STOPPED)
        assert tx.record(HELD)
        assert tx.record(CLOSED)
    assert store.events("inc-1") == EVENTS
    assert store.incident("inc-1") == fold(EVENTS)


def test_of_an_open_incident_only_new_rows_are_folded_and_of_a_changed_one_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(folding, "event_of", lambda row: told.append(row.kind) or rows.event_of(row))
    with store.transaction() as tx:
        tx.open(OPENED, "shop")
    assert store.open_incidents() == (fold([OPENED]),)
    with store.transaction() as tx:
        tx.record(JOINED)
    told.clear()
    assert store.open_incidents() == (fold([OPENED, JOINED]),)
    assert (store.incident("inc-1"), told) == (fold([OPENED, JOINED]), ["incident.joined"])
    with store.connected() as connection:
        stored = connection.execute(statements.OPEN).all()
    reader = folding.Folding()
    assert [reader.opened(seen) for seen in (stored, stored[:1], (), stored)] == [
        (fold([OPENED, JOINED]),),
        (fold([OPENED]),),
        (),
        (fold([OPENED, JOINED]),),
    ]


def test_a_second_incident_on_a_target_with_an_open_one_is_not_opened(store: Store) -> None:
    begin(store)
    with store.transaction() as tx:
        assert not tx.open(opened("inc-2"), "shop")
    assert store.incident("inc-2") is None
    assert len(store.history(10)) == 1


def test_a_change_that_was_answered_is_never_answered_again(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.open(OPENED, "shop")
        assert tx.record(CLOSED)
        assert not tx.open(replace(OPENED, incident="inc-2"), "shop")


def test_every_suspect_of_an_incident_that_acted_is_remembered(store: Store) -> None:
    with store.transaction() as tx:
        tx.open(replace(OPENED, suspects=("uid/7", "flag-event-3")), "shop")
        assert isinstance(tx.claim(INTENDED, "one", LIMITS), Claim)
        tx.record(CLOSED)
    assert store.answered() == {OPENED.target: {"uid/7", "flag-event-3"}}


def test_a_change_that_was_only_talked_about_is_not_answered(store: Store) -> None:
    with store.transaction() as tx:
        tx.open(replace(OPENED, mode=Mode.SUGGEST), "shop")
    assert store.answered() == {}


def test_an_incident_below_auto_begins_as_proposed(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.open(replace(OPENED, mode=Mode.SUGGEST), "shop")
    (incident,) = store.open_incidents()
    assert incident.phase is Phase.PROPOSED


@pytest.mark.parametrize("event", [JOINED, APPLIED, SETTLED, STOPPED, HELD, CLOSED], ids=lambda event: type(event).__name__)
def test_the_same_transition_is_recorded_once(store: Store, event: object) -> None:
    begin(store)
    with store.transaction() as tx:
        assert tx.record(event)  # type: ignore[arg-type]  # one of each
        assert not tx.record(event)  # type: ignore[arg-type]
    assert len(store.history(10)) == 2


def test_a_held_incident_gives_no_claim(store: Store) -> None:
    begin(store)
    with store.transaction() as tx:
        assert tx.record(HELD)
        assert tx.record(replace(HELD, guard="pause"))
        refused = tx.claim(INTENDED, "one", LIMITS)
    assert isinstance(refused, Blocked)
    assert refused.guard == "held"


def test_what_was_closed_since_is_found_the_newest_first(store: Store) -> None:
    for number in range(3):
        name = f"inc-{number}"
        begin(store, name, f"command:{name}")
        with store.transaction() as tx:
            tx.record(replace(CLOSED, incident=name, at=T0 + number * timedelta(minutes=1)))
    begin(store, "inc-open", CART)
    assert store.ended(T0) == ("inc-2", "inc-1")


@pytest.mark.parametrize("event", [JOINED, SETTLED, HELD, CLOSED], ids=lambda event: type(event).__name__)
def test_a_closed_incident_takes_no_further_row(store: Store, event: object) -> None:
    begin(store)
    with store.transaction() as tx:
        tx.record(replace(CLOSED, how=CloseHow.ACKED))
        assert not tx.record(event)  # type: ignore[arg-type]
    assert [entry.kind for entry in store.history(10)] == ["incident.closed", "incident.opened"]


def test_what_was_done_outside_is_on_record_even_if_the_incident_was_closed_meanwhile(store: Store) -> None:
    begin(store)
    claim(store)
    with store.transaction() as tx:
        tx.record(CLOSED)
        assert tx.record(APPLIED)
    ended = store.claim_on("inc-1", 0, CHECKOUT)
    assert ended is not None
    assert ended.ended_at is not None
    assert store.open_incidents() == ()
    assert store.history(1)[0].kind == "rung.applied"


def test_an_event_of_an_unknown_incident_is_not_recorded(store: Store) -> None:
    with store.transaction() as tx:
        assert not tx.record(HELD)
    assert store.history(10) == ()


def test_a_notice_is_queued_once_for_each_contact(store: Store) -> None:
    with store.transaction() as tx:
        tx.queue(notice("n-1"), ("oncall", "owners"))
        tx.queue(notice("n-1"), ("oncall", "owners"))
    assert (store.outbox_state().waiting, store.outbox_state().oldest) == (2, T0)


def test_a_secret_that_an_error_says_is_in_no_row_and_in_no_message(tmp_path: Path) -> None:
    secrets = Secrets()
    secrets.add("s3cret-t0ken")
    store = Store.open(f"sqlite:///{tmp_path}/hiding.db", "one", Clock(), hide=secrets.hide)
    begin(store)
    said = replace(notice("n-1"), title="HELD: s3cret-t0ken", lines=("denied for bearer s3cret-t0ken",))
    with store.transaction() as tx:
        assert tx.record(replace(HELD, reason="denied for bearer s3cret-t0ken"))
        assert tx.note(Note("source.blind", T0, {"source": "pages", "why": "401 for s3cret-t0ken", "lines": ["s3cret-t0ken"]}))
        tx.queue(said, ["oncall"])
        queued = tx.connection.execute(select(outbox)).one()
    told = [str(row.body) for row in store.rows()] + [queued.notice]
    store.close()
    assert not [text for text in told if "s3cret" in text]
    assert sum("[hidden]" in text for text in told) == 3
