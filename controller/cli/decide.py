"""Commands by which people decide about an incident: approve, reject, ack, label."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rollbackd.controller.api.client import BLOCKED, FAILED, Client, ClientFault
from rollbackd.controller.cli.options import prints, talks_to_daemon, whoami
from rollbackd.controller.cli.show import say, show

if TYPE_CHECKING:
    from rich.console import Console

SLOW = 120.0
"""Seconds that a request may take which plans: it asks clusters and commands."""


def _each(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Every name that was given, also where several stand in one, between commas."""
    return tuple(name.strip() for text in given for name in text.split(","))


OVERRIDE = click.option(
    "--override", "overrides", metavar="GUARD", multiple=True, callback=_each, help="A guard to pass, by its name; needs --reason. Repeatable."
)


@click.command(
    short_help="Approve the plan that an incident waits with.",
    epilog="Examples:\n\n\b\n  rollbackd approve inc-0123456789ab                       # shows the plan and asks\n"
    "  rollbackd approve inc-0123456789ab --plan 5c41aa0e9d2b\n"
    "  rollbackd approve inc-0123456789ab --plan 5c41aa0e9d2b --override cool-down --reason 'seen by eye'",
)
@click.argument("incident")
@click.option("--plan", metavar="DIGEST", help="The plan you approve, at least 8 digits of it; without it you are shown the plan and asked.")
@click.option("--reason", default="", help="Why.")
@OVERRIDE
@talks_to_daemon
@prints
def approve(client: Client, incident: str, plan: str | None, reason: str, overrides: tuple[str, ...], output: str) -> None:
    """Approve the plan that an incident waits with. Once enough people have, exactly this plan is carried out; a plan that changed is put anew."""
    named = plan or _asked(client, incident, "Approve this plan?")
    document = client.post("approve", SLOW, incident=incident, plan=named, reason=reason, overrides=list(overrides), who=whoami())
    shown(document, output)


@click.command(
    short_help="Reject the plan that an incident waits with.",
    epilog="Examples:\n\n\b\n  rollbackd reject inc-0123456789ab --plan 5c41aa0e9d2b --reason 'the database is the cause'",
)
@click.argument("incident")
@click.option("--plan", metavar="DIGEST", help="The plan you reject, at least 8 digits of it; without it you are shown the plan and asked.")
@click.option("--reason", required=True, help="Why; the page says it to the others.")
@talks_to_daemon
@prints
def reject(client: Client, incident: str, plan: str | None, reason: str, output: str) -> None:
    """Reject the plan that an incident waits with: nothing is written, the incident is held until it is over."""
    named = plan or _asked(client, incident, "Reject this plan?")
    shown(client.post("reject", incident=incident, plan=named, reason=reason, who=whoami()), output)


@click.command(
    short_help="Take an incident: no more by itself.",
    epilog="Examples:\n\n\b\n  rollbackd ack inc-0123456789ab --note 'on it'\n  rollbackd ack inc-0123456789ab --close --note 'false alarm'",
)
@click.argument("incident")
@click.option("--note", default="", help="A word for the others.")
@click.option("--close", is_flag=True, help="End the incident: it was dealt with, or was none.")
@talks_to_daemon
@prints
def ack(client: Client, incident: str, note: str, close: bool, output: str) -> None:
    """Take an incident: what is under way ends, and nothing more is begun in it unless people order or approve it."""
    shown(client.post("ack", incident=incident, note=note, close=close, who=whoami()), output)


@click.command(
    short_help="Say whether an incident was right.",
    epilog="Examples:\n\n\b\n  rollbackd label inc-0123456789ab wrong --note 'the load test did it'",
)
@click.argument("incident")
@click.argument("label", type=click.Choice(("right", "wrong")))
@click.option("--note", default="", help="Why.")
@talks_to_daemon
@prints
def label(client: Client, incident: str, label: str, note: str, output: str) -> None:
    """Say whether an incident was right, open or closed: so it is known how often the policy is wrong. The newest label holds."""
    shown(client.post("label", incident=incident, label=label, note=note, who=whoami()), output)


def shown(document: Mapping[str, Any], output: str) -> None:
    """What the daemon made of a decision, on stdout."""

    def table(out: "Console") -> None:
        out.print(f"{document['incident']} on {document['target']}: {document['said']}", markup=False)

    show(document, output, table)


def confirm(question: str, otherwise: str, undone: str = "nothing was decided") -> None:
    """The person said yes. Raises click.Abort where they do not, after it was said what is ``undone``; where nobody can answer, a fault of usage that
    says what to do ``otherwise``.
    """
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort as fault:
        # click says the same of a no, of Ctrl-C, and of an input that has ended, as that of a script.
        if isinstance(fault.__context__, EOFError):
            raise click.UsageError(f"nobody can answer here, so nothing was done: {otherwise}") from fault
        say(f"\n{undone}" if isinstance(fault.__context__, KeyboardInterrupt) else undone)  # ^C leaves the cursor beside the question
        raise


def _asked(client: Client, incident: str, question: str) -> str:
    """The digest of the plan that the person was shown and decided on. Raises ClientFault where none waits or there is no such incident, or as
    ``confirm``.
    """
    lines = (policy["incident"] for policy in client.get("status")["policies"])
    offer = next((line["offer"] for line in lines if line is not None and line["id"] == incident), None)
    if offer is None:
        _find(client, incident)
        raise ClientFault(f"no plan of {incident} waits for people", "rollbackd status", BLOCKED)
    say(f"plan {offer['plan']}: {offer['summary']}")
    for step in offer["steps"]:
        say(f"  {step}")
    for rest in offer["not_undone"]:
        say(f"  not undone: {rest}")
    confirm(question, f"name the plan with --plan {offer['plan']}")
    return str(offer["plan"])


def _find(client: Client, incident: str) -> None:
    """There is such an incident, open or closed. Raises ClientFault, which names those that are open."""
    if not incident.startswith("inc-"):
        raise ClientFault(f"there is no incident {incident!r}", "`rollbackd status` shows those that are open", FAILED)
    client.get("history", of=incident, limit="1")
