"""The deployments of one profile in one environment, and what is in force by them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_ROLLING = frozenset({"DEPLOYING", "VALIDATING"})
_IN_FORCE = frozenset({"COMPLETE", "BAKING"}) | _ROLLING
_RUNNING = frozenset({"BAKING", "ROLLING_BACK"}) | _ROLLING


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a version."""

    number: int
    version: int
    state: str
    started: datetime

    @property
    def is_in_force(self) -> bool:
        """False once it was, or is being, taken back."""
        return self.state in _IN_FORCE

    @property
    def is_arriving(self) -> bool:
        """Some applications are still served what was before: on its way out, or on its way back."""
        return self.state in _ROLLING or self.state == "ROLLING_BACK"

    @property
    def is_running(self) -> bool:
        """AppConfig is not done with it, and starts no other one in its environment."""
        return self.state in _RUNNING


@dataclass(frozen=True, slots=True)
class History:
    """The profile's ``deployments``, newest first; ``newest``: the number of the environment's newest one, of whichever profile."""

    deployments: tuple[Deployment, ...]
    newest: int

    @property
    def live(self) -> Deployment | None:
        """The one that is in force, or on its way to be; None if there is none."""
        return next((each for each in self.deployments if each.is_in_force), None)

    @property
    def before(self) -> Deployment | None:
        """The newest one in force before ``live`` that was of another version; None if none is known."""
        live = self.live
        older = [each for each in self.deployments if live is not None and each.is_in_force and each.number < live.number]
        return next((each for each in older if live is not None and each.version != live.version), None)

    @property
    def taken_back(self) -> tuple[Deployment, ...]:
        """Those after ``live`` that were, or are being, taken back."""
        live = self.live
        return tuple(each for each in self.deployments if live is not None and each.number > live.number)

    def was_in_force(self, version: int, until: int) -> bool:
        """True if a deployment older than number ``until`` had this version in force; False as well where it is older than what was listed."""
        return any(each.is_in_force and each.version == version and each.number < until for each in self.deployments)

    @property
    def is_exact(self) -> bool:
        """True if taking ``live`` back restores the version of ``before``."""
        live, before = self.live, self.before
        older = [each for each in self.deployments if live is not None and each.is_in_force and each.number < live.number]
        return before is not None and older[0] == before


def history_of(found: Sequence[Deployment], newest: int) -> History:
    """The history of these deployments, in whatever order they were listed."""
    return History(tuple(sorted(found, key=lambda each: -each.number)), newest)
