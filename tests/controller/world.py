"""The controller's core on literal time: a real store, real targets, readings as literals; no thread but the actor's."""

import json
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from rollbackd.adapters.base.target import Target
from rollbackd.adapters.command import Command, CommandSpec
from rollbackd.adapters.flagd import Flagd, FlagFile
from rollbackd.controller.act import Actor
from rollbackd.controller.engine import Batch, Engine
from rollbackd.controller.fleet import Settings
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import How, Standing
from rollbackd.controller.journalling import Journalling
from rollbackd.controller.pause import Pause
from rollbackd.controller.survey import Surveyor
from rollbackd.policies.incident import Incident
from rollbackd.policies.model import FlagsRung, Policy, RevertRung, Timing
from rollbackd.policies.readings import Counts, Reading
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
    """One daemon's core over ``folder``. ``at`` moves only by ``slot``."""

    def __init__(self, folder: Path, *policies: Policy, settings: Settings | None = None, at: datetime = T0) -> None:
        self.at = at
        self.version = folder / "version"
        self.flags = folder / "flags.json"
        if not self.version.exists():
            self.deploy("v1")
            self.flip("off")
        self.targets: Mapping[str, Target] = {"command": _command(folder), "flagd": _flagd(self.flags)}
        self.store = Store.open(f"sqlite:///{folder}/rollbackd.db", "test-0", lambda: self.at)
        self.pause = Pause(folder / "pause")
        self.woken: list[str] = []
        quickly = timedelta(milliseconds=5)
        self.actor = Actor(self.store, self.targets, self.pause, lambda: self.at, self.woken.append, lambda: None, look_every=quickly)
        self.engine = Engine(self.store, self.actor, Journalling(self.store, lambda: None), self.pause, settings or Settings())
        self.surveyor = Surveyor(self.targets)
        self.engine.adopt(policies or (SHOP_POLICY,))

    def deploy(self, version: str) -> None:
        self.version.write_text(version + "\n")

    def flip(self, variant: str) -> None:
        flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": variant}
        self.flags.write_text(json.dumps({"flags": {"new-checkout": flag}}))

    def flag(self) -> str:
        return str(json.loads(self.flags.read_text())["flags"]["new-checkout"]["defaultVariant"])

    def good(self, *revisions: str) -> None:
        for revision in revisions:
            with self.store.transaction() as tx:
                tx.mark(SHOP, revision, Standing.GOOD, How.DECLARED, self.at)

    def slot(self, bad: float, total: float = 600.0, *, policies: tuple[str, ...] = ("shop",)) -> None:
        """The next slot, and everything that follows from it until nothing is under way."""
        self.read(lambda at: Counts(at - EVERY, at, bad, bad, total, at), policies)

    def read(self, reading: Callable[[datetime], Reading], policies: tuple[str, ...] = ("shop",)) -> None:
        self.at += EVERY
        keys = [key for policy in self.engine.policies.values() for key in policy.targets]
        readings = {name: (reading(self.at),) for name in policies}
        self.engine.cycle(Batch(self.at, self.surveyor.survey(keys, self.at), readings))
        self.rest()

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

    def close(self) -> None:
        self.actor.close()
        self.surveyor.close()
        self.store.close()


def _command(folder: Path) -> Command:
    apply = folder / "apply.sh"
    if not apply.exists():
        apply.write_text(f'#!/bin/sh\necho "$1" >> {folder}/applied\necho "$1" > {folder}/version\n')
        apply.chmod(apply.stat().st_mode | stat.S_IXUSR)
    spec = CommandSpec(("/bin/cat", str(folder / "version")), (str(apply), "{revision}"), settle=timedelta(0))
    return Command({"shop": spec})


def _flagd(file: Path) -> Flagd:
    return Flagd({"flags": FlagFile("flags", file, settle=timedelta(0))})
