"""What the checks look at: the parts that a daemon of this config would work with, and what they may be asked beyond their contracts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.notice import Notifier
from rollbackd.adapters.base.source import Buckets, RowKey, Selector, Slower, Source
from rollbackd.adapters.base.target import Target
from rollbackd.controller.config.values import Config
from rollbackd.policies.load import Loaded
from rollbackd.policies.model.policy import Policy


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Nothing of it runs, holds the lock or was made. A part that its config does not allow is the error that says why. ``file``: the config's.

    ``enter``: as whom we act in an account and region of the config; raises Transient, Permanent or Refused.
    """

    file: str
    config: Config
    sources: Mapping[str, Source | AdapterError]
    targets: Mapping[str, Target] | AdapterError
    contacts: Mapping[str, tuple[Notifier, ...] | AdapterError]
    loaded: Loaded
    now: Callable[[], datetime]
    enter: Callable[[str, str], str]

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The sound ones."""
        return self.loaded.policies


@runtime_checkable
class Checkable(Protocol):
    """A part that knows what would spoil its work."""

    def check(self) -> tuple[str, ...]:
        """One line for each thing, with what to do."""
        ...


@runtime_checkable
class TellsBirths(Protocol):
    """A source that does not always know whether a counter is new."""

    def births(self, at: datetime) -> str:
        """Which newborn series count in full, in words. Raises Transient or Permanent."""
        ...


@runtime_checkable
class ReadsPages(Protocol):
    """A source that has nothing before it has read its pages."""

    def scrape(self) -> None:
        """Every page was read once, or has its fault in ``check``."""
        ...


@runtime_checkable
class ShowsSeries(Protocol):
    """A source that can show which series it holds."""

    def series(self, selector: Selector, at: datetime, most: int) -> tuple[Mapping[str, str], ...]:
        """The labels of up to ``most`` series that had a sample shortly before ``at``. Raises Transient or Permanent."""
        ...


@runtime_checkable
class ShowsBuckets(Protocol):
    """A source that knows which buckets a histogram has."""

    def buckets(self, query: Slower, at: datetime) -> Mapping[RowKey, Buckets]:
        """Those of each workload that has any, in the window that ends at ``at``. Raises Transient or Permanent."""
        ...
