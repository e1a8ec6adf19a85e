"""The command that copies the journal: backup."""

from pathlib import Path

import click

from rollbackd.controller.cli.options import FILE


@click.command(
    short_help="Copy the journal to a file, while the daemon runs.",
    epilog="Examples:\n\n\b\n  rollbackd backup --config rollbackd.yaml /backup/rollbackd-2026-11-26.db\n\n"
    "To restore: stop the daemon, move the former journal with its -wal and -shm away, put the copy where `store` points, touch DATA_DIR/pause, "
    "start the daemon, and look at `rollbackd status` and `rollbackd plan` before `rollbackd resume`: it knows nothing of what it did after the "
    "copy was made.",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--config", type=FILE, default="rollbackd.yaml", show_default=True, help="The daemon's config, which names the journal.")
def backup(file: Path, config: Path) -> None:
    """Copy the journal to FILE, which must not exist, as it is at one moment; the copy is proven by its hash chain before it gets its name."""
    from rollbackd.controller.cli.config_file import read_config
    from rollbackd.controller.journal.backup import backup as copy
    from rollbackd.controller.journal.database import database
    from rollbackd.controller.journal.errors import StoreError

    try:
        rows = copy(database(read_config(config).store), file)
    except StoreError as fault:
        raise click.ClickException(str(fault)) from fault
    click.echo(f"{file}: {rows} rows, the chain holds")
