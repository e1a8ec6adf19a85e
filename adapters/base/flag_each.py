"""Flags of a vendor that writes them one at a time: what is done when one of several fails. Knows no vendor."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.flags import State, named
from rollbackd.adapters.base.json_api import Answer, JsonApi

PATIENCE = timedelta(seconds=12)
"""So long a write waits for a rate limit to pass, if its time allows that."""


@dataclass(frozen=True, slots=True)
class EachByItself(ABC):
    """What every provider at such a vendor has: its name, its API, and ``safe_states``: what is safe, by flag.

    ``patience``: so long a write waits for a rate limit to pass.
    """

    name: str
    api: JsonApi
    settle: timedelta = field(default=timedelta(seconds=30), kw_only=True)
    safe_states: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    max_flags: int = field(default=20, kw_only=True)
    patience: timedelta = field(default=PATIENCE, kw_only=True)

    def is_atomic(self, before: Mapping[str, State], after: Mapping[str, State]) -> bool:
        """A write of several flags is several requests."""
        return len(after) == 1

    def unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        """The flags that applications are not served as in ``after`` yet; () where that can never be seen."""
        return believed(lambda: self._unseen(environment, after))

    @abstractmethod
    def _unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        """The flags that applications are not served as in ``after``; () without a key to look by. Raises Permanent if the key is at fault."""


class Throttled(Transient):
    """The vendor did not begin it, because too much was asked of it: nothing was changed."""


def failure(api: JsonApi, answer: Answer) -> AdapterError:
    """A status that means no success; a rate limit is Throttled."""
    error = api.failure(answer)
    return Throttled(str(error), retry_after=getattr(error, "retry_after", None)) if answer.status == 429 else error


@contextmanager
def before_writing(name: str, ends: float) -> Iterator[None]:
    """For the length of the block only reads are sent, so that whoever throttles them throttles a write of the flag that was not begun.

    Raises Throttled too where they took so long that it is later than ``ends``, on the monotonic clock: the write would be too late.
    """
    try:
        yield
    except Transient as error:
        if error.retry_after is None:
            raise
        raise Throttled(str(error), retry_after=error.retry_after) from error
    if time.monotonic() > ends:
        raise _late(name)


def believed(ask: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """What ``ask`` finds unseen by applications; nothing where it can never be seen: a wrong key is found by the check, and the metrics decide."""
    try:
        return ask()
    except Permanent:
        return ()


def served_otherwise(late: Sequence[str]) -> list[str]:
    """What a check says of flags that applications are not served as they are kept."""
    if not late:
        return []
    return [f"applications are not served {named(late)} as kept; the key for it may be of another environment, or the service is late: see which"]


def write_each(
    after: Mapping[str, State],
    put: Callable[[str, State], None],
    *,
    ends: float,
    patience: timedelta = PATIENCE,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Every flag of ``after`` written by ``put``; a flag that fails does not stop the others.

    ``put`` raises Refused or Permanent if it changed nothing, Throttled if nothing was begun, Transient if something may have been. A throttled
    flag is put once more after the wait that the vendor asked for, where that is no longer than ``patience`` and not over later than ``ends``, on
    the monotonic clock; otherwise nothing more is begun, nor is anything after ``ends``. Raises what ``put`` raised, for all flags together.
    """
    done = list[str]()
    failed: dict[str, AdapterError] = {}
    for name in sorted(after):
        if time.monotonic() > ends:
            failed[name] = _late(name)
            continue
        if any(isinstance(error, Throttled) for error in failed.values()):
            failed[name] = Throttled(f"flag '{name}' was not begun")
            continue
        try:
            _put(name, after[name], put, patience, ends, pause)
        except (Transient, Permanent, Refused) as error:
            failed[name] = error
        else:
            done.append(name)
    if failed:
        raise _together(done, failed)


def _put(name: str, state: State, put: Callable[[str, State], None], patience: timedelta, ends: float, pause: Callable[[float], None]) -> None:
    try:
        put(name, state)
    except Throttled as error:
        wait = error.retry_after
        if wait is None or wait > patience.total_seconds() or time.monotonic() + wait > ends:
            raise
        pause(wait)
        put(name, state)


def _late(name: str) -> Throttled:
    return Throttled(f"flag '{name}' was not begun, as everything before it took too long: see why, then plan again")


def _together(done: list[str], failed: Mapping[str, AdapterError]) -> AdapterError:
    first = next(iter(failed.values()))
    if not done and (len(failed) == 1 or all(isinstance(error, (Permanent, Refused)) for error in failed.values())):
        return first
    waits = [error.retry_after for error in failed.values() if isinstance(error, Transient) and error.retry_after is not None]
    written = f"{named(done)} written, " if done else ""
    return Transient(f"{written}{named(list(failed))} not: {first}", retry_after=max(waits, default=None))
