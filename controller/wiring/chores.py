"""What the daemon does beside the slots, each once an interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollbackd.adapters.heartbeat import Beacon
from rollbackd.controller.act.arrivals import EVERY as ARRIVALS_EVERY
from rollbackd.controller.act.arrivals import Arrivals
from rollbackd.controller.api.heartbeat import Pulse
from rollbackd.controller.clock import now
from rollbackd.controller.config.values import Config
from rollbackd.controller.logs import Secrets
from rollbackd.controller.notify.audit_watch import AuditWatch
from rollbackd.controller.notify.clocks import Clocks
from rollbackd.controller.people.desk import Desk
from rollbackd.controller.secret_files import SecretFiles

CLOCKS_EVERY, AUDIT_EVERY, SECRETS_EVERY = timedelta(minutes=1), timedelta(hours=1), timedelta(seconds=5)
JOURNAL_EVERY = timedelta(minutes=1)
"""How long a journal that takes no writes may look well in a calm."""


@dataclass(frozen=True, slots=True)
class Chore:
    """``work`` is done at the start and then once an interval."""

    name: str
    every: timedelta
    work: Callable[[], None]


def chores(
    config: Config, secrets: Secrets, desk: Desk, tend: Callable[[datetime], None], clocks: Clocks, watch: AuditWatch, arrivals: Arrivals
) -> Sequence[Chore]:
    """The chores of a daemon of this config. What its secret files hold now is hidden already. ``tend`` tells the engine the time."""
    files = SecretFiles(config, secrets)
    files.learn()
    found = [
        Chore("clocks", CLOCKS_EVERY, clocks.check),
        Chore("journal", JOURNAL_EVERY, lambda: _look_at_journal(desk, tend)),
        Chore("audit", AUDIT_EVERY, watch.check),
        Chore("arrivals", ARRIVALS_EVERY, arrivals.look),
        Chore("secrets", SECRETS_EVERY, files.learn),
    ]
    if config.heartbeat is not None:
        found.append(Chore("heartbeat", config.heartbeat.every, Pulse(desk, Beacon(config.heartbeat.url_file, now).send).beat))
    return found


def _look_at_journal(desk: Desk, tend: Callable[[datetime], None]) -> None:
    engine = desk.engine
    if engine.policies:
        engine.trouble.look()
    else:  # a part of a fleet that nobody fell to, or the last policy is gone: no slot tells of its journal, nor of an incident that is still open
        engine.trouble.look_alone(desk.now())
        tend(desk.now())
