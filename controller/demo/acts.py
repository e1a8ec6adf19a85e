"""One act of the story: something bad is shipped, and what came of it is measured and checked from outside the daemon."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rollbackd.controller.demo.client import Client
from rollbackd.controller.demo.daemon_log import Said
from rollbackd.controller.demo.files import LIMIT, TARGET
from rollbackd.controller.demo.meter import Share
from rollbackd.controller.demo.narration import Narration
from rollbackd.controller.demo.receiver import Message

STEPS = (("incident.opened", 15.0), ("rung.applied", 15.0), ("rung.settled", 10.0))
"""What has to follow one another, each within so many seconds."""
SOME_EVIDENCE = 4.0
VERIFIED_WITHIN = 30.0
MESSAGE_WITHIN = 5.0
ENOUGH = 100
"""Fewer requests than this say nothing about 5 %."""
ENDS = ("incident.closed", "incident.held")


@dataclass(frozen=True, slots=True)
class Act:
    """``ship`` makes it bad; ``is_put_back`` looks at the thing itself, not at what the daemon says of it."""

    title: str
    name: str
    said: str
    ship: Callable[[], None]
    put_back: str
    is_put_back: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an act. The three shares are the demo's own measurement; ``incident`` is None where none came to an end."""

    act: Act
    incident: str | None
    shipped_at: datetime
    before: Share
    during: Share
    after: Share
    is_put_back: bool


def play(act: Act, narration: Narration, client: Client, *, explains: bool) -> Outcome:
    """Ship it, and tell what happens until the incident is over or it is plain that it will not be."""
    narration.screen.chapter(act.title)
    narration.moments.clear()
    before = narration.meter.between(time.monotonic() - 3, time.monotonic())
    narration.screen.say("you", act.said, style="bold")
    shipped, shipped_at = time.monotonic(), datetime.now(UTC)
    act.ship()
    ended = _follow(narration, client, explains=explains)
    over = time.monotonic()
    incident = str(ended["incident"]) if ended is not None else None
    narration.until_true(lambda: "recovered" in _told(narration.receiver.messages, incident), MESSAGE_WITHIN)
    settled = narration.moments.get("rung.settled", over)
    return Outcome(
        act=act,
        incident=incident,
        shipped_at=shipped_at,
        before=before,
        during=narration.meter.between(shipped, narration.moments.get("rung.applied", over)),
        after=narration.meter.between(settled, over),
        is_put_back=act.is_put_back(),
    )


def _follow(narration: Narration, client: Client, *, explains: bool) -> Said | None:
    """The end of the incident, if one came."""
    for event, within in STEPS:
        said = narration.until({event, *ENDS}, within)
        if said is None or said["event"] in ENDS:
            return said
    if explains and (early := narration.until(ENDS, SOME_EVIDENCE)) is not None:
        return early
    if explains:
        narration.screen.say("you", f"ask the daemon meanwhile: {client.typed('explain', TARGET)}")
        narration.screen.quote(client.run("explain", TARGET).stdout)
    return narration.until(ENDS, VERIFIED_WITHIN)


def _told(messages: Sequence[Message], incident: str | None) -> dict[str, str]:
    """The titles of this incident's messages, by kind."""
    said = (message.body["data"] for message in messages if message.body["subject"] == incident)
    return {data["kind"]: data["title"] for data in said}


def missing(outcome: Outcome, rows: Sequence[Mapping[str, Any]], messages: Sequence[Message]) -> list[str]:
    """What has to be true for a verified rollback, and is not. ``rows``: the journal's, of any incident."""
    name = outcome.act.name
    kinds = _told(messages, outcome.incident)
    closed = [row["body"].get("how") for row in rows if row["incident"] == outcome.incident and row["kind"] == "incident.closed"]
    checks = (
        (outcome.is_put_back, f"{name}: {outcome.act.put_back} is not true"),
        (closed == ["recovered"], f"{name}: the journal does not say that the incident closed as recovered"),
        ("started" in kinds, f"{name}: on-call got no STARTED message"),
        (kinds.get("recovered", "").startswith("ROLLED BACK"), f"{name}: on-call got no ROLLED BACK message"),
        (outcome.before.total >= ENOUGH and outcome.before.rate < LIMIT, f"{name}: before it, {outcome.before}; expected less than {LIMIT:.0%}"),
        (outcome.during.rate > LIMIT, f"{name}: while it was live, {outcome.during}; expected more than {LIMIT:.0%}"),
        (outcome.after.total >= ENOUGH and outcome.after.rate < LIMIT, f"{name}: after it, {outcome.after}; expected less than {LIMIT:.0%}"),
    )
    return [fault for holds, fault in checks if not holds]
