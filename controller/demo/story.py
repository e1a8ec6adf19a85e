"""The demo's story: a bad flag, then a bad version, and what the daemon makes of them.

It drives the same `rollbackd run` that a user starts, through files, the command line and a webhook; it calls no part of the daemon.
"""

import contextlib
import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollbackd.controller.demo import epilogue, files
from rollbackd.controller.demo.acts import Outcome, missing, play
from rollbackd.controller.demo.children import ENDING, Children
from rollbackd.controller.demo.client import Client
from rollbackd.controller.demo.daemon_log import DaemonLog
from rollbackd.controller.demo.files import POLICY_IN_WORDS, TARGET, Folder, Ports
from rollbackd.controller.demo.meter import Meter
from rollbackd.controller.demo.narration import Broken, Narration
from rollbackd.controller.demo.receiver import Receiver
from rollbackd.controller.demo.screen import Screen
from rollbackd.controller.demo.shipping import acts
from rollbackd.controller.demo.shop import FLAG

SHOP_WITHIN = 10.0
DAEMON_WITHIN = 20.0
QUIET = 2.0
STORY_WITHIN = 100.0
"""Whatever goes wrong, it is told and everything is stopped within two minutes."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that one demo runs on."""

    folder: Folder
    ports: Ports
    screen: Screen
    client: Client
    narration: Narration


def run_demo(folder: Path | None, keep: bool) -> int:
    """Play the story; 0 only if both rollbacks happened and were verified. Nothing that it started runs afterwards.

    ``folder`` must be empty or absent; a new one under the system's temporary folder by default. ``keep``: goes on until Ctrl-C.
    """
    screen = Screen()
    place = Folder((folder or Path(tempfile.mkdtemp(prefix="rollbackd-demo-"))).absolute())
    try:
        secret = files.prepare(place)
    except OSError as fault:  # nothing was started: a daemon's log that lies there is of another demo
        screen.say("demo", f"FAILED: {fault}", style="bold red")
        return 1
    try:
        with _interruptible():
            return _play(place, secret, screen, keep=keep)
    except KeyboardInterrupt:
        screen.say("demo", "interrupted; everything that was started is stopped")
        return 130
    except (Broken, OSError, subprocess.TimeoutExpired) as fault:
        screen.say("demo", f"FAILED: {fault}", style="bold red")
        screen.quote(DaemonLog(place.log("daemon")).tail())
        return 1


def _play(folder: Folder, secret: str, screen: Screen, *, keep: bool) -> int:
    with Receiver(secret) as receiver, Children() as children, contextlib.ExitStack() as measuring:
        ports = files.free_ports()
        files.write_config(folder, ports, receiver.url)
        meter = Meter(ports.shop)
        narration = Narration(screen, children, meter, receiver, DaemonLog(folder.log("daemon")), ends=time.monotonic() + STORY_WITHIN)
        stage = Stage(folder, ports, screen, Client(folder.config, ports.api), narration)
        _start_shop(stage)
        measuring.callback(meter.stop)
        _start_daemon(stage)
        faults = _tell(stage, keep)
        if keep:
            epilogue.show_next(screen, folder, ports, stage.client, is_live=True)
            narration.ends, narration.shop_every = math.inf, 60.0
            with contextlib.suppress(KeyboardInterrupt):
                narration.until((), math.inf)
        return 1 if faults else 0


def _start_shop(stage: Stage) -> None:
    folder, ports, narration = stage.folder, stage.ports, stage.narration
    stage.screen.chapter("A shop, and a rollbackd that watches it (times are UTC)")
    stage.screen.say("demo", f"everything lies in {folder.path}")
    place = [str(folder.version), str(ports.shop), str(folder.flags)]
    narration.children.start("shop", [sys.executable, "-m", "rollbackd.controller.demo.supervisor", *place], folder.log("shop"))
    narration.children.start("load", [sys.executable, "-m", "rollbackd.controller.demo.load", str(ports.shop)], folder.log("load"))
    narration.meter.start()
    stage.screen.say("demo", f"the policy: {POLICY_IN_WORDS}")
    stage.screen.say("demo", f"the shop runs v1 on http://127.0.0.1:{ports.shop}, flag {FLAG} off, with customers of its own")
    folder.log("daemon").touch()
    if not narration.until_true(lambda: narration.meter.has_seen_traffic, SHOP_WITHIN):
        raise Broken(f"the shop served nobody within {SHOP_WITHIN:g} s; look at {folder.log('shop')}")


def _start_daemon(stage: Stage) -> None:
    client, narration = stage.client, stage.narration
    stage.screen.say("you", f"start the daemon: {client.typed('run')}", style="bold")
    narration.children.start("daemon", client.argv("run"), stage.folder.log("daemon"))
    if not narration.until_true(client.is_ready, DAEMON_WITHIN):
        raise Broken(f"the daemon was not ready within {DAEMON_WITHIN:g} s")
    if not narration.until_true(lambda: _has_looked(client.ask("status")), DAEMON_WITHIN):
        raise Broken(f"the daemon judged nothing within {DAEMON_WITHIN:g} s")
    narration.until((), QUIET)
    stage.screen.say("you", f"declare what is known to be good: {client.typed('good', TARGET, 'v1')}", style="bold")
    done = client.run("good", TARGET, "v1")
    stage.screen.quote(done.stdout.strip() or done.stderr.strip())
    if done.returncode != 0:
        raise Broken(f"`rollbackd good` ended with exit code {done.returncode}")


def _has_looked(status: Mapping[str, Any]) -> bool:
    return any(policy["at"] is not None for policy in status.get("policies", ()))


def _tell(stage: Stage, keep: bool) -> list[str]:
    """Both acts and the epilogue; what is missing from two verified rollbacks."""
    outcomes: list[Outcome] = []
    faults: list[str] = []
    for number, act in enumerate(acts(stage.folder, stage.ports)):
        if not faults:
            outcomes.append(play(act, stage.narration, stage.client, explains=number == 0))
            faults += missing(outcomes[-1], _history(stage.client), stage.narration.receiver.messages)
        else:
            faults.append(f"{act.name}: not shipped, because the rollback before it is not verified")
    _show(stage, outcomes, faults, keep)
    return faults


def _history(client: Client) -> Sequence[Mapping[str, Any]]:
    """The journal's rows, newest first."""
    rows: Sequence[Mapping[str, Any]] = client.ask("history", "--limit", "500").get("items", ())
    return rows


def _show(stage: Stage, outcomes: Sequence[Outcome], faults: Sequence[str], keep: bool) -> None:
    screen, receiver = stage.screen, stage.narration.receiver
    epilogue.show_messages(screen, receiver.messages, receiver.refused)
    if outcomes and outcomes[-1].incident is not None:
        screen.chapter(f"What the journal says of it: {stage.client.typed('history', outcomes[-1].incident)}")
        screen.quote(stage.client.run("history", outcomes[-1].incident).stdout)
    epilogue.show_times(screen, outcomes, _history(stage.client))
    epilogue.show_places(screen, stage.folder)
    if not faults and not keep:  # what is kept running is looked at instead: that is said last
        epilogue.show_next(screen, stage.folder, stage.ports, stage.client, is_live=False)
    screen.chapter("Not everything is true that should be:" if faults else "Two rollbacks, both verified.")
    for fault in faults:
        screen.write(f"  - {fault}")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end the story as Ctrl-C does, so that nothing outlives it. A signal that is ignored (nohup) stays ignored."""
    former = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
