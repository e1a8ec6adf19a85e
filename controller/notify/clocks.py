"""Our clock beside those of the sources: people are told once where they part, and what a wrong clock would make a guess of proves nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import structlog

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.notice import Notice
from rollbackd.controller.journal.store import Store
from rollbackd.controller.journal.values import Note
from rollbackd.controller.notify.blind import readers
from rollbackd.controller.notify.messages import plain_notice
from rollbackd.controller.notify.open_pages import OpenPages, watched_no_more
from rollbackd.policies.model.policy import Condition, Policy
from rollbackd.policies.model.readings import Lack, Reading, Unknown
from rollbackd.policies.model.signals import OfTarget, Probe

log = structlog.get_logger()

FAR = timedelta(seconds=30)
"""Clocks further apart are a finding."""
NEAR = timedelta(seconds=15)
"""It is over once they are no further apart than this: about a limit people would be told again and again."""


@runtime_checkable
class TellsTime(Protocol):
    """A source with a clock of its own."""

    def clock_skew(self, now: datetime) -> timedelta:
        """How far its clock is ahead of ``now``. Raises Transient or Permanent."""
        ...


class Clocks:
    """Safe to use from several threads; ``check`` is called by one at a time."""

    def __init__(
        self,
        sources: Mapping[str, object],
        store: Store,
        now: Callable[[], datetime],
        policies: Callable[[], Iterable[Policy]],
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._sources = {name: source for name, source in sources.items() if isinstance(source, TellsTime)}
        self._store = store
        self._now = now
        self._policies = policies
        self._message_queued = told
        self._skews: dict[str, timedelta] = {}
        self._pages = OpenPages(store, f"clock:{store.writer}")

    def skews(self) -> dict[str, timedelta]:
        """How far the clock of each source that told its time is ahead of ours."""
        return dict(self._skews)

    def check(self) -> None:
        """Every source was asked for its time; one that does not answer keeps what it said last. Raises StoreError: told at the next check."""
        answered = []
        for name, source in self._sources.items():
            try:
                skew = source.clock_skew(self._now())
            except AdapterError as fault:
                log.debug("clock.unread", source=name, error=str(fault))  # that it does not answer is told elsewhere
                continue
            self._skews[name] = skew
            answered.append(name)
        for name in answered:  # not before: a store that fails must not keep the others from being read
            self._tell(name, self._skews[name])
        self._drop(self._now())

    def doubted(self, policies: Iterable[Policy], readings: Mapping[str, tuple[Reading, ...]]) -> dict[str, tuple[Reading, ...]]:
        """The readings, without those of which nobody can say on which side of a change they lie."""
        by_name = {policy.name: policy for policy in policies}
        return {name: _doubted(by_name[name], found, self._skews.get(by_name[name].source)) for name, found in readings.items()}

    def _tell(self, name: str, skew: timedelta) -> None:
        is_paged = bool(self._pages.about(name))
        if abs(skew) > FAR and not is_paged:
            self._part(name, skew)
        elif abs(skew) <= NEAR and is_paged:
            self._agree(name)

    def _drop(self, at: datetime) -> None:
        for name in self._pages.dropped(self._sources, at):
            note = Note("clock.dropped", at, {"source": name})
            self._pages.end(name, note, watched_no_more(f"the clock of source {name}", at), ())
            self._message_queued()

    def _part(self, name: str, skew: timedelta) -> None:
        at = self._now()
        key = f"clock:{self._store.writer}:{name}:{at:%Y%m%dT%H%M%S}"
        title = f"the clock of source {name} is {_apart(skew)} that of {self._store.writer}"
        lines = (
            "conditions whose window is shorter than twice that are not judged: what was before and what after a change cannot be told apart",
            "have both machines set their clocks (NTP); see: rollbackd doctor",
        )
        note = Note("clock.apart", at, {"source": name, "seconds": round(skew.total_seconds())})
        self._pages.open(name, note, plain_notice("clock", key, title, lines, at), readers(self._policies(), name))
        log.warning("clock.apart", source=name, seconds=round(skew.total_seconds()))
        self._message_queued()

    def _agree(self, name: str) -> None:
        at = self._now()

        def notice(key: str) -> Notice:
            return plain_notice("clock-again", key, f"the clock of source {name} agrees again", ("everything is judged again",), at, resolved=True)

        self._pages.end(name, Note("clock.agrees", at, {"source": name}), notice, readers(self._policies(), name))
        self._message_queued()


def _doubted(policy: Policy, readings: Sequence[Reading], skew: timedelta | None) -> tuple[Reading, ...]:
    if skew is None or abs(skew) <= FAR:
        return tuple(readings)
    return tuple(_unless_doubtful(c, reading, skew) for c, reading in zip(policy.conditions, readings, strict=True))


def _unless_doubtful(condition: Condition, reading: Reading, skew: timedelta) -> Reading:
    # What a target or an endpoint says of now has no window that a clock could shift.
    if isinstance(condition.signal, OfTarget | Probe) or abs(skew) <= condition.window / 2:
        return reading
    return Unknown(reading.end, Lack.ERROR, f"the source's clock is {_apart(skew)} ours: half of the window or more may lie before the change")


def _apart(skew: timedelta) -> str:
    return f"{abs(skew).total_seconds():.0f} s {'ahead of' if skew > timedelta(0) else 'behind'}"
