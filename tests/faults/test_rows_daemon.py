"""Rows 9 to 16 and 42 to 46: the daemon's own threads, clocks, journal and messages."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest
from rollbackd.adapters.command import Command
from rollbackd.controller.clock import now
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.observation import grids
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.schema import metadata
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.schedule import Grid, Schedule
from rollbackd.policies.known.fleet import Limits
from rollbackd.policies.model.policy import Mode, RevertRung
from rollbackd.policies.model.readings import Counts
from tests.controller.journal_samples import OPENED
from tests.controller.world import SHOP_POLICY, World, command, served
from tests.faults.house import ILL, WELL, House, house_in, shop_policy
from tests.faults.server import FaultServer, held, lost, status
from tests.faults.test_rows_sources import released
from tests.policies.literals import SECOND
from tests.postgres import Postgres
from tests.replicas.pipe import Pipe, pipe_to
from tests.servers import poll

HOUR = timedelta(hours=1)


def commands(folder: Path, **shop: list[str]) -> dict[str, object]:
    """A service ``shop`` at v1 whose commands are these, and a minute to become ready."""
    (folder / "shop").write_text("v1\n")
    script = f'echo "$1" >> {folder}/shop.applied; echo "$1" > {folder}/shop'
    known = {"describe": ["/bin/cat", f"{folder}/shop"], "apply": ["/bin/sh", "-c", script, "apply", "{revision}"], "timeout": "60s"}
    return {"shop": {**known, "settle": "0s", **shop}}


def journal_file(house: House) -> str:
    return str(house.parts.store.database.file)


@contextmanager
def cut_off(house: House) -> Iterator[None]:
    """No question reaches the journal meanwhile."""
    with closing(sqlite3.connect(journal_file(house))) as other:
        other.execute("ALTER TABLE incidents RENAME TO elsewhere")
        yield
        other.execute("ALTER TABLE elsewhere RENAME TO incidents")


@contextmanager
def locked(house: House) -> Iterator[None]:
    """Somebody else writes to the journal all the while."""
    with closing(sqlite3.connect(journal_file(house), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


# --- 9: a pass that takes too long ---------------------------------------------------------------------------


def test_row_09_a_pass_that_hangs_costs_slots_that_are_counted_and_never_made_up_for(tmp_path: Path, server: FaultServer) -> None:
    with house_in(tmp_path, server, {"shop": shop_policy().replace("every: 10s", "every: 1s")}) as house:
        house.serve().measured(shop=WELL)
        seen, going = [], threading.Event()

        def work(grid: Grid, at: object) -> None:
            seen.append(at)
            going.wait(30)

        schedule = Schedule(work, now)
        schedule.keep(grids(house.parts.engine.policies.values()))
        schedule.start()
        poll(lambda: seen)
        time_of_block = now()
        poll(lambda: now() > time_of_block + 4 * SECOND)
        assert house.page("/healthz")[0] == 200  # said by a thread of its own
        going.set()
        poll(lambda: len(seen) > 2)
        schedule.stop()
        assert schedule.missed >= 2
        assert len(set(seen)) == len(seen)
        assert seen[1] - seen[0] >= 3 * SECOND
        page = house.page("/metrics")[1]
        assert "rollbackd_slots_missed_total" in page
        assert "rollbackd_slot_lateness_seconds" in page


# --- 10: a bug ---------------------------------------------------------------------------


class HalfBroken(Command):
    """An adapter with a bug that only the shop meets."""

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        if request.target == "command:shop":
            raise TypeError("unsupported operand")
        return super().plan(request)


def test_row_10_a_bug_in_an_adapter_holds_its_own_incident_and_no_other(tmp_path: Path) -> None:
    names = ("shop", "zoo")
    policies = [replace(SHOP_POLICY, name=n, digest=n, target=f"command:{n}", ladder=(RevertRung(f"command:{n}"),)) for n in names]
    world = World(tmp_path, *policies, settings=Settings(limits=Limits(in_flight_per_namespace=5, in_flight=5)))
    world.targets["command"] = HalfBroken({"shop": command(tmp_path), "zoo": command(tmp_path, "zoo")})
    for version in ("v1", "v2"):
        world.deploy(version)
        (tmp_path / "zoo").write_text(f"{version}\n")
        world.slot(0, policies=names)
        with world.store.transaction() as tx:
            for name in names:
                tx.mark(f"command:{name}", "v1", Standing.GOOD, How.DECLARED, world.at)
    for _ in range(4):
        world.slot(60, policies=names)
    assert (tmp_path / "zoo").read_text() == "v1\n"
    assert (world.version.read_text(), world.guards()[0]) == ("v2\n", "bug")
    world.close()


def test_row_10_a_policy_that_cannot_be_judged_leaves_the_others_alone(tmp_path: Path) -> None:
    other = replace(SHOP_POLICY, name="other", digest="other", target="command:other", ladder=(RevertRung("command:other"),))
    world = World(tmp_path, SHOP_POLICY, other)
    world.slot(0, policies=("shop",))
    world.good("v1")
    world.deploy("v2")
    for _ in range(4):
        world.at += SECOND * 10
        absurd = Counts(world.at - SECOND, world.at, 2.0, 1.0, -1.0, world.at)  # what no observer would make
        world.engine.cycle(Batch(world.at, world.survey(), {"other": (absurd,), "shop": (served(world.at, 60),)}))
        world.rest()
    assert world.version.read_text() == "v1\n"
    world.close()


# --- 11: the journal is out of reach ---------------------------------------------------------------------------


def test_row_11_without_a_journal_nothing_begins_all_is_judged_and_people_are_told_past_it(house: House) -> None:
    released(house)
    with cut_off(house):
        for _ in range(16):
            house.look()
        assert house.verdict().state.value == "breach"
        assert (house.version(), house.applied()) == ("v2", [])
        poll(lambda: house.server.messages)
        assert house.server.pagerduty.called == []  # by the fallback, which needs no journal
    house.slots(6)
    assert house.applied() == ["v1"]


def test_row_11_a_step_that_was_claimed_ends_and_its_outcome_is_found_later(tmp_path: Path, server: FaultServer) -> None:
    slowly = f"touch {tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    applies = f'{slowly}; echo "$1" >> {tmp_path}/shop.applied; echo "$1" > {tmp_path}/shop'
    with house_in(tmp_path, server, commands=commands(tmp_path, apply=["/bin/sh", "-c", applies, "apply", "{revision}"])) as house:
        released(house)

        def has_begun() -> bool:
            house.look()
            return (tmp_path / "begun").exists()

        poll(has_begun, within=30)
        with cut_off(house):
            (tmp_path / "go").touch()
            poll(lambda: house.version() == "v1")
            assert house.applied() == ["v1"]
        house.measured(shop=WELL)
        house.slots(18)  # its claim lasts for two time-outs
        assert house.applied() == ["v1"]
        assert house.kinds()[-1] == "incident.closed"


def emptied(postgresql: Postgres, name: str) -> str:
    """The URL of a database of this name with nothing in it."""
    with psycopg.connect(postgresql.dsn(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return postgresql.url(name)


# --- 12, 15: two at once, and hands in the journal ---------------------------------------------------------------------------


def test_row_12_of_two_replicas_that_decide_the_same_one_acts(tmp_path: Path, server: FaultServer, postgresql: Postgres) -> None:
    shared = emptied(postgresql, "row_12")
    with house_in(tmp_path / "one", server, store=shared) as one:
        same = {name: one.command(name) for name in one.services}
        with house_in(tmp_path / "two", server, store=shared, commands=same) as other:
            other.at = one.at
            released(one)
            other.measured(shop=ILL)
            for _ in range(8):
                both = [threading.Thread(target=house.look) for house in (one, other)]
                for thread in both:
                    thread.start()
                for thread in both:
                    thread.join()
                for house in (one, other):
                    house.rest()
                one.measured(shop=ILL if one.version() == "v2" else WELL)
            assert one.applied() == ["v1"]
            assert one.kinds().count("rung.intended") == 1
            assert one.kinds().count("incident.opened") == 1


def test_row_15_a_claim_that_somebody_deletes_by_hand_is_never_written_on(tmp_path: Path, server: FaultServer) -> None:
    with house_in(tmp_path, server) as house:
        released(house)
        target = house.parts.actor._targets["command"]
        sound = target.plan

        def plan_and_lose_the_claim(request: PlanRequest) -> Plan | NothingToDo:
            with closing(sqlite3.connect(journal_file(house))) as other, other:
                other.execute("CREATE TRIGGER gone AFTER INSERT ON claims BEGIN DELETE FROM claims; END")
            return sound(request)

        target.plan = plan_and_lose_the_claim  # type: ignore[method-assign]
        house.slots(10)
        assert (house.version(), house.applied()) == ("v2", [])
        assert "its claim is no longer in the journal" in house.body("rung.stopped")["reason"]
        assert len(house.paged()) == 1


# --- 13, 14: clocks ---------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_row_13_a_clock_that_jumps_makes_no_slot_twice_and_no_step_late(tmp_path: Path, server: FaultServer, jump: timedelta) -> None:
    ready = f'if [ -e {tmp_path}/slow ]; then r=null; else r=$(date -u -r {tmp_path}/shop "+\\"%Y-%m-%dT%H:%M:%SZ\\""); fi'
    describes = f'{ready}; echo "{{\\"revision\\":\\"$(cat {tmp_path}/shop)\\",\\"ready\\":$r}}"'
    with house_in(tmp_path, server, commands=commands(tmp_path, describe=["/bin/sh", "-c", describes])) as house:
        released(house)
        (tmp_path / "slow").touch()

        def is_applied() -> bool:
            house.look()
            return "rung.applied" in house.kinds()

        poll(is_applied, within=30)
        house.at += jump
        time.sleep(1.5)  # it looks once a second: at least one look is made by the new clock
        assert house.kinds()[-1] == "rung.applied"  # it has a minute yet, whatever the clock says
        (tmp_path / "slow").unlink()
        poll(lambda: "rung.settled" in house.kinds(), within=30)
        house.rest()
        assert (house.kinds()[-1], house.applied()) == ("rung.settled", ["v1"])  # what was judged before counts for nothing


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_row_13_slots_go_on_after_a_jump_and_none_comes_twice(jump: timedelta) -> None:
    seen, off = [], [timedelta(0)]
    schedule = Schedule(lambda grid, at: seen.append(at), lambda: now() + off[0])
    schedule.keep({Grid("a", SECOND)})
    schedule.start()
    poll(lambda: seen)
    off[0] = jump
    before = len(seen)
    poll(lambda: len(seen) > before + 1)
    schedule.stop()
    assert len(set(seen)) == len(seen)


def test_row_14_a_source_whose_clock_is_5_minutes_off_is_paged_and_proves_nothing(house: House) -> None:
    released(house)
    house.server.metrics.clock = (house.at - now()).total_seconds() + 300
    house.chore("clocks")
    house.slots(6)
    assert "the source's clock is 300 s ahead of ours" in house.unknown()
    assert house.nothing_acted()
    (page,) = house.paged()
    assert page.startswith("the clock of source prometheus is 300 s ahead of that of")
    house.server.metrics.clock = (house.at - now()).total_seconds()
    house.chore("clocks")
    house.slots(6)
    assert house.applied() == ["v1"]


# --- 42, 43: the journal's file ---------------------------------------------------------------------------


def test_row_42_a_journal_that_is_locked_for_long_is_waited_for_and_nothing_acts(house: House) -> None:
    released(house)
    house.serve()
    before = house.parts.engine.slots
    with locked(house):

        def is_stuck() -> bool:
            house.at += timedelta(seconds=10)
            house.parts.observation.observe(Grid("prometheus", timedelta(seconds=10)), house.at)
            return house.parts.engine.trouble.fault is not None

        poll(is_stuck, within=40, every=0.2)
        assert house.page("/healthz")[0] == 200
        assert (house.version(), house.applied()) == ("v2", [])
        poll(lambda: house.parts.engine.slots > before, within=40)
    poll(lambda: house.parts.engine.mailbox.overtaken >= 1, within=40)  # what waited so long was old
    house.slots(6)
    assert house.applied() == ["v1"]


def test_row_43_a_journal_that_is_damaged_is_looked_on_without_and_never_made_anew(tmp_path: Path, server: FaultServer) -> None:
    junk = b"SQLite format 3\x00" + b"\xff" * 4096
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rollbackd.db").write_bytes(junk)
    with house_in(tmp_path, server) as house:
        house.serve()
        released(house)
        house.slots(8)
        assert (house.parts.engine.settings.mode_cap, house.version(), house.applied()) == (Mode.OBSERVE, "v2", [])
        assert house.page("/readyz")[0] == 503
        poll(lambda: server.messages)
        assert "is damaged; it only looks on" in str(server.messages)
    assert (tmp_path / "data" / "rollbackd.db").read_bytes() == junk


# --- 44: a commit of which nobody knows ---------------------------------------------------------------------------


@pytest.fixture
def pipe(postgresql: Postgres) -> Iterator[Pipe]:
    with pipe_to(postgresql.port) as pipe:
        yield pipe


@pytest.fixture
def piped(postgresql: Postgres, pipe: Pipe) -> Iterator[Store]:
    """A journal in a PostgreSQL of which a test can lose answers."""
    store = Store.open(emptied(postgresql, "row_44").replace(f":{postgresql.port}/", f":{pipe.port}/"), "one")
    yield store
    store.close()


def test_row_44_a_commit_whose_answer_is_lost_is_found_by_its_key_and_stands_once(piped: Store, pipe: Pipe) -> None:
    assert metadata.tables
    with piped.transaction() as tx:
        tx.open(OPENED, "shop")
        pipe.lose_answers()
    assert [incident.id for incident in piped.open_incidents()] == [OPENED.incident]
    with piped.transaction() as tx:
        tx.open(OPENED, "shop")
    assert [entry.kind for entry in piped.history(10)].count("incident.opened") == 1


# --- 45: a journal that somebody edits ---------------------------------------------------------------------------


def test_row_45_a_row_that_is_edited_is_paged_as_security_and_acting_goes_on(house: House) -> None:
    released(house)
    with closing(sqlite3.connect(journal_file(house))) as other, other:
        for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f'DROP TRIGGER "{name}"')
        other.execute("UPDATE journal SET body = '{}' WHERE seq = (SELECT min(seq) FROM journal)")
    house.chore("audit")
    poll(lambda: house.server.messages)
    assert "SECURITY: the journal of" in str(house.server.messages)
    house.slots(6)
    assert house.applied() == ["v1"]


# --- 46: a pager that is down ---------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [pytest.param(status(503), id="down"), pytest.param(status(429), id="throttled")])
def test_row_46_a_pager_that_is_down_for_an_hour_delays_no_rollback_and_loses_no_page(house: House, answer) -> None:
    server = house.server
    server.breaks("pagerduty", answer)
    released(house)
    house.slots(8)  # it is put back, and did not help
    assert house.applied() == ["v1"]
    poll(lambda: server.slack.messages)  # the other channels of the contact do not wait for it
    tried = len(server.asked_of("pagerduty"))
    assert tried < 20
    house.at += timedelta(minutes=16)
    house.parts.outbox.wake()
    poll(lambda: server.messages, within=30)  # the fallback is told of a page that is late
    house.at += HOUR
    server.mends()
    house.parts.outbox.wake()
    assert [title.split(" command")[0] for title in house.paged()] == ["ROLLBACK NEEDS YOU"]
    kinds = [event.get("event_action", "change") for event in server.pagerduty.events]
    assert kinds == ["change", "trigger"]  # in the order in which it happened


def test_row_46_a_pager_that_hangs_holds_up_nothing(house: House) -> None:
    answers = threading.Event()
    house.server.breaks("pagerduty", held(answers))
    released(house)
    house.slots(8)
    assert house.applied() == ["v1"]
    answers.set()


# --- 5: the page of a daemon that died ---------------------------------------------------------------------------


def test_row_05_a_page_that_a_dead_daemon_had_queued_is_sent_by_the_next_under_the_same_key(tmp_path: Path, server: FaultServer) -> None:
    server.breaks("pagerduty", lost)  # it arrived; that it did is on record nowhere
    with house_in(tmp_path, server) as house:
        released(house)
        house.slots(8)
        at = house.at
        (incident,) = house.incidents()
    server.mends()
    before = [event["dedup_key"] for event in server.pagerduty.events if "dedup_key" in event]
    with house_in(tmp_path, server) as again:
        again.at = at + HOUR
        again.parts.outbox.wake()
        assert len(again.paged()) >= 1
    keys = [event["dedup_key"] for event in server.pagerduty.events if "dedup_key" in event]
    assert len(keys) > len(before)
    assert set(keys) == {incident.id}
    assert set(server.pagerduty.alerts.values()) == {"triggered"}
