"""Services of ECS whose tags are not resolved yet, or never: seen as soon as waiting would hide them, and one change by whatever name."""

import pytest

from rollbackd.adapters.aws.ecs import Ecs, objects
from rollbackd.adapters.aws.ecs.survey import GRACE
from rollbackd.adapters.base.errors import AdapterError, Refused, Transient
from rollbackd.adapters.base.target import Plan, PlanRequest, Standing, TargetState
from tests.aws.ecs_double import EcsDouble
from tests.aws.ecs_state import BASE, REGISTRY, Behaviour
from tests.aws.servers import aws
from tests.aws.stage import SHOP, Shop, open_stage, open_tagged

UNRESOLVED = "api:3@unresolved"


class Waiting:
    """A target that is asked ``later`` than before; only waiting moves its time."""

    def __init__(self, double: EcsDouble) -> None:
        self._now = 0.0
        self._target = Ecs(aws(double.url, timeout=(2.0, 5.0)), lambda: self._now)

    def state(self, later: float = 0.0) -> TargetState | AdapterError:
        self._now += later
        return self._target.survey([SHOP])[SHOP]


@pytest.fixture
def shop(ecs_cloud: EcsDouble) -> Shop:
    """``api:2`` runs, its tags resolved."""
    return open_tagged(ecs_cloud, "own")


def deploy(shop: Shop, **behaviour: bool) -> None:
    """The release ``api:3`` is under way."""
    shop.cloud.behaviour = Behaviour(unresolved=True, **behaviour)
    shop.cloud.deploy("api", shop.cloud.register("api", image=f"{REGISTRY}/api:next"))


def resolve(shop: Shop) -> None:
    """ECS has resolved the tags of what is deployed."""
    arn = shop.cloud.effective(shop.cloud.services["api"]["currentServiceDeployment"])
    shop.cloud.revisions[arn]["containerImages"][0]["imageDigest"] = shop.cloud.push("api", "v3", "next")


def resolve_as(shop: Shop, digests: object) -> None:
    """Its tags stand for these images."""
    assert isinstance(digests, dict)
    arn = shop.cloud.effective(shop.cloud.services["api"]["currentServiceDeployment"])
    for image in shop.cloud.revisions[arn]["containerImages"]:
        image["imageDigest"] = digests[image["containerName"]]


@pytest.mark.parametrize(("running", "unfinished"), [(0, "0 of 2 tasks run, 0 failed"), (2, None)])
def test_images_are_waited_for_no_longer_than_the_grace(shop: Shop, running: int, unfinished: str | None) -> None:
    deploy(shop, holds=True)
    shop.cloud.services["api"]["deployments"][0] |= {"runningCount": running}  # a slow start; versionConsistency: disabled
    waiting = Waiting(shop.double)
    assert isinstance(waiting.state(), Transient)
    assert isinstance(waiting.state(GRACE.total_seconds() - 1), Transient)
    state = waiting.state(1)
    assert isinstance(state, TargetState)
    assert (state.revision, state.progress and state.progress.unfinished) == (UNRESOLVED, unfinished)


def test_a_release_that_finds_no_place_is_not_waited_for(shop: Shop) -> None:
    deploy(shop, starves=True)
    state = shop.state()
    assert (state.revision, state.stuck) == (UNRESOLVED, "(service api) was unable to place a task: no capacity")


def test_the_next_release_is_waited_for_anew(shop: Shop) -> None:
    deploy(shop, holds=True)
    waiting = Waiting(shop.double)
    waiting.state()
    assert isinstance(waiting.state(GRACE.total_seconds()), TargetState)
    deploy(shop, holds=True)
    assert isinstance(waiting.state(), Transient)


def test_images_that_are_resolved_after_all_make_no_other_change(shop: Shop) -> None:
    deploy(shop, starves=True)
    before = shop.state()
    resolve(shop)
    after = shop.state()
    assert (after.change_id, after.started) == (before.change_id, before.started)
    assert after.revision.startswith("api:3@")
    assert after.revision != before.revision


def test_a_way_back_is_waited_for_as_long_as_it_is_under_way(shop: Shop) -> None:
    shop.cloud.behaviour = Behaviour(starves=True, unresolved=True)
    plan = shop.plan()
    shop.target().apply(plan)
    waiting = Waiting(shop.double)
    assert isinstance(waiting.state(), Transient)
    assert isinstance(waiting.state(2 * GRACE.total_seconds()), Transient)
    assert shop.look(plan.intent).standing is Standing.UNDERWAY
    resolve_as(shop, plan.intent.record["digests"])
    assert shop.state().revision == shop.good


def test_a_release_that_was_planned_for_unresolved_is_put_back_once_it_is_resolved(shop: Shop) -> None:
    deploy(shop, starves=True)
    target = shop.target()
    plan = target.plan(PlanRequest(SHOP, "inc-1", UNRESOLVED, (shop.bad,)))
    resolve(shop)
    assert shop.look(plan.intent).standing is Standing.BEFORE
    target.apply(plan)
    assert [name for name, _ in shop.double.writes()] == ["StopServiceDeployment"]
    assert shop.look(plan.intent).standing is Standing.THERE


def test_a_release_that_was_judged_unresolved_is_put_back_by_its_full_name(shop: Shop) -> None:
    deploy(shop, starves=True)
    judged = shop.state()
    resolve(shop)
    plan = shop.target().plan(PlanRequest(SHOP, "inc-1", judged.revision, (shop.bad,), change=judged.change_id))
    assert isinstance(plan, Plan)
    assert (plan.intent.from_revision, plan.intent.to_revision) == (shop.state().revision, shop.bad)


def test_what_was_deployed_since_of_the_same_definition_is_not_what_was_judged(shop: Shop) -> None:
    deploy(shop, starves=True)
    judged = shop.state()
    shop.cloud.behaviour = Behaviour()
    shop.cloud.push("api", "v4", "next")
    shop.cloud.deploy("api", f"{BASE}:task-definition/api:3")
    with pytest.raises(Refused, match="no longer at api:3@unresolved"):
        shop.target().plan(PlanRequest(SHOP, "inc-1", judged.revision, (shop.bad,), change=judged.change_id))


def test_what_was_resolved_is_not_taken_for_a_release_that_is_not_yet(shop: Shop) -> None:
    shop.cloud.behaviour = Behaviour(starves=True, unresolved=True)
    shop.cloud.deploy("api", f"{BASE}:task-definition/api:2")
    with pytest.raises(Refused, match=f"no longer at {shop.bad}"):
        shop.plan()


def test_a_release_that_ended_once_it_was_resolved_is_put_back_by_a_new_deployment(shop: Shop) -> None:
    deploy(shop, starves=True)
    target = shop.target()
    plan = target.plan(PlanRequest(SHOP, "inc-1", UNRESOLVED, (shop.bad,)))
    resolve(shop)
    ended = shop.cloud.deployments[shop.cloud.services["api"]["currentServiceDeployment"]]
    ended |= {"status": "SUCCESSFUL", "finishedAt": ended["createdAt"]}
    target.apply(plan)
    assert [name for name, _ in shop.double.writes()] == ["UpdateService"]


def test_a_release_that_ecs_rolls_back_itself_is_left_by_its_full_name(shop: Shop) -> None:
    deploy(shop, starves=True)
    resolve(shop)
    name = shop.state().revision
    undone = shop.cloud.deployments[shop.cloud.services["api"]["currentServiceDeployment"]]
    undone |= {"status": "ROLLBACK_SUCCESSFUL"}
    plan = shop.target().plan(PlanRequest(SHOP, "inc-1", UNRESOLVED, (shop.bad,)))
    assert (plan.intent.record["way"], plan.intent.from_revision) == ("verify", name)


def test_a_release_of_the_same_definition_is_not_taken_for_what_it_replaces(shop: Shop) -> None:
    shop.cloud.behaviour = Behaviour(starves=True, unresolved=True)
    shop.cloud.deploy("api", f"{BASE}:task-definition/api:2")
    plan = shop.target().plan(PlanRequest(SHOP, "inc-1", "api:2@unresolved", (shop.bad,)))
    assert shop.look(plan.intent).standing is Standing.BEFORE


def test_a_revision_without_images_is_unresolved(ecs_cloud: EcsDouble) -> None:
    open_stage(ecs_cloud)
    assert objects.revision_name("api:7", {}, pinned=objects.is_pinned({})) == "api:7@unresolved"


@pytest.mark.parametrize(
    ("one", "other", "is_older"),
    [
        ("api:9", "api:10", True),
        ("api:9@unresolved", "api:10@4f1c", True),
        ("api:10", "api:10@unresolved", False),
        ("api:11", "api:10", False),
        ("web:9", "api:10", False),
    ],
)
def test_the_older_definition_is_told_by_its_number(one: str, other: str, is_older: bool) -> None:
    assert objects.is_older(one, other) is is_older
