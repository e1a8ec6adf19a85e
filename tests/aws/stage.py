"""A service of two releases in the double of ECS: the good one ran first, the bad one runs now."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from rollbackd.adapters.aws import Aws
from rollbackd.adapters.aws.ecs import Ecs
from rollbackd.adapters.base.target import Intent, Plan, PlanRequest, Sight, TargetState
from tests.aws.ecs_double import EcsDouble
from tests.aws.ecs_state import REGISTRY, Behaviour, Cloud
from tests.aws.servers import REGION, aws

SHOP = f"ecs:prod/{REGION}/main/api"


@cache
def _aws(url: str, **more: Any) -> Aws:
    return aws(url, timeout=(2.0, 5.0), **more)


@dataclass(frozen=True)
class Shop:
    """The service ``api``. ``good`` and ``bad``: its two revisions; by digest, unless it was opened with tags."""

    double: EcsDouble
    good: str
    bad: str

    @property
    def cloud(self) -> Cloud:
        """What ECS keeps."""
        return self.double.cloud

    def image(self, content: str) -> str:
        """The image of this content, pushed and named by digest."""
        return f"{REGISTRY}/api@{self.cloud.push('api', content)}"

    def target(self, **more: Any) -> Ecs:
        """A target that remembers nothing yet; its connections are those of the one before."""
        return Ecs(_aws(self.double.url, **more))

    def state(self, target: Ecs | None = None) -> TargetState:
        """How it stands."""
        state = (target or self.target()).survey([SHOP])[SHOP]
        assert isinstance(state, TargetState), state
        return state

    def plan(self, target: Ecs | None = None, *candidates: str) -> Plan:
        """The plan of an incident of the bad revision."""
        plan = (target or self.target()).plan(self.request(*candidates))
        assert isinstance(plan, Plan), plan
        return plan

    def request(self, *candidates: str) -> PlanRequest:
        """What the controller asks."""
        return PlanRequest(SHOP, "inc-1", self.bad, candidates or (self.good,))

    def look(self, intent: Intent) -> Sight:
        """How it stands relative to the intent."""
        return self.target().look(intent)


def open_stage(double: EcsDouble, **service: Any) -> Shop:
    """The service with both releases deployed, images by digest."""
    shop = Shop(double, "api:1", "api:2")
    good = double.cloud.register("api", image=shop.image("v1"))
    bad = double.cloud.register("api", image=shop.image("v2"))
    double.cloud.create("api", good, **service)
    double.cloud.deploy("api", bad)
    return shop


def open_tagged(double: EcsDouble, tag: str = "prod") -> Shop:
    """The same with both releases under one tag, which moved."""
    definitions = [double.cloud.register("api", image=f"{REGISTRY}/api:{name}") for name in ("good" if tag == "own" else tag, tag)]
    double.cloud.push("api", "v1", "good" if tag == "own" else tag)
    double.cloud.create("api", definitions[0])
    good = Shop(double, "", "").state().revision
    double.cloud.push("api", "v2", tag)
    double.cloud.deploy("api", definitions[1])
    return Shop(double, good, Shop(double, "", "").state().revision)


def in_flight(double: EcsDouble, behaviour: Behaviour) -> Shop:
    """The bad release is being deployed, and behaves so."""
    good, image = double.cloud.push("api", "v1"), f"{REGISTRY}/api@"
    double.cloud.create("api", double.cloud.register("api", image=image + good))
    double.cloud.behaviour = behaviour
    double.cloud.deploy("api", double.cloud.register("api", image=image + double.cloud.push("api", "v2")))
    return Shop(double, "api:1", "api:2")
