"""What follows from how often pages are read: the window that can be counted over, what is a gap, and when a sample is stale."""

import math
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Pace:
    """Pages are read each ``interval``."""

    interval: timedelta

    @property
    def freshness(self) -> timedelta:
        """Samples older than this are stale."""
        return min(2 * self.interval + timedelta(seconds=10), timedelta(minutes=5))

    @property
    def gap(self) -> timedelta:
        """The least pause between two scrapes that is a gap."""
        return 2.5 * self.interval

    def block(self, every: timedelta) -> timedelta:
        """The smallest multiple of ``every`` that one interval fits into."""
        return every * max(1, math.ceil(self.interval / every))
