"""The command that is the daemon: run."""

from pathlib import Path

import click

from rollbackd.controller.cli.options import FILE


@click.command(
    short_help="Watch, judge, act and tell, until SIGTERM.",
    epilog="Examples:\n\n\b\n  rollbackd run --config /etc/rollbackd/rollbackd.yaml\n  kill -HUP $(pidof rollbackd)   # read the policies again, now",
)
@click.option("--config", type=FILE, default="rollbackd.yaml", show_default=True, help="The daemon's config.")
def run(config: Path) -> None:
    """Watch, judge, act and tell, until SIGTERM. Policies are read again when their files change."""
    from rollbackd.controller.cli.config_file import read_config
    from rollbackd.controller.daemon import run as run_daemon

    click.get_current_context().exit(run_daemon(read_config(config)))
