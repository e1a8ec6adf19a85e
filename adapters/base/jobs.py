"""Runs beside a target that may be migrations: for the kinds of targets that can see them."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class SeesJobs(Protocol):
    """A kind of target that sees Jobs run beside its targets. Safe to call from several threads."""

    def watch_jobs(self, patterns: Mapping[str, Sequence[str]]) -> None:
        """From now on surveys look for Jobs by these names (``*`` is any text), by target; nothing is looked for beside any other target.

        One that ran makes the change irreversible. Where they cannot be listed, the state carries the doubt.
        """
        ...
