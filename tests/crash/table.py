"""The crash matrix: every transition of the journal x when the daemon is killed x what is put back x where the journal is.

The stories are made from this table, and so are the tests: what has no row here is not covered, and a kind of row that the journal knows and this
table does not is a failing test.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

TARGETS = ("kubernetes", "flags", "ecs", "command")
STORES = ("sqlite", "postgresql")
BEFORE, AFTER = "before", "after"
WRITE = "write"
"""A call: the target has the write, and that is on record nowhere."""


@dataclass(frozen=True, slots=True)
class Row:
    """A transition. ``journey``: the course of an incident on which it is met (``journeys``).

    ``calls``: what leaves the daemon because of it: the write, and messages by their kinds. ``why``: why there is none, and so no moment after one.
    """

    kind: str
    journey: str
    calls: tuple[str, ...] = ()
    why: str = ""

    @property
    def moments(self) -> tuple[str, ...]:
        """When a daemon is killed: before the commit, after it, and after each call, before that is on record."""
        return BEFORE, AFTER, *self.calls


ROWS = (
    Row("change.seen", "machine", why="it is what a look found; nothing is asked of anybody"),
    Row("incident.opened", "machine", why="people are told with the intent, the offer or the hold that follows at once"),
    Row("incident.opened", "suggested", ("suggested",)),
    Row("incident.joined", "joined", ("joined",)),
    Row("incident.ordered", "ordered", why="the person who ordered knows; the write is the intent's"),
    Row("rung.offered", "approved", ("approval",)),
    Row("rung.approved", "approved", why="the person who approved knows; the write is the intent's"),
    Row("rung.intended", "machine", (WRITE, "started")),
    Row("claim.taken_over", "taken over", (WRITE,)),
    Row("rung.applied", "machine", why="the target is only looked at from here on"),
    Row("rung.settled", "machine", why="the metrics are only looked at from here on"),
    Row("rung.stopped", "held", why="people are told with the hold, or with the next rung"),
    Row("incident.held", "held", ("held",)),
    Row("incident.acked", "held", ("acked",)),
    Row("incident.closed", "machine", ("recovered",)),
)

FACTS: Mapping[str, str] = {
    "target.good": "the ledger: noted again at the next slot, which finds the line there",
    "target.bad": "the ledger: the person who declared it got no answer, and declares it again",
    "target.quarantined": "in the same transaction as rung.applied",
    "target.rearmed": "the ledger: the person got no answer, and asks again",
    "target.ready": "one message under a key, in the same transaction",
    "target.not_ready": "one message under a key, in the same transaction",
    "target.dropped": "one message under a key, in the same transaction",
    "change.irreversible": "in the same transaction as what it says of the change; a pipeline got no answer, and posts again",
    "observed": "what would have been done, under a key: noted again or found there",
    "breach.outside_watch": "no incident, and one message under a key, in the same transaction",
    "breach.again": "no new incident, and one message under a key, in the same transaction",
    "breach.unexplained": "counted by its key: noted again or found there",
    "quarantined.live_again": "one message under a key, in the same transaction",
    "handed_over.ended": "one message under a key, in the same transaction; no such target is in the matrix",
    "incident.labelled": "a person's word about an incident, which moves nothing",
    "approval.refused": "a person was refused, and nothing was decided",
    "pause.set": "the switch is a file, which comes first; the person got no answer, and asks again",
    "pause.lifted": "the switch is a file, which comes first; the person got no answer, and asks again",
    "journal.exported": "one transaction with the removal that it tells of; tests/controller/test_compaction.py ends it in the middle",
    "policies.held_back": "tells people; the set of policies is read anew at each start",
    "policies.taken": "tells people that it is over",
    "notice.dead": "what is lost with it is tried, and given up, once more",
    "source.blind": "one message under a key, in the same transaction",
    "source.sighted": "one message under a key, in the same transaction",
    "source.dropped": "one message under a key, in the same transaction",
    "signal.absent": "one message under a key, in the same transaction",
    "clock.apart": "one message under a key, in the same transaction",
    "clock.agrees": "one message under a key, in the same transaction",
    "clock.dropped": "one message under a key, in the same transaction",
    "roster.held_back": "one message under a key, in the same transaction",
    "roster.believed": "one message under a key, in the same transaction",
    "roster.dropped": "one message under a key, in the same transaction",
    "store.recovered": "proves that the store takes rows; nothing hangs on it",
}
"""The rows that are no step of an incident, and why each has none of its own in the table."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A daemon is killed there."""

    row: Row
    moment: str
    target: str
    store: str

    @property
    def name(self) -> str:
        """Of its tests."""
        return f"{self.target}-{self.store}-{self.row.journey}-{self.row.kind}-{self.moment}"

    @property
    def story(self) -> str:
        """Of its story: after the write of an intent is before the commit of its outcome, so two cells are one story."""
        return f"{self.target}-{self.store}-{self.row.journey}-{self.point}"

    @property
    def point(self) -> str:
        """As the launcher knows it: a write is on record with its outcome, a message once it is marked as sent."""
        match self.moment:
            case "before" | "after":
                return f"{self.moment}:{self.row.kind}"
            case "write":
                return "before:rung.applied"
            case _:
                return f"before:notice.sent:{self.moment}"


def cells() -> Iterator[Cell]:
    """All of them."""
    for row in ROWS:
        for moment, target, store in product(row.moments, TARGETS, STORES):
            yield Cell(row, moment, target, store)


CELLS: Mapping[str, Cell] = {cell.name: cell for cell in cells()}
