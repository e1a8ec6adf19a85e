"""The command that is the daemon: run."""

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rollbackd.controller.api.client import FAILED, ClientFault
from rollbackd.controller.cli.options import FILE

if TYPE_CHECKING:
    from rollbackd.controller.shard import Shard


@click.command(
    short_help="Watch, judge, act and tell, until SIGTERM.",
    epilog="Examples:\n\n\b\n  rollbackd run --config /etc/rollbackd/rollbackd.yaml\n"
    "  pkill -HUP -f '[r]ollbackd run'   # read the policies again, now; in a container: kill -HUP 1",
)
@click.option("--config", type=FILE, default="rollbackd.yaml", show_default=True, help="The daemon's config.")
@click.option("--shard", metavar="NUMBER/COUNT", help="Watch only this part of all targets, such as 2/5, from 0 on. Needs a store in PostgreSQL.")
def run(config: Path, shard: str | None) -> None:
    """Watch, judge, act and tell, until SIGTERM. Policies are read again when their files change."""
    with _kept_for_good():
        from rollbackd.adapters.base.errors import AdapterError
        from rollbackd.controller.cli.config_file import read_config
        from rollbackd.controller.daemon import run as run_daemon
        from rollbackd.controller.journal.errors import StoreError
        from rollbackd.controller.starting import NotStarted

        read = read_config(config)
    try:
        code = run_daemon(read, _part(shard, read.store))
    except (NotStarted, StoreError, AdapterError) as fault:
        raise ClientFault(str(fault), "", FAILED) from fault
    click.get_current_context().exit(code)


@contextlib.contextmanager
def _kept_for_good() -> Iterator[None]:
    """What is made meanwhile is never looked through for garbage: modules and the config live as long as the daemon."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _part(text: str | None, store: str) -> "Shard":
    """The part of all targets that is meant. Raises click.UsageError."""
    from rollbackd.controller.shard import WHOLE, shard_of

    if text is None:
        return WHOLE
    if store.startswith("sqlite"):
        raise click.UsageError("--shard needs a store in PostgreSQL: guards that count must be shared by all parts; nothing was started")
    try:
        return shard_of(text)
    except ValueError as fault:
        raise click.UsageError(f"--shard: {fault}") from fault
