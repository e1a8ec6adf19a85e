"""Rows 32 to 40 and 52: a target that refuses, is gone, was changed by others, or does not show what it was told."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.kubernetes import Kubernetes
from tests.aws.ecs_double import EcsDouble
from tests.aws.servers import ACCOUNT, REGION
from tests.aws.stage import SHOP as ECS_SHOP
from tests.aws.stage import Shop as EcsShop
from tests.doubles.kube import KubeDouble, running_double, write_kubeconfig
from tests.doubles.kube.stage import Stage
from tests.exposition import Reply, Request
from tests.faults.house import ILL, WELL, House, house_in, shop_policy
from tests.faults.server import FaultServer, Sound, held, lost, pass_on, spoilt, status
from tests.servers import poll
from tests.unleash.server import UnleashServer
from tests.unleash.shop import Flag, open_shop

NAMESPACE = "shop"


# --- Kubernetes ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    with running_double(tmp_path_factory.mktemp("kube")) as double:
        yield double


@dataclass
class Cluster:
    """A Deployment, what others do to it, and the daemon that watches it through the fault server."""

    house: House
    double: KubeDouble
    stage: Stage

    def open(self, **deploy: Any) -> None:
        """Version 1 runs and is known to be good."""
        self.stage.deploy(**{"image": "shop:1", "replicas": 1, **deploy})
        self.look(False, 2)
        self.house.good(self.stage.key, self.revision())

    def revision(self) -> str:
        seen = self.house.parts.engine.book.newest(self.stage.key)
        assert seen is not None
        return seen.change.revision

    def release(self, image: str = "shop:2", **more: Any) -> None:
        """Others release it, and it is seen."""
        self.stage.release(image, **more)
        self.look(False, 1)

    def look(self, is_ill: bool, slots: int = 6) -> None:
        """So many slots, in which half of all requests fail or none."""
        self.house.measured(shop=ILL if is_ill else WELL)
        self.house.slots(slots)

    def writes(self) -> list[int | None]:
        """The answers of the API server to every patch of rollbackd's that was no rehearsal."""
        return [item["status"] for item in self.double.requests("patch", dry_run=False) if item["namespace"] == NAMESPACE]

    def image(self) -> str:
        return str(self.stage.deployment()["spec"]["template"]["spec"]["containers"][0]["image"])

    def page(self) -> str:
        """All that the newest page says."""
        self.house.paged()
        (*_, event) = (event for event in self.house.server.pagerduty.events if event.get("event_action") == "trigger")
        return json.dumps(event, ensure_ascii=False)


@pytest.fixture
def cluster(tmp_path: Path, server: FaultServer, running: KubeDouble) -> Iterator[Cluster]:
    running.reset()
    running.make_namespace(NAMESPACE)
    server.speakers["kubernetes"] = pass_on(running.url)
    kubeconfig = tmp_path / "kubeconfig.yaml"
    write_kubeconfig(kubeconfig, server.at("kubernetes"), running.token)
    text = shop_policy(target={"kubernetes": {"namespace": NAMESPACE, "deployment": "checkout"}})
    with house_in(tmp_path, server, {"shop": text}, clusters={"test": {"kubeconfig": str(kubeconfig)}}) as house:
        yield Cluster(house, running, Stage(running, Kubernetes({}), NAMESPACE))


def is_write(request: Request) -> bool:
    return request.method == "PATCH" and "dryRun" not in request.path


def test_row_32_a_conflict_is_never_retried_blindly(cluster: Cluster) -> None:
    cluster.open()
    cluster.release()
    cluster.house.server.breaks("kubernetes", status(409, b'{"kind": "Status", "message": "the object has been modified"}'), met=is_write)
    cluster.look(True, 10)
    assert len([request for request in cluster.house.server.asked_of("kubernetes") if is_write(request)]) == 1
    assert (cluster.image(), cluster.writes()) == ("shop:2", [])
    assert "the object has been modified" in cluster.page()
    assert cluster.house.kinds()[-2:] == ["rung.stopped", "incident.held"]


def test_row_32_a_write_that_met_too_many_requests_is_sent_again(cluster: Cluster) -> None:
    cluster.open()
    cluster.release()
    cluster.house.server.breaks("kubernetes", status(429, b'{"kind": "Status", "message": "too many requests"}'), met=is_write, times=1)
    cluster.look(True, 6)
    assert (cluster.image(), cluster.writes()) == ("shop:1", [200])
    assert "rung.settled" in cluster.house.kinds()


def test_row_33_a_right_that_is_missing_is_final_and_named(cluster: Cluster) -> None:
    cluster.open()
    cluster.release()
    cluster.double.deny("patch", "deployments", NAMESPACE)
    cluster.look(True, 6)
    asked = len(cluster.double.requests("patch"))
    cluster.look(True, 10)
    assert (cluster.image(), cluster.writes(), len(cluster.double.requests("patch"))) == ("shop:2", [], asked)
    assert 'resources: [\\"deployments\\"], verbs: [\\"patch\\"]' in cluster.page()
    assert len(cluster.house.paged()) == 1


def paused(stage: Stage) -> None:
    stage.merge({"spec": {"paused": True}})


def emptied(stage: Stage) -> None:
    stage.merge({"spec": {"replicas": 0}})


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        pytest.param(Stage.delete, "does not exist", id="deleted"),
        pytest.param(paused, "rollout resume deployment/checkout", id="paused"),
        pytest.param(emptied, "is scaled to 0 replicas", id="scaled-to-0"),
    ],
)
def test_row_34_a_target_that_is_gone_paused_or_empty_is_left_alone_with_the_reason(
    cluster: Cluster, happens: Callable[[Stage], None], reason: str
) -> None:
    cluster.open()
    cluster.release()
    happens(cluster.stage)
    cluster.look(True, 8)
    assert cluster.writes() == []
    assert reason in cluster.page()


def test_row_35_a_revision_that_lands_before_the_write_supersedes_it_and_is_watched_itself(cluster: Cluster) -> None:
    cluster.open()
    cluster.release()
    released = threading.Event()
    cluster.house.server.breaks("kubernetes", held(released), met=is_write, times=1)
    cluster.house.measured(shop=ILL)

    def is_sent() -> bool:
        cluster.house.look()
        return any(is_write(request) for request in cluster.house.server.asked_of("kubernetes"))

    poll(is_sent, within=30)
    cluster.stage.release("shop:3")
    released.set()
    poll(lambda: "incident.closed" in cluster.house.kinds(), within=30)
    assert (cluster.image(), cluster.writes()) == ("shop:3", [422])
    assert cluster.house.body("incident.closed")["how"] == "superseded"
    cluster.look(True, 8)
    assert cluster.house.kinds().count("incident.opened") == 2
    assert cluster.image() == "shop:1"


def test_row_36_a_bad_version_that_gitops_applies_again_is_paged_with_its_manager_and_left(cluster: Cluster) -> None:
    cluster.open()
    cluster.release()
    cluster.look(True, 3)
    cluster.look(False, 8)
    assert (cluster.image(), cluster.writes()) == ("shop:1", [200])
    cluster.release("shop:2", manager="argocd-controller")
    cluster.look(True, 8)
    assert (cluster.image(), cluster.writes()) == ("shop:2", [200])
    pages = json.dumps(cluster.house.server.pagerduty.events, ensure_ascii=False)
    assert "was rolled back before and is live again" in pages
    assert "written by argocd-controller" in pages


def test_row_37_without_its_old_replicaset_nothing_is_begun_and_the_page_says_what_is_left(cluster: Cluster) -> None:
    cluster.open(revisionHistoryLimit=0)
    cluster.release()
    poll(lambda: len(cluster.stage.replicasets()) == 1)
    cluster.look(True, 8)
    assert (cluster.image(), cluster.writes()) == ("shop:2", [])
    assert "no known-good revision is left among its ReplicaSets" in cluster.page()
    assert "rung.intended" not in cluster.house.kinds()


def test_row_38_a_rolled_back_version_that_never_becomes_ready_is_a_critical_page(cluster: Cluster) -> None:
    cluster.open(image="shop:1-frail", progressDeadlineSeconds=2)
    cluster.release()
    cluster.double.image_behaves("shop:1-frail", "unready")
    cluster.look(True, 8)
    assert (cluster.house.kinds()[-2:], cluster.writes()) == (["rung.stopped", "incident.held"], [200])
    assert "has timed out progressing" in cluster.page()
    assert '"severity": "critical"' in cluster.page()


# --- ECS ---------------------------------------------------------------------------


@dataclass
class Service:
    """A service of ECS, and the daemon that watches it through the fault server."""

    house: House
    shop: EcsShop

    def released(self) -> None:
        """Version 1 is known to be good, and version 2 is deployed."""
        self.house.measured(shop=WELL)
        self.house.slots(2)
        self.house.good(ECS_SHOP, "api:1")
        self.shop.cloud.clock = self.house.at.astimezone(UTC)
        self.shop.cloud.deploy("api", self.shop.cloud.register("api", image=self.shop.image("v2")))
        self.house.slots(1)
        self.house.measured(shop=ILL)

    def writes(self) -> list[str]:
        return [name for name, _ in self.shop.double.writes()]


@pytest.fixture
def service(tmp_path: Path, server: FaultServer, ecs_cloud: EcsDouble) -> Iterator[Service]:
    ecs_cloud.cloud.clock = datetime.now(UTC)
    shop = EcsShop(ecs_cloud, "api:1", "api:2")
    ecs_cloud.cloud.create("api", ecs_cloud.cloud.register("api", image=shop.image("v1")))
    server.speakers["ecs"] = pass_on(ecs_cloud.url)
    text = shop_policy(target={"ecs": {"cluster": "main", "service": "api"}})
    accounts = {"prod": {"id": ACCOUNT, "regions": [REGION], "endpoint": server.at("ecs")}}
    with house_in(tmp_path, server, {"shop": text}, accounts=accounts) as house:
        yield Service(house, shop)


def describes(request: Request) -> bool:
    return ".Describe" in request.headers.get("X-Amz-Target", "")


def test_row_39_an_accepted_update_that_cannot_be_looked_at_is_looked_for_and_never_repeated(service: Service) -> None:
    service.released()
    server = service.house.server
    failing = says_later(server)
    server.speakers["ecs"] = failing
    service.house.slots(8)
    assert service.writes() == ["UpdateService"]
    assert [kind for kind in service.house.kinds() if kind != "look.failed"][:4] == [
        "incident.opened",
        "rung.intended",
        "rung.applied",
        "rung.settled",
    ]
    assert service.shop.state().revision == "api:1"


def says_later(server: FaultServer) -> Callable[[Request], Reply]:
    """ECS, whose first ten descriptions after the update are 500."""
    sound, left = server.speakers["ecs"], [10, 0]

    def answer(request: Request) -> Reply:
        left[1] |= "UpdateService" in request.headers.get("X-Amz-Target", "")
        if left[1] and describes(request) and left[0] > 0:
            left[0] -= 1
            return Reply(500, b'{"__type": "ServerException"}', {"Content-Type": "application/x-amz-json-1.1"})
        return sound(request)

    return answer


def test_row_39_an_update_whose_answer_is_lost_is_found(service: Service) -> None:
    service.released()
    service.house.server.breaks("ecs", lost, met=lambda request: "UpdateService" in request.headers.get("X-Amz-Target", ""), times=1)
    service.house.slots(6)
    assert service.writes() == ["UpdateService"]
    assert "found carrying it" in service.house.body("rung.applied")["reason"]


def test_row_37_an_image_that_is_gone_is_found_before_anything_is_written(service: Service) -> None:
    service.released()
    service.shop.cloud.images["api"].clear()
    service.house.slots(6)
    assert service.writes() == []
    assert "image" in service.house.body("incident.held")["reason"]
    assert len(service.house.paged()) == 1


# --- Unleash ---------------------------------------------------------------------------


@dataclass
class Flags:
    """A flag in a real Unleash, and the daemon that switches it through the fault server."""

    house: House
    shop: Any

    def switched_on(self) -> None:
        """Somebody has switched the bad flag on."""
        self.house.measured(shop=WELL)
        self.house.slots(2)
        self.shop.switch("new-cart", True)
        self.house.at = max(self.house.at, datetime.now(UTC) + timedelta(seconds=10))
        self.house.slots(1)
        self.house.measured(shop=ILL)

    def posts(self) -> int:
        return len([r for r in self.house.server.asked_of("unleash", "POST") if "environments" in r.path or "bulk" in r.path])


@pytest.fixture
def flags(tmp_path: Path, server: FaultServer, unleash: UnleashServer) -> Iterator[Flags]:
    (tmp_path / "unleash").mkdir()
    shop = open_shop(unleash, tmp_path / "unleash", Flag("new-cart", is_on=False))
    server.speakers["unleash"] = pass_on(unleash.url)
    tokens = {"token_file": str(shop.token_file("rollbackd")), "client_token_file": str(shop.token_file("production"))}
    provider = {"url": server.at("unleash"), "project": shop.name, "settle": "0s", **tokens}
    text = shop_policy(remedy=[{"flags": {"provider": "unleash", "environment": "production", "tag": "checkout", "only": "changed"}}])
    with house_in(tmp_path, server, {"shop": text}, flags={"unleash": provider}) as house:
        yield Flags(house, shop)


def still_on(reply: Reply) -> Reply:
    assert isinstance(reply.body, bytes)
    # Whether it is listed yet or not: Unleash remembers for a moment what it serves, and a flag that is not served is off.
    said = json.loads(reply.body) | {"features": [{"name": "new-cart", "enabled": True}]}
    return Reply(reply.status, json.dumps(said).encode(), {"Content-Type": "application/json"})


def test_row_40_a_switch_that_is_not_served_yet_is_waited_for(flags: Flags) -> None:
    flags.switched_on()
    stale = flags.house.server
    stale.breaks("unleash", spoilt(still_on), met=lambda request: request.path.startswith("/api/client/features"))

    def is_written() -> bool:
        flags.house.look()
        return "rung.applied" in flags.house.kinds()

    poll(is_written, within=30)
    looks = len(stale.asked_of("unleash"))
    poll(lambda: len(stale.asked_of("unleash")) > looks + 2, within=30)
    assert "rung.settled" not in flags.house.kinds()
    stale.mends()
    poll(lambda: "rung.settled" in flags.house.kinds(), within=30)
    assert flags.posts() == 1
    assert flags.shop.served() == {"new-cart": False}


# --- 52: a secret that changes ---------------------------------------------------------------------------


def wants(token: str, sound: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    """Only this token is let in."""
    return lambda request: sound(request) if request.headers.get("Authorization") == f"Bearer {token}" else Reply(401, b"who are you")


@pytest.fixture
def guarded(tmp_path: Path, server: FaultServer) -> Iterator[House]:
    """A daemon whose Prometheus wants the token ``first``."""
    (tmp_path / "token").write_text("first")
    server.speakers["prometheus"] = wants("first", server.metrics)
    prometheus = {"url": server.at("prometheus"), "scrape_interval": "5s", "timeout": "1s", "token_file": "token"}
    with house_in(tmp_path, server, sources={"prometheus": prometheus}) as house:
        yield house


def test_row_52_a_secret_that_is_rotated_in_the_middle_is_read_again_once(guarded: House) -> None:
    guarded.ill(1)

    def rotate(sound: Sound) -> Reply:
        (guarded.folder / "token").write_text("second")
        guarded.server.speakers["prometheus"] = wants("second", guarded.server.metrics)
        return Reply(401)

    guarded.server.breaks("prometheus", rotate, times=1)
    for _ in range(6):
        guarded.measured(shop=ILL if guarded.version() == "v2" else WELL)
        guarded.slots(1)
    assert guarded.applied() == ["v1"]
    assert len([entry for entry in guarded.history() if entry.kind == "source.blind"]) == 0


def test_row_52_a_secret_that_stays_refused_is_final_and_costs_one_question_a_slot(guarded: House) -> None:
    guarded.ill(1)
    guarded.server.speakers["prometheus"] = wants("other", guarded.server.metrics)
    before = len([r for r in guarded.server.asked_of("prometheus") if r.path == "/api/v1/query"])
    guarded.slots(5)
    assert len([r for r in guarded.server.asked_of("prometheus") if r.path == "/api/v1/query"]) - before == 5
    assert "refused us (HTTP 401)" in guarded.unknown()
    assert guarded.nothing_acted()
