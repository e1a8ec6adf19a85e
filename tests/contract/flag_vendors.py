"""The hosted flag services for the flag contract: our adapters against doubles of their documented APIs (tests/doubles/flags)."""

import contextlib
import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from rollbackd.adapters import configcat as cc
from rollbackd.adapters import flagsmith as fs
from rollbackd.adapters import growthbook as gb
from rollbackd.adapters import launchdarkly as ld
from tests.contract.flag_stages import FlagStage
from tests.doubles.flags.configcat import CONFIG, PRODUCT, ConfigCat, rule
from tests.doubles.flags.flagsmith import Flagsmith
from tests.doubles.flags.growthbook import GrowthBook
from tests.doubles.flags.launchdarkly import LaunchDarkly
from tests.doubles.flags.vendor import Vendor, standing

V = TypeVar("V", bound=Vendor)
FLAGS = {"new-cart": ("checkout", True), "new-search": ("checkout", True), "banner": ("other", True), "old-cart": ("checkout", False)}


@dataclass(frozen=True, slots=True)
class Hosted:
    """The flags of a hosted service. ``another_writer`` changes who is served ``new-cart``; ``token`` is the file of our secret."""

    flags: FlagStage
    another_writer: Callable[[], object]
    token: Path


def started(request: pytest.FixtureRequest, vendor: V) -> V:
    """The vendor answers until the test ends."""
    stack = contextlib.ExitStack()
    request.addfinalizer(stack.close)
    return stack.enter_context(standing(vendor))


def written(request: pytest.FixtureRequest, name: str, secret: str) -> Path:
    """A file with this secret in the test's folder."""
    file: Path = request.getfixturevalue("tmp_path") / name
    file.write_text(secret + "\n")
    return file


def without(settings: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in settings.items() if name not in names}


def launchdarkly(request: pytest.FixtureRequest) -> Hosted:
    vendor = started(request, LaunchDarkly())
    for name, (tag, is_on) in FLAGS.items():
        vendor.add(name, tags=(tag,), on=is_on)
    token = written(request, "token", "api-secret")
    api = ld.api(vendor.url, token)
    sdk = {"production": ld.api(vendor.url, written(request, "sdk", "sdk-secret"))}

    def served() -> dict[str, bool]:
        # An SDK serves the fall-through variation while a flag is on, its off variation while it is off.
        shown = {name: (flag, flag["environments"]["production"]) for name, flag in vendor.served.items()}
        place = {name: each["fallthrough"]["variation"] if each["on"] else each["offVariation"] for name, (_, each) in shown.items()}
        return {name: flag["variations"][place[name]]["value"] for name, (flag, _) in shown.items()}

    flags = FlagStage(
        place="launchdarkly:shop/production",
        target=lambda safe, most: ld.LaunchDarkly({"shop": ld.Project("shop", api, "shop", sdk=sdk, safe_states=safe, max_flags=most)}),
        switch=lambda name, is_on: vendor.set(name, on=is_on),
        served=served,
        content=lambda: {name: without(flag["environments"]["production"], "version", "lastModified") for name, flag in vendor.flags.items()},
        has_history=True,
    )
    return Hosted(flags, lambda: vendor.set("new-cart", fallthrough={"variation": 1}), token)


def flagsmith(request: pytest.FixtureRequest) -> Hosted:
    vendor = started(request, Flagsmith())
    for name, (tag, is_on) in FLAGS.items():
        vendor.add(name, tags=(tag,), enabled=is_on, segments={7: is_on} if name == "new-cart" else {})
    token = written(request, "token", "api-secret")
    api = fs.api(vendor.url, token)

    def served() -> dict[str, bool]:
        # Everybody, in a segment or not.
        states = {name: feature["states"]["production"] for name, feature in vendor.served.items()}
        return {name: any(each["enabled"] for each in (state["environment_default"], *state["segment_overrides"])) for name, state in states.items()}

    def switch(name: str, is_on: bool) -> None:
        vendor.set(name, enabled=is_on)
        for override in vendor.features[name]["states"]["production"]["segment_overrides"]:
            override["enabled"] = is_on
        vendor.wrote()

    flags = FlagStage(
        place="flagsmith:shop/production",
        target=lambda safe, most: fs.Flagsmith({"shop": fs.Project("shop", api, 7, flags_url=vendor.url, safe_states=safe, max_flags=most)}),
        switch=switch,
        served=served,
        content=lambda: {name: copy.deepcopy(feature["states"]["production"]) for name, feature in vendor.features.items()},
        has_history=False,
    )
    return Hosted(flags, lambda: vendor.set("new-cart", value={"type": "string", "value": "red"}), token)


def growthbook(request: pytest.FixtureRequest) -> Hosted:
    vendor = started(request, GrowthBook())
    for name, (tag, is_on) in FLAGS.items():
        vendor.add(name, tags=(tag,), enabled=is_on)
    token = written(request, "token", "secret-admin")
    api = gb.api(vendor.url, token)
    sdk = {"production": gb.sdk_api(vendor.url, written(request, "sdk", "sdk-abc123"))}

    flags = FlagStage(
        place="growthbook:shop/production",
        target=lambda safe, most: gb.GrowthBook({"shop": gb.Organisation("shop", api, sdk=sdk, safe_states=safe, max_flags=most)}),
        switch=lambda name, is_on: vendor.set(name, enabled=is_on),
        served=lambda: {name: each["environments"]["production"]["enabled"] for name, each in vendor.served.items()},
        content=lambda: {name: dict(each["environments"]["production"]) for name, each in vendor.features.items()},
        has_history=False,
    )
    return Hosted(flags, vendor.features["new-cart"]["rules"].clear, token)


def configcat(request: pytest.FixtureRequest) -> Hosted:
    vendor = started(request, ConfigCat())
    for name, (tag, is_on) in FLAGS.items():
        vendor.add(name, tags=(tag,), value=is_on, rules=[rule(is_on)] if name == "new-search" else [])
    token = written(request, "token", "api-user:api-pass")
    api = cc.api(vendor.url, token)
    cdn = {"production": cc.cdn(vendor.url, written(request, "sdk", "sdk/key"))}

    def served() -> dict[str, bool]:
        # Everybody, targeted or not.
        values = {name: value for (environment, name), value in vendor.served.items() if environment == "production"}
        rules = {name: [each["value"]["boolValue"] for each in value["targetingRules"]] for name, value in values.items()}
        return {name: any([value["defaultValue"]["boolValue"], *rules[name]]) for name, value in values.items()}

    def switch(name: str, is_on: bool) -> None:
        rules = vendor.values["production", name]["targetingRules"]
        vendor.set(name, defaultValue={"boolValue": is_on}, targetingRules=[{**each, "value": {"boolValue": is_on}} for each in rules])

    def content() -> dict[str, object]:
        values = {name: value for (environment, name), value in vendor.values.items() if environment == "production"}
        return {name: {part: value[part] for part in ("defaultValue", "targetingRules")} for name, value in values.items()}

    def target(safe: Mapping[str, str], most: int) -> cc.ConfigCat:
        return cc.ConfigCat({"shop": cc.ConfigFile("shop", api, PRODUCT, CONFIG, cdn=cdn, safe_states=safe, max_flags=most)})

    flags = FlagStage("configcat:shop/production", target, switch, served, content, has_history=True)
    return Hosted(flags, lambda: vendor.set("new-cart", targetingRules=[rule(True)]), token)


HOSTED: list[Callable[[pytest.FixtureRequest], Hosted]] = [launchdarkly, flagsmith, growthbook, configcat]


def stage_of(make: Callable[[pytest.FixtureRequest], Hosted]) -> Callable[[pytest.FixtureRequest], FlagStage]:
    """The service's stage for the flag contract, by the same name."""

    @functools.wraps(make)
    def stage(request: pytest.FixtureRequest) -> FlagStage:
        return make(request).flags

    return stage


FLAG_VENDORS = [stage_of(make) for make in HOSTED]
