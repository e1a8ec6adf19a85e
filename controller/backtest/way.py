"""One policy's way through the past: how it is armed, when it could judge, and what it found."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from rollbackd.controller.backtest.cases import Alarm, Found, Look
from rollbackd.policies.known.events import Opened
from rollbackd.policies.known.incident import Incident
from rollbackd.policies.known.watch import Watch
from rollbackd.policies.model.policy import Mode, OutsideWatch, Policy


def armed(policy: Policy) -> Policy:
    """The policy as it would act: in mode auto where it has a remedy, and telling of what lies outside of every watch."""
    return replace(policy, mode=Mode.AUTO if policy.ladder else Mode.OBSERVE, outside_watch=OutsideWatch.NOTIFY)


@dataclass(frozen=True, slots=True)
class Window:
    """When a change could be judged by a policy: from the end of its warm-up until its watch, the next change or people ended it.

    ``is_cut``: it was people who ended it, by taking the change back before anything else did.
    """

    began: datetime
    ended: datetime
    is_cut: bool = False


@dataclass(slots=True)
class Replayed:
    """One policy's way through the past. ``watch``: its memory; ``found`` and ``looks`` by change id, ``unblamed`` by onset.

    ``is_astray``: it would have rolled back and nobody did, so that what is seen is not what would have been. ``unlike``: when changes began that
    came then: of those nobody knows what would have been before.
    """

    policy: Policy
    watch: Watch
    windows: Mapping[str, Window]
    last: datetime | None = None
    incident: Incident | None = None
    opening: Opened | None = None
    answered: set[str] = field(default_factory=set)
    acted: list[datetime] = field(default_factory=list)
    quarantined: set[tuple[str, str]] = field(default_factory=set)
    found: dict[str, Found] = field(default_factory=dict)
    unblamed: dict[tuple[str, datetime], Found] = field(default_factory=dict)
    is_astray: bool = False
    unlike: set[datetime] = field(default_factory=set)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    looks: dict[str, list[Look]] = field(default_factory=dict)
