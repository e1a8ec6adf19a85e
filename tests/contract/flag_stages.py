"""Feature flags of every kind, set up for the flag contract. A further kind joins by one function in ``FLAG_STAGES``.

Each stage holds these flags, and people who may change them:

- ``new-cart``, tagged ``checkout``: on
- ``new-search``, tagged ``checkout``: on
- ``banner``, tagged ``other``: on
- ``old-cart``, tagged ``checkout``: off already
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.base.target import Target
from rollbackd.adapters.flagd import Flagd, FlagFile
from tests.aws.appconfig import open_profile
from tests.unleash.server import UnleashServer
from tests.unleash.shop import Flag, open_shop


@dataclass(frozen=True, slots=True)
class FlagStage:
    """Flags of one kind. ``place``: what their keys start with, up to the scope.

    ``target`` makes a target for them with these declared safe states and this cap. ``switch``: a person switches a flag. ``served``: what an
    application is served, by flag. ``content``: all that decides what is served, for comparisons.
    ``has_history``: its changes have an id, a time and a writer. ``checkout``: the scope of the flags tagged so, for a kind without tags as a list.
    """

    place: str
    target: Callable[[Mapping[str, str], int], Target]
    switch: Callable[[str, bool], object]
    served: Callable[[], Mapping[str, bool]]
    content: Callable[[], object]
    has_history: bool
    checkout: str = "tag:checkout"


def flagd(request: pytest.FixtureRequest) -> FlagStage:
    file: Path = request.getfixturevalue("tmp_path") / "flags.json"

    def flag(default: str, tag: str) -> dict[str, Any]:
        return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": default, "metadata": {"tag": tag}}

    flags = {"new-cart": ("on", "checkout"), "new-search": ("on", "checkout"), "banner": ("on", "other"), "old-cart": ("off", "checkout")}
    file.write_text(json.dumps({"flags": {name: flag(*each) for name, each in flags.items()}}))

    def read() -> dict[str, Any]:
        return json.loads(file.read_text())["flags"]  # type: ignore[no-any-return]

    def switch(name: str, is_on: bool) -> None:
        flags = read()
        flags[name]["defaultVariant"] = "on" if is_on else "off"
        file.write_text(json.dumps({"flags": flags}))

    return FlagStage(
        place="flagd:shop",
        target=lambda safe, most: Flagd({"shop": FlagFile("shop", file, safe_states=safe, max_flags=most)}),
        switch=switch,
        served=lambda: {name: flag["variants"][flag["defaultVariant"]] for name, flag in read().items()},
        content=read,
        has_history=False,
    )


def unleash(request: pytest.FixtureRequest) -> FlagStage:
    server: UnleashServer = request.getfixturevalue("unleash")
    flags = [Flag("new-cart"), Flag("new-search"), Flag("banner", "other"), Flag("old-cart", is_on=False)]
    shop = open_shop(server, request.getfixturevalue("tmp_path"), *flags)
    return FlagStage(
        place=f"unleash:{shop.name}/production",
        target=lambda safe, most: shop.target(safe_states=safe, max_flags=most),
        switch=shop.switch,
        served=shop.served,
        content=lambda: [shop.flag(name) for name in shop.names()],
        has_history=True,
    )


def appconfig(request: pytest.FixtureRequest) -> FlagStage:
    request.getfixturevalue("aws_keys")
    shop = open_profile(request.getfixturevalue("ministack").url)
    shop.deploy({"new-cart": False, "new-search": False, "banner": False, "old-cart": False})
    shop.deploy({"new-cart": True, "new-search": True, "banner": True})
    return FlagStage(
        place="appconfig:shop",
        target=lambda safe, most: shop.target(safe_states=safe, max_flags=most),
        switch=lambda name, is_on: shop.deploy({name: is_on}),
        served=lambda: {name: each["enabled"] for name, each in shop.served().items()},
        content=shop.values,
        has_history=True,
        checkout="flags:new-cart,new-search,old-cart",
    )


FLAG_STAGES: list[Callable[[pytest.FixtureRequest], FlagStage]] = [flagd, unleash, appconfig]
