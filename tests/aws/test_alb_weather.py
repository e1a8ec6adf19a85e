"""Load balancers in bad weather: one write, never two, and every refusal names its reason and what a person can do."""

from collections.abc import Iterator

import pytest

from rollbackd.adapters.aws.failures import Denied, Throttled, WrongAccount
from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import Standing
from tests.aws.balancers import open_balancer
from tests.aws.servers import Microburst, microburst
from tests.servers import Server

SERVICE = "elbv2"
WRITE = {"service": SERVICE, "operation": "ModifyListener"}


@pytest.fixture(scope="module")
def front(moto: Server) -> Iterator[Microburst]:
    with microburst(moto.url) as front:
        yield front


@pytest.fixture(autouse=True)
def calm(front: Microburst, aws_keys: None) -> None:
    front.rules()


def fired(front: Microburst) -> int:
    """How many writes met a fault. Rules of one test fire for no other."""
    return len([each for each in front.fired() if each["operation"] == "ModifyListener"])


def test_a_reply_that_is_lost_after_the_change_leaves_one_change_that_is_found(front: Microburst, moto: Server) -> None:
    shop = open_balancer(moto.url)
    plan, before = shop.plan(), fired(front)
    front.rules({**WRITE, "response": {"truncate_frac": 0.5}})
    with pytest.raises(Transient, match="Whether it was done is unknown"):
        shop.target(front.url).apply(plan)
    assert fired(front) - before == 1
    assert shop.look(plan.intent).standing is Standing.THERE
    with pytest.raises(Refused):
        shop.target(front.url).apply(plan)
    assert fired(front) - before == 1


def test_a_change_that_never_arrived_stands_before(front: Microburst, moto: Server) -> None:
    shop = open_balancer(moto.url)
    plan = shop.plan()
    front.rules({**WRITE, "reset": True})
    with pytest.raises(Transient):
        shop.target(front.url).apply(plan)
    assert shop.look(plan.intent).standing is Standing.BEFORE


@pytest.mark.parametrize("code", ["Throttling", "ExpiredToken"])
def test_a_listener_that_is_edited_before_the_write_is_sent_again_is_left_alone(front: Microburst, moto: Server, code: str) -> None:
    shop = open_balancer(moto.url)
    plan = shop.plan()
    front.rules({**WRITE, "error": {"code": code, "status": 400}})

    target = shop.target(front.url, sleep=lambda _: (shop.share(50, 50), front.rules()))
    with pytest.raises(Refused, match="no longer at"):
        target.apply(plan)
    assert shop.weights() == (50, 50)


def test_a_change_that_is_throttled_for_good_was_not_made(front: Microburst, moto: Server) -> None:
    shop = open_balancer(moto.url)
    plan = shop.plan()
    front.rules({**WRITE, "error": {"code": "Throttling", "status": 400}})
    with pytest.raises(Throttled, match="Nothing was changed"):
        shop.target(front.url).apply(plan)
    assert shop.weights() == (0, 100)


def test_a_denied_change_names_the_permission_and_what_a_person_does(front: Microburst, moto: Server) -> None:
    shop = open_balancer(moto.url)
    plan, before = shop.plan(), fired(front)
    front.rules({**WRITE, "error": {"code": "AccessDenied", "status": 403}})
    with pytest.raises(Denied, match="elasticloadbalancing:ModifyListener on arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener"):
        shop.target(front.url).apply(plan)
    assert fired(front) - before == 1
    assert plan.command.startswith("aws elbv2 modify-listener --region eu-west-1 --listener-arn ")


def test_a_denied_look_for_owners_is_no_leave_to_write(front: Microburst, moto: Server) -> None:
    shop = open_balancer(moto.url)
    front.rules({"service": "ecs", "operation": "ListClusters", "error": {"code": "AccessDeniedException", "status": 400}})
    with pytest.raises(Permanent, match="ecs:ListClusters"):
        shop.plan(shop.target(front.url))


def test_another_account_is_refused_before_anything_is_sent(moto: Server) -> None:
    shop = open_balancer(moto.url)
    plan = shop.plan()
    with pytest.raises(WrongAccount):
        shop.target(id="999988887777").apply(plan)
    assert shop.weights() == (0, 100)
    (line,) = shop.target(id="999988887777").check([shop.key])
    assert "and not of 999988887777" in line


def test_a_listener_that_was_edited_since_the_plan_is_left_alone(moto: Server) -> None:
    shop = open_balancer(moto.url)
    plan = shop.plan()
    shop.share(0, 100, sticky=60)
    with pytest.raises(Refused, match="no longer at"):
        shop.target().apply(plan)
    assert shop.look(plan.intent).standing is Standing.ELSEWHERE


def test_a_group_that_loses_its_targets_under_the_traffic_has_failed(moto: Server) -> None:
    shop = open_balancer(moto.url, good=1, bad=1)
    plan = shop.plan()
    shop.target().apply(plan)
    shop.elb.deregister_targets(TargetGroupArn=shop.good, Targets=[{"Id": "10.0.0.1", "Port": 80}])
    sight = shop.look(plan.intent)
    assert (sight.standing, sight.reason.partition(", but")[2][:13]) == (Standing.FAILED, " no target of")
