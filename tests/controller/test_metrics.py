"""What Prometheus reads of us: well-formed, bounded, and true."""

from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from rollbackd.controller.answers.status import Reload
from rollbackd.controller.api.metrics import Metrics
from rollbackd.controller.observe.readings import SourceHealth
from rollbackd.policies.model.policy import RevertRung
from tests.controller.served import Said, desk_of
from tests.controller.world import SHOP, SHOP_POLICY, World
from tests.policies.literals import T0


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    world.good("v1")
    yield world
    world.close()


@pytest.fixture
def said():
    return Said()


@pytest.fixture
def metrics(world, said):
    return Metrics(desk_of(world, said))


def sample(metrics, name, **labels):
    families = plain(metrics.page("")[0].decode())
    (value,) = [s.value for family in families for s in family.samples if s.name == f"rollbackd_{name}" and s.labels == labels]
    return value


def test_a_rollback_is_counted_step_by_step(metrics, world):
    world.deploy("v2")
    for _ in range(2):
        world.slot(60)
    for _ in range(5):
        world.slot(0)
    counted = {outcome: sample(metrics, "rollbacks_total", outcome=outcome) for outcome in ("started", "accepted", "settled", "recovered", "held")}
    assert counted == {"started": 1, "accepted": 1, "settled": 1, "recovered": 1, "held": 0}


def test_a_row_is_counted_once_however_often_it_is_asked(metrics, world):
    world.deploy("v2")
    for _ in range(2):
        world.slot(60)
    assert [sample(metrics, "rollbacks_total", outcome="started") for _ in range(3)] == [1, 1, 1]


def test_what_happened_before_the_start_is_not_counted_again(world, said):
    world.deploy("v2")
    for _ in range(2):
        world.slot(60)
    assert sample(Metrics(desk_of(world, said)), "rollbacks_total", outcome="started") == 0


def test_rows_of_other_replicas_are_theirs_to_count(metrics, world):
    world.deploy("v2")
    world.store.writer = "test-1"
    for _ in range(2):
        world.slot(60)
    world.store.writer = "test-0"
    assert sample(metrics, "rollbacks_total", outcome="started") == 0


def test_a_guard_that_holds_is_counted_by_its_name(metrics, world):
    world.pause.pause("db move", "ann", world.at)
    world.deploy("v2")
    for _ in range(2):
        world.slot(60)
    assert sample(metrics, "guard_blocks_total", guard="pause") == 1
    assert sample(metrics, "incidents_open", phase="held") == 1
    assert sample(metrics, "paused") == 1


def test_a_rollback_that_does_not_help_is_held(metrics, world):
    world.deploy("v2")
    for _ in range(3):
        world.slot(60)
    assert (sample(metrics, "rollbacks_total", outcome="held"), sample(metrics, "rollbacks_total", outcome="recovered")) == (1, 0)


def test_slots_and_verdicts_are_those_of_the_engine(metrics, world, said):
    said.missed = 3
    world.slot(0)
    assert (sample(metrics, "slots_total"), sample(metrics, "slots_missed_total")) == (2, 3)
    assert sample(metrics, "last_slot_timestamp_seconds") == world.at.timestamp()
    assert sample(metrics, "slot_lateness_seconds") == 0.25
    assert sample(metrics, "conditions", verdict="ok") == 1


def test_a_blind_source_is_down(metrics, said):
    said.health = {"prometheus": SourceHealth(T0, None), "scrape": SourceHealth(None, "refused")}
    assert (sample(metrics, "source_up", source="prometheus"), sample(metrics, "source_up", source="scrape")) == (1, 0)


def test_a_refused_reload_shows(metrics, said):
    said.reload = Reload(T0, False, "shop.yaml:1:1: no")
    assert sample(metrics, "config_last_reload_successful") == 0


def test_messages_that_wait_are_counted_and_aged(metrics, world):
    world.deploy("v2")
    for _ in range(2):
        world.slot(60)
    waiting_for = sample(metrics, "outbox_oldest_seconds")
    world.slot(0)
    assert sample(metrics, "outbox_pending") == 1
    assert sample(metrics, "outbox_oldest_seconds") - waiting_for == 10


def test_a_broken_store_shows_and_breaks_nothing_else(metrics, world):
    world.store.close()
    world.store.database.file.write_bytes(b"this is no database" * 400)
    assert sample(metrics, "journal_ok") == 0
    assert sample(metrics, "policies") == 1


@pytest.mark.parametrize(
    ("accept", "content_type", "read"),
    [
        pytest.param("", "text/plain", plain, id="plain"),
        pytest.param("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", openmetrics, id="openmetrics"),
    ],
)
def test_the_page_is_well_formed_in_the_format_asked_for(metrics, accept, content_type, read):
    body, found = metrics.page(accept)
    assert found.startswith(content_type)
    assert len(list(read(body.decode()))) > 20


def test_no_label_grows_with_the_fleet(tmp_path, said):
    policies = tuple(replace(SHOP_POLICY, name=f"shop-{number}", ladder=(RevertRung(SHOP),)) for number in range(30))
    world = World(tmp_path, *policies)
    few, many = Metrics(desk_of(world, said)), Metrics(desk_of(world, said))
    before = len(few.page("")[0].splitlines())
    for _ in range(3):
        world.slot(60, policies=tuple(policy.name for policy in policies))
    assert len(many.page("")[0].splitlines()) - before <= 5
    world.close()
