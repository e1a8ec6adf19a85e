"""How the story ends: what on-call got, how long everything took, where it lies and what to try next."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rollbackd.controller.demo import files
from rollbackd.controller.demo.acts import Outcome
from rollbackd.controller.demo.client import Client, in_shell
from rollbackd.controller.demo.files import TARGET, Folder, Ports
from rollbackd.controller.demo.receiver import Message
from rollbackd.controller.demo.screen import Screen

Row = Mapping[str, Any]
_STEPS = (("breach", "incident.opened"), ("started", "rung.intended"), ("applied", "rung.applied"), ("verified", "incident.closed"))


def show_messages(screen: Screen, messages: Sequence[Message], refused: int) -> None:
    """Every message of the webhook, word for word."""
    screen.chapter("What on-call got (webhook; every signature checked)")
    for message in messages:
        said = message.body["data"]
        screen.write()
        screen.write(f"  [{said['urgency']}] {said['title']}")
        screen.quote("\n".join(said["lines"]))
    if refused:
        screen.write(f"  {refused} deliveries were refused: their signature did not hold")


def show_times(screen: Screen, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> None:
    """The journal's own times, and the share of failed requests as the demo counted it."""
    screen.chapter("Summary (times from the journal; error rates counted by the demo from the shop's own counters)")
    for outcome in outcomes:
        own = {row["kind"]: datetime.fromisoformat(row["at"]) for row in reversed(rows) if row["incident"] == outcome.incident}
        steps = [f"{word} {_after(outcome.shipped_at, own.get(kind))}" for word, kind in _STEPS]
        screen.write(f"  {outcome.act.name}: shipped {outcome.shipped_at:%H:%M:%S} -> {' -> '.join(steps)}")
        for when, share in (("before", outcome.before), ("while live", outcome.during), ("after", outcome.after)):
            screen.write(f"    {when:<11}{share}")


def _after(start: datetime, at: datetime | None) -> str:
    return f"+{(at - start).total_seconds():.1f} s" if at is not None else "never"


def show_places(screen: Screen, folder: Folder) -> None:
    """Where everything lies."""
    screen.chapter("Where everything lies")
    places = (("config", folder.config), ("policy", folder.policy), ("journal", folder.journal), ("daemon log", folder.log("daemon")))
    for name, path in (*places, ("shop", folder.version.parent)):
        screen.write(f"  {name:<11}{path}")


def show_next(screen: Screen, folder: Folder, ports: Ports, client: Client, *, is_live: bool) -> None:
    """What to try, with the daemon still running or not."""
    screen.chapter("Look around (Ctrl-C ends everything)" if is_live else "What to try next")
    if is_live:
        for words in (("status",), ("explain", TARGET), ("history",), ("changes",), ("plan", "shop"), ("check",)):
            screen.write(f"  {client.typed(*words)}")
        screen.write(f"  curl http://127.0.0.1:{ports.shop}/metrics")
        screen.write(f"  {in_shell(files.deploy_argv('apply', folder, ports, 'v2'))}")
        screen.write(
            "    ships the bad version again. It was rolled back before, so it is quarantined: on-call is told and nothing is done by itself."
        )
    else:
        screen.write(f"  {in_shell([client.argv()[0], 'demo', '--keep'])}     the same, and it goes on running for you to look around")
        screen.write(f"  {client.typed('check')}")
        screen.write("    checks the policy; then change it and check again: the README shows what a policy can say")
