"""What commands about the past share: where it is read, which span of it, and how far a long reading is."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from rollbackd.controller.api.client import UNREACHABLE, USAGE, ClientFault
from rollbackd.controller.cli.show import say
from rollbackd.controller.numbers import counted
from rollbackd.controller.texts import Texts

if TYPE_CHECKING:
    from rollbackd.controller.backtest.history import PastSource
    from rollbackd.policies.model.policy import Policy
    from rollbackd.policies.text.faults import Fault

T = TypeVar("T")
MOST_DAYS = 366
"""A longer span would be read for hours, slot by slot, and most servers do not keep so much."""


@dataclass(frozen=True, slots=True)
class Given:
    """What was said on the command line."""

    url: str
    token_file: Path | None
    ca_file: Path | None
    scrape_interval: timedelta
    since: datetime | None
    until: datetime | None
    match: tuple[tuple[str, str], ...] = ()

    def source(self, name: str) -> "PastSource":
        """The source of this name, at the only address that was given."""
        from rollbackd.controller.wiring.backtest import past_source

        return past_source(name, self.url, self.token_file, self.ca_file, self.scrape_interval, self.match)


def time_option(_: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """The time of an option; None where it was not given."""
    from rollbackd.controller.backtest.changes_file import moment

    try:
        return None if text is None else moment(text)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param=option) from fault


def duration_option(_: click.Context, option: click.Parameter, text: str | None) -> timedelta | None:
    """The duration of an option, above zero; None where it was not given."""
    from rollbackd.policies.text.units import UnitError, positive_duration

    try:
        return None if text is None else positive_duration(text)
    except UnitError as fault:
        raise click.BadParameter(f"expected {fault}", param=option) from fault


def reached(work: Callable[[], T]) -> T:
    """What the work comes to. Raises ClientFault where the source cannot be asked."""
    from rollbackd.adapters.base.errors import AdapterError

    try:
        return work()
    except AdapterError as fault:
        raise ClientFault(str(fault), "", UNREACHABLE) from fault


def source_now(given: Given) -> datetime:
    """The source's own present: what it holds is no later."""
    from rollbackd.controller.clock import now

    mine = now()
    return mine + given.source("prometheus").clock_skew(mine)


def check_span(given: Given, now: datetime | None) -> None:
    """The span that was asked for is one that can be replayed; without --to it ends ``now``, if anywhere. Raises click.UsageError."""
    ends = [end for end in (given.until, now) if end is not None]
    if given.since is not None and ends and (span := min(ends) - given.since) > timedelta(days=MOST_DAYS):
        said = f"--from begins a span of {span.days:,} days, and at most {MOST_DAYS} are replayed"
        raise click.UsageError(f"{said}: take a later one, or an earlier --to")


def policies_in(places: tuple[Path, ...]) -> "tuple[Policy, ...]":
    """The policies written there; faulty ones end the command."""
    from rollbackd.controller.cli.expressions import unreadable_in
    from rollbackd.policies.load import load_policies

    texts = Texts(places)
    loaded = load_policies(texts)
    if faults := (*loaded.faults, *unreadable_in(texts)):
        refuse(faults, texts)
    for fleet in loaded.fleets:
        say(f"fleet '{fleet.name}' is passed over: who belonged to it then is not in Prometheus; name a member as a policy of its own")
    for policy in loaded.policies:
        if policy.is_metered:
            say(f"policy '{policy.name}' is passed over: it reads CloudWatch, and this is the past of a Prometheus")
    kept = tuple(policy for policy in loaded.policies if not policy.is_metered)
    if not kept:
        raise click.UsageError(f"no policy that reads a Prometheus in {', '.join(str(place) for place in places)}")
    return kept


def refuse(faults: "tuple[Fault, ...]", texts: "Texts | dict[str, str]") -> None:
    """Every fault is shown, and the command ends."""
    from rollbackd.controller.cli.faults import fault_text

    for fault in faults:
        say(fault_text(fault, texts.get(fault.file, "")) + "\n")
    say(f"{counted(len(faults), 'fault')}: nothing was replayed")
    click.get_current_context().exit(USAGE)


def with_progress(work: Callable[[Callable[[int, int], None]], T]) -> T:
    """The work, with a line on how far it is on a terminal."""
    if not sys.stderr.isatty():
        return work(lambda done, of: None)

    def tell(done: int, of: int) -> None:
        click.echo(f"\r{done:,} of {of:,} slots", err=True, nl=False)

    try:
        return work(tell)
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)
