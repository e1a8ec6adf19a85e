"""Commands that ask a running daemon: status, changes, explain, history, plan."""

import click

from rollbackd.controller.api.client import Client
from rollbackd.controller.cli.options import prints, talks_to_daemon
from rollbackd.controller.cli.show import show
from rollbackd.controller.clock import now

SLOW = 120.0
"""Seconds that a plan may take: it asks clusters and commands."""
PLANNED = {"planned": 2, "ordered": 3, "refused": 3, "unreachable": 4, "failed": 1}
"""The exit code of `plan`: that of the first of these which a rung has."""


@click.command(
    short_help="Everything at a glance.",
    epilog="Examples:\n\n\b\n  rollbackd status\n  rollbackd status -o json | jq '.policies[] | select(.incident)'\n"
    "  rollbackd status --coverage        # what is watched by nobody",
)
@click.option("--coverage", is_flag=True, help="Instead: which targets are watched, which changes could have been undone, and which not and why.")
@talks_to_daemon
@prints
def status(client: Client, output: str, *, coverage: bool) -> None:
    """Everything at a glance: the daemon, its sources, its fleets, every policy, what has ended in the last 12 hours, what is open."""
    from rollbackd.controller.answers.status import Coverage, Status
    from rollbackd.controller.answers.wire import read
    from rollbackd.controller.cli import fleets, tables

    if coverage:
        found = client.get("coverage", SLOW)
        show(found, output, lambda out: fleets.coverage(read(Coverage, found), out))
        return
    document = client.get("status")
    show(document, output, lambda out: tables.status(read(Status, document), out))


@click.command(
    short_help="Why it acts or does not, with all numbers.",
    epilog="Examples:\n\n\b\n  rollbackd explain shop/checkout\n  rollbackd explain checkout -o json\n"
    "  rollbackd explain checkout --power     # which share of errors is found how soon",
)
@click.argument("subject", metavar="TARGET|POLICY")
@click.option("--power", is_flag=True, help="And what each condition would find at the last week's traffic. Asks the sources.")
@talks_to_daemon
@prints
def explain(client: Client, subject: str, output: str, *, power: bool) -> None:
    """Why it acts or does not: every condition with its counts, every guard with its value, the ladder, the open incident.

    TARGET may be short: shop/checkout is the Deployment checkout in the namespace shop of the only cluster.
    """
    from rollbackd.controller.answers.explain import Explanation
    from rollbackd.controller.answers.wire import read
    from rollbackd.controller.cli.explanation import explanation

    document = client.get("explain", SLOW, of=subject, power="1" if power else None)
    show(document, output, lambda out: explanation(read(Explanation, document), out))


@click.command(short_help="What changed, and who did it.", epilog="Examples:\n\n\b\n  rollbackd changes\n  rollbackd changes shop/checkout --limit 5")
@click.argument("target", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
@talks_to_daemon
@prints
def changes(client: Client, target: str | None, limit: int, output: str) -> None:
    """What changed, who did it, and how its revision stands. Newest last; newest first in JSON."""
    from rollbackd.controller.answers.past import ChangeList
    from rollbackd.controller.answers.wire import read
    from rollbackd.controller.cli import tables

    document = client.get("changes", target=target, limit=str(limit))
    show(document, output, lambda out: tables.changes(read(ChangeList, document), now(), out))


@click.command(
    short_help="The journal: seen, decided, written, told.",
    epilog="Examples:\n\n\b\n  rollbackd history\n  rollbackd history shop/checkout --limit 20\n  rollbackd history inc-0123456789ab",
)
@click.argument("subject", metavar="[TARGET|INCIDENT]", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many rows.")
@talks_to_daemon
@prints
def history(client: Client, subject: str | None, limit: int, output: str) -> None:
    """The journal: what was seen, decided, written and told. Newest last; newest first in JSON."""
    from rollbackd.controller.answers.past import History
    from rollbackd.controller.answers.wire import read
    from rollbackd.controller.cli import tables

    document = client.get("history", of=subject, limit=str(limit))
    show(document, output, lambda out: tables.history(read(History, document), now(), out))


@click.command(
    short_help="What a rollback would write now; writes nothing.",
    epilog="Exit codes: 0 nothing to do, 2 something would be written, 3 refused or under way by order, 4 a target could not be reached.\n\n"
    "Examples:\n\n\b\n  rollbackd plan checkout\n  rollbackd plan shop/checkout -o yaml",
)
@click.argument("policy", metavar="POLICY|TARGET")
@talks_to_daemon
@prints
def plan(client: Client, policy: str, output: str) -> None:
    """What each rung of a policy's ladder would write now, asked with the daemon's own rights. Writes nothing."""
    from rollbackd.controller.answers.past import DryRun
    from rollbackd.controller.answers.wire import read
    from rollbackd.controller.cli import tables

    document = client.get("plan", SLOW, policy=policy)
    answer = read(DryRun, document)
    show(document, output, lambda out: tables.plan(answer, out))
    outcomes = {rung.outcome for rung in answer.rungs}
    code = next((code for outcome, code in PLANNED.items() if outcome in outcomes), 0)
    click.get_current_context().exit(code)
