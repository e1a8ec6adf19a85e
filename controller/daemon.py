"""The process: start everything in order, reload, stop cleanly. Decides nothing and knows no adapter."""

import signal
import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from types import FrameType

import structlog

from rollbackd.controller import clock, memory
from rollbackd.controller.anteroom import Anteroom
from rollbackd.controller.api.server import server
from rollbackd.controller.config.values import Config
from rollbackd.controller.doors import Doors
from rollbackd.controller.logs import Secrets, configure
from rollbackd.controller.notify.readiness import EVERY as READINESS_EVERY
from rollbackd.controller.notify.store_trouble import Outage
from rollbackd.controller.policy_files import Reload
from rollbackd.controller.shard import WHOLE, Shard
from rollbackd.controller.wiring.daemon import Parts, ground_of, listens, wire
from rollbackd.controller.wiring.store import open_store, writer_of
from rollbackd.policies.fleets.policy import FleetPolicy
from rollbackd.policies.model.policy import Policy

log = structlog.get_logger()

RELOAD_EVERY = timedelta(seconds=5)
"""How often the policy files are looked at; SIGHUP looks at once."""
ROSTERS_EVERY = timedelta(seconds=30)
"""How often the members of fleets are asked for; SIGHUP asks at once."""
TIDY_EVERY = timedelta(seconds=10)
"""How often memory is tidied, so that what faults leave behind is freed while it is little."""
SWEEP_EVERY = timedelta(hours=1)
"""How often old garbage is looked for, too: at 10,000 policies that holds everything up for half a second to a second."""
CHECK_GRACE = timedelta(seconds=0.5)
"""How long a stop waits for the check of targets to end the programs that it started."""
OUTBOX_GRACE = timedelta(seconds=5)
"""How long a stop waits for messages under way; the rest leave after the next start."""


class Signals:
    """What the process was told from outside: ``stop`` by SIGTERM or SIGINT, ``reload`` by SIGHUP."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.reload = threading.Event()

    def heed(self) -> None:
        """They are heard from now on: also while the journal is waited for a SIGTERM ends the process well, and a SIGHUP does not end it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()

    def _on_reload(self, number: int, frame: FrameType | None) -> None:
        self.reload.set()


class Daemon:
    """One running rollbackd."""

    def __init__(self, parts: Parts, doors: Doors, signals: Signals) -> None:
        self._parts = parts
        self._stop = signals.stop
        self._reload = signals.reload
        self._reading = threading.Lock()
        self._served = [(server(pages.app), doors.at(pages.name)) for pages in parts.pages]

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT; returns the exit code."""
        self._start()
        try:
            while not self._stop.wait(0.2):
                if self._reload.is_set():
                    self._reload.clear()
                    self.reload(confirm=True)
        finally:
            self._shut_down()
        return 0

    def reload(self, *, confirm: bool = False) -> None:
        """The policies on disk hold, as far as they are sound; the last good ones stay where they are not."""
        # One at a time: of a look and a SIGHUP at once, whose files differ, the one that read the older could be adopted last, and hold for good.
        with self._reading:
            outcome = self._parts.files.read(confirm=confirm)
            if outcome is not None:
                self._adopt(outcome)
        if confirm or (outcome is not None and outcome.fleets):
            # Not here: a cluster that hangs must not keep the other policies waiting.
            self._parts.schedule.once("rosters.now", partial(self.refresh, confirm=confirm))

    def refresh(self, *, confirm: bool = False) -> None:
        """The rosters of all fleets were asked for, and what is believed of them holds."""
        membership = self._parts.membership
        before = {policy.name for standing in membership.standings() for policy in standing.policies}
        membership.refresh(confirm=confirm)
        if joined := [policy for standing in membership.standings() for policy in standing.policies if policy.name not in before]:
            self._check_beside(joined)

    def _start(self) -> None:
        parts = self._parts
        for serving, bound in self._served:
            threading.Thread(target=serving.run, kwargs={"sockets": [bound]}, name="api", daemon=True).start()
        parts.engine.mailbox.start()
        parts.outbox.start()
        for source in parts.startable:
            source.start()
        self.reload()
        parts.schedule.every(RELOAD_EVERY, "reload", self.reload)
        parts.schedule.every(ROSTERS_EVERY, "rosters", self.refresh)
        parts.schedule.every(READINESS_EVERY, "readiness", parts.readiness.look)
        parts.schedule.every(TIDY_EVERY, "memory", memory.tidy)
        parts.schedule.every(SWEEP_EVERY, "garbage", memory.sweep)
        for chore in parts.chores:
            parts.schedule.once(f"{chore.name}.first", chore.work)
            parts.schedule.every(chore.every, chore.name, chore.work)
        parts.schedule.start()
        listen = [f"{pages.listen[0]}:{pages.listen[1]}" for pages in parts.pages]
        log.info("daemon.started", listen=" ".join(listen), data=str(parts.data_dir))

    def _adopt(self, outcome: Reload) -> None:
        for fault in outcome.faults:
            log.error("policy.refused", fault=str(fault))
        self._parts.policy_news.tell(outcome)
        self._parts.membership.take(outcome.policies, outcome.fleets, outcome.claimed, outcome.unread)
        self._check_beside(outcome.policies, outcome.fleets)
        memory.tidy()  # what reading them left: files that are saved twice in a minute must not take twice as much

    def _check_beside(self, policies: Sequence[Policy], fleets: Sequence[FleetPolicy] = ()) -> None:
        # A thread that nobody waits for: a target that hangs must keep neither the first slot nor a stop waiting.
        threading.Thread(target=self._check, args=(policies, fleets), name="check", daemon=True).start()

    def _check(self, policies: Sequence[Policy], fleets: Sequence[FleetPolicy]) -> None:
        for problem in self._parts.check(policies, fleets, self._stop.is_set):
            if not self._stop.is_set():  # what the stop itself cut short is no fault of the target
                log.warning("target.not_ready", problem=problem)

    def _shut_down(self) -> None:
        """In the order in which things depend on each other: nothing new, then what is under way, then the store."""
        parts = self._parts
        log.info("daemon.stopping")
        parts.schedule.stop()
        parts.observation.close()
        parts.actor.close()
        parts.engine.mailbox.stop()
        parts.outbox.stop(OUTBOX_GRACE)
        for source in parts.startable:
            source.stop()
        for serving, _ in self._served:
            serving.should_exit = True
        for checking in [thread for thread in threading.enumerate() if thread.name == "check"]:
            checking.join(CHECK_GRACE.total_seconds())
        parts.store.close()
        log.info("daemon.stopped")


def run(config: Config, shard: Shard = WHOLE) -> int:
    """The daemon of this config [for a part of its targets], until it is told to stop. A journal that does not open yet is waited for.

    Raises NotStarted, StoreError or AdapterError with what to do if it cannot start.
    """
    memory.collect_seldom()
    memory.share_one_heap()
    secrets = Secrets()
    configure(secrets)
    ground, doors, signals = ground_of(config, secrets), Doors(listens(config)), Signals()
    signals.heed()
    outage = Outage(writer_of(config), ground.tell)
    opened = Anteroom(lambda: open_store(config, secrets.hide), outage, doors, clock.now, secrets.hide, signals.stop).opened()
    if opened is None:
        log.info("daemon.stopped")
        return 0
    return Daemon(wire(config, secrets, shard, ground=ground, opened=opened), doors, signals).run()
