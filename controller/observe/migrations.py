"""What metrics tell of migrations: whether a schema has another version now than before the newest change. What is not known is doubt."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.source import Expression, Identity, RowKey, Source
from rollbackd.adapters.base.target import TargetState
from rollbackd.controller.observe.changes import ChangeBook, Survey, is_same
from rollbackd.controller.observe.past_changes import is_first_sight
from rollbackd.policies.model.policy import Policy

REACH = timedelta(hours=1)
"""So long before the change the values are read: a hook may have migrated shortly before the release came."""
STEP = timedelta(minutes=1)
MOST = 10_000  # policies
_WHOLE: RowKey = ()


@dataclass(frozen=True, slots=True)
class _Came:
    """The change that brought a target where it stands: when it began, and from when on (None: unknown) the former release had served."""

    id: str
    began: datetime
    former: datetime | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """The value of a metric, and when it was seen last."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class _Told:
    """What the metrics of the policy of this ``digest`` told of a ``change``. ``before``: of each, the different values before it."""

    digest: str
    change: str
    before: Mapping[str, Sequence[_Seen]]
    irreversible: str | None = None
    doubt: str | None = None


class Migrations:
    """Remembers what was told of each policy's newest change, so that the time before it is read once. Safe to call from several threads."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def beside(
        self, survey: Survey, policies: Iterable[Policy], due: Collection[str], book: ChangeBook, source_of: Callable[[str], Source], at: datetime
    ) -> Survey:
        """The survey, in which targets also say what the metrics tell. Asked for the policies named in ``due``, until a migration is certain.

        ``policies`` are all of the daemon: a target surveyed for one policy may be doubted for another.
        """
        # An answer that came late is asked about as well: nothing crosses a migration because its change was seen late.
        former = tuple([self.beside(each, policies, due, book, source_of, at) for each in survey.former])
        states = dict(survey.states)
        for policy in [policy for policy in policies if policy.migration_metrics]:
            state = states.get(policy.target)
            if not isinstance(state, TargetState) or (came := _came(state, book, at)) is None:
                continue
            told = self._known(policy, came)
            if told.irreversible is None and policy.name in due:
                told = _asked(policy, told, came, source_of(policy.source), at)
                self._keep(policy.name, told)
            states[policy.target] = replace(state, irreversible=state.irreversible or told.irreversible, doubt=state.doubt or told.doubt)
        return replace(survey, states=states, former=former)

    def _known(self, policy: Policy, came: _Came) -> _Told:
        told = self._told.get(policy.name)
        if told is not None and (told.digest, told.change) == (policy.digest, came.id):
            return told
        return _Told(policy.digest, came.id, {}, doubt=_doubt(f"{policy.migration_metrics[0]} was not read since the change"))

    def _keep(self, policy: str, told: _Told) -> None:
        if len(self._told) >= MOST and policy not in self._told:
            self._told.clear()
        self._told[policy] = told


def _came(state: TargetState, book: ChangeBook, at: datetime) -> _Came | None:
    """None where there is nothing to compare with: nobody knows when it came."""
    known = book.newest(state.key)
    if known is not None and is_same(known.change, state):
        change = known.change
        return None if is_first_sight(known) else _Came(change.id, change.started_early, _effective(book, state.key, change.predecessor))
    if known is None and state.started is None:
        return None
    former = known.change.id if known is not None else None
    # Where the target does not say when, the last look before was the earliest; the values until now are read, and the next look knows better.
    return _Came(state.change_id or state.revision, state.started.early if state.started else at, _effective(book, state.key, former))


def _effective(book: ChangeBook, target: str, change: str | None) -> datetime | None:
    return next((each.effective for each in book.of((target,)) if each.id == change), None)


def _asked(policy: Policy, told: _Told, came: _Came, source: Source, at: datetime) -> _Told:
    before, doubts = dict(told.before), []
    for metric in policy.migration_metrics:
        try:
            before[metric] = before.get(metric) or _values(source, metric, _moments(came))
            now = _values(source, metric, (at - source.delay,))
        except AdapterError as fault:
            doubts.append(f"{metric} could not be read: {fault}")
            continue
        if (migrated := _difference(metric, (*before[metric], *now))) is not None:
            return replace(told, before=before, irreversible=migrated, doubt=None)
        if not before[metric] or not now:
            doubts.append(f"{metric} has no value {'now' if before[metric] else 'from before the change'}")
    return replace(told, before=before, doubt=_doubt("; ".join(doubts)) if doubts else None)


def _moments(came: _Came) -> list[datetime]:
    """Evenly spaced, up to the change; none at which the one before it may still have been under way."""
    reach = REACH if came.former is None else min(REACH, max(timedelta(0), came.began - came.former - STEP))
    return [came.began - index * STEP for index in range(int(reach / STEP), -1, -1)]


def _values(source: Source, metric: str, moments: Sequence[datetime]) -> tuple[_Seen, ...]:
    """The highest values of the metric, each with the last moment of it. Raises Transient or Permanent."""
    answers = source.read_history(Expression(f"max({metric}\n)", Identity(()), frozenset((_WHOLE,))), moments)
    rows = [(at, answers[at].rows[_WHOLE]) for at in moments if at in answers and _WHOLE in answers[at].rows]
    seen: dict[float, _Seen] = {}
    for at, row in rows:
        if row.newest >= at - source.freshness and (value := row.values.get("value")) is not None:
            seen[value] = _Seen(at, value)
    return tuple(seen.values())


def _difference(metric: str, seen: Sequence[_Seen]) -> str | None:
    other = next((one for one in seen if one.value != seen[0].value), None)
    if other is None:
        return None
    first = seen[0]
    return f"{metric} was {first.value:.15g} at {first.at.isoformat()} and {other.value:.15g} at {other.at.isoformat()}"


def _doubt(why: str) -> str:
    return f"whether a migration ran is unknown: {why}"
