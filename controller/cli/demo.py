"""The command that shows the whole job on a machine of one's own: demo."""

from pathlib import Path

import click


@click.command(
    short_help="See the whole job, on this machine, in about a minute.",
    epilog="Examples:\n\n\b\n  rollbackd demo\n  rollbackd demo --keep --folder ./demo\n  rollbackd status --config demo/rollbackd.yaml",
)
@click.option("--keep", is_flag=True, help="Leave it running until Ctrl-C.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where its files go; must be empty or absent. Default: a new one under /tmp.")
def demo(folder: Path | None, *, keep: bool) -> None:
    """Start a small shop, ship a bad flag and a bad version, and watch rollbackd put both back. Loopback only; about a minute."""
    from rollbackd.controller.demo.story import run_demo

    click.get_current_context().exit(run_demo(folder, keep))
