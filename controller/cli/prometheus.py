"""The options of commands that ask a Prometheus of their own choice, and what its address has to be."""

import re
from urllib.parse import urlsplit

import click

from rollbackd.controller.cli.options import FILE
from rollbackd.controller.cli.past import duration_option

PAIR = re.compile(r"([a-zA-Z_]\w*)=(.+)", re.ASCII)


def address_option(_: click.Context, option: click.Parameter, url: str | None) -> str | None:
    """The address of an option, by http or https and without a password; None where it was not given."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise click.BadParameter("expected an address such as http://127.0.0.1:9090", param=option)
    if parts.username is not None or parts.password is not None:
        raise click.BadParameter("the address holds a user or a password: put a bearer token into a file and name it with --token-file", param=option)
    return url


def match_option(_: click.Context, option: click.Parameter, written: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The labels of an option and their values, in a fixed order."""
    pairs: dict[str, str] = {}
    for text in written:
        if (pair := PAIR.fullmatch(text)) is None or pair[1] in pairs:
            raise click.BadParameter(f"expected each LABEL=VALUE once, such as cluster=eu, found {text!r}", param=option)
        pairs[pair[1]] = pair[2]
    return tuple(sorted(pairs.items()))


ADDRESS = click.option(
    "--prometheus",
    "url",
    metavar="URL",
    required=True,
    callback=address_option,
    help="Its address, without /api. Every source of the policies is asked here.",
)
TOKEN_FILE = click.option("--token-file", type=FILE, help="A file with a bearer token for Prometheus.")
CA_FILE = click.option("--ca-file", type=FILE, help="The authority of its certificate.")
SCRAPE_INTERVAL = click.option(
    "--scrape-interval", metavar="DURATION", default="15s", show_default=True, callback=duration_option, help="As in the daemon's config."
)
MATCH = click.option(
    "--match", metavar="LABEL=VALUE", multiple=True, callback=match_option, help="Only series with this label, as the source's `match`. Repeatable."
)
