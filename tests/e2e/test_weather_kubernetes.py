"""Kubernetes in bad weather, through a whole daemon: what the incident comes to, how often it wrote, and what on-call is told to do.

One daemon, its scrape source and one Kubernetes double serve the module; each test has a namespace of its own. The release ``shop:errors`` fails
three requests out of ten, so that a daemon that may act rolls it back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass
class World:
    """What the tests of this module share."""

    double: KubeDouble
    fleet: Fleet
    receiver: Receiver
    daemon: Daemon

    def shop(self, namespace: str, *when: dict[str, Any], timing: dict[str, str] | None = None, **deploy: Any) -> Shop:
        """A shop at version 1, which is declared good, under a policy of its own: at its ready command in a running daemon."""
        shop = Shop(self.daemon, self.double, namespace)
        target = {"kubernetes": {"namespace": namespace, "deployment": "checkout"}}
        match = {"match": {"app": namespace}} if when else {}
        text = policy(namespace, target, *(when or (ERRORS,)), timing={**SECONDS, **(timing or {})}, **match)
        self.daemon.write_policy(namespace, text)
        self.daemon.reload()
        poll(lambda: self.daemon.policy(namespace))
        shop.open(**deploy)
        return shop

    def told(self, shop: Shop) -> list[str]:
        """Every message about the shop, its title and its lines, in the order of arrival."""
        bodies = [message.body["data"] for message in self.receiver.messages]
        return ["\n".join([body["title"], *body["lines"]]) for body in bodies if body["fields"].get("target") == shop.target]

    def page(self, shop: Shop) -> str:
        """The message that it is held, once it has arrived."""
        found: list[str] = []

        def has_arrived() -> bool:
            found[:] = [text for text in self.told(shop) if "held by" in text]
            return bool(found)

        poll(has_arrived)
        return found[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("kubernetes-weather")
    with double_in(folder) as double, Receiver(SECRET) as receiver:
        fleet = Fleet(double)
        with exposed(fleet) as page:
            (folder / "secret").write_text(SECRET)
            config = {
                "sources": {"scrape": {"every": "1s", "targets": [{"urls": [f"{page.url}/metrics"]}]}},
                "clusters": {"test": {"kubeconfig": str(double.kubeconfig)}},
                "contacts": {"oncall": [{"webhook": {"url": receiver.url, "secret_file": str(folder / "secret")}}]},
                "guards": {"per_hour": 100, "in_flight": 100},
            }
            first = policy("first", {"kubernetes": {"namespace": "first", "deployment": "checkout"}}, ERRORS)
            with running(folder, config, {"first": first}) as daemon:
                yield World(double, fleet, receiver, daemon)


# --- the way it should be ------------------------------------------------------------------------------------------------------------------------


def test_without_bad_weather_the_release_is_put_back_by_one_write(world: World) -> None:
    shop = world.shop("calm")
    shop.stage.release("shop:errors")
    assert shop.closed()["how"] == "recovered"
    assert (shop.image, shop.writes()) == ("shop:1", [200])
    assert shop.kinds() == ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"]


# --- what the API server refuses -----------------------------------------------------------------------------------------------------------------


def test_403_stops_without_a_write_and_the_page_names_verb_and_resource(world: World) -> None:
    shop = world.shop("forbidden")
    shop.stage.release("shop:errors")
    world.double.deny("patch", "deployments", "forbidden")
    shop.held()
    assert (shop.image, shop.writes()) == ("shop:errors", [])
    assert 'Add to the Role of namespace forbidden: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]' in world.page(shop)


def test_422_of_the_rehearsal_stops_without_a_write_and_the_page_says_what_the_server_said(world: World) -> None:
    shop = world.shop("invalid")
    said = 'admission webhook "policy.example" denied the request: image shop:1 is not signed'
    shop.stage.release("shop:errors")
    world.double.fault("status", method="PATCH", namespace="invalid", status=422, message=said, dry_run=True)
    shop.held()
    assert (shop.image, shop.writes()) == ("shop:errors", [])
    assert said in world.page(shop)


def test_409_on_the_write_is_never_retried_and_the_page_says_that_nothing_was_written(world: World) -> None:
    shop = world.shop("conflict")
    shop.stage.release("shop:errors")
    world.double.fault("status", method="PATCH", namespace="conflict", status=409, message="the object has been modified", dry_run=False)
    shop.held()
    assert (shop.image, shop.writes()) == ("shop:errors", [409])
    assert "Nothing was changed. (Look at the target; judge what runs now.)" in world.page(shop)
    assert "done: rung 1" not in world.page(shop)


# --- what happens between the verdict and the write ----------------------------------------------------------------------------------------------


def asked_to_write(world: World, shop: Shop) -> None:
    """Returns while the write is on its way: the API server has it and has not looked at it yet."""
    poll(lambda: shop.writes() == [None], within=30)


def test_404_a_target_that_is_deleted_before_the_write_is_left_alone_and_paged(world: World) -> None:
    shop = world.shop("deleted", timing={"give_up": "3s"})
    shop.stage.release("shop:errors")
    world.double.fault("wait_before", method="PATCH", namespace="deleted", seconds=2, dry_run=False)
    asked_to_write(world, shop)
    shop.stage.delete()
    shop.held()
    assert shop.writes() == [404]
    assert "does not exist" in world.page(shop)


def test_a_new_revision_that_lands_between_verdict_and_write_stays_and_the_incident_is_superseded(world: World) -> None:
    shop = world.shop("overtaken")
    shop.stage.release("shop:errors")
    world.double.fault("wait_before", method="PATCH", namespace="overtaken", seconds=2, dry_run=False)
    asked_to_write(world, shop)
    shop.stage.release("shop:3")
    assert shop.closed()["how"] == "superseded"
    assert (shop.image, shop.writes()) == ("shop:3", [422])


def test_a_new_revision_that_landed_during_the_verdict_has_a_watch_window_of_its_own(world: World) -> None:
    shop = world.shop("overtaken-by-a-bad-one")
    shop.stage.release("shop:errors")
    world.double.fault("wait_before", method="PATCH", namespace="overtaken-by-a-bad-one", seconds=2, dry_run=False)
    asked_to_write(world, shop)
    shop.stage.release("shop:errors-too")
    world.daemon.wait_for(shop.target, "incident.closed", lambda row: row["body"]["how"] == "recovered")
    assert (shop.image, shop.writes()) == ("shop:1", [422, 200])


# --- targets that must not, or cannot, be put back -------------------------------------------------------------------------------------------------


def test_a_paused_deployment_is_not_written_to_and_the_page_says_how_to_resume_it(world: World) -> None:
    shop = world.shop("paused")
    shop.stage.patch({"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "shop:errors"})
    shop.stage.settle()
    shop.stage.merge({"spec": {"paused": True}})
    shop.held()
    assert shop.writes() == []
    assert "kubectl -n paused rollout resume deployment/checkout" in world.page(shop)


def test_a_deployment_with_zero_replicas_is_not_written_to_and_the_page_says_why(world: World) -> None:
    world.fleet.edge["empty"] = 0.0
    shop = world.shop("empty", EDGE_ERRORS)
    shop.stage.release("shop:2")
    shop.stage.merge({"spec": {"replicas": 0}})
    shop.stage.settle()
    world.fleet.edge["empty"] = 0.5
    shop.held()
    assert shop.writes() == []
    assert "is scaled to 0 replicas" in world.page(shop)


def test_with_its_replicasets_pruned_nothing_is_written_and_the_page_names_what_is_left(world: World) -> None:
    shop = world.shop("pruned", revisionHistoryLimit=0)
    shop.stage.release("shop:errors")
    poll(lambda: len(shop.stage.replicasets()) == 1)
    shop.held()
    assert (shop.image, shop.writes()) == ("shop:errors", [])
    assert "no known-good revision is left among its ReplicaSets" in world.page(shop)
    assert "revisionHistoryLimit 0" in world.page(shop)


def test_a_target_that_never_becomes_ready_is_written_once_and_held(world: World) -> None:
    shop = world.shop("unready", progressDeadlineSeconds=3)
    world.double.image_behaves("shop:1", "ready")
    shop.stage.release("shop:errors")
    world.double.image_behaves("shop:1", "unready")
    try:
        held = shop.held()
    finally:
        world.double.image_behaves("shop:1", "ready")
    assert (held["guard"], shop.writes()) == ("ladder", [200])
    assert "ROLLBACK NEEDS YOU" in world.page(shop)


def test_a_reply_that_is_lost_after_the_write_was_applied_is_found_and_not_repeated(world: World) -> None:
    shop = world.shop("lost")
    shop.stage.release("shop:errors")
    world.double.fault("drop_after", method="PATCH", namespace="lost", dry_run=False)
    assert shop.closed()["how"] == "recovered"
    assert (shop.image, shop.writes()) == ("shop:1", [None])
