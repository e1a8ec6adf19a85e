"""Metrics that tell a migration: what a real Prometheus says of the time before a change and of now, and what that keeps from being done."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.target import TargetState
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.engine.observation import Observation
from rollbackd.controller.engine.slots import Batch
from rollbackd.controller.observe.changes import Survey
from rollbackd.controller.observe.migrations import Migrations
from rollbackd.controller.observe.readings import Observer
from rollbackd.policies.model.policy import RevertRung
from tests import servers
from tests.adapters.openmetrics import START, document, series
from tests.controller.world import EVERY, SHOP, SHOP_POLICY, World, served

CAME, END = 3000, 3600


def version(app: str, values: dict[int, float], last: int = END, **labels: str) -> list[str]:
    """The version that each stretch of time began with."""
    moments = range(min(values), last + 1, 15)
    held = [(at, values[max(since for since in values if since <= at)]) for at in moments]
    return series("schema_version", {"app": app, **labels}, held)


HISTORY = document(
    ["# TYPE schema_version gauge"],
    version("same", {0: 41}),
    version("raised", {0: 20240101093000, CAME + 60: 20240101093001}),
    version("hooked", {0: 41, CAME - 120: 42}),
    version("rolling", {0: 41}, pod="old"),
    version("rolling", {CAME + 30: 42}, pod="new"),
    version("gone", {0: 41}, last=CAME),
    version("born", {CAME + 30: 42}),
)


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with servers.prometheus_with_history(HISTORY) as server:
        yield Prometheus("prometheus", server.url, delay=timedelta(0))


class Silent(Prometheus):
    """It gives no answer."""

    def read_history(self, query, instants):
        raise Transient("prometheus: no answer")


def moment(second: int) -> datetime:
    return datetime.fromtimestamp(START + second, UTC)


class Shop(World):
    """A daemon that reads how far a schema is beside its survey."""

    def __init__(self, folder, source: Prometheus, app: str) -> None:
        self.source, self.told = source, Migrations()
        policy = replace(SHOP_POLICY, ladder=(RevertRung(SHOP),), migration_metrics=(f'schema_version{{app="{app}"}}',))
        super().__init__(folder, policy, at=moment(CAME) - EVERY)
        self.slot(0)
        self.good("v1")
        self.deploy("v2")

    def survey(self) -> Survey:
        asked = super().survey(), self.engine.policies.values(), set(self.engine.policies), self.engine.book, lambda _: self.source, self.at
        return self.told.beside(*asked)

    def said(self) -> str | None:
        """Why a revert across the release is put to people."""
        return self.engine.book.of([SHOP])[0].irreversible

    def end(self, bad: float) -> None:
        """Two looks at once, ten minutes after the release."""
        self.slot(0)
        self.at = moment(END) - 3 * EVERY
        for _ in range(3):
            self.slot(bad)


@pytest.fixture
def shop(tmp_path, source) -> Iterator:
    made = []

    def begun(app: str, asked: Prometheus = source) -> Shop:
        made.append(Shop(tmp_path, asked, app))
        return made[0]

    yield begun
    made[0].close()


UNKNOWN = "whether a migration ran is unknown: "


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        pytest.param("same", None, id="as-before"),
        pytest.param("raised", " was 20240101093000 at 2023-11-14T23:03:20+00:00 and 20240101093001 at ", id="raised-by-the-release"),
        pytest.param("hooked", " was 41 at 2023-11-14T23:00:30+00:00 and 42 at 2023-11-14T23:03:30+00:00", id="raised-by-a-hook-just-before"),
        pytest.param("rolling", " and 42 at ", id="told-by-new-pods-beside-old-ones"),
        pytest.param("gone", "has no value now", id="gone-with-the-release"),
        pytest.param("born", "has no value from before the change", id="not-there-before"),
    ],
)
def test_a_release_is_a_migration_where_the_metric_has_another_value(shop, app: str, expected: str | None) -> None:
    world = shop(app)
    world.end(0)
    said = world.said()
    assert said is None if expected is None else expected in said, said
    stored = [seen.change.irreversible for seen in world.store.latest_changes([SHOP]).values()]
    assert stored == [said if said and not said.startswith(UNKNOWN) else None]


def test_a_release_that_is_seen_late_is_no_less_a_migration(shop) -> None:
    world = shop("raised")
    world.at = moment(END)
    late = World.survey(world)
    slot = replace(late, states={SHOP: Transient("it did not answer in time")}, former=(late,))
    told = world.told.beside(slot, world.engine.policies.values(), {"shop"}, world.engine.book, lambda _: world.source, world.at)
    assert " and 20240101093001 at " in told.former[0].states[SHOP].irreversible


def test_the_machine_reverts_where_the_schema_is_as_before_and_asks_people_where_it_is_not(shop) -> None:
    world = shop("same")
    world.end(60)
    assert world.version.read_text() == "v1\n"


@pytest.mark.parametrize(("app", "why"), [("raised", " and 20240101093001 at "), ("gone", f"{UNKNOWN}schema_version")])
def test_a_revert_across_it_or_in_doubt_is_put_to_people_with_the_reason(shop, app: str, why: str) -> None:
    world = shop(app)
    world.end(60)
    assert world.version.read_text() == "v2\n"
    assert "rung.offered" in world.kinds()
    assert why in str(world.store.history(100))


def test_a_source_that_does_not_answer_is_a_doubt_that_passes(shop, source) -> None:
    world = shop("same", Silent("prometheus", "http://127.0.0.1:9"))
    world.slot(0)
    assert world.said() == f'{UNKNOWN}schema_version{{app="same"}} could not be read: prometheus: no answer'
    world.source = source
    world.slot(0)
    assert world.said() is None


def test_a_survey_for_another_policy_keeps_the_doubt(shop) -> None:
    world = shop("gone")
    world.end(0)
    said = world.said()
    world.at += EVERY
    plain = World.survey(world)
    kept = world.told.beside(plain, world.engine.policies.values(), (), world.engine.book, lambda _: world.source, world.at)
    world.engine.cycle(Batch(world.at, kept, {"shop": (served(world.at, 0),)}))
    assert world.said() == said
    assert isinstance(kept.states[SHOP], TargetState)


def test_the_daemon_asks_at_each_look_at_the_target(shop, source) -> None:
    world = shop("gone")
    world.slot(0)
    observation = Observation(world.engine, Observer({"prometheus": source}, lambda _: None), world.surveyor)
    policies = list(world.engine.policies.values())
    seen = observation.batch(policies, policies, moment(END)).survey.states[SHOP]
    assert isinstance(seen, TargetState)
    assert seen.doubt == f'{UNKNOWN}schema_version{{app="gone"}} has no value now'
    observation.close()


def test_a_release_that_was_there_at_the_first_look_has_nothing_to_be_compared_with(tmp_path, source) -> None:
    world = World(tmp_path, replace(SHOP_POLICY, migration_metrics=("schema_version",)))
    world.slot(0)
    states = Migrations().beside(world.survey(), world.engine.policies.values(), {"shop"}, world.engine.book, lambda _: source, world.at).states
    assert (states[SHOP].irreversible, states[SHOP].doubt) == (None, None)
    world.close()
