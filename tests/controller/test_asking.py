"""What is asked beside the readings of a slot: once for all who ask alike, and nobody is waited for beyond a source's time-out."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.source import Answer, Increases, Levels, Query, Row, RowKey
from rollbackd.adapters.base.target import Progress, Sides, TargetState
from rollbackd.adapters.command import Command
from rollbackd.adapters.command.process import never
from rollbackd.controller.engine.observation import Observation
from rollbackd.controller.observe.aging import aged
from rollbackd.controller.observe.asking import Asking, answered
from rollbackd.controller.observe.questions import SIDE
from rollbackd.controller.observe.readings import Observer
from rollbackd.controller.observe.sides import beside_old
from rollbackd.controller.observe.survey import Surveyor
from rollbackd.controller.observe.traffic import Traffics
from rollbackd.controller.observe.vanished import Absences
from rollbackd.policies.known.changes import Change
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Absence, Counts, Flow, Lack, Level, Reading, Unknown
from tests.controller.world import World
from tests.policies.literals import MINUTE, SECOND, T0

MEMBERS = 200
POLICY = """
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {{name: {name}}}
spec:
  target: {{kubernetes: {{namespace: shop, deployment: {name}}}}}
  rollback_when: [{{use: error-rate}}, {{use: traffic-drop}}, {{use: vanished-metric}}, {{use: memory}}]
"""
FAULT = Transient("prometheus: did not answer in 10 s")


class Fleet:
    """A source that knows of each workload numbers of its own, and counts what it is asked. Since a minute after T0 the metric itself is gone."""

    name, delay, freshness = "prometheus", 5 * SECOND, 40 * SECOND

    def __init__(self, *, fails_at: datetime | None = None) -> None:
        self.asked: Counter[str] = Counter()
        self.named: list[int] = []
        self._fails_at = fails_at
        self._lock = threading.Lock()

    def block(self, every: timedelta) -> timedelta:
        return MINUTE

    def read(self, query: Query, at: datetime) -> Answer:
        self._count("read", query)
        return self._answer(query, at)

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        self._count("history", query)
        return {at: self._answer(query, at) for at in instants}

    def _count(self, how: str, query: Query) -> None:
        with self._lock:
            self.asked[how] += 1
            if SIDE in query.identity.labels:
                self.named.append(len(query.only))

    def _answer(self, query: Query, at: datetime) -> Answer:
        if at == self._fails_at:
            raise FAULT
        found = {row: one for row in query.only if (one := self._row(query, row, at)) is not None}
        return Answer(found, known_parts=frozenset({"bad", "total"}))

    def _row(self, query: Query, row: RowKey, at: datetime) -> Row | None:
        number = sum(map(ord, "".join(row))) % 50
        if isinstance(query, Levels):
            is_gone = at > T0 + MINUTE and row != () and query.value.metric != "up" and query.of is None
            return None if is_gone else Row({"value": 0.96 + number / 2000, "units": 3.0}, at)
        assert isinstance(query, Increases)
        factor = 0.05 if at > T0 else 1.0
        return Row({part: (1 + number) * factor * query.window.total_seconds() for part, _ in query.parts}, at)


def member(number: int) -> Policy:
    (policy,) = load_policies({"shop.yaml": POLICY.format(name=f"shop-{number}")}).policies
    return policy


@pytest.fixture(scope="module")
def members() -> list[Policy]:
    return [member(number) for number in range(MEMBERS)]


def changes_of(policy: Policy) -> tuple[Change, ...]:
    before, now = T0 - timedelta(hours=3), T0
    return (
        Change(policy.target, "uid:6", "r6", None, before, before, before, before),
        Change(policy.target, "uid:7", "r7", "uid:6", now, now, now, now),
    )


AT = T0 + 10 * MINUTE


def state_of(policy: Policy) -> TargetState:
    name = policy.name
    return TargetState(policy.target, "r7", sides=Sides(f"{name}-7c6d9f8b5", (f"{name}-5d4f8c7b9",)), progress=Progress(3, 1))


def settling(policy: Policy, readings: tuple[Reading, ...], source: Fleet, traffics: Traffics, absences: Absences) -> Asking[tuple[Reading, ...]]:
    known = changes_of(policy), source, state_of(policy), AT
    told = yield from aged(policy, readings, known[0], source, AT)
    told = yield from beside_old(policy, told, source, state_of(policy), AT)
    told = yield from traffics.beside(policy, told, *known)
    return (yield from absences.beside(policy, told, *known))


@pytest.fixture(scope="module")
def slot(members: list[Policy]) -> dict[str, tuple[Reading, ...]]:
    """What each member reads in the slot, before anything is asked beside."""
    source = Fleet()
    observer = Observer({"prometheus": source}, lambda _: None)
    found = observer.read(members, AT)
    observer.close()
    return found


def beside(members: Sequence[Policy], slot: Mapping[str, tuple[Reading, ...]], source: Fleet) -> dict[str, tuple[Reading, ...]]:
    traffics, absences, observer = Traffics(), Absences(), Observer({"prometheus": source}, lambda _: None)
    found = observer.settle("prometheus", {one.name: settling(one, slot[one.name], source, traffics, absences) for one in members})
    observer.close()
    return found


def alone(members: Sequence[Policy], slot: Mapping[str, tuple[Reading, ...]], source: Fleet) -> dict[str, tuple[Reading, ...]]:
    traffics, absences = Traffics(), Absences()
    return {one.name: answered(settling(one, slot[one.name], source, traffics, absences), source) for one in members}


def _lacks(shares: Reading, traffic: Reading, absence: Reading, level: Reading) -> tuple[str, ...]:
    """What is not known beside the readings."""
    known = {
        "old pods": isinstance(shares, Counts) and shares.old is not None,
        "the hour before": isinstance(traffic, Flow) and traffic.before is not None,
        "the week before": isinstance(traffic, Flow) and traffic.week is not None,
        "since when": isinstance(absence, Absence) and absence.gone is not None,
        "equal age": isinstance(level, Level) and level.before is not None,
    }
    return tuple(what for what, is_known in known.items() if not is_known)


def test_a_fleet_is_told_what_each_member_would_have_been_told_alone_by_few_questions(
    members: list[Policy], slot: dict[str, tuple[Reading, ...]]
) -> None:
    single, grouped = Fleet(), Fleet()
    told = beside(members, slot, grouped)
    assert told == alone(members, slot, single)
    assert {_lacks(*readings) for readings in told.values()} == {()}
    assert (sum(single.asked.values()), sum(grouped.asked.values())) == (8 * MEMBERS, 24)
    assert max(grouped.named) <= 24


def test_what_a_question_of_several_fails_to_tell_is_unknown_to_each_as_if_it_had_asked_alone(
    members: list[Policy], slot: dict[str, tuple[Reading, ...]]
) -> None:
    fails_at = T0 - Fleet.delay  # what the traffic was, and one of the looks at since when a metric is gone
    told = beside(members[:20], slot, Fleet(fails_at=fails_at))
    assert told == alone(members[:20], slot, Fleet(fails_at=fails_at))
    assert {_lacks(*readings) for readings in told.values()} == {("the hour before", "the week before", "since when")}


class Rolling(Command):
    """A kind of target of which pods of two revisions serve."""

    kind = "kubernetes"

    def ask(self, key: str, is_over: Callable[[], bool] = never) -> TargetState:
        name = key.rpartition("/")[2]
        return TargetState(key, "r7", sides=Sides(f"{name}-7c6d9f8b5", (f"{name}-5d4f8c7b9",)))


def test_the_slot_of_a_fleet_whose_pods_all_roll_asks_for_them_together(members: list[Policy], tmp_path: Path) -> None:
    source, world = Fleet(), World(tmp_path, *members)
    observation = Observation(world.engine, Observer({"prometheus": source}, lambda _: None), Surveyor({"kubernetes": Rolling({})}))
    readings = observation.batch(members, members, AT).readings
    observation.close()
    world.close()
    assert {isinstance(each[0], Counts) and each[0].old is not None for each in readings.values()} == {True}
    assert source.asked["read"] <= 4 + MEMBERS / 10  # its own four questions, and those about both sides


class Hung(Fleet):
    """A source that keeps no time-out: it answers once the test is over."""

    def __init__(self) -> None:
        super().__init__()
        self.over = threading.Event()

    def read(self, query: Query, at: datetime) -> Answer:
        self.over.wait(20)
        return super().read(query, at)


@pytest.fixture
def hung() -> Iterator[tuple[Hung, Observer]]:
    source, moment = Hung(), timedelta(milliseconds=20)
    observer = Observer({"prometheus": source}, lambda _: None, answers_within={"prometheus": moment}, margin=moment)
    yield source, observer
    source.over.set()
    observer.close()


def test_a_source_that_hangs_beyond_its_time_out_holds_no_slot_and_what_it_was_asked_is_unknown(
    hung: tuple[Hung, Observer], members: list[Policy]
) -> None:
    _, observer = hung
    for _ in range(2):  # its threads hang from the first slot on
        readings = observer.read(members[:1], AT)["shop-0"]
        assert {isinstance(one, Unknown) and one.lack is Lack.ERROR and "beyond its own time-out" in one.why for one in readings} == {True}
    assert "beyond its own time-out" in (observer.health["prometheus"].fault or "")


def test_what_is_asked_beside_holds_no_slot_either(hung: tuple[Hung, Observer], slot: dict[str, tuple[Reading, ...]], members: list[Policy]) -> None:
    source, observer = hung
    traffics, absences = Traffics(), Absences()
    (told,) = observer.settle("prometheus", {"shop-0": settling(members[0], slot["shop-0"], source, traffics, absences)}).values()
    assert _lacks(*told) == ("old pods", "the hour before", "the week before", "since when", "equal age")
