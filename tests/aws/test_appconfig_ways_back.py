"""AppConfig: a deployment that is a way back itself, ours or a person's, is never undone; what it took back is not deployed again."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rollbackd.adapters.aws import Aws
from rollbackd.adapters.aws.appconfig import AppConfig, Place, Profile
from rollbackd.adapters.aws.appconfig.calls import LIST_DEPLOYMENTS
from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.flags import Scope
from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest, TargetState
from tests.aws.appconfig import Shop, open_profile
from tests.aws.servers import REGION, Microburst, microburst
from tests.servers import Server

pytestmark = pytest.mark.usefixtures("aws_keys")

ALL = "appconfig:shop/all"
CART = "appconfig:shop/flags:cart"
TOO_LATE = {"service": "appconfig", "operation": "StopDeployment", "error": {"code": "BadRequestException", "status": 400}}
"""What AppConfig answers 72 hours after a deployment's end."""


@pytest.fixture(scope="module")
def front(ministack: Server) -> Iterator[Microburst]:
    with microburst(ministack.url) as front:
        yield front


@pytest.fixture
def shop(front: Microburst, ministack: Server) -> Shop:
    """Version 1 has all flags off, version 2 is the release."""
    front.rules()
    shop = open_profile(ministack.url)
    shop.deploy({"cart": False, "search": False, "banner": False})
    shop.deploy({"cart": True, "search": True})
    return shop


def planned(target: AppConfig, key: str = ALL, **more: Any) -> Plan | NothingToDo:
    state = target.survey([key])[key]
    assert isinstance(state, TargetState), state
    return target.plan(PlanRequest(key, "inc-1", state.revision, **more))


def put_back(target: AppConfig, key: str) -> None:
    plan = planned(target, key)
    assert isinstance(plan, Plan), plan
    target.apply(plan)


@pytest.mark.parametrize("is_restarted", [False, True], ids=["same-process", "after-a-restart"])
def test_a_version_of_our_own_is_not_undone_by_the_next_incident(shop: Shop, is_restarted: bool) -> None:
    target = shop.target()
    put_back(target, CART)
    assert isinstance(planned(shop.target() if is_restarted else target), NothingToDo)
    assert shop.deployments()[1:] == [(2, "2", "COMPLETE"), (3, "3", "COMPLETE")]


def test_the_version_before_that_we_deployed_is_not_undone_by_the_next_incident(shop: Shop, front: Microburst) -> None:
    target = shop.target(front.url)
    front.rules(TOO_LATE)
    put_back(target, ALL)
    assert shop.deployments()[-1] == (3, "1", "COMPLETE")
    assert isinstance(planned(target), NothingToDo)


def test_a_person_who_deploys_the_old_version_again_is_not_undone(shop: Shop) -> None:
    shop.start(1)
    nothing = planned(shop.target(), only=("cart", "search"))
    assert nothing == NothingToDo("2 flags of appconfig:shop/all already as deployment 3 left them, a way back itself")


def test_a_declared_safe_state_holds_after_a_way_back_too(shop: Shop) -> None:
    shop.start(1)
    put_back(shop.target(safe_states={"cart": "on"}), ALL)
    assert {name: each["enabled"] for name, each in shop.served().items()} == {"cart": True, "search": False, "banner": False}


def test_a_release_after_a_way_back_is_undone(shop: Shop) -> None:
    shop.start(1)
    shop.deploy({"banner": True})
    put_back(shop.target(), ALL)
    assert shop.deployments()[-1] == (4, "3", "REVERTED")


def test_an_environment_that_was_made_anew_is_found_again_and_nothing_is_known_of_its_numbers(shop: Shop) -> None:
    shop.start(1)
    target = shop.target()
    assert isinstance(planned(target), NothingToDo)
    anew = shop.made_anew()
    anew.start(1)
    anew.start(2)
    anew.deploy({"banner": True})
    put_back(target, ALL)
    assert anew.deployments() == [(1, "1", "COMPLETE"), (2, "2", "COMPLETE"), (3, "3", "REVERTED")]


def test_an_environment_that_is_gone_for_good_stays_a_fault(shop: Shop) -> None:
    target = shop.target()
    planned(target)
    shop.remove()
    found = target.survey([ALL])[ALL]
    assert isinstance(found, Permanent)
    assert "there is no environment 'production'" in str(found)


def test_a_deployment_that_went_on_since_it_was_read_is_still_the_same_one(shop: Shop) -> None:
    profile = shop.profile()
    reading = profile.read("", Scope("all"))
    seen: Any = reading.handle
    rolling = replace(reading, handle=replace(seen, live=replace(seen.live, state="DEPLOYING")))
    profile.write("", rolling, {"cart": {"enabled": False}, "search": {"enabled": False}}, "rollbackd:inc-1", time.monotonic() + 20)
    assert shop.deployments()[-1] == (2, "2", "REVERTED")


def test_a_flag_that_an_older_deployment_made_bad_is_not_called_safe(shop: Shop) -> None:
    shop.deploy({"banner": True})
    nothing = planned(shop.target(), CART, only=("cart",), before={"cart": {"enabled": False}})
    end = "as before deployment 3, the newest; no older one is gone back behind"
    assert nothing == NothingToDo(f"1 flag of {CART} already {end}")
    nothing = planned(shop.target(safe_states={"search": "off"}), CART, only=("cart",))
    assert nothing == NothingToDo(f"1 flag of {CART} already at the safe state, or {end}")


def test_a_version_that_was_in_force_on_an_older_page_is_gone_back_to() -> None:
    ages = Ages([(9, "1"), (8, "2")], [(7, "1")])
    profile = Profile("shop", Place(cast(Aws, ages), "prod", REGION, "shop", "production", "flags", "at-once"))
    for _ in range(2):
        profile.read("", Scope("all"))
    assert profile.safe_state("cart", {"enabled": False}, None) == {"enabled": False}
    assert ages.pages_asked == 4, "the older page is asked for once for each deployment"


class Ages:
    """An account whose deployments fill these pages; version 1 has the cart off, version 2 on. Each of its callers is itself."""

    def __init__(self, *found: list[tuple[int, str]]) -> None:
        self.found, self.pages_asked = found, 0

    def caller(self, *_: Any, **__: Any) -> "Ages":
        return self

    def pages(self, call: Call, **_: Any) -> Iterator[dict[str, Any]]:
        if call != LIST_DEPLOYMENTS:
            name = {"ListApplications": "shop", "ListEnvironments": "production"}.get(call.operation, "flags")
            yield {"Items": [{"Id": "id", "Name": name, "Type": "AWS.AppConfig.FeatureFlags"}]}
            return
        for page in self.found:
            self.pages_asked += 1
            yield {"Items": [self._item(*each) for each in page]}

    def _item(self, number: int, version: str) -> dict[str, Any]:
        started = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=number)
        at = {"DeploymentNumber": number, "ConfigurationVersion": version, "StartedAt": started}
        return {**at, "State": "COMPLETE", "ConfigurationProfileId": "id", "ConfigurationName": "flags"}

    def read(self, call: Call, **asked: Any) -> dict[str, Any]:
        if call.operation == "GetDeployment":
            return {"State": "COMPLETE"}
        return {
            "Content": Body(
                f'{{"flags": {{"cart": {{}}}}, "values": {{"cart": {{"enabled": {"true" if asked["VersionNumber"] == 2 else "false"}}}}}}}'
            )
        }


class Body:
    """An answer's body."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> bytes:
        return self._text.encode()
