"""What the pods of a service use of their memory. Like the rest of the generator it knows nothing of who judges it."""

import math
from dataclasses import dataclass
from random import Random

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Fill:
    """Pods that begin at half of their use and fill up in about ``seconds``, once at the start and once as the change is ready.

    ``peak``: their use when the day's traffic is at its highest, at ``at``; of it ``breath`` comes and goes with the day.
    """

    peak: float
    breath: float
    at: float
    seconds: float
    ready: float

    def used(self, at: float) -> float:
        """The share of their limit."""
        age = at - self.ready if at >= self.ready else at
        day = 1 - self.breath * (1 - math.cos(2 * math.pi * (at - self.at) / DAY)) / 2
        return self.peak * day * (1 - 0.5 * math.exp(-age / self.seconds))


@dataclass(frozen=True, slots=True)
class Memory:
    """What the pods use: a usual share, and on top of it a leak (since when, and how much a second); or a ``fill``."""

    usual: float
    leak: tuple[float, float] | None
    fill: Fill | None

    def used(self, at: float, random: Random) -> float:
        """The share of their limit, with a little noise."""
        noise = random.gauss(0, 0.01)
        if self.fill is not None:
            return min(1.0, self.fill.used(at) + noise)
        used = self.usual + noise + (max(0.0, at - self.leak[0]) * self.leak[1] if self.leak else 0.0)
        # Killed at its limit, it begins again at its usual size.
        return used if used <= 1 else self.usual + (used - self.usual) % (1 - self.usual)


def leak(ready: float, random: Random) -> tuple[float, float]:
    """Since when memory grows, and by which share of the limit a second."""
    return ready, 0.7 / random.uniform(900, 2700)


def fill(ready: float, end: float, random: Random) -> Fill:
    """The day's peak falls into the watch or soon before or after it, so that its rise and its fall are both seen."""
    return Fill(random.uniform(0.95, 1.0), random.uniform(0.05, 0.3), ready + random.uniform(-1, 2) * (end - ready), random.uniform(120, 900), ready)
