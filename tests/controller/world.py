"""The controller's core on literal time: a real store, real targets, readings as literals; no thread but the actor's."""

import json
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from rollbackd.adapters.base.notice import Notice
from rollbackd.adapters.base.target import Target
from rollbackd.adapters.command import Command, CommandSpec
from rollbackd.adapters.flagd import Flagd, FlagFile
from rollbackd.controller.act.actor import Actor
from rollbackd.controller.engine.engine import Engine
from rollbackd.controller.engine.fleet import Settings
from rollbackd.controller.engine.journalling import Journalling
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.journal.rows import parcel_of
from rollbackd.controller.journal.schema import outbox
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.notify.store_trouble import StoreTrouble
from rollbackd.controller.observe.changes import Survey
from rollbackd.controller.observe.survey import Surveyor
from rollbackd.controller.pause.file import Pause
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.model.policy import FlagsRung, Policy, RevertRung, Timing
from rollbackd.policies.model.readings import Counts, Reading
from tests.policies.literals import POLICY, SECOND, T0

EVERY = 10 * SECOND
SHOP = "command:shop"
FLAGS = "flagd:flags/all"
TIMING = Timing(
    warmup=timedelta(0),
    settle=timedelta(0),
    recover_for=30 * SECOND,
    give_up=timedelta(minutes=2),
    cooldown=timedelta(0),
    bake=timedelta(minutes=30),
)
SHOP_POLICY = replace(
    POLICY,
    name="shop",
    target=SHOP,
    every=EVERY,
    timing=TIMING,
    ladder=(FlagsRung(FLAGS), RevertRung(SHOP)),
)


class World:
    """One daemon's core over ``folder``. ``at`` moves only by ``slot``, ``read`` and ``look``. ``targets`` may be replaced by kind."""

    def __init__(
        self,
        folder: Path,
        *policies: Policy,
        settings: Settings | None = None,
        at: datetime = T0,
        patience: timedelta = 5 * SECOND,
        workers: int = 4,
        store: Store | None = None,
    ) -> None:
        self.at = at
        self.version = folder / "version"
        self.flags = folder / "flags.json"
        if not self.version.exists():
            self.deploy("v1")
            self.flip("off")
        self.targets: dict[str, Target] = {"command": Command({"shop": command(folder)}), "flagd": _flagd(self.flags)}
        self.store = store or Store.open(f"sqlite:///{folder}/rollbackd.db", "test-0", lambda: self.at, patience)
        self.pause = Pause(folder / "pause")
        self.woken: list[str] = []
        quickly = timedelta(milliseconds=5)
        self.actor = Actor(self.store, self.targets, self.pause, lambda: self.at, self.woken.append, lambda: None, most=workers, look_every=quickly)
        self.told_aside: list[Notice] = []
        trouble = StoreTrouble(self.store, self.told_aside.append)
        self.engine = Engine(self.store, self.actor, Journalling(self.store, lambda: None), self.pause, settings or Settings(), trouble)
        self.surveyor = Surveyor(self.targets)
        self.engine.adopt(policies or (SHOP_POLICY,))

    def deploy(self, version: str) -> None:
        self.version.write_text(version + "\n")

    def flip(self, variant: str, **others: str) -> None:
        """The flag new-checkout has this variant, and ``others`` have theirs."""
        variants = {"new-checkout": variant, **others}
        states = {"state": "ENABLED", "variants": {"on": True, "off": False}}
        self.flags.write_text(json.dumps({"flags": {name: {**states, "defaultVariant": value} for name, value in variants.items()}}))

    def flag(self) -> str:
        return str(json.loads(self.flags.read_text())["flags"]["new-checkout"]["defaultVariant"])

    def good(self, *revisions: str) -> None:
        for revision in revisions:
            with self.store.transaction() as tx:
                tx.mark(SHOP, revision, Standing.GOOD, How.DECLARED, self.at)

    def slot(self, bad: float, total: float = 600.0, *, policies: tuple[str, ...] = ("shop",)) -> None:
        """The next slot, and everything that follows from it until nothing is under way."""
        self.read(lambda at: served(at, bad, total), policies)

    def read(self, reading: Callable[[datetime], Reading], policies: tuple[str, ...] = ("shop",)) -> None:
        self.look(reading, policies)
        self.rest()

    def look(self, reading: Callable[[datetime], Reading], policies: tuple[str, ...] = ("shop",)) -> None:
        """The next slot; what follows from it is not waited for."""
        self.at += EVERY
        self.engine.cycle(Batch(self.at, self.survey(), {name: (reading(self.at),) for name in policies}))

    def survey(self) -> Survey:
        """How every target stands now."""
        return self.surveyor.survey([key for policy in self.engine.policies.values() for key in policy.targets], self.at)

    def rest(self, within: float = 20.0) -> None:
        """Nothing is being done for any incident, and every outcome has been decided on."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            busy = any(self.actor.is_busy(incident.id) for incident in self.store.open_incidents())
            if not busy and not self.woken:
                return
            if not busy:
                self.engine.decide_again(self.woken.pop())
            time.sleep(0.005)
        raise AssertionError("the actor did not come to rest")

    def incidents(self) -> tuple[Incident, ...]:
        return self.store.open_incidents()

    def kinds(self) -> list[str]:
        """The incident's rows, oldest first."""
        return [entry.kind for entry in reversed(self.store.history(1000)) if entry.incident is not None]

    def guards(self) -> list[str]:
        """What held an incident, oldest first."""
        return [entry.body["guard"] for entry in reversed(self.store.history(1000)) if entry.kind == "incident.held"]

    def titles(self) -> list[str]:
        """The titles of the messages that were queued, oldest first."""
        return [notice.title for notice in self.notices()]

    def notices(self) -> list[Notice]:
        """The messages that were queued, oldest first."""
        return [parcel_of(row).notice for row in self._outbox()]

    def lines(self) -> tuple[str, ...]:
        """What the newest message that was queued says."""
        return parcel_of(self._outbox()[-1]).notice.lines

    def contacts(self) -> set[str]:
        """Everybody to whom a message was queued."""
        return {row.contact for row in self._outbox()}

    def told(self) -> list[tuple[str, str]]:
        """Contact and kind of every message that was queued, oldest first."""
        return [(row.contact, parcel_of(row).notice.kind) for row in self._outbox()]

    def _outbox(self) -> list[Row[Any]]:
        with self.store.transaction() as tx:
            return list(tx.connection.execute(select(outbox).order_by(outbox.c.turn)))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Another process writes to the store all the while."""
        other = sqlite3.connect(self.store.database.file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.rollback()
            other.close()

    def close(self) -> None:
        self.actor.close()
        self.surveyor.close()
        self.store.close()


def command(folder: Path, name: str = "version") -> CommandSpec:
    """Commands that read the revision from a file and write it there; each write is a line in ``applied``."""
    apply = folder / ("apply.sh" if name == "version" else f"apply-{name}.sh")
    if not apply.exists():
        script(apply, f'echo "$1" >> {folder}/applied\necho "$1" > {folder}/{name}')
    return CommandSpec(("/bin/cat", str(folder / name)), (str(apply), "{revision}"), settle=timedelta(0))


def script(file: Path, body: str) -> None:
    """The file is a shell script that can be run."""
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def served(at: datetime, bad: float, total: float = 600.0) -> Counts:
    """What one slot counted."""
    return Counts(at - EVERY, at, bad, bad, total, at)


def _flagd(file: Path) -> Flagd:
    return Flagd({"flags": FlagFile("flags", file, settle=timedelta(0))})
