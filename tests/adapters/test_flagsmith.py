"""What only Flagsmith does: segment and identity overrides, change requests, permanent tags, hidden flags, no precondition."""

from typing import Any

import pytest

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.target import Standing
from tests.adapters.flag_stands import Stand, stand_of
from tests.doubles.flags.vendor import answered

stand = stand_of("flagsmith")
CART = "flagsmith:shop/production/flags:cart"


def state(stand: Stand, name: str = "cart") -> dict[str, Any]:
    return stand.vendor.features[name]["states"]["production"]  # type: ignore[no-any-return]


def test_off_is_off_in_every_segment_and_back_exactly(stand: Stand) -> None:
    stand.vendor.add("beta", segments={7: True, 8: False})
    before = stand.vendor.features["beta"]["states"]["production"].copy()
    key, target = "flagsmith:shop/production/flags:beta", stand.target()
    plan = stand.planned(key)
    target.apply(plan)
    assert not state(stand, "beta")["environment_default"]["enabled"]
    assert [each["enabled"] for each in state(stand, "beta")["segment_overrides"]] == [False, False]
    assert stand.vendor.writes[0].body == {
        "environment_default": {"enabled": False},
        "segment_overrides": [{"segment": {"id": 7}, "enabled": False}],
    }
    target.apply(stand.planned(key, undo=plan.intent))
    assert state(stand, "beta") == before


def test_a_flag_that_is_on_in_a_segment_only_goes_off_there(stand: Stand) -> None:
    stand.vendor.add("beta", enabled=False, segments={7: True})
    stand.target().apply(stand.planned("flagsmith:shop/production/flags:beta"))
    assert [each["enabled"] for each in state(stand, "beta")["segment_overrides"]] == [False]


def test_identity_overrides_stay_and_are_named_in_the_plan_and_by_the_check(stand: Stand) -> None:
    stand.vendor.add("beta", identities=3)
    key = "flagsmith:shop/production/flags:beta"
    assert "3 identity overrides of 'beta' stay as they are" in stand.planned(key).command
    (line,) = stand.target().check([key])
    assert "flag 'beta' has 3 identity overrides" in line


def test_change_requests_are_found_before_the_incident(stand: Stand) -> None:
    stand.vendor.change_requests.add("production")
    (line,) = stand.target().check([CART])
    assert "has change requests on" in line


def test_a_person_between_our_last_read_and_the_write_is_seen_by_the_look(stand: Stand) -> None:
    # Flagsmith has nothing to test in a write: the switch itself is an absolute state, so that theirs is overwritten only if it is the same switch.
    plan = stand.planned(CART)
    stand.vendor.before_write = [lambda: stand.vendor.set("cart", value={"type": "string", "value": "red"})]
    stand.target().apply(plan)
    assert state(stand)["environment_default"] == {"enabled": False, "value": {"type": "string", "value": "red"}, "variants": []}
    assert stand.target().look(plan.intent).standing is Standing.ELSEWHERE


def test_a_value_that_changes_changes_the_revision_and_is_not_kept(stand: Stand) -> None:
    before = stand.seen(CART)
    stand.vendor.set("cart", value={"type": "string", "value": "a-secret-value"})
    after = stand.seen(CART)
    assert after.revision != before.revision
    assert "a-secret-value" not in repr(after)


def test_a_flag_with_a_permanent_tag_is_left_unless_its_safe_state_is_declared(stand: Stand) -> None:
    stand.vendor.add("limiter", tags=("checkout", "permanent"))
    assert "limiter" not in stand.planned().intent.record["after"]  # type: ignore[operator]  # a mapping
    assert any("'limiter' stays as it is" in line for line in stand.planned().not_undone)
    assert "limiter" in stand.planned(target=stand.target({"limiter": "off"})).intent.record["after"]  # type: ignore[operator]  # a mapping


def test_an_environment_that_hides_disabled_flags_counts_as_served(stand: Stand) -> None:
    plan = stand.planned(CART)
    stand.target().apply(plan)
    del stand.vendor.served["cart"]
    assert stand.target().look(plan.intent).standing is Standing.THERE


def test_the_environment_may_be_given_by_its_key(stand: Stand) -> None:
    assert set(stand.seen("flagsmith:shop/env-production/tag:checkout").parts) == {"cart", "search"}


@pytest.mark.parametrize("count", [None, 2])
def test_a_flag_whose_overrides_are_not_counted_is_asked_for_by_itself(stand: Stand, count: int | None) -> None:
    stand.vendor.add("beta", enabled=False, segments={7: True})
    stand.vendor.features["beta"]["counted"] = count
    assert stand.seen("flagsmith:shop/production/flags:beta").parts["beta"]["segments"] == {"7": True}  # type: ignore[index, call-overload]  # a mapping


def test_a_flag_without_a_state_in_the_environment_is_an_error_and_not_off(stand: Stand) -> None:
    stand.vendor.stateless.add("cart")
    assert type(stand.error(CART)) is Transient


def test_a_server_without_the_endpoint_is_found_before_the_incident(stand: Stand) -> None:
    answer = stand.vendor.answer
    stand.vendor.answer = lambda call: answered({"detail": "Not found."}, 404) if "__future__" in call.parts else answer(call)
    (line,) = stand.target().check([CART])
    assert "upgrade Flagsmith" in line


def test_pages_are_counted_here_and_their_addresses_never_followed(stand: Stand) -> None:
    elsewhere = {"count": 2, "next": "http://127.0.0.1:1/steal", "previous": None, "results": []}
    stand.vendor.weather = [answered(elsewhere)]
    stand.error()
    assert [call.query["page"] for call in stand.vendor.calls] == ["1", "2"]


def test_a_right_that_is_missing_is_no_change_request(stand: Stand) -> None:
    plan = stand.planned(CART)
    stand.forbid()
    with pytest.raises(Permanent, match="the right"):
        stand.target().apply(plan)
