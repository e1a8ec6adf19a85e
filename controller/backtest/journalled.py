"""What a daemon's journal tells of its own past: the changes as it saw them, its incidents row by row, what it decided and when it was blind."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rollbackd.controller.journal.chain import JournalRow
from rollbackd.controller.journal.codec import KINDS, decode_event, moment, parsed
from rollbackd.controller.journal.reading import Reading
from rollbackd.controller.notify.blind import PATIENCE
from rollbackd.controller.observe.past_changes import is_first_sight
from rollbackd.policies.known.changes import Change
from rollbackd.policies.known.events import IncidentEvent, Opened


@dataclass(frozen=True, slots=True)
class Transition:
    """A breach was confirmed and laid to a change, at the slot ``at``: an incident opened, or in mode observe it would have.

    ``onset`` None: rows of an older rollbackd do not tell it. ``digest``: the policy's meaning then, empty where the row does not tell it.
    """

    kind: Literal["opened", "observed"]
    incident: str
    policy: str
    target: str
    condition: str
    at: datetime
    onset: datetime | None
    reason: str
    digest: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for the same breach of the same change, whichever mode it was found in."""
        return self.incident, self.policy, self.condition


@dataclass(frozen=True, slots=True)
class Blind:
    """A source did not answer. ``until`` None: it has not answered since."""

    source: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Journalled:
    """The journal's account. ``events``: of all incidents, in journal order; ``first``: its oldest row, None where it is empty."""

    first: datetime | None
    changes: tuple[Change, ...]
    events: tuple[IncidentEvent, ...]
    transitions: tuple[Transition, ...]
    blind: tuple[Blind, ...]


def journalled(reading: Reading) -> Journalled:
    """All of it, from one consistent read. Raises StoreError, and Undecodable for a row of a newer rollbackd."""
    rows = list(reading.rows())
    events = tuple(decode_event(row.kind, row.body) for row in rows if row.kind in KINDS)
    changes = tuple(seen.change for seen in reading.changes() if not is_first_sight(seen))
    first = min((moment(row.at) for row in rows), default=None)
    return Journalled(first, changes, events, tuple(_transitions(rows, events)), tuple(_blind(rows)))


def _transitions(rows: Sequence[JournalRow], events: Sequence[IncidentEvent]) -> Iterator[Transition]:
    observed = [_observed(row, _body(row)) for row in rows if row.kind == "observed" and row.key is not None]
    opened = [_opened(event) for event in events if isinstance(event, Opened) and event.condition]  # those opened by hand have no condition
    yield from sorted((*observed, *opened), key=lambda transition: transition.at)


def _opened(event: Opened) -> Transition:
    at, onset = event.at, event.onset
    return Transition("opened", event.incident, event.policy, event.target, event.condition, at, onset, event.reason, event.policy_digest)


def _observed(row: JournalRow, body: Mapping[str, Any]) -> Transition:
    incident = (row.key or "").split(":")[1]
    onset = moment(body["onset"]) if body.get("onset") else None
    return Transition("observed", incident, body["policy"], row.target or "", body["condition"], moment(row.at), onset, body["reason"])


def _blind(rows: Sequence[JournalRow]) -> Iterator[Blind]:
    """A source is called blind only after some patience: the silence began before the row."""
    open_since: dict[str, datetime] = {}
    for row in rows:
        if row.kind == "source.blind":
            open_since.setdefault(_body(row)["source"], moment(row.at) - PATIENCE)
        elif row.kind in ("source.sighted", "source.dropped") and (since := open_since.pop(_body(row)["source"], None)) is not None:
            yield Blind(_body(row)["source"], since, moment(row.at))
    yield from (Blind(source, since, None) for source, since in open_since.items())


def _body(row: JournalRow) -> dict[str, Any]:
    body = parsed(row.body)
    return body if isinstance(body, dict) else {}
