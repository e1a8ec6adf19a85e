"""``python -m tests.soak.days``: the daemon's core on virtual time for so many days, or for so many incidents, on a journal that is really on a disk.

Clock, network, threads and services are the simulation's; engine, actor, outbox and store are shipped code. Every slot is evaluated. What is measured
is how memory grows by the day, and the journal by the incident.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from rollbackd.controller.audit import audit
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.journal.begin import Begin
from rollbackd.controller.journal.chain import Break, verify
from rollbackd.controller.journal.compaction import WRITER, compact
from rollbackd.controller.journal.errors import translated
from rollbackd.controller.journal.schema import incidents, journal, metadata
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How, Note, Standing
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Counts, Reading
from tests.bench.figures import machine, resident
from tests.policies.literals import T0
from tests.postgres import postgres
from tests.simulation.outside import Outside
from tests.simulation.replica import Pager, Replica
from tests.simulation.shop import HEALTHY, RATE, Service, service
from tests.simulation.story import WIDE
from tests.simulation.turns import Clock
from tests.simulation.world import silence
from tests.soak.growth import Day, faults, rise, said, warm

SERVICES = 4
DAY = timedelta(days=1)
EVERY = timedelta(minutes=15)
"""Between two slots, and the measure of all other times of the policies: a slot costs as much however long it is."""
PACE = 10
"""Slots between two releases of one service where only incidents count: an incident closes within half of it."""
LIMIT_MB = 50.0
"""Of journal for 10,000 incidents."""


@dataclass(frozen=True, slots=True)
class Releases:
    """How often a service is released, in slots, and how many of the releases are bad."""

    apart: float
    bad: float


REALISTIC = Releases(DAY / EVERY / 4, 0.1)
"""Four releases a day and service, one of ten bad."""
ONLY_BAD = Releases(PACE, 1.0)


class Place:
    """Where the journal lies. What the simulation's replica asks of a memory: an engine on which the tables are."""

    def __init__(self, url: str) -> None:
        Store.open(url, "maker").close()
        self.store = Store.open(url, "reader")
        self.engine: Engine = self.store._engine  # the shipped connections, under the simulation's clock

    @contextmanager
    def connection(self, begin: Begin) -> Iterator[Connection]:
        """As the shipped store's."""
        with translated(self.store.database.place), self.engine.connect().execution_options(begin=begin) as connection, connection.begin():
            yield connection

    def asked(self, question: tuple[object, ...], ask: Callable[[], Any]) -> Any:
        """Every question is really put."""
        return ask()

    def size(self) -> int:
        """Bytes of it, by the server's or the file system's account."""
        with self.engine.connect().execution_options(begin=Begin.NOTHING) as connection:
            if self.engine.dialect.name == "postgresql":
                names = ", ".join(f"pg_total_relation_size('{name}')" for name in metadata.tables)
                return int(sum(connection.exec_driver_sql(f"SELECT {names}").one()))
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return sum(file.stat().st_size for file in Path(str(self.engine.url.database)).parent.glob("*.db*"))

    def counts(self) -> tuple[int, int]:
        """Journal rows, and incidents that are closed."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(func.count()).select_from(journal)).scalar_one()
            closed = connection.execute(select(func.count()).select_from(incidents).where(incidents.c.closed_at.is_not(None))).scalar_one()
        return rows, closed

    def broken(self) -> Break | None:
        """Where the audit chain breaks."""
        return verify(self.store.rows())


class Month:
    """Services under one replica, slot after slot."""

    def __init__(self, place: Place, folder: Path, releases: Releases, seed: int = 1) -> None:
        self.place = place
        self._dice = random.Random(seed)
        self._releases = releases
        self.began = T0
        self.clock = Clock(T0)
        self._outside = Outside(self.clock, Counter())
        self._pager = Pager(Counter())
        self._services = [_service(number) for number in range(SERVICES)]
        for each in self._services:
            self._outside.add(each.key)
            if each.flag:
                self._outside.flags[each.flag] = "off"
        self._outside.changed = self._settle
        self._settle()
        self._replica = Replica("daemon", self.clock, place, self._outside, self._pager, folder, Settings(limits=WIDE))  # type: ignore[arg-type]
        with self._replica.store.transaction() as tx:
            for each in self._services:
                tx.mark(each.key, "v1", Standing.GOOD, How.DECLARED, self.clock.now)
        self._slot = 0
        self._versions = 1
        self._next = {each.key: self._dice.uniform(2, releases.apart) for each in self._services}

    def run(self, slots: int) -> None:
        """So many slots more."""
        for _ in range(slots):
            self._slot += 1
            at = T0 + self._slot * EVERY
            self.clock.run(at, lambda: None)
            self._release()
            self._replica.slot(at, [each.policy for each in self._services], self._read)
            self._replica.deliver()
        self._forget()

    def _read(self, policy: Policy, at: datetime) -> Reading:
        total = RATE * EVERY.total_seconds()
        bad = round(self._services[int(policy.name[1:])].share(at - EVERY, at) * total)
        return Counts(at - EVERY, at, bad, bad, total, at)

    def _release(self) -> None:
        for each in self._services:
            if self._slot >= self._next[each.key]:
                self._next[each.key] = self._slot + self._releases.apart * self._dice.uniform(0.9, 1.1)
                self._versions += 1
                is_bad = self._dice.random() < self._releases.bad
                kept = {revision: each.quality[revision] for revision in self._outside.workloads[each.key].kept}
                each.quality = {**kept, f"v{self._versions}": 0.3 if is_bad else HEALTHY}
                self._outside.deploy(each.key, f"v{self._versions}")

    def _settle(self) -> None:
        for each in self._services:
            each.settle(self._outside)

    def _forget(self) -> None:
        """What the stand-ins keep of the past is gone: only what the product keeps is to be measured."""
        self._outside.foreign.clear()
        self._pager.heard.clear()
        for each in self._services:
            del each.timeline[:-20]


def _service(number: int) -> Service:
    """The simulation's, as slow as our slots."""
    made = service(number, needs_people=False)
    timing = replace(made.policy.timing, recover_for=2 * EVERY, give_up=9 * EVERY, bake=18 * EVERY)
    conditions = tuple(replace(each, window=EVERY) for each in made.policy.conditions)
    made.policy = replace(made.policy, every=EVERY, watch=30 * EVERY, timing=timing, conditions=conditions)
    return made


def days(month: Month, count: int) -> Iterator[Day]:
    """One after the other."""
    for number in range(1, count + 1):
        month.run(DAY // EVERY)
        rows, closed = month.place.counts()
        yield Day(number, resident(), month.place.size(), rows, closed)


def main(args: Sequence[str]) -> int:
    """0 where incidents happened, memory does not grow, the journal stays within its limit and its chain holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.days", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--incidents", type=int, help="instead of days: bad releases only, until so many incidents are closed")
    parser.add_argument("--postgres", action="store_true", help="the journal on PostgreSQL instead of SQLite")
    asked = parser.parse_args(args)
    silence()
    with tempfile.TemporaryDirectory() as folder, place_in(Path(folder), is_shared=asked.postgres) as place:
        return _incidents(place, Path(folder), asked.incidents) if asked.incidents else _days(place, Path(folder), asked.days)


@contextmanager
def place_in(folder: Path, *, is_shared: bool) -> Iterator[Place]:
    """An empty journal."""
    if not is_shared:
        yield Place(f"sqlite:///{folder}/rollbackd.db")
        return
    with postgres() as server:
        place = Place(server.url("postgres"))
        yield place
        place.store.close()


def _days(place: Place, folder: Path, count: int) -> int:
    began, seen = time.monotonic(), []
    for day in days(Month(place, folder, REALISTIC), count):
        seen.append(day)
        _show(f"day {day.number:3} of {count}  RSS {day.rss_mib:.1f} MiB  journal {day.size:,} B, {day.rows:,} rows  {day.incidents} incidents")
    later, last, grown, broken = warm(seen), seen[-1], (seen[-1].size - seen[0].size) / max(1, count - 1), place.broken()
    slots = count * (DAY // EVERY)
    print(f"{count} virtual days, {slots:,} slots of {SERVICES} services, {last.incidents} incidents; {time.monotonic() - began:.0f} s")
    print(f"RSS {later[0].rss_mib:.1f} to {later[-1].rss_mib:.1f} MiB, {said(rise(seen))}")
    print(f"journal {last.size:,} B, {last.rows:,} rows, {grown:,.0f} B a day; audit chain: {broken or 'holds'}\n{machine()}")
    found = faults(seen, broken)
    for fault in found:
        print(f"BROKEN: {fault}")
    return int(bool(found))


def _incidents(place: Place, folder: Path, count: int) -> int:
    month, empty, closed = Month(place, folder, ONLY_BAD), place.size(), 0
    while closed < count:
        month.run(20 * PACE)
        rows, closed = place.counts()
        _show(f"{closed:,} of {count:,} incidents")
    size, broken = place.size(), place.broken()
    each = (size - empty) / closed
    left, packed = _compacted(place, folder, month.clock.now)
    kind = place.engine.dialect.name
    print(f"{closed:,} incidents, {rows:,} rows; {kind}: {size:,} B with its log folded in, empty {empty:,} B; audit chain: {broken or 'holds'}")
    print(f"{each:,.0f} B an incident, {each * 10_000 / 1e6:.1f} MB for 10,000 (limit {LIMIT_MB:g} MB)\n{machine()}")
    kept = (left - empty) / closed
    print(f"compacted: {kept:,.0f} B an incident, {kept * 10_000 / 1e6:.1f} MB for 10,000; in the file {packed / closed:,.0f} B an incident")
    return int(kept * 10_000 / 1e6 > LIMIT_MB or broken is not None)


def _compacted(place: Place, folder: Path, at: datetime) -> tuple[int, int]:
    """Bytes of the journal and of the file, half a year later, when all that could go has gone."""
    file = folder / "old.jsonl.gz"
    later = Store.open(place.store.database.url.render_as_string(hide_password=False), WRITER, lambda: at + 180 * DAY)
    with later.transaction() as tx:
        tx.note(Note("daemon.paused", later.now()))
    done = compact(later, 90 * DAY, file)
    later.close()
    with place.engine.connect().execution_options(begin=Begin.NOTHING, isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM" if place.engine.dialect.name == "sqlite" else "VACUUM FULL")
    print(f"{done.rows:,} rows moved; stopped: {done.stopped}; audit: {audit(place.store).fault or 'holds'}")
    return place.size(), file.stat().st_size


def _show(line: str) -> None:
    print(f"{line:<100}", end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
