"""The options of commands that ask a Prometheus of their own choice, besides its address."""

import click

from rollbackd.controller.cli.options import FILE
from rollbackd.controller.cli.past import duration_option

TOKEN_FILE = click.option("--token-file", type=FILE, help="A file with a bearer token for Prometheus.")
CA_FILE = click.option("--ca-file", type=FILE, help="The authority of its certificate.")
SCRAPE_INTERVAL = click.option(
    "--scrape-interval", metavar="DURATION", default="15s", show_default=True, callback=duration_option, help="As in the daemon's config."
)
