"""Where a service of ECS stands relative to a revert, where ECS itself has a hand in it."""

from dataclasses import replace

from rollbackd.adapters.base.target import Plan, PlanRequest, Standing
from tests.aws.ecs_double import EcsDouble
from tests.aws.ecs_state import Behaviour
from tests.aws.stage import SHOP, Shop, open_stage


def rolled_back(double: EcsDouble) -> tuple[Shop, Plan]:
    """The breaker has rolled ``api:3`` back to ``api:2``, and that is to go back to ``api:1``."""
    shop = open_stage(double)
    double.cloud.behaviour = Behaviour(breaks=True)
    double.cloud.deploy("api", double.cloud.register("api", image=shop.image("v3")))
    double.cloud.behaviour = Behaviour()
    plan = shop.target().plan(PlanRequest(SHOP, "inc-1", "api:2", ("api:1",)))
    assert isinstance(plan, Plan)
    return shop, plan


def test_where_ecs_had_rolled_back_itself_a_write_that_never_happened_stands_before(ecs_cloud: EcsDouble) -> None:
    shop, plan = rolled_back(ecs_cloud)
    assert shop.look(plan.intent).standing is Standing.BEFORE


def test_an_intent_from_before_the_change_was_recorded_is_read_as_it_was(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    intent = shop.plan().intent
    former = replace(intent, record={key: value for key, value in intent.record.items() if key != "change"})
    assert shop.look(former).standing is Standing.BEFORE


def test_a_rollback_by_ecs_to_the_same_revision_is_another_change(ecs_cloud: EcsDouble) -> None:
    shop = open_stage(ecs_cloud)
    ecs_cloud.cloud.behaviour = Behaviour(holds=True)
    ecs_cloud.cloud.deploy("api", ecs_cloud.cloud.services["api"]["taskDefinition"])
    plan = shop.plan()
    ecs_cloud.cloud.roll_back("api", breaker=True)
    assert shop.look(plan.intent).standing is Standing.ELSEWHERE
