"""What only GrowthBook does: a feature that is off is missing, off of another type is the code's, reviews, encrypted payloads."""

from typing import Any

import pytest

from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import Standing
from tests.adapters.flag_stands import Stand, stand_of
from tests.doubles.flags.vendor import answered

stand = stand_of("growthbook")
CART = "growthbook:shop/production/flags:cart"


def feature(stand: Stand, name: str = "cart") -> dict[str, Any]:
    return stand.vendor.features[name]  # type: ignore[no-any-return]


def test_off_is_one_toggle_of_one_environment_with_the_reason(stand: Stand) -> None:
    stand.target().apply(stand.planned(CART))
    (call,) = stand.vendor.writes
    assert call.body == {"environments": {"production": False}, "reason": "rollbackd:inc-1"}
    assert feature(stand)["environments"]["staging"]["enabled"]


@pytest.mark.parametrize("kind", ["string", "number", "json"])
def test_off_of_another_type_is_whatever_stands_in_the_code_and_needs_a_declared_safe_state(stand: Stand, kind: str) -> None:
    stand.vendor.add("limit", kind=kind, default="10")
    key = "growthbook:shop/production/flags:limit"
    with pytest.raises(Refused, match="no default for off"):
        stand.target().plan(stand.asked(key))
    stand.target().apply(stand.planned(key, stand.target({"limit": "off"})))
    assert not feature(stand, "limit")["environments"]["production"]["enabled"]


def test_rules_that_change_change_the_revision_in_their_environment_only(stand: Stand) -> None:
    staging = "growthbook:shop/staging/flags:cart"
    before = stand.seen(CART).revision, stand.seen(staging).revision
    feature(stand)["rules"].append({"id": "r2", "type": "force", "value": "false", "allEnvironments": False, "environments": ["production"]})
    assert stand.seen(CART).revision != before[0]
    assert stand.seen(staging).revision == before[1]


def test_a_new_description_is_no_change(stand: Stand) -> None:
    before = stand.seen(CART)
    feature(stand).update(description="better words", dateUpdated="2026-03-01T00:00:00.000Z")
    assert stand.seen(CART) == before


def test_a_person_who_changes_the_rules_just_before_the_toggle_stops_it(stand: Stand) -> None:
    target, plan = stand.target(), stand.planned()
    reads = 0
    answer = stand.vendor.answer

    def meddling(call: Any) -> Any:
        nonlocal reads
        reads += call.parts[-1] == "search"
        if reads == 1 and call.parts[-1] == "search":
            feature(stand, "search")["rules"].clear()
        return answer(call)

    stand.vendor.answer = meddling
    with pytest.raises(Transient, match=r"flag 'cart' written, flag 'search' not: .*changed since it was read"):
        target.apply(plan)
    assert feature(stand, "search")["environments"]["production"]["enabled"]


def test_a_review_is_refused_by_its_words_whatever_the_status(stand: Stand) -> None:
    plan = stand.planned(CART)
    stand.vendor.next_write = answered({"message": "This feature requires a review for kill switch changes"}, 400)
    with pytest.raises(Refused, match="requires a review") as raised:
        stand.target().apply(plan)
    assert "bypass approval checks" in raised.value.advice


def test_a_right_that_is_missing_is_no_review(stand: Stand) -> None:
    plan = stand.planned(CART)
    stand.forbid()
    with pytest.raises(Permanent, match="the right"):
        stand.target().apply(plan)


def test_a_payload_that_is_encrypted_is_found_by_the_check_and_never_taken_for_one_without_flags(stand: Stand) -> None:
    plan = stand.planned(CART)
    stand.target().apply(plan)
    plan = stand.planned(CART, undo=plan.intent)
    stand.target().apply(plan)
    encrypted = answered({"status": 200, "features": {}, "encryptedFeatures": "vMSg2Bj/IurObDsWVmvkUg=="})
    served = stand.vendor.answer
    stand.vendor.answer = lambda call: encrypted if call.parts[:2] == ("api", "features") else served(call)
    assert stand.target().look(plan.intent).standing is Standing.THERE  # the toggle is kept; nobody can see more
    assert any("encrypts" in line for line in stand.target().check([CART]))


def test_a_feature_that_is_on_again_is_served_again(stand: Stand) -> None:
    target, plan = stand.target(), stand.planned(CART)
    target.apply(plan)
    undo = stand.planned(CART, undo=plan.intent)
    stand.vendor.lagging = True
    target.apply(undo)
    assert target.look(undo.intent).standing is Standing.UNDERWAY
    stand.vendor.propagate()
    assert target.look(undo.intent).standing is Standing.THERE
