"""Commands that tell a running daemon something: change, good, bad, rearm, pause, resume."""

import functools
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from rollbackd.controller.api.client import UNREACHABLE, Client, ClientFault
from rollbackd.controller.cli.options import F, data_dir, prints, talks_to_daemon, whoami
from rollbackd.controller.cli.show import say, show

SLOW = 300.0
"""Seconds that the metrics of a long past may take, or a target that is asked whether it keeps a revision."""

if TYPE_CHECKING:
    from rich.console import Console


@click.command(
    short_help="Tell rollbackd of a change, so that it is a suspect.",
    epilog="Examples:\n\n\b\n  rollbackd change shop/checkout --revision 7f9c2d --note 'release 1.42'\n"
    "  rollbackd change shop/checkout --revision schema-17 --irreversible 'drops a column'",
)
@click.argument("target")
@click.option("--revision", required=True, help="What the target changed to, as its own words go.")
@click.option("--note", default="", help="A word for on-call.")
@click.option("--irreversible", metavar="WHY", help="Why it cannot be undone: a revert across this change is put to people for approval.")
@click.option("--started", metavar="TIME", help="When it began, such as 2026-11-22T14:00:00Z. Default: now.")
@talks_to_daemon
@prints
def change(client: Client, target: str, revision: str, note: str, irreversible: str | None, started: str | None, output: str) -> None:
    """Tell rollbackd of a change, so that it is a suspect: a release, a migration, anything that a pipeline did."""
    document = client.post("changes", target=target, revision=revision, note=note, irreversible=irreversible, started=started)
    _shown(document, output, f"{document['target']} changed to {document['revision']}: a suspect from now on ({document['id']})")


@click.command(
    short_help="Declare a revision known good.",
    epilog="Examples:\n\n\b\n  rollbackd good shop/checkout 5c41aa0e9d2b7f13\n"
    "  rollbackd good shop/checkout --from-history    # what its past and the metrics prove",
)
@click.argument("target")
@click.argument("revision", required=False)
@click.option("--note", default="", help="Why.")
@click.option("--unseen", is_flag=True, help="It is meant although it was never seen on the target.")
@click.option("--from-history", is_flag=True, help="Instead: those of its past revisions that ran the bake time without a breach.")
@talks_to_daemon
@prints
def good(client: Client, target: str, revision: str | None, note: str, output: str, *, unseen: bool, from_history: bool) -> None:
    """Declare a revision known good: a revert may go there. One that was never seen on the target is most likely misspelt, and refused.

    With --from-history the daemon replays the metrics of each revision that the target still keeps. What somebody declared bad, and what is in
    quarantine, stays so.
    """
    if from_history == (revision is not None):
        raise click.UsageError("name a REVISION, or say --from-history")
    if from_history:
        _learnt(client.post("good/history", SLOW, target=target, who=whoami()), output)
        return
    # The field is left out unless it is said: a daemon from before it would not know it.
    said = {"unseen": True} if unseen else {}
    document = client.post("good", SLOW, target=target, revision=revision, note=note, who=whoami(), **said)
    _shown(document, output, f"{document['target']}: {document['said']}")


@click.command(
    short_help="Declare a revision bad.", epilog="Examples:\n\n\b\n  rollbackd bad shop/checkout 7f9c2d5510aa34be --note 'leaks connections'"
)
@click.argument("target")
@click.argument("revision")
@click.option("--note", default="", help="Why.")
@talks_to_daemon
@prints
def bad(client: Client, target: str, revision: str, note: str, output: str) -> None:
    """Declare a revision bad: no revert goes there, until somebody declares it good."""
    document = client.post("bad", SLOW, target=target, revision=revision, note=note, who=whoami())
    _shown(document, output, f"{document['target']}: {document['said']}")


@click.command(
    short_help="Take a rolled-back revision out of quarantine.", epilog="Examples:\n\n\b\n  rollbackd rearm shop/checkout 7f9c2d5510aa34be"
)
@click.argument("target")
@click.argument("revision")
@talks_to_daemon
@prints
def rearm(client: Client, target: str, revision: str, output: str) -> None:
    """Take a rolled-back revision out of quarantine: should it go bad again, it may be rolled back again."""
    document = client.post("rearm", target=target, revision=revision, who=whoami())
    _shown(document, output, f"{document['target']}: {document['said']}")


def works_without_daemon(by: str, beside: str = "") -> Callable[[F], F]:
    """Where the daemon cannot be reached, the hint has what does it all the same: it reads the file before anything else, also when it starts.

    ``by``: what to do with the file; ``beside``: what to know then.
    """

    def of(command: F) -> F:
        @functools.wraps(command)
        def tried(**given: Any) -> Any:
            try:
                return command(**given)
            except ClientFault as fault:
                if fault.code != UNREACHABLE:
                    raise
                file = shlex.quote(f"{data_dir(given['server'], given['token_file'], given['config'])}/pause")
                raise ClientFault(str(fault), f"{fault.hint}; or, on its machine: {by} {file}{beside}", fault.code) from fault

        return tried  # type: ignore[return-value]  # as talks_to_daemon: click reads the options off the function

    return of


@click.command(short_help="Act on nothing, until resume.", epilog="Examples:\n\n\b\n  rollbackd pause --reason 'database move, back at 15:00'")
@click.option("--reason", required=True, help="For whoever wonders why nothing happens.")
@works_without_daemon("touch")
@talks_to_daemon
@prints
def pause(client: Client, reason: str, output: str) -> None:
    """Act on nothing, until `resume`. Judging and telling go on."""
    document = client.post("pause", reason=reason, who=whoami())
    _shown(document, output, f"paused: {document['paused']}")


@click.command(short_help="Allow acting again.", epilog="Examples:\n\n\b\n  rollbackd resume")
@works_without_daemon("rm", "; what a pause has held stays held, and what replicas were told goes on: see `rollbackd status` once it answers")
@talks_to_daemon
@prints
def resume(client: Client, output: str) -> None:
    """Allow acting again."""
    document = client.post("resume", who=whoami())
    _shown(document, output, "resumed: it may act again" if document["was_changed"] else "it was not paused")


def _learnt(document: Mapping[str, Any], output: str) -> None:
    def table(out: "Console") -> None:
        for item in document["items"]:
            out.print(f"{item['revision']}  {'good' if item['is_good'] else 'not learnt'}: {item['said']}", markup=False, soft_wrap=True)

    show(document, output, table)


def _shown(document: Mapping[str, Any], output: str, line: str) -> None:
    def table(out: "Console") -> None:
        out.print(line, markup=False)

    show(document, output, table)
    if warning := document.get("warning"):
        say(f"warning: {warning}")
    for note in document.get("notes", ()):
        say(note)
