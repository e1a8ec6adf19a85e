"""What one slot's observation said about one signal of one workload."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Counts:
    """Events counted in (start, end]: between ``least`` and ``most`` of ``total`` were bad (equal where counted exactly).

    ``low`` and ``high`` are the bucket bounds around a latency limit, in the histogram's unit; None for ratios.
    ``newest``: time of the newest sample that took part. ``old``: what pods of an older revision counted in the same time, where they still ran.
    """

    start: datetime
    end: datetime
    least: float
    most: float
    total: float
    newest: datetime
    low: float | None = None
    high: float | None = None
    old: "Counts | None" = None


@dataclass(frozen=True, slots=True)
class Events:
    """How many events happened in (start, end]."""

    start: datetime
    end: datetime
    count: float
    newest: datetime


@dataclass(frozen=True, slots=True)
class Level:
    """A value at ``end``, out of ``units`` (0: not told apart). ``before``: what it was when what ran before the change was of this ``age``."""

    end: datetime
    value: float
    newest: datetime
    units: int = 0
    before: float | None = None
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """How many events happened in (start, end], beside how many a second there were in the hour ``before`` the change and a ``week`` ago.

    None: not known. ``wanted`` replicas, of which ``ready`` serve: what the target itself says (None: nothing).
    """

    start: datetime
    end: datetime
    count: float
    newest: datetime
    before: float | None = None
    week: float | None = None
    wanted: int | None = None
    ready: int | None = None


@dataclass(frozen=True, slots=True)
class Absence:
    """A metric has no series at ``end``: there was none of them from ``gone`` on (None: since before the change already).

    In the hour before the change it was there in ``seen`` of ``of`` looks, and had ``before`` events a second (None: not known).
    ``lives``: what says that monitoring lives (None: nothing does). ``scrapes``: three scrapes take no longer. ``wanted``, ``ready``: see Flow.
    """

    end: datetime
    gone: datetime | None
    seen: int
    of: int
    before: float | None
    lives: str | None
    scrapes: timedelta
    wanted: int | None = None
    ready: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What the target itself said at ``end``: that it is bad (True), well (False), or on its way (None); ``said`` is for people."""

    end: datetime
    is_bad: bool | None
    said: str


class Lack(Enum):
    """Why there is no reading."""

    NODATA = "nodata"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing could be learnt at ``end``; ``why`` is for people."""

    end: datetime
    lack: Lack
    why: str


Reading: TypeAlias = Counts | Events | Level | Flow | Absence | Told | Unknown
COUNTED = (Counts, Events)
"""What is counted over a stretch of time."""
