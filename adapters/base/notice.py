"""What people are told, and the protocol of the channels that tell them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

Urgency: TypeAlias = Literal["page", "notice"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One message, already worded: every channel renders the same value.

    ``id`` is unique per message and repeated on a resend; ``key`` is the same for all messages of one incident.
    ``title`` fits one SMS (120 characters). ``resolved``: nothing is left to do for this key; it wakes nobody.
    """

    id: str
    key: str
    kind: str
    title: str
    lines: tuple[str, ...]
    urgency: Urgency
    resolved: bool
    at: datetime
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_taken(self) -> bool:
        """A person has this key in hand: whoever is still being called for it need not be."""
        return self.kind == "acked"


class Notifier(Protocol):
    """One channel to people."""

    name: str

    def send(self, notice: Notice) -> None:
        """Deliver it, at least once. Raises Transient (try again) or Permanent (will never be delivered here)."""
        ...
