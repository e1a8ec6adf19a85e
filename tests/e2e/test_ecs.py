"""A bad release of a service of ECS is put back alone, once, and it is proven that it helped."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.aws.ecs_double import EcsDouble, Fault
from tests.aws.servers import ACCOUNT, REGION
from tests.aws.stage import SHOP, Shop
from tests.e2e.daemon import Daemon, policy, running
from tests.exposition import Loopback, Reply, serving
from tests.servers import poll


@dataclass
class Service:
    """The service ``api``: fails 30 % of its requests as long as it stands at a bad release."""

    shop: Shop
    _ok: float = 0.0
    _failed: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def page(self) -> str:
        """Its counters at this moment."""
        now = time.monotonic()
        requests, self._last = 100 * (now - self._last), now
        failed = 0.0 if self.shop.cloud.services["api"]["taskDefinition"].endswith("/api:1") else 0.3 * requests
        self._failed, self._ok = self._failed + failed, self._ok + requests - failed
        return f'http_requests_total{{code="200"}} {self._ok:.0f}\nhttp_requests_total{{code="500"}} {self._failed:.0f}\n'


@pytest.fixture
def shop(ecs_cloud: EcsDouble) -> Shop:
    # A change is laid to a breach by their times, and the double's clock goes on by a second with each: none may come from the future.
    ecs_cloud.cloud.clock = datetime.now(UTC) - timedelta(seconds=10)
    shop = Shop(ecs_cloud, "api:1", "api:2")
    ecs_cloud.cloud.create("api", ecs_cloud.cloud.register("api", image=shop.image("v1")))
    return shop


@pytest.fixture
def page(shop: Shop) -> Iterator[Loopback]:
    service = Service(shop)
    with serving(lambda _: Reply(body=service.page().encode(), headers={"Content-Type": "text/plain; version=0.0.4"})) as page:
        yield page


@pytest.fixture
def daemon(shop: Shop, page: Loopback, tmp_path: Path) -> Iterator[Daemon]:
    config = {
        "sources": {"scrape": {"every": "1s", "targets": [{"labels": {"app": "api"}, "urls": [f"{page.url}/metrics"]}]}},
        "accounts": {"prod": {"id": ACCOUNT, "regions": [REGION], "endpoint": shop.double.url}},
        "contacts": {"oncall": [{"webhook": {"url": f"{page.url}/oncall"}}]},
    }
    errors = {"use": "error-rate", "with": {"for": "0s", "over": "5s"}}
    text = policy("api", {"ecs": {"cluster": "main", "service": "api"}}, errors, match={"app": "api"})
    with running(tmp_path / "daemon", config, {"api": text}) as daemon:
        poll(lambda: daemon.history(SHOP))
        assert daemon.run("good", SHOP, "api:1").returncode == 0
        yield daemon


def test_a_bad_release_is_put_back_once_though_the_answer_is_lost(shop: Shop, daemon: Daemon) -> None:
    shop.cloud.clock = datetime.now(UTC) - timedelta(seconds=3)
    shop.double.faults.append(Fault("UpdateService", lost="after"))
    shop.cloud.deploy("api", shop.cloud.register("api", image=shop.image("v2")))
    closed = daemon.wait_for(SHOP, "incident.closed", within=60)["body"]
    assert closed["how"] == "recovered", daemon.history(SHOP)
    assert [(name, said["taskDefinition"].rpartition("/")[2]) for name, said in shop.double.writes()] == [("UpdateService", "api:1")]
    assert shop.state().revision == "api:1"
