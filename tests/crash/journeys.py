"""The courses that an incident takes in the matrix, and what people do on the way. Between them they meet every transition of the table."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rollbackd.controller.api.client import ClientFault
from tests.crash.scene import Scene

ANN = "ann"


def nobody(scene: Scene) -> None:
    """People leave it to the machine."""


@dataclass(frozen=True, slots=True)
class Journey:
    """``rows``: those of the incident, in order; the first ``at_once`` come in one transaction. ``whenever``: a row whose place among them varies.

    ``messages``: as ``kind@contact``, all of which have to arrive. ``people`` do what is theirs to do now, if they have not; they are asked again and
    again. ``first_dies_at``: where the daemon dies that comes before the one of the cell.
    """

    rows: tuple[str, ...]
    messages: tuple[str, ...] = ("started@oncall", "recovered@oncall")
    people: Callable[[Scene], None] = nobody
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"shop": {}})
    whenever: str = ""
    at_once: int = 1
    writes: int = 1
    is_good_known: bool = True
    is_calm: bool = False
    has_sequel: bool = False
    first_dies_at: str = ""

    def durable_before(self, kind: str) -> tuple[str, ...]:
        """The incident's rows that stand before the transaction of this one."""
        if kind not in self.rows:
            return ()
        place = self.rows.index(kind)
        return () if place < self.at_once else self.rows[:place]

    def has_arrived(self, scene: Scene) -> bool:
        """All messages are with those whom they are for, and the daemon knows it."""
        is_told = set(self.messages) <= {f"{told.kind}@{told.contact}" for told in scene.told()}
        return is_told and scene.unsent() == 0


def insistent(act: Callable[[Scene, dict[str, dict[str, Any]]], object]) -> Callable[[Scene], None]:
    """They look at the history first; where the daemon is dead or will not, they come back later."""

    def try_it(scene: Scene) -> None:
        with suppress(ClientFault, FileNotFoundError):
            act(scene, {row["kind"]: row for row in scene.client.get("history")["items"]})

    return try_it


def _approve(scene: Scene, rows: dict[str, dict[str, Any]]) -> None:
    if "rung.offered" in rows and "rung.approved" not in rows:
        offered = rows["rung.offered"]
        scene.client.post("approve", incident=offered["incident"], plan=offered["body"]["plan_digest"], who=ANN)


def _order(scene: Scene, rows: dict[str, dict[str, Any]]) -> None:
    # What ran before the release is a change too: an order before the daemon has seen the release would be overtaken by it.
    is_seen = sum(change["target"] == scene.place.acts_on for change in scene.get("changes")) > 1
    if is_seen and "incident.ordered" not in rows:
        (rung,) = scene.client.get("plan", policy="shop")["rungs"]
        scene.client.post("rollback", of="shop", rung=1, plan=rung["digest"], who=ANN, reason="it looks wrong")


def _take(scene: Scene, rows: dict[str, dict[str, Any]]) -> None:
    if "incident.acked" in rows:
        scene.meter.is_calm = True
    elif "incident.held" in rows:
        scene.client.post("ack", incident=rows["incident.held"]["incident"], who=ANN)


def _calm(scene: Scene, rows: dict[str, dict[str, Any]]) -> None:
    scene.meter.is_calm |= "incident.opened" in rows


def _await_the_late(scene: Scene, rows: dict[str, dict[str, Any]]) -> None:
    if "incident.joined" in rows:
        scene.meter.has_sequel = False


BEGUN = ("rung.intended", "rung.applied", "rung.settled", "incident.closed")

JOURNEYS: Mapping[str, Journey] = {
    "machine": Journey(("incident.opened", *BEGUN)),
    "taken over": Journey(("incident.opened", *BEGUN), first_dies_at="after:rung.intended"),
    "suggested": Journey(
        ("incident.opened", "incident.closed"),
        ("suggested@oncall", "recovered@oncall"),
        insistent(_calm),
        {"shop": {"mode": "suggest"}},
        writes=0,
    ),
    "approved": Journey(
        ("incident.opened", "rung.offered", "rung.approved", *BEGUN),
        ("approval@oncall", "started@oncall", "recovered@oncall"),
        insistent(_approve),
        {"shop": {"mode": "approve"}},
    ),
    "ordered": Journey(("incident.opened", "incident.ordered", *BEGUN), people=insistent(_order), at_once=2, is_calm=True),
    "held": Journey(
        ("incident.opened", "rung.stopped", "incident.held", "incident.acked", "incident.closed"),
        ("held@oncall", "acked@oncall", "recovered@oncall"),
        insistent(_take),
        writes=0,
        is_good_known=False,
    ),
    "joined": Journey(
        ("incident.opened", *BEGUN),
        ("started@oncall", "joined@platform", "recovered@oncall", "recovered@platform"),
        insistent(_await_the_late),
        {"shop": {}, "late": {"notify": ["platform"]}},
        whenever="incident.joined",
        has_sequel=True,
    ),
}
