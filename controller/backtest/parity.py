"""Whether a replay of the daemon's own past comes to the transitions that its journal has: slot by slot, with both arithmetics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from rollbackd.controller.backtest.beside import Beside
from rollbackd.controller.backtest.history import History, PastSource, check_answered, slots_between
from rollbackd.controller.backtest.journalled import Blind, Journalled, Transition
from rollbackd.controller.backtest.retell import Retelling, memory_of
from rollbackd.controller.backtest.run import by_grid
from rollbackd.controller.engine.observation import history_slots
from rollbackd.controller.schedule import Grid
from rollbackd.policies.judge.composite import is_met
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Lack, Reading, Unknown
from rollbackd.policies.model.signals import OfTarget, Probe

NATURE = (
    "samples that came late are in Prometheus now and were not when the daemon looked",
    "a slot that the daemon missed, or did not live through, is looked at here",
    "without an open watch the daemon looks once a minute from its start on, which the journal does not have: burstiness may come out otherwise",
    "the daemon waited for a target that it could not read, which is not in the journal",
    "a replica that looked a moment before a row was written did not know it yet",
    "old pods are not told apart from new ones, and no pods are known to be unready: neither names nor numbers of pods are in the journal",
)
"""Why a difference may be none of the functions."""

Word = Literal["equal", "differs", "apart"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One transition. ``journal`` or ``replay`` None: the other alone has it. ``apart``: it cannot be compared, for the reason in ``why``.

    ``thought``: what the replay said of the condition at the journal's slot, where it did not come to the transition there.
    """

    word: Word
    why: str
    journal: Transition | None
    replay: Transition | None
    thought: str = ""

    @property
    def either(self) -> Transition:
        """What tells which transition it is."""
        found = self.journal or self.replay
        if found is None:
            raise ValueError("a comparison is between two, one of which there has to be")
        return found

    @property
    def has_same_numbers(self) -> bool:
        """Whether both came to it by the same arithmetic."""
        return self.journal is not None and self.replay is not None and self.journal.reason == self.replay.reason


@dataclass(frozen=True, slots=True)
class Parity:
    """What the comparison came to. ``blind``: slots at which the journal has a source as silent; ``unread``: slots that cannot be read now."""

    since: datetime
    until: datetime
    compared: tuple[Compared, ...]
    slots: int
    blind: int
    unread: int
    queries: int

    @property
    def differs(self) -> bool:
        """Whether any transition does."""
        return any(one.word == "differs" for one in self.compared)


@dataclass(frozen=True, slots=True)
class _Retold:
    """What one grid's slots came to."""

    found: Mapping[tuple[str, str, str], Transition]
    said: Mapping[tuple[str, str, datetime], str]
    slots: int
    blind: int
    unread: int
    history: History


def parity(policies: Sequence[Policy], journal: Journalled, source_of: Callable[[str], PastSource], since: datetime, until: datetime) -> Parity:
    """The comparison of all transitions from ``since`` to ``until``.

    Raises Transient or Permanent where a source cannot be asked at all, or nothing that was asked is answered in full.
    """
    sources: dict[str, PastSource] = {}
    retold = []
    for grid, group in by_grid(policies).items():
        source = sources.setdefault(grid.source, source_of(grid.source))
        retold.append(_retold(grid, group, journal, source, since, until))
    check_answered([each.history for each in retold])
    told = [one for one in journal.transitions if since <= one.at <= until]
    earlier = {one.key for one in journal.transitions if one.at < since}
    found = {key: one for each in retold for key, one in each.found.items() if key not in earlier}
    said = {key: text for each in retold for key, text in each.said.items()}
    compared = tuple(_compared(told, found, said, journal, {policy.name: policy for policy in policies}))
    slots, blind, unread = (sum(getattr(each, name) for each in retold) for name in ("slots", "blind", "unread"))
    return Parity(since, until, compared, slots, blind, unread, sum(source.asked for source in sources.values()))


def _retold(grid: Grid, group: Sequence[Policy], journal: Journalled, source: PastSource, since: datetime, until: datetime) -> _Retold:
    wanted = since - memory_of(group)
    lives = grid.slot(wanted if journal.first is None else max(wanted, journal.first))
    history = History(source, group)
    retelling = Retelling(group, journal, lives, Beside(source), history.look_back)
    # Before its first look a daemon fills its watches from the source's history.
    slots = [*history_slots(group, lives), *slots_between(grid, lives, until - source.delay)]
    looked = blind = unread = 0
    for at, readings in history.read(slots):
        retelling.slot(at, readings)
        if at >= since:
            looked += 1
            blind += _is_blind(journal.blind, grid.source, at, at)
            unread += _is_unread(readings)
    found = {key: one for key, one in retelling.found.items() if one.at >= since}
    return _Retold(found, retelling.said, looked, blind, unread, history)


def _compared(
    told: Sequence[Transition],
    found: Mapping[tuple[str, str, str], Transition],
    said: Mapping[tuple[str, str, datetime], str],
    journal: Journalled,
    policies: Mapping[str, Policy],
) -> Iterator[Compared]:
    keys = set()
    for one in told:
        keys.add(one.key)
        other, thought = found.get(one.key), said.get((one.policy, one.condition, one.at), "")
        if why := _apart(one, journal, policies):
            yield Compared("apart", why, one, other)
        elif why := _difference(one, other):
            yield Compared("differs", why, one, other, thought)
        else:
            yield Compared("equal", "", one, other)
    for key, other in found.items():
        if key not in keys:
            why = _apart(other, journal, policies)
            yield Compared("apart" if why else "differs", why or "the journal does not have it", None, other)


def _apart(one: Transition, journal: Journalled, policies: Mapping[str, Policy]) -> str:
    """Why this cannot be compared; empty where it can."""
    policy = policies.get(one.policy)
    if policy is None:
        return f"policy {one.policy} is not among those given"
    if one.digest and one.digest != policy.digest:
        return f"policy {one.policy} was another version then"
    if _is_untold(policy, one.condition):
        return "what probes and targets said in the past is not known"
    if _is_blind(journal.blind, policy.source, one.onset or one.at, one.at):
        return f"the journal has source {policy.source} as silent then"
    return ""


def _is_untold(policy: Policy, condition: str) -> bool:
    """Whether nobody tells today what the condition saw, or what has to be met beside any other."""
    told = {each.name: not isinstance(each.signal, Probe | OfTarget) for each in policy.conditions}
    return not told.get(condition, True) or not is_met(policy.trigger, tuple(told.values()))


def _difference(one: Transition, other: Transition | None) -> str:
    if other is None:
        return "the replay does not come to it"
    said = []
    if one.at != other.at:
        said.append(f"the slot: {(other.at - one.at).total_seconds():+g} s in the replay")
    if one.onset is not None and one.onset != other.onset:
        said.append(f"the onset: {other.onset:%H:%M:%S} in the replay, {one.onset:%H:%M:%S} in the journal")
    return "; ".join(said)


def _is_blind(blind: Sequence[Blind], source: str, since: datetime, until: datetime) -> bool:
    return any(one.source == source and one.since <= until and (one.until is None or since <= one.until) for one in blind)


def _is_unread(readings: Mapping[str, tuple[Reading, ...]]) -> bool:
    return any(isinstance(one, Unknown) and one.lack is Lack.ERROR for each in readings.values() for one in each)


def default_since(journal: Journalled, until: datetime) -> datetime:
    """The last seven days, as far as the journal reaches."""
    week = until - timedelta(days=7)
    return week if journal.first is None else max(week, journal.first)
