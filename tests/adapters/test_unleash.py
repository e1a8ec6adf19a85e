"""Unleash's own traits, against a real server: what the contract of all flags (tests/contract) does not say."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.flags import Scope
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Standing, TargetState
from rollbackd.adapters.unleash import Unleash
from tests.servers import free_port, poll
from tests.unleash.gate import Gate, Said, gate
from tests.unleash.server import UnleashServer
from tests.unleash.shop import EVERYBODY, Flag, Shop, open_shop

CART, SEARCH = Flag("new-cart"), Flag("new-search")
BULK = "POST /api/admin/projects/default/bulk_features"


@pytest.fixture
def shop(unleash: UnleashServer, tmp_path: Path) -> Shop:
    return open_shop(unleash, tmp_path, CART, SEARCH)


@pytest.fixture
def guard(unleash: UnleashServer) -> Iterator[Gate]:
    with gate(unleash.url) as made:
        yield made


def seen(target: Unleash, key: str) -> TargetState:
    state = target.survey([key])[key]
    assert isinstance(state, TargetState), state
    return state


def error(target: Unleash, key: str) -> AdapterError:
    state = target.survey([key])[key]
    assert isinstance(state, AdapterError), state
    return state


def planned(target: Unleash, key: str, **request: Any) -> Plan:
    plan = target.plan(PlanRequest(key, "inc-1", seen(target, key).revision, **request))
    assert isinstance(plan, Plan), plan
    return plan


def carried_out(target: Unleash, plan: Plan) -> None:
    target.apply(plan)
    poll(lambda: target.look(plan.intent).standing is Standing.THERE)


# What is seen


def test_a_state_holds_what_decides_and_a_change_of_a_strategy_is_a_change(shop: Shop) -> None:
    target, key = shop.target(), shop.key("flags:new-cart")
    before = seen(target, key)
    assert before.parts["new-cart"] == {
        "enabled": True,
        "strategies": [{**EVERYBODY, "disabled": False, "segments": [], "variants": []}],
    }
    shop.server.ask("dana", "POST", "/api/admin/projects/default/features/new-cart/environments/production/strategies", EVERYBODY)
    after = seen(target, key)
    assert after.revision != before.revision
    assert (after.touched, after.writer) == (("new-cart",), "dana@example.com")


def test_a_tag_may_be_named_with_its_type(shop: Shop) -> None:
    target = shop.target()
    assert seen(target, shop.key("tag:simple:checkout")).parts == seen(target, shop.key("tag:checkout")).parts
    assert isinstance(error(target, shop.key("tag:team:checkout")), Refused)


def test_flags_beyond_the_first_page_are_seen(shop: Shop) -> None:
    with psycopg.connect(shop.server.database, autocommit=True) as connection:
        connection.execute("INSERT INTO features (name, project, type) SELECT 'a' || n, 'default', 'release' FROM generate_series(1, 250) n")
    assert len(shop.project()._admin.tags()) == 252
    assert set(seen(shop.target(), shop.key("tag:checkout")).parts) == {"new-cart", "new-search"}


def test_another_environment_is_another_place(shop: Shop) -> None:
    target = shop.target()
    here, there = seen(target, shop.key("tag:checkout")), seen(target, shop.key("tag:checkout", "development"))
    shop.switch("new-cart", True, environment="development")
    assert seen(target, shop.key("tag:checkout")) == here
    assert seen(target, shop.key("tag:checkout", "development")).revision != there.revision


def test_an_environment_that_does_not_exist_is_named_with_those_that_do(shop: Shop) -> None:
    assert "has no environment 'staging', it has: development, production" in str(error(shop.target(), shop.key("tag:checkout", "staging")))


def test_an_archived_flag_is_no_flag(shop: Shop) -> None:
    shop.server.ask("dana", "POST", "/api/admin/projects/default/archive", {"features": ["new-cart"]})
    assert set(seen(shop.target(), shop.key("tag:checkout")).parts) == {"new-search"}
    assert "has no flag 'new-cart'" in str(error(shop.target(), shop.key("flags:new-cart,new-search")))


def test_a_change_of_several_flags_at_once_is_one_change(shop: Shop) -> None:
    target, key = shop.target(), shop.key("tag:checkout")
    shop.server.ask("dana", "POST", "/api/admin/projects/default/bulk_features/environments/production/off", {"features": ["new-cart", "new-search"]})
    state = seen(target, key)
    assert (state.touched, state.writer) == (("new-cart", "new-search"), "dana@example.com")
    assert state.started is not None
    assert abs(datetime.now(UTC) - state.started.early) < timedelta(minutes=5)


def test_flags_that_nobody_changed_cost_three_questions_however_many_they_are(unleash: UnleashServer, tmp_path: Path, guard: Gate) -> None:
    shop = open_shop(unleash, tmp_path, *(Flag(f"f{i:02}") for i in range(12)))
    target, key = shop.target(url=guard.url), shop.key("tag:checkout")
    first = seen(target, key)
    guard.asked.clear()
    assert seen(target, key) == first
    assert len(guard.asked) == 3
    shop.switch("f07", False)
    assert seen(target, key).touched == ("f07",)


def test_after_a_restart_an_event_of_our_token_may_be_ours_or_not(shop: Shop) -> None:
    target, key = shop.target(), shop.key("flags:new-cart")
    carried_out(target, planned(target, key))
    assert seen(target, key).writer == "rollbackd:inc-1"
    assert seen(shop.target(), key).writer is None
    assert seen(shop.target(who="dana"), key).writer == "rollbackd@example.com"


# What is switched


def test_nothing_but_the_switch_of_one_environment_is_written(unleash: UnleashServer, tmp_path: Path) -> None:
    gold = {**EVERYBODY, "constraints": [{"contextName": "plan", "operator": "IN", "values": ["gold"]}]}
    shop = open_shop(unleash, tmp_path, replace(CART, strategies=(gold, {**EVERYBODY, "disabled": True})))
    shop.switch("new-cart", True, environment="development")
    before = shop.flag("new-cart")
    target, key = shop.target(), shop.key("all")
    plan = planned(target, key)
    assert plan.steps == ("flags.new-cart.enabled: true -> false",)
    carried_out(target, plan)
    off = shop.flag("new-cart")
    for environment in off["environments"]:
        environment["enabled"] = True
    assert off == before
    carried_out(target, planned(target, key, undo=plan.intent))
    assert shop.flag("new-cart") == before


def test_all_flags_go_off_in_one_transaction(shop: Shop, guard: Gate) -> None:
    target = shop.target(url=guard.url)
    carried_out(target, planned(target, shop.key("tag:checkout")))
    assert [line for line in guard.asked if line.startswith("POST")] == [f"{BULK}/environments/production/off"]


def test_the_command_is_what_a_person_would_type(shop: Shop) -> None:
    plan = planned(shop.target(), shop.key("tag:checkout"))
    assert plan.command == (
        f'curl -X POST -H "Authorization: $(cat {shop.folder}/rollbackd.token)" -H "Content-Type: application/json" '
        f"""-d '{{"features": ["new-cart", "new-search"]}}' {shop.server.url}/api/admin/projects/default/bulk_features/environments/production/off"""
    )


@pytest.mark.parametrize("kind", ["kill-switch", "operational", "permission"])
def test_a_flag_of_a_protective_type_is_left_alone_unless_its_safe_state_is_declared(unleash: UnleashServer, tmp_path: Path, kind: str) -> None:
    shop = open_shop(unleash, tmp_path, CART, Flag("breaker", kind=kind))
    plan = planned(shop.target(), shop.key("tag:checkout"))
    assert plan.steps == ("flags.new-cart.enabled: true -> false",)
    assert plan.not_undone == (f"flag 'breaker' stays as it is: it is of type {kind}, so it must declare what is safe",)
    declared = planned(shop.target(safe_states={"breaker": "off"}), shop.key("tag:checkout"))
    assert len(declared.steps) == 2


def test_a_dependency_is_part_of_what_decides_and_its_coming_and_going_are_changes(unleash: UnleashServer, tmp_path: Path) -> None:
    shop = open_shop(unleash, tmp_path, CART, Flag("gate", tag="other", is_on=False))
    target, key = shop.target(), shop.key("tag:checkout")
    before = seen(target, key)
    shop.depend("new-cart", "gate")
    after = seen(target, key)
    assert after.revision != before.revision
    assert (after.touched, after.writer) == (("new-cart",), "dana@example.com")
    assert after.parts["new-cart"]["dependencies"] == [{"feature": "gate", "enabled": True, "variants": []}]  # type: ignore[index,call-overload]
    shop.server.ask("dana", "DELETE", "/api/admin/projects/default/features/new-cart/dependencies/gate")
    gone = seen(target, key)
    assert (gone.revision, gone.change_id == before.change_id) == (before.revision, False)


def test_what_goes_off_with_a_flag_is_said_before_it_does(unleash: UnleashServer, tmp_path: Path) -> None:
    shop = open_shop(unleash, tmp_path, CART, Flag("coupons", tag="other"), Flag("gifts", tag="other"), Flag("old", tag="other", is_on=False))
    for child in ("coupons", "gifts", "old"):
        shop.depend(child, "new-cart")
    target, key = shop.target(), shop.key("tag:checkout")
    plan = planned(target, key)
    assert plan.not_undone == ("flags 'coupons', 'gifts' depend on 'new-cart': what is served of them changes with it",)
    assert target.check([key]) == ()


@pytest.mark.parametrize(
    ("kind", "declared", "why"),
    [
        pytest.param("kill-switch", {}, "it is of type kill-switch, so it must declare what is safe", id="protective"),
        pytest.param("release", {"fallback": "leave"}, "its declared safe state is 'leave'", id="left"),
        pytest.param("kill-switch", {"fallback": "on"}, "its declared safe state is 'on'", id="safe-when-on"),
    ],
)
def test_a_flag_on_which_one_depends_that_must_not_go_off_is_left(
    unleash: UnleashServer, tmp_path: Path, kind: str, declared: dict[str, str], why: str
) -> None:
    shop = open_shop(unleash, tmp_path, CART, SEARCH, Flag("fallback", tag="other", kind=kind))
    shop.depend("fallback", "new-cart")
    target, key = shop.target(safe_states=declared), shop.key("tag:checkout")
    left = f"flag 'new-cart' stays as it is: flag 'fallback' depends on it and would go with it, but {why}"
    plan = planned(target, key)
    assert (list(plan.intent.record["after"]), plan.not_undone) == (["new-search"], (left,))  # type: ignore[arg-type]
    assert target.check([key]) == (f"{key}: {left}; take the dependency away, or declare that 'new-cart' is left",)
    with pytest.raises(Refused, match="'fallback' depends on it"):
        planned(target, shop.key("flags:new-cart"))
    assert planned(shop.target(safe_states={"fallback": "off"}), shop.key("flags:new-cart")).intent.record["after"]


def test_a_flag_that_goes_on_is_not_held_by_one_that_comes_with_it(unleash: UnleashServer, tmp_path: Path) -> None:
    shop = open_shop(unleash, tmp_path, Flag("new-cart", is_on=False), Flag("coupons", tag="other"))
    shop.depend("coupons", "new-cart")
    target, key = shop.target(safe_states={"new-cart": "on", "coupons": "on"}), shop.key("tag:checkout")
    plan = planned(target, key)
    assert plan.steps == ("flags.new-cart.enabled: false -> true",)
    assert plan.not_undone == ("flag 'coupons' depends on 'new-cart': what is served of them changes with it",)
    assert target.check([key]) == ()


@pytest.mark.parametrize("declared", [pytest.param({"old-cart": "on"}, id="on"), pytest.param({}, id="undeclared")])
def test_a_flag_goes_off_so_that_its_fallback_comes_on(unleash: UnleashServer, tmp_path: Path, declared: dict[str, str]) -> None:
    shop = open_shop(unleash, tmp_path, CART, Flag("old-cart", tag="other"))
    shop.depend("old-cart", "new-cart", while_on=False)
    target, key = shop.target(safe_states=declared), shop.key("tag:checkout")
    plan = planned(target, key)
    assert plan.steps == ("flags.new-cart.enabled: true -> false",)
    assert plan.not_undone == ("flag 'old-cart' depends on 'new-cart': what is served of them changes with it",)
    assert target.check([key]) == ()


@pytest.mark.parametrize("word", ["off", "leave"])
def test_a_flag_whose_fallback_must_not_come_on_is_left(unleash: UnleashServer, tmp_path: Path, word: str) -> None:
    shop = open_shop(unleash, tmp_path, CART, Flag("old-cart", tag="other"))
    shop.depend("old-cart", "new-cart", while_on=False)
    target, key = shop.target(safe_states={"old-cart": word}), shop.key("tag:checkout")
    left = f"flag 'new-cart' stays as it is: flag 'old-cart' would come on without it, but its declared safe state is '{word}'"
    with pytest.raises(Refused, match=left):
        planned(target, key)
    assert target.check([key]) == (f"{key}: {left}; take the dependency away, or declare that 'new-cart' is left",)


def test_a_flag_goes_off_together_with_its_fallback(unleash: UnleashServer, tmp_path: Path) -> None:
    shop = open_shop(unleash, tmp_path, CART, Flag("old-cart"))
    shop.depend("old-cart", "new-cart", while_on=False)
    plan = planned(shop.target(safe_states={"old-cart": "off"}), shop.key("tag:checkout"))
    assert plan.steps == ("flags.new-cart.enabled: true -> false", "flags.old-cart.enabled: true -> false")


def test_a_flag_to_which_unleash_would_add_a_strategy_is_never_switched_on(unleash: UnleashServer, tmp_path: Path) -> None:
    shop = open_shop(unleash, tmp_path, Flag("bare", is_on=False, strategies=()))
    target = shop.target(safe_states={"bare": "on"})
    with pytest.raises(Refused, match="no enabled strategy"):
        planned(target, shop.key("flags:bare"))
    assert "no enabled strategy" in "".join(target.check([shop.key("flags:bare")]))


def test_an_undo_that_could_not_be_exact_is_refused(shop: Shop) -> None:
    (strategy,) = shop.flag("new-cart")["environments"][1]["strategies"]
    shop.server.ask("dana", "DELETE", f"/api/admin/projects/default/features/new-cart/environments/production/strategies/{strategy['id']}")
    shop.switch("new-cart", True)  # Unleash adds a strategy …
    (added,) = shop.flag("new-cart")["environments"][1]["strategies"]
    shop.server.ask("dana", "DELETE", f"/api/admin/projects/default/features/new-cart/environments/production/strategies/{added['id']}")
    target, key = shop.target(), shop.key("flags:new-cart")
    state = seen(target, key).parts["new-cart"]
    was_on = Intent(key, "inc-0", "a", "b", {"before": {"new-cart": {**state, "enabled": True}}, "after": {"new-cart": state}})  # type: ignore[dict-item]
    before = shop.flag("new-cart")
    with pytest.raises(Refused, match="no enabled strategy"):
        target.apply(planned(target, key, undo=was_on))
    assert shop.flag("new-cart") == before


def test_an_undo_leaves_a_flag_whose_strategies_somebody_changed_since(shop: Shop) -> None:
    target, key = shop.target(), shop.key("tag:checkout")
    plan = planned(target, key)
    carried_out(target, plan)
    shop.server.ask("dana", "POST", "/api/admin/projects/default/features/new-cart/environments/production/strategies", EVERYBODY)
    undo = planned(target, key, undo=plan.intent)
    assert undo.steps == ("flags.new-search.enabled: false -> true",)
    assert "flag 'new-cart' was changed by somebody since and stays as it is" in undo.not_undone


def test_flags_that_go_both_ways_go_off_first(unleash: UnleashServer, tmp_path: Path, guard: Gate) -> None:
    shop = open_shop(unleash, tmp_path, CART, Flag("old-cart", is_on=False))
    target, key = shop.target(url=guard.url, safe_states={"old-cart": "on"}), shop.key("all")
    plan = planned(target, key)
    guard.answers[f"{BULK}/environments/production/on"] = Said(500, {"message": "out of order"})
    with pytest.raises(Transient, match="'new-cart' went off, but flag 'old-cart' did not go on"):
        target.apply(plan)
    sight = target.look(plan.intent)
    assert (sight.standing, sight.reason) == (Standing.UNDERWAY, "1 of 2 flags at the planned state; flag 'old-cart' not")


def test_flags_that_would_go_on_too_late_stay(unleash: UnleashServer, tmp_path: Path) -> None:
    project = open_shop(unleash, tmp_path, CART, Flag("old-cart", is_on=False)).project()
    reading = project.read("production", Scope("all"))
    after = {name: {**state, "enabled": name == "old-cart"} for name, state in reading.states.items()}
    with pytest.raises(Transient, match=r"'new-cart' went off, but flag 'old-cart' did not go on: .* answers too slowly"):
        project.write("production", reading, after, "rollbackd:inc-1", -math.inf)
    assert [state["enabled"] for state in project.read("production", Scope("all")).states.values()] == [False, False]


# Whether it has arrived


def test_a_switch_has_arrived_when_applications_are_served_it(shop: Shop, guard: Gate) -> None:
    target = shop.target(url=guard.url)
    plan = planned(target, shop.key("flags:new-cart"))
    still_on = {"features": [{"name": "new-cart", "enabled": True}], "query": {"environment": "production"}}
    guard.answers["GET /api/client/features"] = Said(200, still_on)
    target.apply(plan)
    sight = target.look(plan.intent)
    assert sight.standing is Standing.UNDERWAY
    assert "flag 'new-cart' written, but not yet served" in sight.reason
    guard.answers.clear()
    poll(lambda: target.look(plan.intent).standing is Standing.THERE)
    poll(lambda: shop.served() == {"new-cart": False, "new-search": True})


def test_a_client_token_of_another_environment_is_found_and_says_nothing(shop: Shop) -> None:
    target, key = shop.target(client="development"), shop.key("tag:checkout")
    (found,) = target.check([key])
    assert "is of environment 'development'" in found
    plan = planned(target, key)
    target.apply(plan)
    assert target.look(plan.intent).standing is Standing.THERE


def test_a_client_token_that_is_none_is_found_and_does_not_hold_the_rollback(shop: Shop) -> None:
    target, key = shop.target(), shop.key("tag:checkout")
    (shop.folder / "production.token").write_text("default:production.wrong")
    (found,) = target.check([key])
    assert "what applications are served cannot be seen" in found
    assert "wrong" not in found
    plan = planned(target, key)
    target.apply(plan)
    assert target.look(plan.intent).standing is Standing.THERE


# Bad weather


def test_one_unknown_name_switches_none(shop: Shop) -> None:
    project = shop.project()
    with pytest.raises(Refused, match=r"switched none of flags .*There's no feature named"):
        project._admin.switch(["new-cart", "nope"], "production", "off")
    assert shop.flag("new-cart")["environments"][1]["enabled"] is True


def test_a_flag_that_is_archived_between_plan_and_write_stops_the_write(shop: Shop) -> None:
    target = shop.target()
    plan = planned(target, shop.key("tag:checkout"))
    shop.server.ask("dana", "POST", "/api/admin/projects/default/archive", {"features": ["new-cart"]})
    with pytest.raises(Refused, match=r"'new-cart' in .* changed since the plan"):
        target.apply(plan)
    assert shop.flag("new-search")["environments"][1]["enabled"] is True
    assert target.look(plan.intent).standing is Standing.ELSEWHERE


def test_a_bad_token_is_named_by_its_file_and_never_shown(shop: Shop) -> None:
    target, key = shop.target(), shop.key("tag:checkout")
    (shop.folder / "rollbackd.token").write_text("user:0123456789")
    found = error(target, key)
    assert isinstance(found, Permanent)
    assert "HTTP 401" in str(found)
    assert f"put a valid token into {shop.folder}/rollbackd.token" in str(found)
    assert "0123456789" not in str(found)


def test_a_token_that_may_look_only_is_found_before_it_is_needed_and_changes_nothing(shop: Shop) -> None:
    target, key = shop.target(who="vic"), shop.key("tag:checkout")
    (found,) = target.check([key])
    assert "give its user the right UPDATE_FEATURE_ENVIRONMENT there" in found
    with pytest.raises(Permanent, match="HTTP 403"):
        target.apply(planned(target, key))
    assert shop.flag("new-cart")["environments"][1]["enabled"] is True


def test_a_new_token_in_the_file_is_used_at_once(shop: Shop) -> None:
    target, key = shop.target(), shop.key("tag:checkout")
    file = shop.folder / "rollbackd.token"
    good = file.read_text()
    file.write_text("user:old")
    error(target, key)
    file.write_text(good)
    seen(target, key)


# The paid edition's answers. The free edition has the same code for the refusal, but nothing that turns it on.
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            Said(
                403,
                {
                    "name": "PermissionError",
                    "message": 'To perform this action, you need the "SKIP_CHANGE_REQUEST" permission.',
                    "permissions": ["SKIP_CHANGE_REQUEST"],
                },
            ),
            id="the-right-to-skip-them",
        ),
        pytest.param(Said(409, {"message": "Change requests are enabled for this environment."}), id="a-conflict"),
    ],
)
def test_where_changes_are_made_by_request_only_it_is_refused_with_the_way_to_go_on(shop: Shop, guard: Gate, answer: Said) -> None:
    target = shop.target(url=guard.url)
    plan = planned(target, shop.key("tag:checkout"))
    guard.answers[BULK] = answer
    with pytest.raises(Refused, match="as change requests only") as refused:
        target.apply(plan)
    assert "open a change request for flags 'new-cart', 'new-search' and apply it" in refused.value.advice
    assert shop.flag("new-cart")["environments"][1]["enabled"] is True


def test_change_requests_are_found_before_they_are_in_the_way(shop: Shop, guard: Gate) -> None:
    guard.answers["GET /api/admin/projects/default/change-requests/config"] = Said(
        200, [{"environment": "production", "changeRequestEnabled": True}, {"environment": "development", "changeRequestEnabled": False}]
    )
    target = shop.target(url=guard.url)
    assert "as change requests only" in "".join(target.check([shop.key("tag:checkout")]))
    assert target.check([shop.key("tag:checkout", "development")]) == tuple(
        line for line in target.check([shop.key("tag:checkout", "development")]) if "change requests" not in line
    )


def test_a_redirect_is_not_followed_and_no_token_leaves(shop: Shop, guard: Gate, unleash: UnleashServer) -> None:
    with gate(unleash.url) as elsewhere:
        guard.answers["GET "] = Said(302, None, {"Location": f"{elsewhere.url}/api/admin/search/events"})
        found = error(shop.target(url=guard.url), shop.key("tag:checkout"))
        assert isinstance(found, Permanent)
        assert "is not followed" in str(found)
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(Said(200, "<html>"), Transient, id="no-unleash"),
        pytest.param(Said(200, {"events": None}), Transient, id="no-list"),
        pytest.param(Said(503, {"message": "starting"}), Transient, id="starting"),
        pytest.param(Said(429, {}, {"Retry-After": "7"}), Transient, id="too-often"),
    ],
)
def test_an_answer_that_is_none_is_an_error_and_never_an_empty_scope(shop: Shop, guard: Gate, answer: Said, kind: type[AdapterError]) -> None:
    guard.answers["GET "] = answer
    found = error(shop.target(url=guard.url), shop.key("tag:checkout"))
    assert type(found) is kind
    if answer.headers:
        assert isinstance(found, Transient)
        assert found.retry_after == 7


def test_a_missing_page_of_flags_is_an_error(shop: Shop, guard: Gate) -> None:
    guard.answers["GET /api/admin/search/features"] = Said(200, {"features": [{"name": "new-cart", "tags": []}], "total": 2})
    assert isinstance(error(shop.target(url=guard.url), shop.key("tag:checkout")), Transient)


def test_where_unleash_is_dead_nothing_is_known(shop: Shop, guard: Gate) -> None:
    plan = planned(shop.target(), shop.key("tag:checkout"))
    dead = shop.target(url=f"http://127.0.0.1:{free_port()}")
    assert isinstance(error(dead, shop.key("tag:checkout")), Transient)
    with pytest.raises(Transient):
        dead.look(plan.intent)
    with pytest.raises(Transient):
        dead.apply(plan)
    assert "gave no answer" in "".join(dead.check([shop.key("tag:checkout")]))


def test_an_answer_that_was_lost_after_the_write_is_found_by_looking(shop: Shop, guard: Gate) -> None:
    target = shop.target(url=guard.url)
    plan = planned(target, shop.key("tag:checkout"))
    guard.answers[BULK] = Said(502, {"message": "bad gateway"})
    with pytest.raises(Transient):
        target.apply(plan)
    assert target.look(plan.intent).standing is Standing.BEFORE
    shop.target().apply(plan)
    poll(lambda: target.look(plan.intent).standing is Standing.THERE)


def test_a_plan_of_flags_that_are_off_has_nothing_to_do(shop: Shop) -> None:
    shop.switch("new-cart", False)
    target, key = shop.target(), shop.key("flags:new-cart")
    assert isinstance(target.plan(PlanRequest(key, "inc-1", seen(target, key).revision)), NothingToDo)
