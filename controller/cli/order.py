"""Commands by which people order a write: rollback and undo. The plan is shown first, and only that plan is carried out."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from rollbackd.controller.api.client import BLOCKED, FAILED, UNREACHABLE, Client, ClientFault
from rollbackd.controller.cli.decide import OVERRIDE, SLOW, confirm, shown
from rollbackd.controller.cli.options import prints, talks_to_daemon, whoami
from rollbackd.controller.cli.show import draw

if TYPE_CHECKING:
    from rollbackd.controller.answers.past import DryRun, RungPlan

YES = click.option("--yes", is_flag=True, help="Do not ask: for scripts.")
CODES = {"nothing": BLOCKED, "ordered": BLOCKED, "refused": BLOCKED, "unreachable": UNREACHABLE}


@click.command(
    short_help="Roll back now, by a person's order.",
    epilog="Examples:\n\n\b\n  rollbackd rollback shop/checkout --reason 'customers report empty carts'\n"
    "  rollbackd rollback checkout --rung 2 --reason 'the flag is not it' --yes\n"
    "  rollbackd rollback checkout --override cool-down --reason 'again, and it is this release'",
)
@click.argument("subject", metavar="TARGET|POLICY")
@click.option("--rung", type=click.IntRange(1), help="Which rung of the ladder. Default: the first that has something to undo.")
@click.option("--reason", required=True, help="Why, for the page and the journal.")
@OVERRIDE
@YES
@talks_to_daemon
@prints
def rollback(client: Client, subject: str, rung: int | None, reason: str, overrides: tuple[str, ...], yes: bool, output: str) -> None:
    """Roll back now, without waiting for proof: one rung of the policy's ladder, verified and reported like any other.

    Every guard is asked. One that holds is passed only by its name, with --override; the pause switch never is.
    """
    document = client.get("plan", SLOW, policy=subject)
    chosen = _chosen(document, rung, yes)
    wish = {"rung": chosen.number, "plan": chosen.digest, "reason": reason, "overrides": list(overrides), "who": whoami()}
    shown(client.post("rollback", SLOW, of=subject, **wish), output)


@click.command(
    short_help="Take back what an incident wrote.",
    epilog="Examples:\n\n\b\n  rollbackd undo inc-0123456789ab --reason 'it was the database'\n"
    "  rollbackd undo inc-0123456789ab --rung 1 --reason 'the flag is innocent' --yes",
)
@click.argument("incident")
@click.option("--rung", type=click.IntRange(1), help="Which rung's write. Default: the newest.")
@click.option("--reason", required=True, help="Why, for the page and the journal.")
@OVERRIDE
@YES
@talks_to_daemon
@prints
def undo(client: Client, incident: str, rung: int | None, reason: str, overrides: tuple[str, ...], yes: bool, output: str) -> None:
    """Take back what an incident wrote: flags, weights and names get the exact states from before, workloads the revision that was left.

    A revision that was rolled back is in quarantine: going back to it needs --override quarantine.
    """
    document = client.get("undo", SLOW, incident=incident)
    newest = max(number["number"] for number in document["rungs"])
    chosen = _chosen(document, rung or newest, yes)
    wish = {"rung": chosen.number, "plan": chosen.digest, "reason": reason, "overrides": list(overrides), "who": whoami()}
    shown(client.post("undo", SLOW, incident=incident, **wish), output)


def _chosen(document: Mapping[str, Any], rung: int | None, is_sure: bool) -> "RungPlan":
    """The rung that the person wants carried out, after they saw its plan. Raises ClientFault where it cannot be; as ``confirm``."""
    from rollbackd.controller.answers.past import DryRun
    from rollbackd.controller.answers.wire import read

    answer = read(DryRun, document)
    chosen = _named(answer, rung) if rung is not None else _first(answer)
    if chosen is None:
        tried = "; ".join(f"rung {each.number} ({each.what}) {each.outcome}: {each.reason}" for each in answer.rungs)
        code = max((CODES.get(each.outcome, FAILED) for each in answer.rungs), default=BLOCKED)
        instead = "; ".join(dict.fromkeys(each.advice for each in answer.rungs if each.advice))
        raise ClientFault(f"no rung of {answer.policy} can be carried out: {tried or 'it has no remedy'}", instead, code)
    if chosen.outcome != "planned":
        raise ClientFault(f"rung {chosen.number} ({chosen.what}) {chosen.outcome}: {chosen.reason}", chosen.advice, CODES.get(chosen.outcome, FAILED))
    _show_plan(answer, chosen)
    if not is_sure:
        confirm("Carry out this plan?", "say --yes to have it carried out unasked", "nothing was ordered")
    return chosen


def _first(answer: "DryRun") -> "RungPlan | None":
    """The first that would write, unless one is under way that a person has ordered: whoever names none most likely means that."""
    return next((each for outcome in ("ordered", "planned") for each in answer.rungs if each.outcome == outcome), None)


def _named(answer: "DryRun", rung: int) -> "RungPlan":
    found = next((each for each in answer.rungs if each.number == rung), None)
    if found is None:
        there = ", ".join(str(each.number) for each in answer.rungs) or "none"
        raise click.UsageError(f"there is no rung {rung}; these are: {there}")
    return found


def _show_plan(answer: "DryRun", chosen: "RungPlan") -> None:
    from rollbackd.controller.cli import tables

    # An order follows, unasked under --yes: it must not be read as if nothing were going to be written.
    draw(sys.stderr, lambda out: tables.plan(replace(answer, rungs=(chosen,)), out, "the plan:"))
