"""Seasonal gauges with a truth: eight days of one sample a minute around a change, which shifts the level or does not.

Like the rest of the generator it knows nothing of who judges it.
"""

import math
from dataclasses import dataclass
from random import Random

MINUTE, DAY, WEEK = 60.0, 86_400.0, 604_800.0
SPAN = 8 * DAY


@dataclass(frozen=True, slots=True)
class Gauge:
    """Samples from 0 on, one a minute; the change at ``changed_at`` shifted the level (``shifted``) or did nothing."""

    samples: tuple[float, ...]
    changed_at: float
    shifted: bool


def gauge(shifted: bool, watch: float, random: Random) -> Gauge:
    """A level with a daily and a weekly season, noise that remembers, and now and then a spike; a shift is a fifth of the level to all of it."""
    level, daily, weekly = math.exp(random.uniform(0, 7)), random.uniform(0.05, 0.5), random.uniform(0, 0.2)
    phase, noise, memory = random.random(), random.uniform(0.005, 0.05), random.uniform(0, 0.9)
    shift = random.uniform(0.2, 1.0) if shifted else 0.0
    changed_at, drift = SPAN - watch, 0.0
    samples = []
    for step in range(int(SPAN / MINUTE)):
        at = step * MINUTE
        season = (1 + daily * math.sin(2 * math.pi * (at / DAY + phase))) * (1 + weekly * math.sin(2 * math.pi * (at / WEEK + phase)))
        drift = memory * drift + random.gauss(0, noise)
        spike = random.uniform(0.2, 1) if random.random() < 0.001 else 0.0
        samples.append(level * (season * (1 + (shift if at >= changed_at else 0.0)) + drift + spike))
    return Gauge(tuple(samples), changed_at, shifted)
