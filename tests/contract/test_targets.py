"""What every Target promises, whatever its kind: run against real files and real programs.

A further kind joins by one ``Stage`` in ``STAGES``.
"""

import functools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.aws.alb.calls import ALB
from rollbackd.adapters.aws.calls import Declared
from rollbackd.adapters.aws.route53.calls import ROUTE53
from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Standing, Target, TargetState
from rollbackd.adapters.command import Command, CommandSpec
from rollbackd.adapters.flagd import Flagd, FlagFile
from tests.aws.appconfig import open_profile
from tests.aws.balancers import open_balancer
from tests.aws.ecs_double import Fault
from tests.aws.front import Fault as Refusal
from tests.aws.front import Front, front
from tests.aws.names import Settling, open_names, plain
from tests.aws.stage import SHOP, open_stage
from tests.contract.flag_vendors import HOSTED, Hosted
from tests.unleash.shop import EVERYBODY, Flag, open_shop


@dataclass(frozen=True, slots=True)
class Stage:
    """A target with one key ``key`` that runs something bad. ``content`` is all that is outside; the functions are other people."""

    target: Target
    key: str
    candidates: tuple[str, ...]
    content: Callable[[], str]
    another_writer: Callable[[], object]
    make_unreadable: Callable[[], object]


def flagd(request: pytest.FixtureRequest) -> Stage:
    file: Path = request.getfixturevalue("tmp_path") / "flags.json"
    flags = {"cart": {"state": "ENABLED", "variants": {"on": True, "half": 0.5, "off": False}, "defaultVariant": "on"}}
    file.write_text(json.dumps({"flags": flags}))
    return Stage(
        target=Flagd({"shop": FlagFile("shop", file)}),
        key="flagd:shop/all",
        candidates=(),
        content=file.read_text,
        another_writer=lambda: file.write_text(file.read_text().replace('"state": "ENABLED"', '"state": "DISABLED"')),
        make_unreadable=lambda: file.write_text(file.read_text()[:20]),
    )


def command(request: pytest.FixtureRequest) -> Stage:
    file: Path = request.getfixturevalue("tmp_path") / "running"
    file.write_text("v2")
    spec = CommandSpec(("/bin/cat", str(file)), ("/bin/sh", "-c", 'printf %s "$1" > "$0"', str(file), "{revision}"), timeout=timedelta(seconds=20))
    return Stage(
        target=Command({"deploy": spec}),
        key="command:deploy",
        candidates=("v1",),
        content=file.read_text,
        another_writer=lambda: file.write_text("v3"),
        make_unreadable=file.unlink,
    )


def unleash(request: pytest.FixtureRequest) -> Stage:
    shop = open_shop(request.getfixturevalue("unleash"), request.getfixturevalue("tmp_path"), Flag("cart"))
    strategies = "/api/admin/projects/default/features/cart/environments/production/strategies"
    return Stage(
        # Without a client token what is written counts at once; tests/contract/test_flags.py waits for what is served.
        target=shop.target(client=None),
        key=shop.key("all"),
        candidates=(),
        content=lambda: json.dumps(shop.flag("cart")),
        another_writer=lambda: shop.server.ask("dana", "POST", strategies, EVERYBODY),
        make_unreadable=(shop.folder / "rollbackd.token").unlink,
    )


def ecs(request: pytest.FixtureRequest) -> Stage:
    double = request.getfixturevalue("ecs_cloud")
    shop = open_stage(double)
    return Stage(
        target=shop.target(),
        key=SHOP,
        candidates=(shop.good,),
        content=lambda: repr((double.cloud.deployments, double.cloud.services, double.cloud.definitions)),
        another_writer=lambda: double.cloud.deploy("api", double.cloud.register("api", image=shop.image("v3"))),
        make_unreadable=lambda: double.faults.append(Fault("*", "AccessDeniedException", times=1000)),
    )


def appconfig(request: pytest.FixtureRequest) -> Stage:
    request.getfixturevalue("aws_keys")
    shop = open_profile(request.getfixturevalue("ministack").url)
    shop.deploy({"cart": False})
    shop.deploy({"cart": True})
    return Stage(
        target=shop.target(),
        key="appconfig:shop/all",
        candidates=(),
        content=lambda: json.dumps(shop.values()),
        another_writer=lambda: shop.deploy({"cart": True}, limit=7),
        make_unreadable=shop.remove,
    )


@pytest.fixture(scope="module")
def fronts() -> Iterator[Callable[[str], Front]]:
    with ExitStack() as stack:
        yield functools.cache(lambda url: stack.enter_context(front(url)))


def in_front(request: pytest.FixtureRequest, url: str) -> Front:
    there: Front = request.getfixturevalue("fronts")(url)
    there.calm()
    return there


def denied(declared: Declared) -> list[Refusal]:
    """Nothing may be asked."""
    return [Refusal(call.operation, "AccessDenied") for call in declared.calls]


def alb(request: pytest.FixtureRequest) -> Stage:
    request.getfixturevalue("aws_keys")
    shop = open_balancer(request.getfixturevalue("moto").url)
    there = in_front(request, shop.url)
    return Stage(
        target=shop.target(there.url),
        key=shop.key,
        candidates=(shop.before,),
        content=lambda: json.dumps(shop.actions()),
        another_writer=lambda: shop.share(10, 90),
        make_unreadable=lambda: there.faults.extend(denied(ALB)),
    )


def route53(request: pytest.FixtureRequest) -> Stage:
    request.getfixturevalue("aws_keys")
    names = open_names(request.getfixturevalue("ministack").url)
    there = in_front(request, names.url)
    return Stage(
        target=names.target(there.url, of=Settling),
        key=names.key,
        candidates=(names.before,),
        content=lambda: json.dumps(names.records()),
        another_writer=lambda: names.put(plain(names.name, "192.0.2.3")),
        make_unreadable=lambda: there.faults.extend(denied(ROUTE53)),
    )


def hosted(make: Callable[[pytest.FixtureRequest], Hosted]) -> Callable[[pytest.FixtureRequest], Stage]:
    """A hosted flag service."""

    @functools.wraps(make)
    def stage(request: pytest.FixtureRequest) -> Stage:
        service = make(request)
        return Stage(
            target=service.flags.target({}, 20),
            key=f"{service.flags.place}/flags:new-cart",
            candidates=(),
            content=lambda: json.dumps(service.flags.content()),
            another_writer=service.another_writer,
            make_unreadable=service.token.unlink,
        )

    return stage


STAGES = [flagd, command, unleash, ecs, alb, route53, appconfig, *(hosted(make) for make in HOSTED)]


@pytest.fixture(params=STAGES, ids=lambda stage: stage.__name__)
def stage(request: pytest.FixtureRequest) -> Stage:
    made = request.param(request)
    assert isinstance(made, Stage)
    return made


def state(stage: Stage) -> TargetState:
    seen = stage.target.survey([stage.key])[stage.key]
    assert isinstance(seen, TargetState)
    return seen


def asked(stage: Stage) -> PlanRequest:
    return PlanRequest(stage.key, "inc-1", state(stage).revision, stage.candidates)


def planned(stage: Stage) -> Plan:
    plan = stage.target.plan(asked(stage))
    assert isinstance(plan, Plan)
    return plan


def test_the_kind_is_the_first_word_of_its_keys(stage: Stage) -> None:
    assert stage.key.startswith(f"{stage.target.kind}:")


def test_two_surveys_of_an_unchanged_target_are_equal(stage: Stage) -> None:
    assert state(stage) == state(stage)
    assert state(stage).key == stage.key


def test_a_survey_of_nothing_is_empty(stage: Stage) -> None:
    assert stage.target.survey([]) == {}


def test_another_writer_changes_the_revision(stage: Stage) -> None:
    before = state(stage).revision
    stage.another_writer()
    assert state(stage).revision != before


@pytest.mark.parametrize("rest", ["no-such-place", "no-such-place/all", ""])
def test_a_key_that_names_nothing_is_an_error_everywhere_and_touches_nothing(stage: Stage, rest: str) -> None:
    key = f"{stage.target.kind}:{rest}"
    before = stage.content()
    assert isinstance(stage.target.survey([key])[key], AdapterError)
    with pytest.raises((Permanent, Refused)):
        stage.target.plan(PlanRequest(key, "inc-1", "r", stage.candidates))
    with pytest.raises((Permanent, Refused)):
        stage.target.look(Intent(key, "inc-1", "r", "s"))
    assert len(stage.target.check([key])) == 1
    assert stage.content() == before


def test_one_unknown_key_does_not_hide_the_others(stage: Stage) -> None:
    unknown = f"{stage.target.kind}:no-such-place"
    states = stage.target.survey([unknown, stage.key])
    assert isinstance(states[unknown], AdapterError)
    assert isinstance(states[stage.key], TargetState)


def test_an_unreadable_target_is_an_error_and_never_a_state(stage: Stage) -> None:
    plan = planned(stage)
    stage.make_unreadable()
    assert isinstance(stage.target.survey([stage.key])[stage.key], Transient | Permanent)
    with pytest.raises((Transient, Permanent)):
        stage.target.look(plan.intent)
    with pytest.raises((Transient, Permanent)):
        stage.target.plan(PlanRequest(stage.key, "inc-1", plan.intent.from_revision, stage.candidates))


def test_a_healthy_target_passes_its_check(stage: Stage) -> None:
    assert stage.target.check([stage.key]) == ()


def test_an_unreadable_target_fails_its_check_by_name(stage: Stage) -> None:
    stage.make_unreadable()
    (found,) = stage.target.check([stage.key])
    assert found.startswith(stage.key)


def test_planning_and_looking_change_nothing(stage: Stage) -> None:
    before = stage.content()
    stage.target.look(planned(stage).intent)
    assert stage.content() == before


def test_the_plan_names_what_was_asked(stage: Stage) -> None:
    request = asked(stage)
    intent = planned(stage).intent
    assert (intent.target, intent.incident, intent.from_revision) == (stage.key, "inc-1", request.from_revision)
    assert intent.to_revision != intent.from_revision


def test_the_plan_is_worded_for_people(stage: Stage) -> None:
    plan = planned(stage)
    assert plan.summary
    assert plan.steps
    assert plan.command
    assert plan.deadline > timedelta(0)


def test_equal_questions_get_plans_of_equal_digest(stage: Stage) -> None:
    assert planned(stage).digest == planned(stage).digest


def test_a_plan_for_a_revision_that_is_not_live_is_refused(stage: Stage) -> None:
    with pytest.raises(Refused):
        stage.target.plan(replace(asked(stage), from_revision="another"))


def test_an_intent_survives_the_journal(stage: Stage) -> None:
    intent = planned(stage).intent
    kept = replace(intent, record=json.loads(json.dumps(intent.record)))
    assert stage.target.look(kept).standing is Standing.BEFORE
    stage.target.apply(Plan(kept, "from the journal"))
    assert stage.target.look(kept).standing is Standing.THERE


def test_a_target_stands_before_until_the_apply_and_there_after_it(stage: Stage) -> None:
    plan = planned(stage)
    assert stage.target.look(plan.intent).standing is Standing.BEFORE
    stage.target.apply(plan)
    sight = stage.target.look(plan.intent)
    assert (sight.standing, sight.revision) == (Standing.THERE, plan.intent.to_revision)


def test_after_the_apply_a_survey_shows_the_planned_revision(stage: Stage) -> None:
    plan = planned(stage)
    stage.target.apply(plan)
    assert state(stage).revision == plan.intent.to_revision


def test_after_the_apply_there_is_nothing_left_to_plan_towards_the_same_end(stage: Stage) -> None:
    stage.target.apply(planned(stage))
    try:
        outcome = stage.target.plan(asked(stage))
    except Refused:
        return
    assert isinstance(outcome, NothingToDo)


def test_a_write_whose_claim_was_looked_at_too_long_ago_is_refused_and_harmless(stage: Stage) -> None:
    """Whoever stood still since may find the target as it was, though another one has written and been taken back meanwhile."""
    plan, before = planned(stage), stage.content()
    with pytest.raises(Refused):
        stage.target.apply(replace(plan, begun=time.monotonic() - 60))
    assert stage.content() == before
    stage.target.apply(replace(plan, begun=time.monotonic()))
    assert stage.content() != before


def test_a_repeated_apply_is_refused_and_harmless(stage: Stage) -> None:
    plan = planned(stage)
    stage.target.apply(plan)
    after = stage.content()
    with pytest.raises(Refused):
        stage.target.apply(plan)
    assert stage.content() == after


def test_another_writer_before_the_apply_is_never_overwritten(stage: Stage) -> None:
    plan = planned(stage)
    stage.another_writer()
    theirs = stage.content()
    with pytest.raises(Refused):
        stage.target.apply(plan)
    assert stage.content() == theirs
    assert stage.target.look(plan.intent).standing is Standing.ELSEWHERE


def test_another_writer_after_the_apply_is_seen(stage: Stage) -> None:
    plan = planned(stage)
    stage.target.apply(plan)
    stage.another_writer()
    sight = stage.target.look(plan.intent)
    assert sight.standing is Standing.ELSEWHERE
    assert "another writer" in sight.reason
