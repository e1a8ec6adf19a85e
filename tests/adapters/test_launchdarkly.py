"""What only LaunchDarkly does: off variations, versions, scheduled changes, permanent flags, the audit log, rate limits without Retry-After."""

import json
from typing import Any

import pytest

from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest, Standing
from tests.adapters.flag_stands import Stand, stand_of
from tests.doubles.flags.vendor import Reply, answered

stand = stand_of("launchdarkly")
CART = "launchdarkly:shop/production/flags:cart"


def settings(stand: Stand, name: str = "cart") -> dict[str, Any]:
    return stand.vendor.flags[name]["environments"]["production"]  # type: ignore[no-any-return]


def test_off_serves_the_off_variation_and_keeps_the_targeting(stand: Stand) -> None:
    rules = [{"_id": "r1", "variation": 0, "clauses": [{"attribute": "email", "op": "in", "values": ["bob@example.com"]}]}]
    stand.vendor.set("cart", rules=rules)
    plan = stand.planned(CART)
    stand.target().apply(plan)
    assert (settings(stand)["on"], settings(stand)["rules"]) == (False, rules)
    assert plan.steps == ("flags.cart.on: true -> false",)
    assert plan.command == "ldcli flags toggle-off --project shop --environment production --flag cart"


def test_the_write_is_one_json_patch_that_tests_the_version_and_says_why(stand: Stand) -> None:
    plan = stand.planned(CART)
    stand.target().apply(plan)
    (call,) = stand.vendor.writes
    assert call.body == {
        "comment": "rollbackd:inc-1",
        "patch": [
            {"op": "test", "path": "/environments/production/version", "value": 1},
            {"op": "replace", "path": "/environments/production/on", "value": False},
        ],
    }


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_change_between_our_last_read_and_the_write_is_refused_whatever_status_it_has(stand: Stand, status: int) -> None:
    stand.vendor.failed_test_status = status
    plan = stand.planned(CART)
    stand.vendor.before_write = [lambda: stand.vendor.set("cart", trackEvents=True)]
    with pytest.raises(Refused, match=r"'cart'.*changed since it was read"):
        stand.target().apply(plan)
    assert settings(stand)["on"]


def test_a_pending_change_that_would_fail_stops_the_write(stand: Stand) -> None:
    plan = stand.planned(CART)
    stand.vendor.next_write = answered({"code": "invalid_request", "message": "pending scheduled changes would conflict"}, 400)
    with pytest.raises(Refused, match="pending scheduled changes would conflict") as raised:
        stand.target().apply(plan)
    assert "scheduled change" in raised.value.advice


def test_an_approval_that_is_needed_is_found_before_the_incident(stand: Stand) -> None:
    stand.vendor.approvals.add("production")
    (line,) = stand.target().check([CART])
    assert "need an approval" in line
    assert "bypass" in line


@pytest.mark.parametrize(
    ("variations", "off", "says"),
    [
        pytest.param((False, True), 1, "no default for off", id="off-serves-true"),
        pytest.param((True, False), None, "no default for off", id="off-serves-the-code"),
    ],
)
def test_an_off_that_is_not_off_needs_a_declared_safe_state(stand: Stand, variations: tuple[bool, ...], off: int | None, says: str) -> None:
    stand.vendor.add("odd", variations=variations, off=off)
    key = "launchdarkly:shop/production/flags:odd"
    with pytest.raises(Refused, match=says) as raised:
        stand.target().plan(stand.asked(key))
    assert "declare safe_states: {odd: " in raised.value.advice
    stand.target().apply(stand.planned(key, stand.target({"odd": "off"})))
    assert not settings(stand, "odd")["on"]


@pytest.mark.parametrize(
    ("values", "names", "word", "shown"),
    [
        pytest.param(("new", "old", "plain"), ("New", "Old", "Plain"), "Plain", '"plain"', id="by-name"),
        pytest.param(("new", "old", "plain"), ("New", "Old", "Plain"), "plain", '"plain"', id="by-value-beside-a-name"),
        pytest.param(("1", "2", "3"), None, "3", '"3"', id="by-a-text-that-is-a-number"),
        pytest.param((1, 2, 3), None, "3", "3", id="by-a-number"),
        pytest.param((0, 1, 2), ("2", "1", "0"), "0", "2", id="by-a-name-that-is-the-value-of-another"),
        pytest.param(({"a": 1}, {"a": 2}, {"a": "x" * 50}), None, "variation 2", '{"a": "' + "x" * 50 + '"}', id="by-its-place"),
    ],
)
def test_a_flag_goes_off_to_the_variation_that_is_declared_and_back_exactly(
    stand: Stand, values: tuple[Any, ...], names: tuple[str, ...] | None, word: str, shown: str
) -> None:
    stand.vendor.add("theme", variations=values, off=1)
    for place, variation in enumerate(stand.vendor.flags["theme"]["variations"]):
        variation["name"] = names[place] if names else ""
    key, target = "launchdarkly:shop/production/flags:theme", stand.target({"theme": word})
    plan = stand.planned(key, target)
    target.apply(plan)
    assert f"flags.theme.off: {json.dumps(values[1])} -> {shown}" in plan.steps
    assert plan.command.endswith(f"--flag theme; and set the off variation of 'theme' to {shown} in LaunchDarkly")
    assert (settings(stand, "theme")["on"], settings(stand, "theme")["offVariation"]) == (False, 2)
    assert target.look(plan.intent).standing is Standing.THERE
    assert stand.seen(key).revision == plan.intent.to_revision
    target.apply(stand.planned(key, target, undo=plan.intent))
    assert (settings(stand, "theme")["on"], settings(stand, "theme")["offVariation"]) == (True, 1)


def test_a_boolean_flag_is_put_at_the_variation_of_this_name(stand: Stand) -> None:
    stand.vendor.add("odd", variations=(True, False), off=0)
    key, target = "launchdarkly:shop/production/flags:odd", stand.target({"odd": "Way 1"})
    plan = stand.planned(key, target)
    target.apply(plan)
    assert target.look(plan.intent).standing is Standing.THERE
    assert isinstance(target.plan(stand.asked(key)), NothingToDo)


def test_an_off_variation_is_added_where_there_was_none_and_removed_by_the_undo(stand: Stand) -> None:
    stand.vendor.add("theme", variations=("new", "old"), off=None)
    key, target = "launchdarkly:shop/production/flags:theme", stand.target({"theme": "old"})
    plan = stand.planned(key, target)
    target.apply(plan)
    assert settings(stand, "theme")["offVariation"] == 1
    target.apply(stand.planned(key, target, undo=plan.intent))
    assert "offVariation" not in settings(stand, "theme")


def test_a_permanent_flag_is_left_unless_its_safe_state_is_declared(stand: Stand) -> None:
    stand.vendor.flags["search"]["temporary"] = False
    plan = stand.planned()
    assert set(plan.intent.record["after"]) == {"cart"}  # type: ignore[arg-type]  # a mapping
    assert "flag 'search' stays as it is: it is marked permanent in LaunchDarkly" in plan.not_undone
    declared = stand.target({"search": "off"})
    assert set(stand.planned(target=declared).intent.record["after"]) == {"cart", "search"}  # type: ignore[arg-type]  # a mapping


def test_targeting_is_seen_to_change_and_names_nobody(stand: Stand) -> None:
    before = stand.seen(CART)
    stand.vendor.set("cart", targets=[{"variation": 1, "values": ["bob@example.com"]}])
    after = stand.seen(CART)
    assert after.revision != before.revision
    assert "bob" not in json.dumps([dict(after.parts), dict(stand.planned(CART).intent.record)])


def test_a_change_of_targeting_can_not_be_put_back_and_says_so(stand: Stand) -> None:
    stand.vendor.add("theme", variations=("new", "old"), off=None)
    key = "launchdarkly:shop/production/flags:theme"
    before = dict(stand.seen(key).parts)
    stand.vendor.set("theme", fallthrough={"variation": 1}, on=False)
    plan = stand.planned(key, before=before)
    with pytest.raises(Refused, match="the targeting of flag 'theme' changed too"):
        stand.target().apply(plan)
    assert stand.vendor.writes == []


def test_a_flag_that_served_what_the_code_says_goes_back_to_that(stand: Stand) -> None:
    stand.vendor.add("theme", variations=("new", "old"), off=None, on=False)
    key = "launchdarkly:shop/production/flags:theme"
    before = dict(stand.seen(key).parts)
    stand.vendor.set("theme", on=True)
    stand.target().apply(stand.planned(key, before=before))
    assert not settings(stand, "theme")["on"]


def test_a_change_has_the_moment_of_the_settings_and_the_author_of_the_log(stand: Stand) -> None:
    stand.vendor.set("cart", by="ann@example.com", on=False)
    state = stand.seen()
    assert state.change_id is not None
    assert state.change_id.startswith("cart@2/")
    assert (state.touched, state.writer) == (("cart",), "ann@example.com")
    assert state.started is not None
    assert state.started.early.timestamp() * 1000 == settings(stand)["lastModified"]


def test_a_log_that_is_late_or_closed_names_nobody(stand: Stand) -> None:
    stand.vendor.set("cart", by="bob@example.com", on=False)
    stand.vendor.audit[0]["date"] -= 60_000
    assert stand.seen().writer is None
    stand.vendor.audit.clear()
    assert stand.seen().writer is None
    stand.vendor.may_audit = False
    assert stand.seen().writer is None


def test_a_filter_that_is_not_understood_never_widens_the_scope(stand: Stand) -> None:
    page = {"items": [json.loads(json.dumps({**flag, "tags": []})) for flag in stand.vendor.flags.values()], "totalCount": 3, "_links": {}}
    stand.vendor.weather = [answered(page)]
    assert isinstance(stand.error(), Refused)


def test_a_list_that_changes_between_its_pages_is_no_answer(stand: Stand) -> None:
    stand.vendor.weather = [answered({"items": [], "totalCount": 3, "_links": {}})]
    assert isinstance(stand.error(), Transient)


def test_an_unknown_project_is_final_and_no_missing_flag(stand: Stand) -> None:
    target = stand.target()
    stand.vendor.project = "another"
    for scope in ("flags:cart", "tag:checkout", "all"):
        key = f"launchdarkly:shop/production/{scope}"
        error = target.survey([key])[key]
        assert type(error) is Permanent
        assert "Unknown project key" in str(error)


def test_the_wait_is_the_time_to_the_reset_where_no_other_is_named(stand: Stand) -> None:
    headers = {"Date": "Mon, 02 Feb 2026 02:40:00 GMT", "X-Ratelimit-Reset": "1770000012500"}
    stand.vendor.weather = [Reply(429, headers=headers)]
    error = stand.error()
    assert isinstance(error, Transient)
    assert error.retry_after == 12.5


def test_a_flag_that_is_off_already_is_left(stand: Stand) -> None:
    stand.vendor.set("cart", on=False)
    found = stand.target().plan(stand.asked(CART))
    assert isinstance(found, NothingToDo)
    assert not isinstance(found, Plan)


def test_a_flag_that_went_since_the_plan_is_refused(stand: Stand) -> None:
    plan = stand.planned(CART)
    stand.vendor.archive("cart")
    with pytest.raises(Refused, match="'cart'"):
        stand.target().apply(plan)
    assert stand.target().look(plan.intent).standing is Standing.ELSEWHERE


def test_a_request_for_a_revision_that_is_gone_is_refused(stand: Stand) -> None:
    with pytest.raises(Refused, match="no longer at"):
        stand.target().plan(PlanRequest(CART, "inc-1", "another"))
