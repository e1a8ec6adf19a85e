"""Kubernetes in bad weather, through a whole daemon: what the incident comes to, how often it wrote, and what on-call is told to do.

One daemon, its scrape source and one Kubernetes double serve the module. Every kind of weather has a namespace of its own and runs its course at the
same time as the others; a test waits for the end of its own. The release ``shop:errors`` fails three requests out of ten, so that a daemon that may
act puts it back.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from rollbackd.controller.demo.receiver import Receiver
from tests.doubles.kube import KubeDouble
from tests.e2e.daemon import SECONDS, Daemon, policy, running
from tests.e2e.fleet import Fleet, Shop, double_in, exposed
from tests.servers import poll

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ERRORS = {"use": "error-rate", "with": {"for": "0s"}}
EDGE_ERRORS = {
    "name": "edge-errors",
    "ratio": {"bad": 'edge_requests_total{code=~"5.."}', "total": "edge_requests_total"},
    "above": "5%",
    "for": "0s",
}
NOT_SIGNED = 'admission webhook "policy.example" denied the request: image shop:1 is not signed'


@dataclass
class World:
    """What the weathers share. ``running``: the course of each, which ends with its shop."""

    double: KubeDouble
    fleet: Fleet
    receiver: Receiver
    daemon: Daemon
    running: dict[str, Future[Shop]] = field(default_factory=dict)

    def after(self, weather: str) -> Shop:
        """The shop, once its weather has run its course."""
        return self.running[weather].result(120)

    def told(self, shop: Shop, word: str) -> str:
        """The shop's message with this word in its title, once it has arrived: title and lines."""
        found: list[str] = []

        def has_arrived() -> bool:
            bodies = [message.body["data"] for message in self.receiver.messages]
            mine = [body for body in bodies if body["fields"].get("target") == shop.target and word in body["title"]]
            found[:] = ["\n".join([body["title"], *body["lines"]]) for body in mine]
            return bool(found)

        has_arrived.__doc__ = f"on-call was told {word} about {shop.target}"
        poll(has_arrived)
        return found[0]


# --- the weathers ----------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weather:
    """What happens once version 1 runs and is known to be good, and the row that ends it."""

    happens: Callable[[World, Shop], None]
    ends: str
    deploy: Mapping[str, Any] = field(default_factory=dict)
    when: Mapping[str, Any] = field(default_factory=lambda: ERRORS)
    timing: Mapping[str, str] = field(default_factory=dict)


def calm(world: World, shop: Shop) -> None:
    shop.stage.release("shop:errors")


def forbidden(world: World, shop: Shop) -> None:
    shop.stage.release("shop:errors")
    world.double.deny("patch", "deployments", shop.namespace)


def invalid(world: World, shop: Shop) -> None:
    shop.stage.release("shop:errors")
    world.double.fault("status", method="PATCH", namespace=shop.namespace, status=422, message=NOT_SIGNED, dry_run=True)


def conflict(world: World, shop: Shop) -> None:
    shop.stage.release("shop:errors")
    said = "the object has been modified"
    world.double.fault("status", method="PATCH", namespace=shop.namespace, status=409, message=said, dry_run=False)


def lost(world: World, shop: Shop) -> None:
    shop.stage.release("shop:errors")
    world.double.fault("drop_after", method="PATCH", namespace=shop.namespace, dry_run=False)


def release_and_stop_the_write_on_its_way(world: World, shop: Shop) -> None:
    """Returns while the API server has the write and has not looked at it yet."""
    shop.stage.release("shop:errors")
    world.double.fault("wait_before", method="PATCH", namespace=shop.namespace, seconds=3, dry_run=False)
    poll(lambda: shop.writes() == [None], within=30)
    # Kubernetes tells times to the second: what comes next is not to look as if it had begun before the breach.
    second = int(time.time())
    poll(lambda: int(time.time()) > second)


def deleted(world: World, shop: Shop) -> None:
    release_and_stop_the_write_on_its_way(world, shop)
    shop.stage.delete()


def overtaken(world: World, shop: Shop) -> None:
    release_and_stop_the_write_on_its_way(world, shop)
    shop.stage.release("shop:3")


def paused(world: World, shop: Shop) -> None:
    shop.stage.release("shop:errors")
    shop.stage.merge({"spec": {"paused": True}})


def empty(world: World, shop: Shop) -> None:
    shop.stage.release("shop:2")
    shop.stage.merge({"spec": {"replicas": 0}})
    shop.stage.settle()
    world.fleet.edge[shop.namespace] = 0.5


def pruned(world: World, shop: Shop) -> None:
    shop.stage.release("shop:errors")
    poll(lambda: len(shop.stage.replicasets()) == 1)


def unready(world: World, shop: Shop) -> None:
    shop.stage.release("shop:errors")
    world.double.image_behaves("shop:1-frail", "unready")


WEATHER: Mapping[str, Weather] = {
    "calm": Weather(calm, "incident.closed"),
    "forbidden": Weather(forbidden, "incident.held"),
    "invalid": Weather(invalid, "incident.held"),
    "conflict": Weather(conflict, "incident.held"),
    "lost": Weather(lost, "incident.closed"),
    "deleted": Weather(deleted, "incident.held", timing={"give_up": "3s"}),
    "overtaken": Weather(overtaken, "incident.closed"),
    "paused": Weather(paused, "incident.held"),
    "empty": Weather(empty, "incident.held", when=EDGE_ERRORS),
    "pruned": Weather(pruned, "incident.held", deploy={"revisionHistoryLimit": 0}),
    "unready": Weather(unready, "incident.held", deploy={"image": "shop:1-frail", "progressDeadlineSeconds": 3}),
}


# --- the stage -------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every weather is running its course."""
    folder = tmp_path_factory.mktemp("kubernetes-weather")
    (folder / "secret").write_text(SECRET)
    with double_in(folder) as double, Receiver(SECRET) as receiver:
        fleet = Fleet(double, edge={"empty": 0.0})
        with exposed(fleet) as page:
            config = {
                "sources": {"scrape": {"every": "1s", "targets": [{"urls": [f"{page.url}/metrics"]}]}},
                "clusters": {"test": {"kubeconfig": str(double.kubeconfig)}},
                "contacts": {"oncall": [{"webhook": {"url": receiver.url, "secret_file": str(folder / "secret")}}]},
                "guards": {"per_hour": 100, "in_flight": 100},
            }
            with running(folder, config, {name: policy_for(name) for name in WEATHER}) as daemon, ThreadPoolExecutor(len(WEATHER)) as courses:
                world = World(double, fleet, receiver, daemon)
                shops = {name: Shop(daemon, double, name) for name in WEATHER}
                for name, shop in shops.items():
                    shop.deploy(**WEATHER[name].deploy)
                poll(lambda: all(shop.revision for shop in shops.values()), within=30)
                for shop in shops.values():
                    shop.declare_good()
                world.running.update({name: courses.submit(run, world, name) for name in WEATHER})
                yield world


def policy_for(name: str) -> str:
    weather = WEATHER[name]
    target = {"kubernetes": {"namespace": name, "deployment": "checkout"}}
    match = {"match": {"app": name}} if "name" in weather.when else {}
    return policy(name, target, weather.when, timing={**SECONDS, **weather.timing}, **match)


def run(world: World, name: str) -> Shop:
    """The shop at the end of its weather."""
    weather, shop = WEATHER[name], Shop(world.daemon, world.double, name)
    weather.happens(world, shop)
    world.daemon.wait_for(shop.target, weather.ends, within=90)
    return shop


# --- the way it should be --------------------------------------------------------------------------------------------------------------------------


def test_without_bad_weather_the_release_is_put_back_by_one_write(world: World) -> None:
    shop = world.after("calm")
    assert (shop.image, shop.writes()) == ("shop:1", [200])
    assert shop.kinds() == ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"]


# --- what the API server refuses -------------------------------------------------------------------------------------------------------------------


def test_403_stops_without_a_write_and_the_page_names_verb_and_resource(world: World) -> None:
    shop = world.after("forbidden")
    assert (shop.image, shop.writes()) == ("shop:errors", [])
    rule = 'Add to the Role of namespace forbidden: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]'
    assert rule in world.told(shop, "NO ACTION TAKEN")


def test_422_of_the_rehearsal_stops_without_a_write_and_the_page_says_what_the_server_said(world: World) -> None:
    shop = world.after("invalid")
    assert (shop.image, shop.writes()) == ("shop:errors", [])
    assert NOT_SIGNED in world.told(shop, "NO ACTION TAKEN")


def test_409_on_the_write_is_never_retried_and_the_page_says_what_to_do(world: World) -> None:
    shop = world.after("conflict")
    assert (shop.image, shop.writes()) == ("shop:errors", [409])
    page = world.told(shop, "ROLLBACK NEEDS YOU")
    assert "Nothing was changed. (Look at the target; judge what runs now.)" in page
    assert "done: rung 1" not in page


def test_a_reply_that_is_lost_after_the_write_was_applied_is_found_and_not_repeated(world: World) -> None:
    shop = world.after("lost")
    assert (shop.image, shop.writes()) == ("shop:1", [None])
    assert "verified" in world.told(shop, "ROLLED BACK")


# --- what happens between the verdict and the write ------------------------------------------------------------------------------------------------


def test_404_a_target_that_is_deleted_before_the_write_is_left_alone_and_paged(world: World) -> None:
    shop = world.after("deleted")
    assert shop.writes() == [404]
    assert "does not exist" in world.told(shop, "ROLLBACK NEEDS YOU")


def test_a_new_revision_that_lands_between_verdict_and_write_stays_and_the_incident_is_superseded(world: World) -> None:
    shop = world.after("overtaken")
    assert (shop.image, shop.writes(), shop.closed()["how"]) == ("shop:3", [422], "superseded")


# --- targets that must not, or cannot, be put back -------------------------------------------------------------------------------------------------


def test_a_paused_deployment_is_not_written_to_and_the_page_says_how_to_resume_it(world: World) -> None:
    shop = world.after("paused")
    assert shop.writes() == []
    assert "kubectl -n paused rollout resume deployment/checkout" in world.told(shop, "NO ACTION TAKEN")


def test_a_deployment_with_zero_replicas_is_not_written_to_and_the_page_says_why(world: World) -> None:
    shop = world.after("empty")
    assert shop.writes() == []
    assert "is scaled to 0 replicas" in world.told(shop, "NO ACTION TAKEN")


def test_with_its_replicasets_pruned_nothing_is_written_and_the_page_names_what_is_left(world: World) -> None:
    shop = world.after("pruned")
    assert (shop.image, shop.writes()) == ("shop:errors", [])
    page = world.told(shop, "NO ACTION TAKEN")
    assert "no known-good revision is left among its ReplicaSets" in page
    assert "revisionHistoryLimit 0" in page


def test_a_target_that_never_becomes_ready_is_written_to_once_and_held(world: World) -> None:
    shop = world.after("unready")
    assert (shop.held()["guard"], shop.writes()) == ("ladder", [200])
    assert "has timed out progressing" in world.told(shop, "ROLLBACK NEEDS YOU")
