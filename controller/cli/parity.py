"""`rollbackd parity`: whether a replay of the daemon's own days comes to what its journal has."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rollbackd.controller.api.client import FAILED, ClientFault
from rollbackd.controller.cli.options import FILE, prints
from rollbackd.controller.cli.past import Given, check_span, policies_in, reached, source_now, time_option
from rollbackd.controller.cli.policies import FOUND
from rollbackd.controller.cli.prometheus import ADDRESS, CA_FILE, MATCH, SCRAPE_INTERVAL, TOKEN_FILE
from rollbackd.controller.cli.show import say, show

if TYPE_CHECKING:
    from rich.console import Console

    from rollbackd.controller.backtest.journalled import Journalled
    from rollbackd.controller.backtest.parity import Parity
    from rollbackd.policies.model.policy import Policy


@click.command(
    short_help="Does a replay come to what the journal has?",
    epilog="Exit codes: 0 every transition is the same, 1 the journal cannot be read, 2 at least one differs, 4 Prometheus gave no answer, "
    "64 usage or a faulty policy.\n\n"
    "Examples:\n\n\b\n  rollbackd parity /data/rollbackd.db policies.d/ --prometheus http://127.0.0.1:9090\n"
    "  rollbackd parity copy.db policies.d/ --prometheus http://127.0.0.1:9090 --from 2026-07-01T00:00:00Z -o json",
)
@click.argument("file", metavar="JOURNAL", type=FILE)
@click.argument("places", metavar="POLICY...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@ADDRESS
@click.option("--from", "since", metavar="TIME", callback=time_option, help="Compare from here. Default: seven days, as far as the journal reaches.")
@click.option("--to", "until", metavar="TIME", callback=time_option, help="Compare up to here. Default: now.")
@TOKEN_FILE
@CA_FILE
@SCRAPE_INTERVAL
@MATCH
@prints
def parity(
    file: Path,
    places: tuple[Path, ...],
    url: str,
    since: datetime | None,
    until: datetime | None,
    token_file: Path | None,
    ca_file: Path | None,
    scrape_interval: timedelta,
    match: tuple[tuple[str, str], ...],
    output: str,
) -> None:
    """Replay the daemon's own days over the history in Prometheus, and compare what comes of it with the daemon's JOURNAL.

    JOURNAL is its SQLite file or a copy of it; it is only read. POLICY: the policies that the daemon has.
    """
    from rollbackd.controller.backtest.parity_report import document, summary

    if since is not None and until is not None and since >= until:
        raise click.UsageError("--from has to be before --to")
    given = Given(url, token_file, ca_file, scrape_interval, since, until, match)
    found = reached(partial(_compared, _journal(file), policies_in(places), given))
    show(document(found), output, partial(_draw, found))
    say(summary(found))
    click.get_current_context().exit(FOUND if found.differs else 0)


def _journal(file: Path) -> "Journalled":
    from rollbackd.controller.backtest.journalled import journalled
    from rollbackd.controller.journal.codec import Undecodable
    from rollbackd.controller.journal.database import database
    from rollbackd.controller.journal.errors import StoreError
    from rollbackd.controller.journal.inspection import inspected

    try:
        with inspected(database(f"sqlite:///{file.resolve()}")) as look:
            if not look.is_current:
                raise ClientFault(f"{file} is a journal of schema {look.version or 'none'}", "read it with the rollbackd that wrote it", FAILED)
            return journalled(look.reading)
    except (StoreError, Undecodable) as fault:
        raise ClientFault(str(fault), "is it the daemon's journal, or a whole copy of it?", FAILED) from fault


def _compared(journal: "Journalled", policies: "tuple[Policy, ...]", given: Given) -> "Parity":
    from rollbackd.controller.backtest.parity import default_since, parity

    now = source_now(given)
    check_span(given, now)
    until = min(given.until or now, now)
    return parity(policies, journal, given.source, given.since or default_since(journal, until), until)


def _draw(found: "Parity", out: "Console") -> None:
    from rich.markup import escape

    from rollbackd.controller.backtest.parity_report import lines

    for line in lines(found):
        out.print(escape(line), soft_wrap=True)
