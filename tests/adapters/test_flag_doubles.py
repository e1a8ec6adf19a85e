"""The doubles of the flag vendors do what the vendors document; a double that lies would prove nothing."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.doubles.flags.configcat import CONFIG, PRODUCT, ConfigCat, percentages, rule
from tests.doubles.flags.flagsmith import Flagsmith
from tests.doubles.flags.growthbook import GrowthBook
from tests.doubles.flags.launchdarkly import LaunchDarkly
from tests.doubles.flags.vendor import Vendor, standing

SEMANTIC = "application/json; domain-model=launchdarkly.semanticpatch"


def asked(vendor: Vendor, method: str, path: str, token: str = "", body: Any = None, kind: str = "application/json") -> requests.Response:
    headers = {"Content-Type": kind, **({"Authorization": token} if token else {})}
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, vendor.url + path, headers=headers, data=None if body is None else json.dumps(body), timeout=5)


@pytest.fixture
def launchdarkly() -> Iterator[LaunchDarkly]:
    with standing(LaunchDarkly()) as vendor:
        vendor.add("cart", tags=("checkout",))
        yield vendor


@pytest.fixture
def flagsmith() -> Iterator[Flagsmith]:
    with standing(Flagsmith()) as vendor:
        vendor.add("cart", tags=("checkout",), segments={7: True})
        yield vendor


@pytest.fixture
def growthbook() -> Iterator[GrowthBook]:
    with standing(GrowthBook()) as vendor:
        vendor.add("cart", tags=("checkout",))
        yield vendor


@pytest.fixture
def configcat() -> Iterator[ConfigCat]:
    with standing(ConfigCat()) as vendor:
        vendor.add("cart", rules=[rule(True), percentages((30, True), (70, False))])
        yield vendor


def test_launchdarkly_knows_the_bare_token_only(launchdarkly: LaunchDarkly) -> None:
    assert asked(launchdarkly, "GET", "/api/v2/flags/shop", "api-secret").status_code == 200
    assert asked(launchdarkly, "GET", "/api/v2/flags/shop", "Bearer api-secret").status_code == 401
    assert asked(launchdarkly, "GET", "/api/v2/flags/shop", "sdk-secret").status_code == 401


def test_launchdarkly_lists_20_live_flags_a_page_and_their_targeting_only_in_full(launchdarkly: LaunchDarkly) -> None:
    for number in range(24):
        launchdarkly.add(f"more-{number}")
    launchdarkly.archive("more-3")
    first = asked(launchdarkly, "GET", "/api/v2/flags/shop?env=production", "api-secret").json()
    assert (len(first["items"]), first["totalCount"], "next" in first["_links"]) == (20, 24, True)
    assert "rules" not in first["items"][0]["environments"]["production"]
    rest = asked(launchdarkly, "GET", "/api/v2/flags/shop?env=production&summary=0&limit=100&offset=20", "api-secret").json()
    assert (len(rest["items"]), "next" in rest["_links"]) == (4, False)
    assert rest["items"][0]["environments"]["production"]["rules"] == []


def test_a_semantic_patch_is_all_or_nothing_and_one_without_its_content_type_is_400(launchdarkly: LaunchDarkly) -> None:
    off = {"environmentKey": "production", "comment": "bad", "instructions": [{"kind": "turnFlagOff"}, {"kind": "dance"}]}
    assert asked(launchdarkly, "PATCH", "/api/v2/flags/shop/cart", "api-secret", off, SEMANTIC).status_code == 400
    assert launchdarkly.flags["cart"]["environments"]["production"]["on"]
    off["instructions"] = [{"kind": "turnFlagOff"}]
    assert asked(launchdarkly, "PATCH", "/api/v2/flags/shop/cart", "api-secret", off).status_code == 400
    done = asked(launchdarkly, "PATCH", "/api/v2/flags/shop/cart", "api-secret", off, SEMANTIC).json()
    assert (done["environments"]["production"]["on"], done["environments"]["production"]["version"]) == (False, 2)
    asked(launchdarkly, "PATCH", "/api/v2/flags/shop/cart", "api-secret", off, SEMANTIC)
    assert launchdarkly.flags["cart"]["environments"]["production"]["version"] == 2
    assert launchdarkly.flags["cart"]["environments"]["staging"]["on"]


def test_a_json_patch_whose_test_fails_changes_nothing(launchdarkly: LaunchDarkly) -> None:
    patch = [{"op": "test", "path": "/environments/production/version", "value": 9}]
    patch.append({"op": "replace", "path": "/environments/production/on", "value": False})
    assert asked(launchdarkly, "PATCH", "/api/v2/flags/shop/cart", "api-secret", {"comment": "bad", "patch": patch}).status_code == 400
    assert launchdarkly.flags["cart"]["environments"]["production"]["on"]
    patch[0]["value"] = 1
    assert asked(launchdarkly, "PATCH", "/api/v2/flags/shop/cart", "api-secret", {"comment": "bad", "patch": patch}).status_code == 200
    entry = asked(launchdarkly, "GET", "/api/v2/auditlog?spec=proj/shop:env/production:flag/cart", "api-secret").json()["items"][0]
    assert (entry["comment"], entry["target"]["resources"]) == ("bad", ["proj/shop:env/production:flag/cart"])


def test_an_environment_with_approvals_answers_405(launchdarkly: LaunchDarkly) -> None:
    launchdarkly.approvals.add("production")
    off = {"environmentKey": "production", "instructions": [{"kind": "turnFlagOff"}]}
    assert asked(launchdarkly, "PATCH", "/api/v2/flags/shop/cart", "api-secret", off, SEMANTIC).status_code == 405


def test_an_sdk_sees_a_write_once_it_has_propagated(launchdarkly: LaunchDarkly) -> None:
    launchdarkly.lagging = True
    launchdarkly.set("cart", on=False)
    assert asked(launchdarkly, "GET", "/sdk/latest-flags/cart", "sdk-secret").json()["on"]
    launchdarkly.propagate()
    assert not asked(launchdarkly, "GET", "/sdk/latest-flags/cart", "sdk-secret").json()["on"]


def test_flagsmith_updates_what_is_listed_and_leaves_the_rest(flagsmith: Flagsmith) -> None:
    path = "/api/__future__/environments/env-production/features/1000/"
    shown = asked(flagsmith, "PATCH", path, "Api-Key api-secret", {"environment_default": {"enabled": False}}).json()
    assert (shown["environment_default"]["enabled"], shown["segment_overrides"][0]["enabled"]) == (False, True)
    off = {"segment_overrides": [{"segment": {"id": 7}, "enabled": False}]}
    shown = asked(flagsmith, "PATCH", path, "Api-Key api-secret", off).json()
    assert shown["segment_overrides"][0] == {
        "segment": {"id": 7},
        "priority": 0,
        "enabled": False,
        "value": {"type": "string", "value": "blue"},
        "variants": [],
    }


def test_flagsmith_refuses_writes_where_change_requests_are_on(flagsmith: Flagsmith) -> None:
    flagsmith.change_requests.add("production")
    path = "/api/__future__/environments/env-production/features/1000/"
    assert asked(flagsmith, "GET", path, "Api-Key api-secret").status_code == 200
    answer = asked(flagsmith, "PATCH", path, "Api-Key api-secret", {"environment_default": {"enabled": False}})
    assert (answer.status_code, "change requests are enabled" in answer.json()["detail"]) == (403, True)


def test_flagsmith_pages_by_a_whole_address(flagsmith: Flagsmith) -> None:
    for number in range(11):
        flagsmith.add(f"more-{number}")
    first = asked(flagsmith, "GET", "/api/v1/projects/7/features/?environment=101", "Api-Key api-secret").json()
    assert (first["count"], len(first["results"]), first["next"].startswith(flagsmith.url)) == (12, 10, True)
    assert asked(flagsmith, "GET", "/api/v1/projects/7/features/?environment=101&page=3", "Api-Key api-secret").status_code == 404


def test_growthbook_serves_no_feature_that_is_off(growthbook: GrowthBook) -> None:
    assert set(asked(growthbook, "GET", "/api/features/sdk-abc123").json()["features"]) == {"cart"}
    off = {"environments": {"production": False}, "reason": "bad"}
    done = asked(growthbook, "POST", "/api/v2/features/cart/toggle", "Bearer secret-admin", off).json()["feature"]
    assert (done["environments"]["production"]["enabled"], done["environments"]["staging"]["enabled"]) == (False, True)
    assert asked(growthbook, "GET", "/api/features/sdk-abc123").json()["features"] == {}
    again = asked(growthbook, "POST", "/api/v2/features/cart/toggle", "Bearer secret-admin", off).json()["feature"]
    assert again["dateUpdated"] == done["dateUpdated"]


def test_growthbook_gates_a_toggle_that_needs_a_review(growthbook: GrowthBook) -> None:
    growthbook.gated.add("production")
    off = {"environments": {"production": False}}
    assert asked(growthbook, "POST", "/api/v2/features/cart/toggle", "Bearer secret-admin", off).status_code == 403
    assert asked(growthbook, "POST", "/api/v2/features/cart/toggle", "Bearer secret-admin", {"environments": {"moon": False}}).status_code == 400


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


def test_configcat_patches_the_value_and_says_204_where_nothing_changes(configcat: ConfigCat) -> None:
    path, login = "/v2/environments/08d5-production/settings/1/value", basic("api-user:api-pass")
    off = [{"op": "replace", "path": "/defaultValue/boolValue", "value": False}]
    before = asked(configcat, "GET", path, login).json()
    done = asked(configcat, "PATCH", f"{path}?reason=bad", login, off).json()
    assert (done["defaultValue"], done["targetingRules"]) == ({"boolValue": False}, before["targetingRules"])
    assert done["lastVersionId"] != before["lastVersionId"]
    assert asked(configcat, "PATCH", path, login, off).status_code == 204
    assert asked(configcat, "PATCH", path, login, [{"op": "test", "path": "/defaultValue/boolValue", "value": True}]).status_code == 400


def test_configcat_wants_a_note_where_one_is_mandatory(configcat: ConfigCat) -> None:
    configcat.notes.add("production")
    path, login = "/v2/environments/08d5-production/settings/1/value", basic("api-user:api-pass")
    off = [{"op": "replace", "path": "/defaultValue/boolValue", "value": False}]
    assert asked(configcat, "PATCH", path, login, off).status_code == 400
    assert asked(configcat, "PATCH", f"{path}?reason=bad", login, off).status_code == 200


def test_configcat_compiles_a_setting_for_the_sdks(configcat: ConfigCat) -> None:
    served = asked(configcat, "GET", "/configuration-files/sdk/key/config_v6.json").json()["f"]["cart"]
    assert served == {
        "t": 0,
        "v": {"b": True},
        "r": [{"c": [{}], "s": {"v": {"b": True}}}],
        "p": [{"p": 30, "v": {"b": True}}, {"p": 70, "v": {"b": False}}],
    }
    assert asked(configcat, "GET", f"/v1/products/{PRODUCT}/environments").status_code == 401
    assert asked(configcat, "GET", f"/v2/configs/{CONFIG}/environments/nowhere/values", basic("api-user:api-pass")).status_code == 404
