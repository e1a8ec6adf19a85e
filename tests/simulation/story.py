"""A story: what happens outside and what breaks, when. Plain values made from a seed, so that any part of it can be left out."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from rollbackd.controller.engine.fleet import Settings
from rollbackd.policies.known.fleet import Limits

SERVICES = 12
SLOTS = 36
WIDE = Limits(in_flight_per_namespace=SERVICES, in_flight=SERVICES, per_hour=10_000, per_target_per_day=10_000, cooldown=timedelta(0))
TIGHT = Limits(per_hour=6, per_target_per_day=2, cooldown=timedelta(minutes=6), cooldown_floor=timedelta(minutes=6))
"""Such that each of them is met in many stories; the cool-down is longer than replicas' clocks are apart."""


@dataclass(frozen=True, slots=True)
class Event:
    """``at``: seconds after the story's begin. ``who``: a replica or a service, by number. ``size``: seconds, a share, or a count."""

    at: float
    kind: str
    who: int
    size: float = 0.0

    def __str__(self) -> str:
        return f"{self.at:7.1f} s  {self.kind:<22} {'replica' if self.kind in FAULTS else 'service'} {self.who}  {self.size:g}"


LIFE = {
    "deploy-bad": 30, "deploy-good": 4, "flip": 10, "storm": 2, "heal": 3, "reapply": 4, "unready": 2,
    "ack": 1, "close": 4, "approve": 8, "silent": 4,
}  # fmt: skip
"""What happens to services, by how often."""
ORDERING = 4
"""In every seventh story people order rollbacks too, and take back what was written: none of those that broke a promise before there were orders."""
UNDOING = 0.5
"""So many of what is bad are followed by somebody who takes back what was written last."""
FAULTS = {
    "kill": 4, "kill-before-commit": 4, "kill-after-commit": 4, "kill-before-write": 8, "kill-after-write": 8,
    "freeze": 4, "write-frozen": 8, "write-lost": 8, "write-late": 8, "write-throttled": 6, "write-denied": 4,
    "cut": 3, "stale": 5, "missed": 4, "looks-fail": 4, "pause": 3, "resume": 5, "unreadable": 1,
    "disk-full": 2, "disk-cut": 3, "commit-fails": 4, "answer-lost": 4, "clock": 3, "pager-down": 2,
}  # fmt: skip
"""What happens to replicas, by how often."""


@dataclass(frozen=True, slots=True)
class Story:
    """``replicas`` share one journal under ``settings``. ``slow``: seconds that a plan or a look takes at most. Equal stories go equally."""

    seed: int
    replicas: int
    settings: Settings
    events: tuple[Event, ...]
    services: int = SERVICES
    slow: float = 0.0

    def __str__(self) -> str:
        limits = "wide" if self.settings.limits == WIDE else "tight"
        return "\n".join([f"seed {self.seed}, {self.replicas} replicas, {limits} limits", *map(str, self.events)])


def story(seed: int) -> Story:
    """The story of this seed."""
    dice = random.Random(seed)
    length = SLOTS * 10.0
    life = [_event(dice, LIFE, SERVICES, length) for _ in range(dice.randint(48, 72))]
    replicas = dice.choice((1, 2, 2, 2, 3, 3))
    faults = [_event(dice, FAULTS, replicas, length) for _ in range(dice.choice((0, 8, 16, 24, 32)))]
    orders = _orders(random.Random(-1 - seed), life, length) if seed % 7 == ORDERING else []
    settings = Settings(limits=dice.choice((WIDE, WIDE, WIDE, TIGHT)), orphans_after=timedelta(minutes=5))
    events = tuple(sorted((*life, *faults, *orders), key=lambda event: event.at))
    return Story(seed, replicas, settings, events, slow=1.0 if seed % 5 == 0 or orders else 0.0)


def _orders(dice: random.Random, life: Sequence[Event], length: float) -> list[Event]:
    """People order rollbacks themselves, most often while the machine plans; there is more to approve, so that both want the same; and some of what
    was written people take back, or what they took back.
    """
    asked = [Event(round(dice.uniform(15, length), 1), "deploy-bad", SERVICES - 1, 0.6) for _ in range(5)]
    bad = [event for event in (*life, *asked) if event.kind in ("deploy-bad", "flip")]
    orders = [Event(_in_a_slot(dice, event.at + dice.uniform(2, 45)), "order", event.who) for event in bad]
    undos = [Event(_in_a_slot(dice, event.at + dice.uniform(20, 150)), "undo", event.who) for event in bad if dice.random() < UNDOING]
    return [*asked, *orders, *undos]


def _in_a_slot(dice: random.Random, at: float) -> float:
    return round(10 * (at // 10) + dice.uniform(0.1, 2.0), 2)


def _event(dice: random.Random, kinds: dict[str, int], among: int, length: float) -> Event:
    (kind,) = dice.choices(list(kinds), list(kinds.values()))
    return Event(round(dice.uniform(15, length), 1), kind, dice.randrange(among), _size(dice, kind))


def _size(dice: random.Random, kind: str) -> float:
    match kind:
        case "deploy-bad" | "flip":
            return dice.choice((0.06, 0.3, 0.6, 1.0))
        case "clock":
            return dice.choice((-60.0, -5.0, 3.0, 45.0))
        case "storm":
            return dice.choice((2.0, 3.0, 5.0))
        case "kill-before-commit" | "kill-after-commit" | "commit-fails" | "answer-lost" | "looks-fail":
            return float(dice.randint(0, 6))
        case _:
            return round(dice.choice((3, 12, 35, 70)) * dice.uniform(0.8, 1.2), 1)
