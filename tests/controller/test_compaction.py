"""Old rows go into a file that proves itself; what is left proves itself too, and every decision stays as it was."""

import gzip
import json
import sqlite3
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from rollbackd.controller.audit import audit
from rollbackd.controller.cli.follow import with_files
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.journal import compaction, exports
from rollbackd.controller.journal.compaction import LEAST, Compacted, compact
from rollbackd.controller.journal.errors import StoreError
from rollbackd.controller.journal.schema import claims, exported, incidents, outbox
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import START, How, Note, SeenChange, Standing
from rollbackd.policies.known.events import Closed, CloseHow, Stopped
from tests.controller.journal_samples import (
    APPLIED,
    CHECKOUT,
    HOUR,
    MINUTE,
    SECOND,
    STOPPED,
    T0,
    WIDE,
    Clock,
    begin,
    blocked_by,
    change,
    claim,
    notice,
    opened,
)
from tests.controller.test_chain import by_hand
from tests.controller.test_migrations import written_by_the_first_version

DAY = timedelta(days=1)


def rolled_back(store: Store, clock: Clock, incident: str, target: str = CHECKOUT) -> None:
    """An incident from its change to its end, told to people, at the time of the clock."""
    name = f"change-of-{incident}"
    with store.transaction() as tx:
        tx.see_change(SeenChange(change(name, f"rev-{incident}", "rev-a", target, clock.at)))
    begin(store, incident, target)
    claim(store, incident, target, limits=WIDE)
    with store.transaction() as tx:
        tx.record(replace(APPLIED, incident=incident, target=target, at=clock.at))
        tx.mark(target, f"rev-{incident}", Standing.QUARANTINED, How.ROLLED_BACK, clock.at, incident)
        tx.record(Stopped(incident, clock.at, 0, target, STOPPED.how, STOPPED.reason, ""))
        tx.record(Closed(incident, clock.at, CloseHow.RECOVERED, "well"))
        tx.note(Note("observed", clock.at, {"n": 1}, target), f"would:{incident}")
        tx.queue(notice(f"{incident}:recovered", incident), ["oncall"])
        tx.connection.execute(outbox.update().values(sent_at=clock.at))


@pytest.fixture
def year(store: Store, clock: Clock) -> Store:
    """Eight months of an incident each second one, by two writers; the newest is two hours old."""
    with store.transaction() as tx:
        tx.mark(CHECKOUT, "rev-a", Standing.GOOD, How.DECLARED, clock.at)
    for number in range(4):
        rolled_back(store, clock, f"inc-{number}")
        clock.move(60 * DAY)
    other = Store.open(store.database.url.render_as_string(hide_password=False), "two", clock)
    rolled_back(other, clock, "inc-of-two", "kubernetes:prod/shop/deployment/cart")
    other.close()
    with store.transaction() as tx:
        tx.note(Note("breach.unexplained", clock.at, {}, CHECKOUT), "unexplained:1")
    clock.move(2 * HOUR)
    return store


def compacted(store: Store, to: Path, keep: timedelta = 90 * DAY) -> Compacted:
    """By the command's own writer, as beside a daemon."""
    beside = Store.open(store.database.url.render_as_string(hide_password=False), compaction.WRITER, store._clock)
    try:
        return compact(beside, keep, to)
    finally:
        beside.close()


# --- the chain --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["old.jsonl", "old.jsonl.gz"])
def test_what_is_left_and_what_went_both_hold_and_join(year: Store, tmp_path: Path, name: str) -> None:
    before = list(year.rows())
    done = compacted(year, tmp_path / name)
    found, proven = audit(year), exports.prove(tmp_path / name)
    left = [row for row in year.rows() if row.kind != "journal.exported"]
    assert 0 < done.rows < len(before)
    assert (found.fault, done.stopped) == (None, None)
    assert (found.exported["one"].rows, found.exported["one"].hash) == (done.rows, proven.heads["one"])
    assert left == before[done.rows :]
    assert proven.hashes == {row.hash for row in before[: done.rows]}


def test_a_second_file_follows_on_the_first(year: Store, clock: Clock, tmp_path: Path) -> None:
    compacted(year, tmp_path / "one.jsonl")
    clock.move(60 * DAY)
    compacted(year, tmp_path / "two.jsonl")
    first, second = exports.prove(tmp_path / "one.jsonl"), exports.prove(tmp_path / "two.jsonl")
    assert (second.after, second.first) == (first.heads, first.last + 1)
    assert audit(year).fault is None
    assert audit(year).exported["one"].rows == first.rows + second.rows


def test_a_writer_goes_on_from_its_exported_head(year: Store, clock: Clock, tmp_path: Path) -> None:
    clock.move(400 * DAY)
    with year.transaction() as tx:
        tx.note(Note("daemon.paused", clock.at))
    compacted(year, tmp_path / "old.jsonl")
    two = Store.open(year.database.url.render_as_string(hide_password=False), "two", clock)
    assert "two" in two.heads()
    with two.transaction() as tx:
        tx.note(Note("daemon.paused", clock.at))
    assert audit(two).fault is None
    two.close()


def test_a_head_that_was_kept_is_not_missed_where_it_is_the_exported_head(year: Store, clock: Clock, tmp_path: Path) -> None:
    head = year.heads()["two"]
    clock.move(400 * DAY)
    with year.transaction() as tx:
        tx.note(Note("daemon.paused", clock.at))
    compacted(year, tmp_path / "old.jsonl")
    assert audit(year, [head[:16], "0" * 16]).missing == ("0" * 16,)


def test_rows_that_were_removed_by_hand_show(year: Store, url: str) -> None:
    with by_hand(url) as connection:
        (first, digest) = connection.execute(text("SELECT seq, hash FROM journal WHERE seq = 1")).one()
        connection.execute(insert(exported).values(writer="one", seq=first, hash=digest, rows=1, began=T0))
        connection.execute(text("DELETE FROM journal WHERE seq = 1"))
        connection.commit()
    assert audit(year).fault == "rows were removed, and no row of the journal tells of it"


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM journal", "DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal)", "UPDATE journal SET body = ''"],
)
def test_the_database_refuses_to_remove_or_change_what_was_not_exported(year: Store, url: str, tmp_path: Path, statement: str) -> None:
    compacted(year, tmp_path / "old.jsonl")
    with by_hand(url) as connection, pytest.raises(Exception, match="append-only"):
        connection.execute(text(statement))


@pytest.mark.parametrize("spoil", ["changed", "cut", "header"])
def test_a_file_that_was_touched_is_refused(year: Store, tmp_path: Path, spoil: str) -> None:
    file = tmp_path / "old.jsonl.gz"
    compacted(year, file)
    packed = file.read_bytes()
    lines = gzip.decompress(packed).splitlines(keepends=True)
    lines[3] = lines[3].replace(b"checkout", b"checkins", 1)
    wrong = {"changed": gzip.compress(b"".join(lines)), "cut": packed[:-20], "header": gzip.compress(b"".join(lines[1:]))}
    file.write_bytes(wrong[spoil])
    with pytest.raises(StoreError, match=r"old\.jsonl\.gz.*(changed|read|first line)"):
        exports.prove(file)


# --- decisions --------------------------------------------------------------------------------------------------------------------------


def asked(store: Store, clock: Clock) -> dict[str, object]:
    """Everything that a decision rests on."""
    return {
        "budget": store.budget(clock.at),
        "suspects": store.answered(),
        "quarantined": store.quarantined(),
        "ledger": store.ledger(CHECKOUT),
        "good": store.all_good([CHECKOUT], T0),
        "changes": store.changes(),
        "latest": store.latest_changes(),
        "open": store.open_incidents(),
        "usual": (store.began(), store.noted("breach.unexplained", clock.at - 28 * DAY)),
        "pause": store.newest_of(("pause.set", "pause.lifted"), START)[1],
        "parcels": store.has_parcels(clock.at),
    }


def test_what_decisions_rest_on_is_the_same_afterwards(year: Store, clock: Clock, tmp_path: Path) -> None:
    begin(year, "inc-open", "kubernetes:prod/shop/deployment/open")
    before = asked(year, clock)
    assert compacted(year, tmp_path / "old.jsonl").rows > 0
    assert asked(year, clock) == before


def test_a_change_that_was_answered_long_ago_is_not_answered_again(year: Store, clock: Clock, tmp_path: Path) -> None:
    compacted(year, tmp_path / "old.jsonl")
    with year.transaction() as tx:
        assert not tx.open(opened("inc-0"), "shop")
        assert not tx.open(opened("inc-new", change="change-of-inc-0"), "shop")
        assert tx.see_change(SeenChange(change("change-of-inc-0", "rev-inc-0", "rev-a", seen=clock.at))).change.first_seen == T0
        assert not tx.mark(CHECKOUT, "rev-inc-0", Standing.GOOD, How.BAKED, clock.at)
    assert blocked_by(claim(year, "inc-0", limits=WIDE)) == "closed"


def test_what_was_said_once_is_not_said_again(year: Store, clock: Clock, tmp_path: Path) -> None:
    compacted(year, tmp_path / "old.jsonl")
    with year.transaction() as tx:
        assert not tx.note(Note("observed", clock.at, {"n": 1}, CHECKOUT), "would:inc-0")
        assert tx.note(Note("observed", clock.at, {"n": 1}, CHECKOUT), "would:inc-99")


def test_what_belongs_to_old_incidents_alone_goes_with_them(year: Store, tmp_path: Path) -> None:
    compacted(year, tmp_path / "old.jsonl")
    with year.snapshot() as reading, reading.connected() as connection:
        for column in (claims.c.incident, outbox.c.key):
            assert set(connection.execute(select(column)).scalars()) == {"inc-3", "inc-of-two"}
        assert len(connection.execute(select(incidents.c.id)).all()) == 5


# --- what has to stay -------------------------------------------------------------------------------------------------------------------


def test_an_open_incident_ends_the_removal_before_it(store: Store, clock: Clock, tmp_path: Path) -> None:
    rolled_back(store, clock, "inc-0")
    begin(store, "inc-open", "kubernetes:prod/shop/deployment/open")
    rolled_back(store, clock, "inc-1")
    clock.move(365 * DAY)
    with store.transaction() as tx:
        tx.note(Note("daemon.paused", clock.at))
    before = store.incident("inc-open")
    done = compacted(store, tmp_path / "old.jsonl")
    assert done.stopped == "incident inc-open is still open"
    assert (store.incident("inc-0"), store.incident("inc-open")) == (None, before)


@pytest.mark.parametrize(("ago", "is_kept"), [(DAY - SECOND, True), (DAY + SECOND, False)])
def test_a_step_that_nobody_ended_stays_until_a_day_after_its_deadline(
    store: Store, clock: Clock, tmp_path: Path, ago: timedelta, is_kept: bool
) -> None:
    begin(store, "inc-0")
    claim(store, "inc-0", limits=WIDE)
    with store.transaction() as tx:
        tx.record(Closed("inc-0", clock.at, CloseHow.RECOVERED, "well"))
    clock.move(365 * DAY)
    with store.transaction() as tx:
        tx.note(Note("daemon.paused", clock.at))
        tx.connection.execute(claims.update().values(deadline=clock.at - ago))
    unfinished = store.claim_on("inc-0", 0, CHECKOUT)
    done = compacted(store, tmp_path / "old.jsonl")
    assert done.stopped == ("a step of incident inc-0 has not ended" if is_kept else None)
    assert store.claim_on("inc-0", 0, CHECKOUT) == (unfinished if is_kept else None)


@pytest.mark.parametrize(("kinds", "is_kept"), [(["pause.set"], True), (["pause.set", "pause.lifted"], False)])
def test_a_pause_that_holds_stays(store: Store, clock: Clock, tmp_path: Path, kinds: list[str], is_kept: bool) -> None:
    for kind in kinds:
        with store.transaction() as tx:
            tx.note(Note(kind, clock.at, {"reason": "move"}))
    clock.move(365 * DAY)
    with store.transaction() as tx:
        tx.note(Note("daemon.paused", clock.at))
    assert compacted(store, tmp_path / "old.jsonl").rows == (0 if is_kept else 2)


def test_an_incident_is_never_cut_in_two(store: Store, clock: Clock, tmp_path: Path) -> None:
    begin(store, "inc-0")
    clock.move(89 * DAY)
    with store.transaction() as tx:
        tx.record(Closed("inc-0", clock.at, CloseHow.RECOVERED, "well"))
    clock.move(2 * DAY)
    before = store.events("inc-0")
    assert compacted(store, tmp_path / "old.jsonl").rows == 0
    assert (store.events("inc-0"), list(tmp_path.glob("old*"))) == (before, [])


def test_it_goes_on_after_a_failure_in_the_middle(year: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "BATCH", 10)
    written = list(year.rows())
    removed = compaction._remove_batch
    batches: list[int] = []

    def failing(tx: object, first: int, last: int, name: str) -> None:
        removed(tx, first, last, name)  # type: ignore[arg-type]
        batches.append(last)
        if len(batches) == 2:
            raise StoreError("the disk is full")

    monkeypatch.setattr(compaction, "_remove_batch", failing)
    with pytest.raises(StoreError, match="the disk is full"):
        compacted(year, tmp_path / "one.jsonl")
    assert audit(year).fault is None
    assert all(year.events(row.incident) for row in year.rows() if row.incident)
    compacted(year, tmp_path / "two.jsonl")
    first, second = exports.prove(tmp_path / "one.jsonl"), exports.prove(tmp_path / "two.jsonl")
    assert audit(year).fault is None
    assert second.hashes < first.hashes | {row.hash for row in year.rows()} | {row.hash for row in written}
    assert set(second.after.values()) <= first.hashes


# --- refusals ---------------------------------------------------------------------------------------------------------------------------


def test_a_month_stays(year: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the newest 30 days stay"):
        compacted(year, tmp_path / "old.jsonl", LEAST - MINUTE)


def test_a_file_that_is_there_is_never_written_over(year: Store, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text("mine")
    with pytest.raises(StoreError, match="exists; nothing was made"):
        compacted(year, tmp_path / "old.jsonl")
    assert (tmp_path / "old.jsonl").read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(year: Store, tmp_path: Path) -> None:
    rows = len(list(year.rows()))
    with pytest.raises(StoreError, match="cannot be written"):
        compacted(year, tmp_path / "nowhere" / "old.jsonl")
    assert len(list(year.rows())) == rows


def test_the_rows_in_the_file_are_json(year: Store, tmp_path: Path) -> None:
    row = next(iter(year.rows()))
    compacted(year, tmp_path / "old.jsonl")
    header, first = (tmp_path / "old.jsonl").read_text().splitlines()[:2]
    assert json.loads(header) == {"export": "rollbackd/journal-export/v1", "after": {}}
    assert json.loads(first)["hash"] == row.hash


# --- the commands -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, url: str) -> Path:
    file = tmp_path / "rollbackd.yaml"
    file.write_text(f"apiVersion: rollbackd/v1\nkind: Config\nsources: {{prometheus: {{url: 'http://127.0.0.1:9'}}}}\npolicies: [p]\nstore: {url}\n")
    return file


def test_the_command_says_what_it_moved(year: Store, tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = len(list(year.rows()))
    asked = ["compact", "--config", str(config), "--before", "90d", "--to", str(tmp_path / "old.jsonl.gz")]
    assert outcome(asked) == 0
    assert f"{rows - 1} rows, 1 to {rows - 1}; removed from the journal; the chain holds in both" in capsys.readouterr().out  # it is long past 2025
    assert audit(year).fault is None
    assert outcome(asked) == 1
    assert outcome([*asked[:-1], str(tmp_path / "more.jsonl.gz")]) == 0  # the row that was the newest, and stayed for that
    assert "1 rows, " in capsys.readouterr().out
    assert outcome([*asked[:-1], str(tmp_path / "none.jsonl.gz")]) == 0
    assert "nothing was removed" in capsys.readouterr().out


def test_the_command_leaves_a_journal_of_another_version_alone(tmp_path: Path, config: Path) -> None:
    fresh = tmp_path / "older.db"
    written_by_the_first_version(f"sqlite:///{fresh}")
    config.write_text(config.read_text().rpartition("store:")[0] + f"store: sqlite:///{fresh}\n")
    assert outcome(["compact", "--config", str(config), "--before", "90d", "--to", str(tmp_path / "old.jsonl")]) == 1
    with sqlite3.connect(fresh) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("v0001",)]


def audited(store: Store, *kept: str) -> dict[str, Any]:
    """What the daemon answers to `audit verify`."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(audit(store, kept))))
    return document


def test_an_audit_with_all_files_finds_every_head_that_was_ever_kept(year: Store, clock: Clock, tmp_path: Path) -> None:
    head = next(iter(year.rows())).hash[:16]
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    compacted(year, one)
    clock.move(60 * DAY)
    compacted(year, two)
    assert audited(year, head)["missing"] == [head]
    found = with_files(audited(year, head), (two, one))
    assert (found["fault"], found["missing"], found["gaps"], list(found["files"])) == (None, [], [], [str(one), str(two)])


def test_an_audit_names_what_is_in_no_file(year: Store, clock: Clock, tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    compacted(year, one)
    clock.move(60 * DAY)
    compacted(year, two)
    assert with_files(audited(year), (two,))["gaps"] == [f"{two} follows on row {exports.prove(one).heads['one'][:16]} of one"]
    assert "the rows of one in the journal follow on row" in with_files(audited(year), (one,))["gaps"][0]
    two.write_bytes(two.read_bytes().replace(b"checkout", b"checkins", 1))
    assert with_files(audited(year), (one, two))["fault"].startswith(f"{two}: row ")
