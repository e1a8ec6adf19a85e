"""Both ladders of the page docs/aws/ladder.md, climbed as written by daemons of their own: each thing is written once, and it ends verified."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollbackd.controller.cli.show import as_yaml
from tests.aws import appconfig
from tests.aws.balancers import MOTO_ID, Balancer, open_balancer
from tests.aws.ecs_double import EcsDouble, ecs_double
from tests.aws.names import Names, open_names, plain
from tests.aws.servers import ACCOUNT, REGION
from tests.aws.stage import SHOP, Shop
from tests.docs.test_examples import HOUSE, blocks_of
from tests.e2e.daemon import SECONDS, Daemon, running
from tests.exposition import Reply, serving
from tests.servers import Server, poll

FLAGS = "appconfig:shop/all"


@dataclass
class Release:
    """A service and all that a release changes of it. It fails 30 % of its requests until the last of that is as before."""

    double: EcsDouble
    balancer: Balancer
    names: Names
    flags: appconfig.Shop
    _ok: float = 0.0
    _failed: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.shop = Shop(self.double, "api:1", "api:2")
        self.elb, self.dns = self.balancer.elb, self.names.dns  # to make a client takes longer than all its calls
        # The stand-ins are three accounts here, so the keys are not those of their own tests.
        self.weights = self.balancer.key.replace(":prod/", ":edge/")
        self.address = self.names.key.replace(":prod/", ":names/")
        self._deploy("v1", is_on=False, share=(100, 0), address="192.0.2.1")

    @property
    def goods(self) -> dict[str, str]:
        """Where everything stands now, by target."""
        return {SHOP: "api:1", self.weights: self.balancer.state().revision, self.address: self.names.state().revision}

    def go_wrong(self) -> None:
        """The bad release is out, whole."""
        self._deploy("v2", is_on=True, share=(0, 100), address="192.0.2.2")

    def _deploy(self, version: str, *, is_on: bool, share: tuple[int, int], address: str) -> None:
        cloud = self.double.cloud
        # A change is laid to a breach by their times; the good release is older than a watch window, and the double's clock runs ahead.
        cloud.clock = datetime.now(UTC) - (timedelta(hours=2) if version == "v1" else timedelta(seconds=5))
        self.flags.deploy({"cart": is_on})
        self.balancer.share(*share)
        self.names.put(plain(self.names.name, address, ttl=1))
        (cloud.create if version == "v1" else cloud.deploy)("api", cloud.register("api", image=self.shop.image(version)))

    def left(self) -> set[str]:
        """What of the bad release is still out."""
        (listener,) = self.elb.describe_listeners(ListenerArns=[self.balancer.listener])["Listeners"]
        groups = listener["DefaultActions"][-1]["ForwardConfig"]["TargetGroups"]
        records = self.dns.list_resource_record_sets(HostedZoneId=self.names.zone_id)["ResourceRecordSets"]
        facts = {
            FLAGS: self.flags.values()["cart"]["enabled"],
            self.weights: any(each["TargetGroupArn"] == self.balancer.bad and int(each["Weight"]) for each in groups),
            self.address: any({"Value": "192.0.2.2"} in each.get("ResourceRecords", ()) for each in records),
            SHOP: not self.double.cloud.services["api"]["taskDefinition"].endswith("/api:1"),
        }
        return {key for key, is_out in facts.items() if is_out}

    def page(self, keys: frozenset[str]) -> str:
        """Its counters at this moment, where ``keys`` is what makes it fail."""
        failing = bool(self.left() & keys)
        now = time.monotonic()
        requests, self._last = 100 * (now - self._last), now
        failed = 0.3 * requests if failing else 0.0
        self._failed, self._ok = self._failed + failed, self._ok + requests - failed
        return f'http_requests_total{{code="200"}} {self._ok:.0f}\nhttp_requests_total{{code="500"}} {self._failed:.0f}\n'


def as_shown(name: str, release: Release) -> tuple[str, list[list[str]]]:
    """The page's policy of this name with this release's own names, acting, in seconds; and the keys of its rungs, those of one entry together."""
    shown = [yaml.safe_load(block.text) for block in blocks_of(HOUSE / "docs" / "aws" / "ladder.md") if block.language == "yaml"]
    policy = next(each for each in shown if each["metadata"]["name"] == name)
    spec = policy["spec"]
    ours: dict[str, dict[str, Any]] = {
        "alb": {"account": "edge", "load_balancer": release.balancer.name, "port": 80},
        "route53": {"account": "names", "zone": release.names.zone, "name": release.names.name},
    }
    keys = [[_named(each, ours, release) for each in entry.get("together", [entry])] for entry in spec["remedy"]]
    spec["target"]["ecs"]["account"] = "prod"
    errors = {"use": "error-rate", "with": {"for": "0s", "over": "5s"}}
    spec.update(mode="auto", every="1s", timing=dict(SECONDS), match={"app": "api"}, rollback_when=[errors])
    return as_yaml(policy, 200), keys


def _named(rung: dict[str, Any], ours: Mapping[str, dict[str, Any]], release: Release) -> str:
    """The rung is of this release; returns the key of its target."""
    if "flags" in rung:
        return FLAGS
    target = rung["revert"].get("target")
    if target is None:
        return SHOP
    (kind,) = target
    target[kind] = ours[kind]
    return {"alb": release.weights, "route53": release.address}[kind]


def config_of(release: Release, page: str) -> dict[str, Any]:
    places = {"prod": (ACCOUNT, release.double.url), "edge": (MOTO_ID, release.balancer.url), "names": (ACCOUNT, release.names.url)}
    place = {"application": release.flags.application, "environment": "production", "profile": "flags", "strategy": release.flags.strategy}
    return {
        "sources": {"scrape": {"every": "1s", "targets": [{"labels": {"app": "api"}, "urls": [f"{page}/metrics"]}]}},
        "accounts": {name: {"id": number, "endpoint": url, "regions": [REGION]} for name, (number, url) in places.items()},
        "flags": {"shop": {"kind": "appconfig", "account": "names", "region": REGION, "settle": "1s", **place}},
        "contacts": {"oncall": [{"webhook": {"url": f"{page}/oncall"}}]},
    }


@dataclass(frozen=True)
class Climb:
    """A daemon on its way up a ladder."""

    release: Release
    daemon: Daemon
    rungs: list[list[str]]

    def rows(self) -> list[tuple[str, str]]:
        """What became of each rung, in order."""
        opened = self.daemon.wait_for(SHOP, "incident.opened")
        rows = self.daemon.history(opened["incident"])
        return [(row["kind"].partition(".")[2], row["target"]) for row in rows if row["kind"].startswith("rung.")]


@contextlib.contextmanager
def climbing(name: str, folder: Path, release: Release) -> Iterator[Climb]:
    """A daemon with this policy of the page; it knows what is good, and the bad release is out."""
    text, rungs = as_shown(name, release)
    keys = frozenset(key for rung in rungs for key in rung)

    def answer(_: object) -> Reply:
        return Reply(body=release.page(keys).encode(), headers={"Content-Type": "text/plain; version=0.0.4"})

    with serving(answer) as page, running(folder, config_of(release, page.url), {name: text}) as daemon:
        for key in keys:
            poll(lambda key=key: daemon.history(key), within=30)
        for key, revision in release.goods.items():
            assert key not in keys or daemon.run("good", key, revision).returncode == 0
        release.go_wrong()
        yield Climb(release, daemon, rungs)


@pytest.fixture
def releases(moto: Server, ministack: Server, aws_keys: None) -> Iterator[Callable[[], Release]]:
    with contextlib.ExitStack() as doubles:
        flags = appconfig.open_profile(ministack.url)

        def made() -> Release:
            return Release(doubles.enter_context(ecs_double()), open_balancer(moto.url), open_names(ministack.url), flags)

        yield made


def test_both_ladders_are_climbed_as_written_and_end_verified(releases: Callable[[], Release], tmp_path: Path) -> None:
    # Both at once: most of the time is what a load balancer and the caches of names need to settle.
    with (
        climbing("traffic-first", tmp_path / "traffic", releases()) as traffic,
        climbing("cheapest-first", tmp_path / "cheapest", releases()) as cheapest,
    ):
        for climb in (traffic, cheapest):
            closed = climb.daemon.wait_for(SHOP, "incident.closed", within=240)["body"]
            assert closed["how"] == "recovered"
            assert climb.rows() == [row for rung in climb.rungs for row in expected(rung)]
            assert climb.release.left() & {key for rung in climb.rungs for key in rung} == set()
            assert [name for name, _ in climb.release.double.writes()] == ["UpdateService"]


def expected(rung: list[str]) -> list[tuple[str, str]]:
    """All of an entry is written before any of it is complete."""
    written = [(word, key) for key in rung for word in ("intended", "applied")]
    return [*written, *(("settled", key) for key in rung)]
