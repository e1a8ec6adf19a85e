"""What only ConfigCat does: off is every served value, settings of other types, mandatory notes, read-only credentials, who changed what."""

from typing import Any

import pytest

from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.target import Standing
from tests.adapters.flag_stands import Stand, stand_of
from tests.doubles.flags.configcat import percentages, rule
from tests.doubles.flags.vendor import answered

stand = stand_of("configcat")
CART = "configcat:shop/production/flags:cart"


def value(stand: Stand, name: str) -> dict[str, Any]:
    found = stand.vendor.values["production", name]
    return {part: found[part] for part in ("defaultValue", "targetingRules")}


def test_off_is_every_value_that_is_served_and_keeps_who_is_targeted(stand: Stand) -> None:
    stand.vendor.add("beta", value=False, rules=[rule(True), percentages((30, True), (70, False))])
    before = value(stand, "beta")
    key, target = "configcat:shop/production/flags:beta", stand.target()
    plan = stand.planned(key)
    target.apply(plan)
    assert value(stand, "beta") == {"defaultValue": {"boolValue": False}, "targetingRules": [rule(False), percentages((30, False), (70, False))]}
    assert target.look(plan.intent).standing is Standing.THERE
    target.apply(stand.planned(key, undo=plan.intent))
    assert value(stand, "beta") == before


def test_the_write_tests_every_value_and_replaces_those_that_differ(stand: Stand) -> None:
    stand.vendor.add("beta", value=False, rules=[rule(True)])
    stand.target().apply(stand.planned("configcat:shop/production/flags:beta"))
    (call,) = stand.vendor.writes
    assert call.query == {"reason": "rollbackd:inc-1"}
    assert call.body == [
        {"op": "test", "path": "/defaultValue/boolValue", "value": False},
        {"op": "test", "path": "/targetingRules/0/value/boolValue", "value": True},
        {"op": "replace", "path": "/targetingRules/0/value/boolValue", "value": False},
    ]


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_change_between_our_last_read_and_the_write_is_refused_whatever_status_it_has(stand: Stand, status: int) -> None:
    stand.vendor.add("beta", rules=[rule(True)])
    stand.vendor.failed_test_status = status
    plan = stand.planned("configcat:shop/production/flags:beta")
    stand.vendor.before_write = [lambda: stand.vendor.set("beta", targetingRules=[])]
    with pytest.raises(Refused, match=r"'beta'.*changed since it was read"):
        stand.target().apply(plan)
    assert value(stand, "beta") == {"defaultValue": {"boolValue": True}, "targetingRules": []}


@pytest.mark.parametrize(
    ("kind", "now", "word", "then"),
    [
        pytest.param("string", "new", "old", "old", id="string"),
        pytest.param("int", 50, "10", 10, id="int"),
        pytest.param("double", 0.5, "0.25", 0.25, id="double"),
    ],
)
def test_a_setting_that_is_no_switch_goes_to_its_declared_value(stand: Stand, kind: str, now: Any, word: str, then: Any) -> None:
    stand.vendor.add("limit", kind=kind, value=now, rules=[rule(now, kind)])
    key, target = "configcat:shop/production/flags:limit", stand.target({"limit": word})
    with pytest.raises(Refused, match="no default for off"):
        stand.target().plan(stand.asked(key))
    plan = stand.planned(key, target)
    target.apply(plan)
    assert value(stand, "limit")["targetingRules"] == [rule(then, kind)]
    assert target.look(plan.intent).standing is Standing.THERE


@pytest.mark.parametrize("printed", [5, 5.0])
def test_a_whole_number_is_the_same_however_the_server_prints_it(stand: Stand, printed: float) -> None:
    stand.vendor.add("limit", kind="double", value=0.5, rules=[rule(0.5, "double")])
    key, target = "configcat:shop/production/flags:limit", stand.target({"limit": "5"})
    plan = stand.planned(key, target)
    target.apply(plan)
    value(stand, "limit")["defaultValue"]["doubleValue"] = printed
    value(stand, "limit")["targetingRules"][0]["value"]["doubleValue"] = printed
    stand.vendor.propagate()
    assert target.look(plan.intent).standing is Standing.THERE
    assert stand.seen(key).revision == plan.intent.to_revision


def test_a_number_that_is_none_is_refused(stand: Stand) -> None:
    stand.vendor.add("limit", kind="int", value=50)
    with pytest.raises(Refused, match="of type int and cannot be 'many'"):
        stand.target({"limit": "many"}).plan(stand.asked("configcat:shop/production/flags:limit"))


def test_where_notes_are_mandatory_the_write_has_one(stand: Stand) -> None:
    stand.vendor.notes.add("production")
    stand.target().apply(stand.planned(CART))
    assert not stand.is_on("cart")


def test_a_change_that_needs_an_approval_is_refused_by_its_words(stand: Stand) -> None:
    plan = stand.planned(CART)
    stand.vendor.next_write = answered({"message": "A change request is required in this environment."}, 403)
    with pytest.raises(Refused, match="change request is required") as raised:
        stand.target().apply(plan)
    assert raised.value.advice


def test_credentials_that_may_only_read_are_found_before_the_incident(stand: Stand) -> None:
    stand.vendor.read_only.add("production")
    (line,) = stand.target().check([CART])
    assert "read-only" in line


def test_who_is_targeted_is_seen_to_change_and_is_not_kept(stand: Stand) -> None:
    before = stand.seen(CART)
    stand.vendor.set("cart", targetingRules=[rule(True)])
    after = stand.seen(CART)
    assert after.revision != before.revision
    assert "bob@example.com" not in repr((after, stand.planned(CART)))


def test_a_change_has_the_moment_of_the_setting_and_its_author(stand: Stand) -> None:
    stand.flip("cart", False)
    state = stand.seen()
    assert (state.touched, state.writer) == (("cart",), "ann@example.com")
    assert state.started is not None
    assert state.started.early.isoformat().startswith("2026-02-01T")


def test_a_log_that_is_late_or_closed_names_nobody(stand: Stand) -> None:
    stand.flip("cart", False)
    stand.vendor.audit.clear()
    assert stand.seen().writer is None
    stand.vendor.may_audit = False
    assert stand.seen().writer is None


def test_seven_digits_of_a_second_are_read(stand: Stand) -> None:
    stand.vendor.values["production", "cart"]["updatedAt"] = "2026-02-02T10:00:00.1234567Z"
    state = stand.seen(CART)
    assert state.started is not None
    assert state.started.early.microsecond == 123456


def test_a_product_that_is_not_there_is_final(stand: Stand) -> None:
    stand.vendor.environments = {}
    assert type(stand.error()) is Permanent
    assert "known are: none" in str(stand.error())
