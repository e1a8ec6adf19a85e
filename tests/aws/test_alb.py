"""Weights of a load balancer: away from the bad group, with nobody kept there, and back exactly."""

import json
from typing import Any

import pytest

from rollbackd.adapters.aws.alb import Alb
from rollbackd.adapters.aws.alb.actions import canonical, name_of, read, sendable, shares
from rollbackd.adapters.aws.alb.capacity import Strength, demand, strength
from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest, Standing, TargetState
from tests.aws.balancers import Balancer, open_balancer
from tests.aws.servers import hand
from tests.servers import Server

LOGIN = {
    "Type": "authenticate-cognito",
    "AuthenticateCognitoConfig": {
        "UserPoolArn": "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_aaaa",
        "UserPoolClientId": "abcd1234abcd",
        "UserPoolDomain": "testpool",
    },
}


@pytest.fixture
def url(moto: Server, aws_keys: None) -> str:
    return moto.url


def revision(target: Alb, key: str) -> str:
    """Where a rule stands."""
    state = target.survey([key])[key]
    assert isinstance(state, TargetState), state
    return state.revision


def undo(shop: Balancer, plan: Plan) -> Plan:
    """What `rollbackd undo` plans of a write of ours."""
    asked = PlanRequest(shop.key, "inc-2", plan.intent.to_revision, (plan.intent.from_revision,), undo=plan.intent)
    back = shop.target().plan(asked)
    assert isinstance(back, Plan), back
    return back


def test_a_revision_says_the_weights_and_the_stickiness_and_is_read_back(url: str) -> None:
    shop = open_balancer(url, sticky=600)
    assert shop.before.partition("@")[0] == f"{shop.name}-blue:100,{shop.name}-green:0;sticky:600"
    said = read(shop.before)
    assert said is not None
    assert (said.weights, said.sticky) == ({f"{shop.name}-blue": 100, f"{shop.name}-green": 0}, 600)


def test_the_bad_group_gets_nothing_and_nobody_is_kept_there(url: str) -> None:
    shop = open_balancer(url, sticky=600)
    plan = shop.plan()
    assert plan.steps[1] == "switch off its group stickiness (600 s), which would keep clients at the bad group"
    shop.target().apply(plan)
    assert shop.weights() == (100, 0)
    assert shop.actions()[-1]["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": False}
    assert shop.look(plan.intent).standing is Standing.THERE


def test_all_other_actions_are_written_back_as_they_were(url: str) -> None:
    shop = open_balancer(url, **LOGIN)
    before = shop.actions()[0]
    shop.target().apply(shop.plan())
    assert (shop.actions()[0], shop.weights()) == (before, (100, 0))


def test_an_undo_restores_the_rule_exactly_stickiness_included(url: str) -> None:
    shop = open_balancer(url, sticky=600)
    before = json.dumps(shop.actions())
    plan = shop.plan()
    shop.target().apply(plan)
    back = undo(shop, plan)
    assert back.steps[1] == "with group stickiness as it was (600 s)"
    shop.target().apply(back)
    assert json.dumps(shop.actions()) == before
    assert shop.state().revision == plan.intent.from_revision


def test_a_write_that_never_arrived_is_planned_again_to_the_same_end(url: str) -> None:
    shop = open_balancer(url, sticky=600)
    plan = shop.plan()
    again = shop.target().plan(shop.request(plan.intent.to_revision))
    assert isinstance(again, Plan)
    assert again.intent.to_revision == plan.intent.to_revision


def test_a_rule_by_its_priority_is_written_itself_and_a_bare_group_is_put_back(url: str) -> None:
    shop = open_balancer(url)
    conditions = [{"Field": "path-pattern", "Values": ["/api/*"]}]
    rule = shop.elb.create_rule(
        ListenerArn=shop.listener, Priority=7, Conditions=conditions, Actions=[{"Type": "forward", "TargetGroupArn": shop.good}]
    )
    key, target = shop.key.replace("default", "7"), shop.target()
    arn = rule["Rules"][0]["RuleArn"]
    before = revision(target, key)
    shop.elb.modify_rule(RuleArn=arn, Actions=[{"Type": "forward", "TargetGroupArn": shop.bad}])
    plan = target.plan(PlanRequest(key, "inc-1", revision(target, key), (before,)))
    assert isinstance(plan, Plan)
    assert plan.command.startswith(f"aws elbv2 modify-rule --region eu-west-1 --rule-arn {arn} --actions ")
    target.apply(plan)
    assert revision(target, key) == before
    assert shop.weights() == (0, 100)


def test_what_changed_beside_the_weights_stands_against_going_back(url: str) -> None:
    shop = open_balancer(url)
    shop.share(0, 100, **LOGIN)
    with pytest.raises(Refused, match="more than weights has changed since"):
        shop.plan()


def test_a_rule_that_stands_there_already_needs_nothing(url: str) -> None:
    shop = open_balancer(url)
    asked = shop.request()
    shop.share(100, 0)
    assert isinstance(shop.target().plan(asked), NothingToDo)


@pytest.mark.parametrize(
    ("good", "said"),
    [
        pytest.param(0, "0 of 0 targets healthy in target group .*-blue: it could carry nothing", id="empty"),
        pytest.param(2, "2 of 2 targets .*: too few, its share of 100% now takes 4 x 1 targets, and 75% of that, 3, have to be healthy", id="small"),
    ],
)
def test_a_good_group_that_could_not_carry_it_gets_nothing(url: str, good: int, said: str) -> None:
    shop = open_balancer(url, good=good)
    with pytest.raises(Refused, match=said):
        shop.plan()
    assert shop.weights() == (0, 100)


def test_a_good_group_that_is_large_enough_is_named_with_its_count(url: str) -> None:
    assert open_balancer(url, good=3).plan().summary.endswith("-blue, at least 3 needed for 100% of the requests)")


def test_an_empty_way_back_is_found_before_the_incident(url: str) -> None:
    shop = open_balancer(url, good=0)
    (line,) = shop.target().check([shop.key])
    assert line == (
        f"{shop.key}: no target is healthy in {shop.name}-blue: there is nowhere to move the traffic to. "
        "Keep the former release running until the next one."
    )


@pytest.mark.parametrize(
    ("serving", "needed"),
    [
        pytest.param({"green": (1.0, 4)}, 4, id="all-in-one"),
        pytest.param({"blue": (0.9, 10), "green": (0.1, 10)}, 10 / 0.9, id="canary-with-a-full-group"),
        pytest.param({"blue": (0.5, 5), "green": (0.5, 5)}, 10, id="halves"),
        pytest.param({"blue": (1.0, 0)}, 0, id="nobody-there"),
    ],
)
def test_the_busiest_group_says_how_many_targets_all_the_traffic_takes(serving: dict[str, tuple[float, int]], needed: float) -> None:
    strengths = {arn: Strength(count, 0) for arn, (_, count) in serving.items()}
    assert demand({arn: share for arn, (share, _) in serving.items()}, strengths) == pytest.approx(needed)


def test_targets_that_leave_do_not_count_and_those_without_checks_serve() -> None:
    states = [
        {"State": "draining"},
        {"State": "unavailable", "Reason": "Target.HealthChecksDisabled"},
        {"State": "unhealthy", "Reason": "Target.Timeout"},
    ]
    assert strength([dict(each) for each in states]) == Strength(2, 1, "unhealthy, Target.Timeout")


def test_a_group_that_is_in_no_rule_is_refused_as_its_health_is_not_known() -> None:
    assert strength([{"State": "unused", "Reason": "Target.NotInUse"}]) == Strength(1, 0, "unused, Target.NotInUse")


def test_two_spellings_of_the_same_actions_are_one() -> None:
    arn = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/blue/0123"
    bare: dict[str, Any] = {"Type": "forward", "TargetGroupArn": arn, "Order": 1}
    full = {**bare, "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}], "TargetGroupStickinessConfig": {"Enabled": False}}}
    assert canonical([bare]) == canonical([full])
    assert name_of(arn) == "blue"
    assert shares({arn: 0}) == {}


def test_a_login_keeps_the_secret_that_amazon_does_not_give_away() -> None:
    login = {"Type": "authenticate-oidc", "AuthenticateOidcConfig": {"Issuer": "https://id.example", "ClientId": "shop"}}
    (sent,) = sendable(canonical([login]))
    assert sent["AuthenticateOidcConfig"]["UseExistingClientSecret"] is True


@pytest.mark.parametrize("which", ["rule", "listener", "balancer"])
def test_what_the_load_balancer_controller_owns_is_refused_with_its_command(url: str, which: str) -> None:
    shop = open_balancer(url)
    tags = [{"Key": "elbv2.k8s.aws/cluster", "Value": "prod"}, {"Key": "ingress.k8s.aws/stack", "Value": "shop/web"}]
    conditions = [{"Field": "path-pattern", "Values": ["/api/*"]}]
    actions = shop.actions()
    rule = shop.elb.create_rule(ListenerArn=shop.listener, Priority=7, Conditions=conditions, Actions=actions)["Rules"][0]["RuleArn"]
    arn = {"rule": rule, "listener": shop.listener, "balancer": shop.arn}[which]
    key = shop.key.replace("default", "7")
    shop.elb.add_tags(ResourceArns=[arn], Tags=tags)
    before = revision(shop.target(), key)
    with pytest.raises(Refused, match=r"belongs to the AWS load balancer controller \(stack shop/web\)") as refusal:
        shop.target().plan(PlanRequest(key, "inc-1", before, ("x",)))
    assert refusal.value.advice.endswith("By hand: kubectl -n shop edit ingress web")
    assert "kubectl -n shop edit ingress web" in shop.target().check([key])[0]


@pytest.mark.parametrize(
    ("controller", "said", "command"),
    [
        pytest.param("ECS", "belongs to ECS", "then aws ecs stop-service-deployment --region eu-west-1 --stop-type ROLLBACK", id="native"),
        pytest.param("CODE_DEPLOY", "belongs to CodeDeploy", "By hand: aws deploy stop-deployment --region eu-west-1", id="codedeploy"),
    ],
)
def test_what_a_deployer_of_ecs_owns_is_refused_with_its_command(url: str, controller: str, said: str, command: str) -> None:
    shop = open_balancer(url)
    ecs, rule = hand(url, "ecs"), shop.elb.describe_rules(ListenerArn=shop.listener)["Rules"][-1]["RuleArn"]
    ecs.create_cluster(clusterName="main")
    ecs.register_task_definition(family="web", containerDefinitions=[{"name": "web", "image": "web", "memory": 64}])
    balancer: dict[str, Any] = {"targetGroupArn": shop.good, "containerName": "web", "containerPort": 80}
    if controller == "ECS":
        shift = {"alternateTargetGroupArn": shop.bad, "productionListenerRule": rule, "roleArn": "arn:aws:iam::123456789012:role/ecs"}
        balancer["advancedConfiguration"] = shift
    ecs.create_service(
        cluster="main", serviceName=shop.name, taskDefinition="web", loadBalancers=[balancer], deploymentController={"type": controller}
    )
    with pytest.raises(Refused, match=said) as refusal:
        shop.plan()
    assert command in refusal.value.advice
    assert shop.weights() == (0, 100)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        pytest.param("{}/81/default", "has no listener on port 81; known: 80", id="no-such-port"),
        pytest.param("{}/80/9", "its listener has the rules default", id="no-such-rule"),
    ],
)
def test_a_place_that_is_not_there_says_what_is(url: str, key: str, said: str) -> None:
    shop = open_balancer(url)
    asked = key.format(shop.key.removesuffix("/80/default"))
    found = shop.target().survey([asked])[asked]
    assert isinstance(found, Permanent)
    assert said in str(found)


@pytest.mark.parametrize("which", ["rule", "listener"])
def test_a_rule_that_is_taken_away_after_the_write_was_taken_by_another_writer(url: str, which: str) -> None:
    shop = open_balancer(url)
    conditions = [{"Field": "path-pattern", "Values": ["/api/*"]}]
    good, bad = ([{"Type": "forward", "TargetGroupArn": group}] for group in (shop.good, shop.bad))
    rule = shop.elb.create_rule(ListenerArn=shop.listener, Priority=7, Conditions=conditions, Actions=good)["Rules"][0]["RuleArn"]
    key = shop.key.replace("default", "7")
    before = revision(shop.target(), key)
    shop.elb.modify_rule(RuleArn=rule, Actions=bad)
    plan = shop.target().plan(PlanRequest(key, "inc-1", revision(shop.target(), key), (before,)))
    assert isinstance(plan, Plan)
    shop.target().apply(plan)
    shop.elb.delete_rule(RuleArn=rule) if which == "rule" else shop.elb.delete_listener(ListenerArn=shop.listener)
    sight = shop.look(plan.intent)
    assert (sight.standing, sight.revision) == (Standing.ELSEWHERE, "")


def test_a_load_balancer_that_was_made_anew_is_found_again(url: str) -> None:
    shop = open_balancer(url)
    target = shop.target()
    target.survey([shop.key])
    shop.elb.delete_listener(ListenerArn=shop.listener)
    answer = [{"Type": "forward", "TargetGroupArn": shop.good}]
    shop.elb.create_listener(LoadBalancerArn=shop.arn, Protocol="HTTP", Port=80, DefaultActions=answer)
    assert revision(target, shop.key).startswith(f"{shop.name}-blue:1@")
