"""Weights of a load balancer and addresses of a name are put back by the daemon alone, may come again, and are undone exactly."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.aws.balancers import MOTO_ID, open_balancer
from tests.aws.names import open_names, plain
from tests.aws.servers import ACCOUNT, REGION
from tests.e2e.daemon import Daemon, policy, running
from tests.exposition import Loopback, Reply, serving
from tests.servers import poll


@dataclass(frozen=True)
class Switch:
    """Something that leads traffic to a good or to a bad place. ``content`` is all that Amazon keeps of it."""

    account: dict[str, Any]
    target: dict[str, Any]
    key: str
    revision: Callable[[], str]
    content: Callable[[], str]
    release: Callable[[], object]


@dataclass
class Traffic:
    """Fails 30 % of its requests as long as the switch does not lead to the good place."""

    switch: Switch
    good: str
    _ok: float = 0.0
    _failed: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def page(self) -> str:
        """Its counters at this moment."""
        now = time.monotonic()
        requests, self._last = 100 * (now - self._last), now
        failed = 0.0 if self.switch.content() == self.good else 0.3 * requests
        self._failed, self._ok = self._failed + failed, self._ok + requests - failed
        return f'http_requests_total{{code="200"}} {self._ok:.0f}\nhttp_requests_total{{code="500"}} {self._failed:.0f}\n'


def weights(request: pytest.FixtureRequest) -> Switch:
    shop = open_balancer(request.getfixturevalue("moto").url)
    shop.share(100, 0)
    return Switch(
        account={"id": MOTO_ID, "regions": [REGION], "endpoint": shop.url},
        target={"alb": {"load_balancer": shop.name, "port": 80}},
        key=shop.key,
        revision=lambda: shop.state().revision,
        content=lambda: json.dumps(shop.actions()),
        release=lambda: shop.share(0, 100),
    )


def name(request: pytest.FixtureRequest) -> Switch:
    names = open_names(request.getfixturevalue("ministack").url)
    names.put(plain(names.name, "192.0.2.1"))
    return Switch(
        account={"id": ACCOUNT, "regions": [REGION], "endpoint": names.url},
        target={"route53": {"zone": names.zone, "name": names.name}},
        key=names.key,
        revision=lambda: names.state().revision,
        content=lambda: json.dumps(names.records()),
        release=lambda: names.put(plain(names.name, "192.0.2.2")),
    )


@pytest.fixture(params=[weights, name], ids=lambda make: make.__name__)
def switch(request: pytest.FixtureRequest, aws_keys: None) -> Switch:
    made: Switch = request.param(request)
    return made


@pytest.fixture
def page(switch: Switch) -> Iterator[Loopback]:
    traffic = Traffic(switch, switch.content())
    with serving(lambda _: Reply(body=traffic.page().encode(), headers={"Content-Type": "text/plain; version=0.0.4"})) as page:
        yield page


@pytest.fixture
def daemon(switch: Switch, page: Loopback, tmp_path: Path) -> Iterator[Daemon]:
    config = {
        "sources": {"scrape": {"every": "1s", "targets": [{"labels": {"app": "api"}, "urls": [f"{page.url}/metrics"]}]}},
        "accounts": {"prod": switch.account},
        "contacts": {"oncall": [{"webhook": {"url": f"{page.url}/oncall"}}]},
    }
    errors = {"use": "error-rate", "with": {"for": "0s", "over": "5s"}}
    text = policy("api", switch.target, errors, match={"app": "api"})
    with running(tmp_path / "daemon", config, {"api": text}) as daemon:
        poll(lambda: daemon.history(switch.key))
        assert daemon.run("good", switch.key, switch.revision()).returncode == 0
        yield daemon


def test_what_led_to_the_bad_place_is_put_back_by_itself_and_may_come_again(switch: Switch, daemon: Daemon) -> None:
    good = switch.content()
    switch.release()
    bad = switch.content()
    settled = daemon.wait_for(switch.key, "rung.settled", within=60)
    assert switch.content() == good
    # A revision that comes with every second release must not be kept out by the first that went wrong.
    assert daemon.rows(switch.key, "target.quarantined", "quarantined.live_again") == []
    undone = daemon.run("undo", settled["incident"], "--reason", "it was the other thing", "--yes")
    assert undone.returncode == 0, undone.stderr
    daemon.wait_until(switch.key, lambda: switch.content() == bad, within=90)
