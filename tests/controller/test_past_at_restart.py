"""A daemon that starts in the middle of a watch, or reads an edited policy there, blames no change for what it would not have blamed it before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from rollbackd.adapters.base.source import Answer, Increases, Query, Row, RowKey
from rollbackd.adapters.base.target import Sides, TargetState
from rollbackd.controller.engine.observation import Observation
from rollbackd.controller.engine.slots import remembered
from rollbackd.controller.observe.changes import Survey
from rollbackd.controller.observe.questions import SIDE
from rollbackd.controller.observe.readings import Observer
from rollbackd.policies.judge.verdict import State
from rollbackd.policies.known.reasons import verdict_reason
from rollbackd.policies.model.policy import Bound, For, Group, Leaf, Limit, Policy
from rollbackd.policies.model.signals import Count, Gauge, Ratio, Selector
from rollbackd.policies.watching.baseline import look_back
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World
from tests.policies.literals import CALM, ERRORS, MINUTE, RELEASE, SECOND, T0, level, slots

POLICY = replace(
    SHOP_POLICY,
    conditions=(replace(ERRORS, bound=Bound(0.01), confirm=For(45 * SECOND)),),
    timing=replace(SHOP_POLICY.timing, warmup=MINUTE),
)
NEW, OLD = "shop-7c6d9f8b5", "shop-5d4f8c7b9"


class Town:
    """A metric source and a survey: of 100 requests in each of its looks so many are bad, and beside new pods old ones fail alike for a while."""

    name, delay, freshness = "prometheus", timedelta(0), timedelta(seconds=40)

    def __init__(self) -> None:
        self.bad: dict[datetime, float] = {}
        self.has_old: set[datetime] = set()
        self.refuses = ""  # "all" of the past, what "sides" counted in it, or what it is asked of a metric
        self.fault: AdapterError = Transient("prometheus: did not answer a range in 10 s")

    def block(self, every: timedelta) -> timedelta:
        return MINUTE

    def read(self, query: Query, at: datetime) -> Answer:
        assert isinstance(query, Increases)
        rows = {row: found for row in query.only if (found := self._row(row, SIDE in query.identity.labels, at)) is not None}
        return Answer(rows, known_parts=frozenset({"bad", "total"}))

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        assert isinstance(query, Increases)
        metrics = {selector.metric for _, selector in query.parts}
        if self.refuses in ("all", *metrics) or (self.refuses == "sides" and SIDE in query.identity.labels):
            raise self.fault
        return {at: self.read(query, at) for at in instants}

    def check(self) -> tuple[str, ...]:
        return ()

    def _row(self, row: RowKey, is_side: bool, at: datetime) -> Row | None:
        known = at in self.bad and (not is_side or at in self.has_old)
        return Row({"bad": self.bad[at], "total": 100.0}, at) if known else None


class Daemon:
    """One life of a daemon in the town."""

    def __init__(self, folder: Path, town: Town, at: datetime = T0, policy: Policy = POLICY) -> None:
        self.town = town
        self.world = World(folder, policy, at=at)
        surveyed = self.world.surveyor.survey

        def survey(keys: Sequence[str], at: datetime) -> Survey:
            found = surveyed(keys, at)
            return replace(found, states={key: self._sided(state, at) for key, state in found.states.items()})

        self.world.surveyor.survey = survey  # type: ignore[method-assign]
        self.observation = Observation(self.world.engine, Observer({"prometheus": town}, lambda _: None), self.world.surveyor)  # type: ignore[dict-item]

    def look(self, looks: int, bad: float, *, has_old: bool = False) -> str:
        """So many slots, and what the last one says of the errors."""
        for _ in range(looks):
            at = self.world.at = self.world.at + EVERY
            self.town.bad[at] = bad
            self.town.has_old |= {at} if has_old else set()
            (policy,) = self.world.engine.policies.values()
            self.world.engine.cycle(self.observation.batch([policy], self.world.engine.due([policy], at), at))
            self.world.rest()
        standing = self.world.engine.standings.get("shop")
        return "not judged" if standing is None else verdict_reason(standing.evaluation.policy.conditions[0], standing.evaluation.verdicts[0])

    def _sided(self, state: object, at: datetime) -> object:
        if not isinstance(state, TargetState) or state.key != SHOP:
            return state
        sides = Sides(NEW, (OLD,))
        return replace(state, sides=sides if at in self.town.has_old else None, past_sides=sides)


def in_an_outage_of_both(daemon: Daemon) -> None:
    """v2 is rolled out, a database goes slow while old pods still serve beside; they go, and the fault goes on."""
    daemon.world.good("v1")
    daemon.look(30, 0)
    daemon.world.deploy("v2")
    daemon.look(12, 1, has_old=True)
    daemon.look(24, 20, has_old=True)
    assert "worse than the old pods" in daemon.look(12, 20)


def in_breach_before(daemon: Daemon) -> None:
    """One in five fails for 40 minutes; then v2, of which one in five fails."""
    daemon.world.good("v1")
    daemon.look(240, 20)
    daemon.world.deploy("v2")
    assert "worse than before" in daemon.look(42, 20)


def test_a_restart_does_not_forget_old_pods_that_failed_alike(tmp_path: Path) -> None:
    first = Daemon(tmp_path, Town())
    in_an_outage_of_both(first)
    again = Daemon(tmp_path, first.town, first.world.at)
    assert "worse than the old pods" in again.look(12, 20)
    assert not again.world.incidents()


def test_an_edit_of_the_policy_does_not_forget_them_either(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, Town())
    in_an_outage_of_both(daemon)
    daemon.world.engine.adopt([replace(POLICY, digest="d2")])
    assert "worse than the old pods" in daemon.look(12, 20)
    assert not daemon.world.incidents()


def test_nothing_is_judged_until_it_is_known_what_old_pods_counted(tmp_path: Path) -> None:
    first = Daemon(tmp_path, Town())
    in_an_outage_of_both(first)
    first.town.refuses = "sides"
    again = Daemon(tmp_path, first.town, first.world.at)
    assert again.look(12, 20) == "not judged"
    again.look(24, 20)
    assert any("source prometheus" in title for title in again.world.titles())
    again.town.refuses = ""
    assert "worse than the old pods" in again.look(12, 20)
    assert not again.world.incidents()


@pytest.mark.parametrize("refused", ["all", ""])
def test_what_was_in_breach_before_is_not_blamed_on_a_change_after_a_restart(tmp_path: Path, refused: str) -> None:
    first = Daemon(tmp_path, Town())
    in_breach_before(first)
    first.town.refuses = refused
    again = Daemon(tmp_path, first.town, first.world.at)
    said = again.look(36, 20)
    assert ("is not read yet" if refused else "worse than before") in said
    assert not again.world.incidents()
    assert any("source prometheus" in title for title in again.world.titles()) == bool(refused)
    again.town.refuses = ""
    assert "worse than before" in again.look(2, 20)


def test_health_is_proven_while_the_time_before_is_not_read(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, Town())
    daemon.world.good("v1")
    daemon.look(30, 0)
    daemon.world.deploy("v2")
    daemon.town.refuses = "all"
    assert daemon.look(42, 0).endswith("<= 5 %")


ODD = replace(POLICY.conditions[0], name="odd", signal=Ratio(Selector("odd_bad"), Selector("odd_total")))
TWO = replace(POLICY, conditions=(*POLICY.conditions, ODD), trigger=Group((Leaf(0), Leaf(1)), 1))


def test_one_question_about_the_past_that_fails_disarms_no_other(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, Town(), policy=TWO)
    daemon.world.good("v1")
    daemon.town.refuses = "odd_total"
    daemon.look(120, 0)
    daemon.world.deploy("v2")
    daemon.look(24, 60)
    assert "rung.intended" in daemon.world.kinds()


@pytest.mark.parametrize("fault", [Transient("503"), Permanent("422: would load too many samples")], ids=["it-may-answer-yet", "it-never-will"])
def test_what_will_never_be_told_is_judged_as_it_is_written(tmp_path: Path, fault: AdapterError) -> None:
    daemon = Daemon(tmp_path, Town())
    daemon.world.good("v1")
    daemon.town.refuses, daemon.town.fault = "all", fault
    daemon.look(60, 0)
    daemon.world.deploy("v2")
    daemon.look(24, 60)
    assert ("rung.intended" in daemon.world.kinds()) == isinstance(fault, Permanent)


def test_old_pods_are_not_asked_about_where_nothing_was_out_of_its_limit(tmp_path: Path) -> None:
    first = Daemon(tmp_path, Town())
    first.world.good("v1")
    first.look(30, 0)
    first.world.deploy("v2")
    first.look(12, 1, has_old=True)
    first.town.refuses = "sides"
    again = Daemon(tmp_path, first.town, first.world.at)
    assert again.look(1, 1) != "not judged"


def test_a_grid_that_lacks_nothing_does_not_clear_what_another_was_not_told(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, Town())
    daemon.world.good("v1")
    daemon.look(30, 0)
    daemon.world.deploy("v2")
    daemon.town.refuses = "all"
    slower = replace(POLICY, name="slower", target="command:other", every=6 * EVERY)
    for _ in range(40):
        daemon.look(1, 20)
        daemon.world.engine.cycle(daemon.observation.batch([slower], [], daemon.world.at))
        daemon.observation._before([slower], daemon.world.at)
    assert any("source prometheus" in title for title in daemon.world.titles())


def test_a_page_about_the_past_ends_where_nobody_asks_for_it_any_more(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, Town())
    daemon.world.good("v1")
    daemon.look(30, 0)
    daemon.world.deploy("v2")
    daemon.town.refuses = "all"
    daemon.look(40, 20)
    assert any("source prometheus has not answered" in title for title in daemon.world.titles())
    slower = replace(POLICY, name="slower", target="command:other", every=6 * EVERY)
    daemon.world.engine.adopt([slower])
    daemon.world.at += EVERY
    daemon.world.engine.cycle(daemon.observation.batch([slower], [], daemon.world.at))
    assert any("source prometheus answers again" in title for title in daemon.world.titles())


def test_what_is_no_breach_by_the_limit_of_now_has_not_lasted_since_before_a_restart() -> None:
    queue = replace(ERRORS, name="queue", signal=Gauge(Selector("queue_depth")), limit=Limit(high=500), confirm=For(5 * MINUTE), min_volume=0)
    policy = replace(SHOP_POLICY, conditions=(queue,))
    compared = (look_back(queue, T0, MINUTE, None, [level(T0 - back * MINUTE, 800) for back in reversed(range(90))]),)
    # 800 before the change, so that 1040 is the limit: it falls to 400, and is 900 from the third minute on.
    past = [(at, (level(at, 400 if at < T0 + 3 * MINUTE else 900),)) for at in slots(T0 - 10 * MINUTE, T0 + 20 * MINUTE)]
    found = remembered(policy, past, (replace(RELEASE, target=SHOP),), CALM, compared)
    assert found is not None
    assert (found.at, found.evaluation.verdicts[0].state) == (T0 + 20 * MINUTE, State.OK)
    assert found.evaluation.watch.tracks[0].run is None
    assert found.evaluation.watch.tracks[0].onset is None


def test_a_restart_does_not_take_for_a_breach_what_was_none_by_a_raised_limit(tmp_path: Path) -> None:
    first = Daemon(tmp_path, Town())
    in_breach_before(first)
    first.look(40, 0)
    assert "worse than before" in first.look(40, 20)
    again = Daemon(tmp_path, first.town, first.world.at)
    assert "worse than before" in again.look(1, 20)
    assert again.world.engine.standings["shop"].before.tracks[0].onset is None


class Close(Town):
    """A source that counts from look to look, and keeps over what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[timedelta] = []

    def block(self, every: timedelta) -> timedelta:
        return every

    def read(self, query: Query, at: datetime) -> Answer:
        assert isinstance(query, Increases)
        self.windows.append(query.window)
        return Answer({}, known_parts=frozenset({"events"}))

    def read_history(self, query: Query, instants: Sequence[datetime]) -> Mapping[datetime, Answer]:
        return {}


def test_events_are_asked_for_from_look_to_look_in_calm_and_in_a_watch(tmp_path: Path) -> None:
    town, failures = Close(), replace(ERRORS, name="failures", signal=Count(Selector("failures")), limit=Limit(high=9), min_volume=0)
    daemon = Daemon(tmp_path, town, policy=replace(SHOP_POLICY, conditions=(failures,)))
    daemon.look(7, 0)
    assert set(town.windows) == {MINUTE}
    daemon.world.deploy("v2")
    daemon.look(7, 0)
    town.windows.clear()
    daemon.look(3, 0)
    assert town.windows == [EVERY] * 3
