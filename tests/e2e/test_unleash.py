"""A person switches a bad flag on in a real Unleash; rollbackd switches it off, applications see it, and it is proven that it helped."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon, policy, running
from tests.exposition import Loopback, Reply, serving
from tests.servers import poll
from tests.unleash.server import UnleashServer
from tests.unleash.shop import Flag, Shop, open_shop

TARGET, FLAGS = "command:shop", "unleash:default/production/tag:checkout"
BAD, GOOD = Flag("new-checkout", is_on=False), Flag("new-banner")


@dataclass
class Application:
    """A backend that asks Unleash what it is served, and fails 30 % of its requests as long as that is the bad flag."""

    shop: Shop
    is_mended: bool = False
    _ok: float = 0.0
    _failed: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def page(self) -> str:
        """Its counters at this moment."""
        now = time.monotonic()
        requests, self._last = 100 * (now - self._last), now
        failed = 0.3 * requests if self.shop.served()[BAD.name] and not self.is_mended else 0.0
        self._failed, self._ok = self._failed + failed, self._ok + requests - failed
        return f'http_requests_total{{code="200"}} {self._ok:.0f}\nhttp_requests_total{{code="500"}} {self._failed:.0f}\n'


@pytest.fixture
def shop(unleash: UnleashServer, tmp_path: Path) -> Shop:
    shop = open_shop(unleash, tmp_path, BAD, GOOD)
    poll(lambda: shop.served() == {BAD.name: False, GOOD.name: True})
    return shop


@pytest.fixture
def application(shop: Shop) -> Application:
    return Application(shop)


@pytest.fixture
def page(application: Application) -> Iterator[Loopback]:
    with serving(lambda _: Reply(body=application.page().encode(), headers={"Content-Type": "text/plain; version=0.0.4"})) as page:
        yield page


@pytest.fixture
def daemon(shop: Shop, page: Loopback, tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "version").write_text("v1\n")
    config = {
        "sources": {"scrape": {"every": "1s", "targets": [{"labels": {"app": "shop"}, "urls": [f"{page.url}/metrics"]}]}},
        "flags": {
            "unleash": {
                "url": shop.server.url,
                "token_file": str(shop.token_file("rollbackd")),
                "client_token_file": str(shop.token_file("production")),
                "settle": "0s",
            }
        },
        "commands": {"shop": {"describe": ["/bin/cat", str(tmp_path / "version")], "apply": ["/bin/false", "{revision}"]}},
        "contacts": {"oncall": [{"webhook": {"url": f"{page.url}/oncall"}}]},
    }
    ladder = [{"flags": {"provider": "unleash", "environment": "production", "tag": "checkout", "only": "changed"}}]
    errors = {"use": "error-rate", "with": {"for": "0s", "over": "5s"}}
    text = policy("shop", {"command": {"name": "shop"}}, errors, match={"app": "shop"}, remedy=ladder)
    with running(tmp_path / "daemon", config, {"shop": text}) as daemon:
        poll(lambda: daemon.history(FLAGS))
        yield daemon


def test_a_bad_flag_goes_off_alone_and_an_undo_switches_it_on_again(shop: Shop, application: Application, daemon: Daemon) -> None:
    shop.switch(BAD.name, True)
    intended = daemon.wait_for(TARGET, "rung.intended")["body"]
    ended = daemon.wait_for(TARGET, "incident.closed", within=60)
    closed = ended["body"]
    assert closed["how"] == "recovered"
    assert (intended["target"], intended["steps"]) == (FLAGS, [f"flags.{BAD.name}.enabled: true -> false"])
    assert shop.served() == {BAD.name: False, GOOD.name: True}
    events = shop.server.ask("dana", "GET", "/api/admin/search/events?type=IS:feature-environment-disabled")["events"]
    assert [(event["featureName"], event["createdBy"]) for event in events] == [(BAD.name, "rollbackd@example.com")]
    changes = [item for item in daemon.api.get("changes")["items"] if item["target"] == FLAGS]
    # Ours is on record, and opens no watch: the incident is closed and nothing else has begun.
    assert [item["by"] for item in changes[:2]] == ["rollbackd", "dana@example.com"]
    assert len(daemon.rows(TARGET, "incident.opened")) == 1

    application.is_mended = True
    done = daemon.run("undo", ended["incident"], "--reason", "the backend is mended", "--yes")
    assert done.returncode == 0, done.stderr
    daemon.wait_for(TARGET, "incident.closed", lambda row: row["incident"] != ended["incident"], within=60)
    assert shop.served() == {BAD.name: True, GOOD.name: True}
