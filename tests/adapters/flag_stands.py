"""Each hosted flag service with three flags, its adapter, and what people and the weather may do to it.

``cart`` and ``search`` are tagged ``checkout`` and on, ``banner`` is tagged ``other`` and on.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters import configcat as cc
from rollbackd.adapters import flagsmith as fs
from rollbackd.adapters import growthbook as gb
from rollbackd.adapters import launchdarkly as ld
from rollbackd.adapters.base.errors import AdapterError
from rollbackd.adapters.base.target import Plan, PlanRequest, Target, TargetState
from tests.doubles.flags import configcat, flagsmith, growthbook, launchdarkly
from tests.doubles.flags.vendor import Reply, Vendor, standing

HURRY = timedelta(0)
TAGS = {"cart": "checkout", "search": "checkout", "banner": "other"}


@dataclass
class Stand:
    """One service. ``target``: an adapter with these declared safe states, which verifies what applications are served if ``key`` is true."""

    kind: str
    vendor: Any  # its own double: tests arrange it by its own means
    token: Path
    secret: str
    make: Callable[[Mapping[str, str], bool], Target]
    flip: Callable[[str, bool], object]
    is_on: Callable[[str], bool]
    add: Callable[[str], object]
    archive: Callable[[str], object]
    limited: Reply
    forbid: Callable[[], object]
    want_approval: Callable[[], object]
    key: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.key = f"{self.kind}:shop/production/tag:checkout"

    def vendor_keys(self) -> dict[str, str]:
        """The keys that the service's SDKs may use, by key."""
        return self.vendor.client_keys if self.kind == "growthbook" else self.vendor.sdk_keys  # type: ignore[no-any-return]

    def target(self, safe: Mapping[str, str] | None = None, *, verified: bool = True) -> Target:
        return self.make(safe or {}, verified)

    def seen(self, key: str = "", target: Target | None = None) -> TargetState:
        state = (target or self.target()).survey([key or self.key])[key or self.key]
        assert isinstance(state, TargetState), state
        return state

    def error(self, key: str = "") -> AdapterError:
        state = self.target().survey([key or self.key])[key or self.key]
        assert isinstance(state, AdapterError), state
        return state

    def asked(self, key: str = "", target: Target | None = None, **request: Any) -> PlanRequest:
        return PlanRequest(key or self.key, "inc-1", self.seen(key, target).revision, **request)

    def planned(self, key: str = "", target: Target | None = None, **request: Any) -> Plan:
        plan = (target or self.target()).plan(self.asked(key, target, **request))
        assert isinstance(plan, Plan), plan
        return plan


@contextlib.contextmanager
def _standing(folder: Path, secret: str, vendor: Vendor) -> Iterator[tuple[Path, Path]]:
    token, sdk = folder / "token", folder / "sdk"
    token.write_text(secret)
    with standing(vendor):
        yield token, sdk


@contextlib.contextmanager
def launchdarkly_stand(folder: Path) -> Iterator[Stand]:
    vendor = launchdarkly.LaunchDarkly()
    with _standing(folder, "api-secret", vendor) as (token, sdk):
        sdk.write_text("sdk-secret")
        for name, tag in TAGS.items():
            vendor.add(name, tags=(tag,))

        def make(safe: Mapping[str, str], verified: bool) -> Target:
            keys = {"production": ld.api(vendor.url, sdk)} if verified else {}
            return ld.LaunchDarkly(
                {"shop": ld.Project("shop", ld.api(vendor.url, token), vendor.project, sdk=keys, safe_states=safe, patience=HURRY)}
            )

        yield Stand(
            "launchdarkly",
            vendor,
            token,
            "api-secret",
            make,
            flip=lambda name, on: vendor.set(name, on=on),
            is_on=lambda name: vendor.flags[name]["environments"]["production"]["on"],
            add=lambda name: vendor.add(name, tags=("many",)),
            archive=vendor.archive,
            limited=launchdarkly.rate_limited(),
            forbid=lambda: vendor.readers.add("api-secret") or vendor.tokens.clear(),
            want_approval=lambda: vendor.approvals.add("production"),
        )


@contextlib.contextmanager
def flagsmith_stand(folder: Path) -> Iterator[Stand]:
    vendor = flagsmith.Flagsmith()
    with _standing(folder, "api-secret", vendor) as (token, _):
        for name, tag in TAGS.items():
            vendor.add(name, tags=(tag,))

        def make(safe: Mapping[str, str], verified: bool) -> Target:
            url = vendor.url if verified else None
            return fs.Flagsmith(
                {"shop": fs.Project("shop", fs.api(vendor.url, token), vendor.project, flags_url=url, safe_states=safe, patience=HURRY)}
            )

        yield Stand(
            "flagsmith",
            vendor,
            token,
            "api-secret",
            make,
            flip=lambda name, on: vendor.set(name, enabled=on),
            is_on=lambda name: vendor.features[name]["states"]["production"]["environment_default"]["enabled"],
            add=lambda name: vendor.add(name, tags=("many",)),
            archive=lambda name: vendor.features[name].update(is_archived=True),
            limited=flagsmith.throttled(),
            forbid=lambda: vendor.readers.add("api-secret") or vendor.keys.clear(),
            want_approval=lambda: vendor.change_requests.add("production"),
        )


@contextlib.contextmanager
def growthbook_stand(folder: Path) -> Iterator[Stand]:
    vendor = growthbook.GrowthBook()
    with _standing(folder, "secret-admin", vendor) as (token, sdk):
        sdk.write_text("sdk-abc123")
        for name, tag in TAGS.items():
            vendor.add(name, tags=(tag,))

        def make(safe: Mapping[str, str], verified: bool) -> Target:
            keys = {"production": gb.sdk_api(vendor.url, sdk)} if verified else {}
            return gb.GrowthBook({"shop": gb.Organisation("shop", gb.api(vendor.url, token), sdk=keys, safe_states=safe, patience=HURRY)})

        yield Stand(
            "growthbook",
            vendor,
            token,
            "secret-admin",
            make,
            flip=lambda name, on: vendor.set(name, enabled=on),
            is_on=lambda name: vendor.features[name]["environments"]["production"]["enabled"],
            add=lambda name: vendor.add(name, tags=("many",)),
            archive=lambda name: vendor.features[name].update(archived=True),
            limited=growthbook.rate_limited(),
            forbid=lambda: vendor.readers.add("secret-admin") or vendor.tokens.clear(),
            want_approval=lambda: vendor.gated.add("production"),
        )


@contextlib.contextmanager
def configcat_stand(folder: Path) -> Iterator[Stand]:
    vendor = configcat.ConfigCat()
    with _standing(folder, "api-user:api-pass", vendor) as (token, sdk):
        sdk.write_text("sdk/key")
        for name, tag in TAGS.items():
            vendor.add(name, tags=(tag,))

        def make(safe: Mapping[str, str], verified: bool) -> Target:
            keys = {"production": cc.cdn(vendor.url, sdk)} if verified else {}
            file = cc.ConfigFile("shop", cc.api(vendor.url, token), configcat.PRODUCT, configcat.CONFIG, cdn=keys, safe_states=safe, patience=HURRY)
            return cc.ConfigCat({"shop": file})

        yield Stand(
            "configcat",
            vendor,
            token,
            "api-user:api-pass",
            make,
            flip=lambda name, on: vendor.set(name, defaultValue={"boolValue": on}),
            is_on=lambda name: vendor.values["production", name]["defaultValue"]["boolValue"],
            add=lambda name: vendor.add(name, tags=("many",)),
            archive=_not_documented,
            limited=configcat.rate_limited(),
            forbid=lambda: vendor.read_only.add("production"),
            want_approval=_not_documented,
        )


def _not_documented(*_: str) -> None:
    raise NotImplementedError("ConfigCat documents nothing of the kind")


STANDS = {"launchdarkly": launchdarkly_stand, "flagsmith": flagsmith_stand, "growthbook": growthbook_stand, "configcat": configcat_stand}


def stand_of(kind: str) -> Any:
    """A fixture with this service."""

    @pytest.fixture(name="stand")
    def stand(tmp_path: Path) -> Iterator[Stand]:
        with STANDS[kind](tmp_path) as made:
            yield made

    return stand
