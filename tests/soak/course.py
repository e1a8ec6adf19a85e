"""The soak's course: round after round a fault and a bad release, and samples of the daemon all the time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.soak.samples import Sample, sample
from tests.soak.town import GOOD, Town
from tests.soak.weather import FAULTS, Fault, blowing

ROUND = 20.0
SAMPLE_EVERY = 5.0
CALM = Fault("calm", lambda town, namespace: None)
WHOLE_WITHIN = 180.0
"""Seconds without a fault until no incident may be open any more."""


@dataclass(frozen=True)
class Run:
    """What came of it. ``open_at_end``: incidents that a calm end did not close; ``broken``: where the audit chain breaks."""

    samples: list[Sample]
    incidents: int
    closed: int
    open_at_end: int
    rows: int
    broken: str | None
    crashes: int


def run(town: Town, minutes: float, show: Callable[[Sample], None], *, round_seconds: float = ROUND) -> Run:
    """Faults for so many minutes, then calm until all is well again."""
    samples = []
    for one in _course(town, minutes * 60, round_seconds):
        samples.append(one)
        show(one)
    _become_well(town)
    history = [row["kind"] for row in town.daemon.api.get("history", limit="10000")["items"]]
    audit = town.daemon.api.get("audit")
    opened, closed = history.count("incident.opened"), history.count("incident.closed")
    return Run(samples, opened, closed, len(_phases(town)), audit["rows"], audit["fault"], len(town.daemon.crashes()))


def _course(town: Town, seconds: float, round_seconds: float) -> Iterator[Sample]:
    began, number = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        fault, shop = FAULTS[number % len(FAULTS)], town.shops[number % len(town.shops)]
        town.ship(shop)
        with blowing(fault, town, shop.namespace):
            yield from _sampled(town, began, fault, until=min(passed + round_seconds, seconds))
        town.forget()
        number += 1


def _sampled(town: Town, began: float, fault: Fault, until: float) -> Iterator[Sample]:
    overslept = 0.0
    while (left := until - (time.monotonic() - began)) > 0:
        yield sample(town.daemon, began, fault.name, overslept)
        wakes = time.monotonic() + min(SAMPLE_EVERY, left)
        time.sleep(min(SAMPLE_EVERY, left))
        overslept = time.monotonic() - wakes


def _become_well(town: Town) -> None:
    """Others put the good version back wherever the daemon has left it to people; incidents close or time has run out."""
    ends = time.monotonic() + WHOLE_WITHIN
    while time.monotonic() < ends and (_phases(town) or any(shop.image != GOOD for shop in town.shops)):
        phases = _phases(town)
        for shop in town.shops:
            if phases.get(shop.target) == "held":
                shop.stage.release(GOOD, settled=False)
        time.sleep(SAMPLE_EVERY)


def _phases(town: Town) -> dict[str, str]:
    """By target: the phase of its open incident."""
    return {line["target"]: line["incident"]["phase"] for line in town.daemon.api.get("status")["policies"] if line["incident"]}
