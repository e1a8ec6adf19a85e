"""The command that moves old rows of the journal into a file: compact."""

from datetime import timedelta
from pathlib import Path

import click

from rollbackd.controller.cli.options import FILE
from rollbackd.controller.cli.past import duration_option


@click.command(
    short_help="Move old rows of the journal into a file.",
    epilog="Exit codes: 0 done, or nothing is old enough; 1 nothing was made, or the removal ended early: call it again with another file.\n\n"
    "Examples:\n\n\b\n  rollbackd compact --before 90d --to /archive/journal-2026-11-26.jsonl.gz\n"
    "  rollbackd audit verify /archive/journal-*.jsonl.gz",
)
@click.option("--before", "keep", required=True, callback=duration_option, metavar="TIME", help="Rows older than that go, such as 90d; at least 30d.")
@click.option(
    "--to", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file, which must not exist; packed where it ends in .gz."
)
@click.option("--config", type=FILE, default="rollbackd.yaml", show_default=True, help="The daemon's config, which names the journal.")
def compact(keep: timedelta, to: Path, config: Path) -> None:
    """Move the rows of closed incidents, and notes, into a file that proves itself, while the daemon runs. Decisions do not change; keep the file."""
    from rollbackd.controller.cli.config_file import read_config
    from rollbackd.controller.journal.compaction import compact_at
    from rollbackd.controller.journal.database import database
    from rollbackd.controller.journal.errors import StoreError

    read = read_config(config)
    try:
        done = compact_at(database(read.store, read.store_password), keep, to)
    except StoreError as fault:
        raise click.ClickException(str(fault)) from fault
    if done.rows:
        click.echo(f"{to}: {done.rows} rows, {done.first} to {done.last}; removed from the journal; the chain holds in both")
    else:
        click.echo("nothing was removed: no row is old enough and free to go")
    if done.stopped:
        click.echo(f"older rows stay: {done.stopped}")
