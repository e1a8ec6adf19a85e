"""A person switches a bad flag on in a hosted service; rollbackd switches it off, applications see it, and the other flags of its tag stay.

One service with a history of its own, and one without: the change is then known by comparing two looks. Both are doubles of documented APIs.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.flags.growthbook import GrowthBook
from tests.doubles.flags.launchdarkly import LaunchDarkly
from tests.doubles.flags.vendor import Vendor, standing
from tests.e2e.daemon import Daemon, policy, running
from tests.exposition import Loopback, Reply, serving
from tests.servers import poll

TARGET = "command:shop"


@dataclass
class Scene:
    """``config``: the provider as the daemon reads it. ``flags``: what applications are served. ``on``: a person switches the bad flag on."""

    vendor: Vendor
    config: dict[str, Any]
    served: Callable[[], dict[str, bool]]
    on: Callable[[], object]
    _ok: float = 0.0
    _failed: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    @property
    def target(self) -> str:
        return f"{self.config['kind']}:flags/production/tag:checkout"

    def page(self) -> str:
        """The counters of an application that fails 30 % of its requests as long as it is served the bad flag."""
        now = time.monotonic()
        requests, self._last = 100 * (now - self._last), now
        failed = 0.3 * requests if self.served()["new-checkout"] else 0.0
        self._failed, self._ok = self._failed + failed, self._ok + requests - failed
        return f'http_requests_total{{code="200"}} {self._ok:.0f}\nhttp_requests_total{{code="500"}} {self._failed:.0f}\n'


def launchdarkly() -> Scene:
    vendor = LaunchDarkly()
    vendor.add("new-checkout", tags=("checkout",), on=False)
    vendor.add("new-banner", tags=("checkout",))
    # They have stood for long; from now on the moments of changes are compared with the daemon's own.
    vendor.clock = iter(lambda: time.time_ns() // 1_000_000, 0)  # type: ignore[assignment]
    config = {"kind": "launchdarkly", "project": "shop", "sdk_key_files": {"production": "key"}, "sdk_url": ""}
    return Scene(
        vendor,
        config,
        served=lambda: {name: flag["environments"]["production"]["on"] for name, flag in vendor.served.items()},
        on=lambda: vendor.set("new-checkout", on=True),
    )


def growthbook() -> Scene:
    vendor = GrowthBook(token="api-secret", client_keys={"sdk-secret": "production"})
    vendor.add("new-checkout", tags=("checkout",), enabled=False)
    vendor.add("new-banner", tags=("checkout",))
    config = {"kind": "growthbook", "client_key_files": {"production": "key"}, "sdk_url": ""}
    return Scene(
        vendor,
        config,
        served=lambda: {name: each["environments"]["production"]["enabled"] for name, each in vendor.served.items()},
        on=lambda: vendor.set("new-checkout", enabled=True),
    )


@pytest.fixture(params=[launchdarkly, growthbook], ids=lambda make: make.__name__)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    made: Scene = request.param()
    with standing(made.vendor):
        yield made


@pytest.fixture
def daemon(scene: Scene, tmp_path: Path) -> Iterator[Daemon]:
    for name, content in {"version": "v1", "token": "api-secret", "key": "sdk-secret"}.items():
        (tmp_path / name).write_text(f"{content}\n")
    keys = {name: {"production": str(tmp_path / "key")} for name in scene.config if name.endswith("_key_files")}
    provider = {**scene.config, **keys, "url": scene.vendor.url, "sdk_url": scene.vendor.url, "token_file": str(tmp_path / "token"), "settle": "0s"}
    reply = lambda _: Reply(body=scene.page().encode(), headers={"Content-Type": "text/plain; version=0.0.4"})  # noqa: E731 - one line of a page
    with serving(reply) as page, running(tmp_path / "daemon", config_of(provider, page, tmp_path), {"shop": policy_of()}) as daemon:
        poll(lambda: daemon.history(scene.target))
        yield daemon


def config_of(provider: dict[str, Any], page: Loopback, folder: Path) -> dict[str, Any]:
    return {
        "sources": {"scrape": {"every": "1s", "targets": [{"labels": {"app": "shop"}, "urls": [f"{page.url}/metrics"]}]}},
        "flags": {"flags": provider},
        "commands": {"shop": {"describe": ["/bin/cat", str(folder / "version")], "apply": ["/bin/false", "{revision}"]}},
        "contacts": {"oncall": [{"webhook": {"url": f"{page.url}/oncall"}}]},
    }


def policy_of() -> str:
    ladder = [{"flags": {"provider": "flags", "environment": "production", "tag": "checkout", "only": "changed"}}]
    return policy(
        "shop", {"command": {"name": "shop"}}, {"use": "error-rate", "with": {"for": "0s", "over": "5s"}}, match={"app": "shop"}, remedy=ladder
    )


def test_a_bad_flag_goes_off_and_the_other_flags_of_its_tag_stay(scene: Scene, daemon: Daemon) -> None:
    scene.on()
    intended = daemon.wait_for(TARGET, "rung.intended")["body"]
    daemon.wait_for(TARGET, "rung.settled")
    assert intended["target"] == scene.target
    assert len(intended["steps"]) == 1
    assert intended["steps"][0].startswith("flags.new-checkout.")
    assert scene.served() == {"new-checkout": False, "new-banner": True}
    assert len(scene.vendor.writes) == 1
