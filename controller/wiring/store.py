"""From the config to the journal; a damaged one is left as it lies, and the daemon only looks on."""

import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from rollbackd.controller.config.values import Config
from rollbackd.controller.journal.database import database
from rollbackd.controller.journal.errors import StoreDamaged
from rollbackd.controller.journal.store import Store
from rollbackd.controller.notify.store_trouble import Outage
from rollbackd.controller.pause.file import Pause
from rollbackd.controller.pause.shared import SharedPause
from rollbackd.controller.replica import replica_name

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Opened:
    """The journal. ``damage``: what is wrong with the one in the config; then ``store`` is one that nobody keeps, for looking on.

    ``outage``: what people have heard of it while it could not be opened yet.
    """

    store: Store
    damage: str | None = None
    outage: Outage | None = None

    def pause(self, file: Path) -> Pause:
        """The switch that fits it; of a damaged journal one that nobody lifts."""
        if self.damage is not None:
            return Stopped(file, self.damage)
        return SharedPause(file, self.store) if self.store.database.is_shared else Pause(file)


class Stopped(Pause):
    """Paused until the next start. What was done, what is in quarantine and what is left of the budgets is not known: not even people act here."""

    def __init__(self, file: Path, damage: str) -> None:
        super().__init__(file)
        self._damage = damage

    def here(self) -> str | None:
        """The damage."""
        return f"only looking on: {self._damage}; then restart"


def writer_of(config: Config) -> str:
    """The name of this replica in every row of its journal. Raises StoreUnfit where the config names none."""
    host = socket.gethostname()
    return replica_name(config.data_dir / "replica", host) if database(config.store).is_shared else host


def open_store(config: Config, hide: Callable[[str], str], time_is: Callable[[], datetime] | None = None) -> Opened:
    """The journal of this config, or one to look on with. Raises StoreError where neither can be.

    ``hide``: takes the secrets out of what is said. ``time_is``: instead of the database's clock.
    """
    writer = writer_of(config)
    try:
        return Opened(Store.open(config.store, writer, time_is, password_file=config.store_password, hide=hide))
    except StoreDamaged as fault:
        damage = str(fault)
    log.error("store.damaged", error=damage)
    # Beside nothing that anybody would take for the journal.
    folder = tempfile.mkdtemp(prefix="rollbackd-looking-on-")
    return Opened(Store.open(f"sqlite:///{folder}/nobody-keeps-this.db", writer, time_is, hide=hide), damage)
