"""Commands about contacts: notify test."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal

import click

from rollbackd.controller.api.client import FAILED, UNREACHABLE
from rollbackd.controller.cli.options import DEFAULT_CONFIG, FILE, prints
from rollbackd.controller.cli.show import show

if TYPE_CHECKING:
    from rich.console import Console

    from rollbackd.adapters.base.notice import Notice, Notifier
    from rollbackd.controller.config.load import Config

Result = Literal["delivered", "unreachable", "refused"]
EXAMPLES = """Examples:

\b
  rollbackd notify test oncall                    # wakes nobody
  rollbackd notify test oncall --as page          # wakes people
  rollbackd notify test oncall --as resolved      # ends that page
"""


@click.group(short_help="Try out how people are told.", epilog=EXAMPLES)
def notify() -> None:
    """Try out how people are told."""


@notify.command(
    short_help="Send a test message to a contact.",
    epilog="Exit codes: 0 delivered by every channel, 1 a channel is at fault, 4 a channel could not be reached or asks to wait.\n\n" + EXAMPLES,
)
@click.argument("contact")
@click.option("--config", type=FILE, help="The daemon's config, which names the contact. Default: ./rollbackd.yaml.")
@click.option(
    "--as",
    "how",
    type=click.Choice(("notice", "page", "resolved")),
    default="notice",
    show_default=True,
    help="What it is sent as: in PagerDuty a change event, an alert, or the end of that alert.",
)
@prints
def test(contact: str, config: Path | None, how: str, output: str) -> None:
    """Send a message that says it is a test through every channel of CONTACT, from this machine and as this user, without the daemon.

    Run it where the daemon runs: it reads the same files and has the same way out.
    """
    from rollbackd.controller.cli.config_file import read_config

    if config is None and not DEFAULT_CONFIG.is_file():
        raise click.UsageError("which daemon? Name its config with --config")
    lines = _tried(read_config(config or DEFAULT_CONFIG), contact, how)
    _print(lines, contact, output)
    results = {line["result"] for line in lines}
    click.get_current_context().exit(FAILED if "refused" in results else UNREACHABLE if "unreachable" in results else 0)


def _tried(config: "Config", contact: str, how: str) -> list[dict[str, str]]:
    """One line for each channel: what it is, how it went, what was said."""
    from rollbackd.adapters.base.errors import AdapterError
    from rollbackd.controller.logs import Secrets
    from rollbackd.controller.wiring.channels import kind_of, notifiers
    from rollbackd.policies.text.faults import choices

    channels = config.contacts.get(contact)
    if channels is None:
        raise click.UsageError(f"there is no contact '{contact}'; {choices(contact, config.contacts, 'contacts')}")
    notice, lines = _notice(contact, how), []
    for channel in channels:
        try:
            (notifier,) = notifiers(contact, [channel], Secrets())
            lines.append({"channel": kind_of(channel), **_sent(notifier, notice)})
        except AdapterError as fault:  # it could not even be built
            lines.append({"channel": kind_of(channel), "result": "refused", "said": str(fault)})
    return lines


def _sent(notifier: "Notifier", notice: "Notice") -> dict[str, str]:
    from rollbackd.adapters.base.errors import AdapterError, Transient

    try:
        notifier.send(notice)
    except Transient as fault:
        # The daemon would; a person at a terminal does it by hand.
        return {"result": "unreachable", "said": str(fault).replace("it will be sent again", "try again")}
    except AdapterError as fault:
        return {"result": "refused", "said": str(fault)}
    missed = getattr(notifier, "missed", ())
    return {"result": "refused" if missed else "delivered", "said": f"not by all: {'; '.join(missed)}" if missed else ""}


def _notice(contact: str, how: str) -> "Notice":
    from rollbackd.adapters.base.notice import Notice
    from rollbackd.controller.cli.options import whoami
    from rollbackd.controller.clock import now

    said = {"notice": "nobody needs to do anything", "page": "acknowledge it if you see it", "resolved": "the test page is over"}[how]
    lines = (
        "this is a test: nothing is wrong and nothing was rolled back",
        f"sent by {whoami()} with: rollbackd notify test {quote(contact)} --as {how}",
        f"to end a test page: rollbackd notify test {quote(contact)} --as resolved",
    )
    return Notice(
        id=f"rollbackd-test:{contact}:{secrets.token_hex(8)}",
        key=f"rollbackd-test:{contact}",
        kind="test",
        title=f"TEST from rollbackd to {contact}: {said}",
        lines=lines,
        urgency="page" if how == "page" else "notice",
        resolved=how == "resolved",
        at=now(),
    )


def _print(lines: Sequence[Mapping[str, str]], contact: str, output: str) -> None:
    def table(out: "Console") -> None:
        for line in lines:
            how = "delivered" if line["result"] == "delivered" else "not delivered"
            said = f": {line['said']}" if line["said"] else ""
            out.print(f"{line['channel']:<14}{how}{said}", markup=False, soft_wrap=True)

    document: dict[str, Any] = {"apiVersion": "rollbackd/v1", "kind": "NotifyTest", "contact": contact, "channels": list(lines)}
    show(document, output, table)
