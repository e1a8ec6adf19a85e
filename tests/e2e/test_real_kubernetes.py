"""The main job on a real cluster: `rollbackd run` in processes of their own against a real API server, its controllers, its RBAC and its audit log.

The daemons hold a ServiceAccount's token and the rights that the documentation asks for, with that to list Jobs. The audit log is the witness of
who wrote.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rollbackd.controller.demo.receiver import Receiver
from tests.e2e.daemon import Daemon, policy, running
from tests.e2e.fleet import Fleet, Shop, Symptom, ended, exposed
from tests.kube import RealKube
from tests.servers import poll

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ERRORS = {"use": "error-rate", "with": {"for": "0s"}}
US = "system:serviceaccount:rollbackd:rollbackd"


@contextmanager
def watching(folder: Path, cluster: RealKube, namespace: str, fleet: Fleet, *names: str, **spec: Any) -> Iterator[list[Daemon]]:
    """Daemons with stores of their own, each with a policy for ``checkout`` of the namespace."""
    with ExitStack() as stack:
        page, receiver = stack.enter_context(exposed(fleet)), stack.enter_context(Receiver(SECRET))
        (folder / "secret").write_text(SECRET)
        config = {
            "sources": {"scrape": {"every": "1s", "targets": [{"urls": [f"{page.url}/metrics"]}]}},
            "clusters": {"test": {"kubeconfig": str(cluster.kubeconfig)}},
            "contacts": {"oncall": [{"webhook": {"url": receiver.url, "secret_file": str(folder / "secret")}}]},
        }
        text = policy(namespace, {"kubernetes": {"namespace": namespace, "deployment": "checkout"}}, ERRORS, **spec)
        yield [stack.enter_context(running(folder / name, config, {namespace: text})) for name in names]


class Story:
    """A release that goes bad after `rollbackd plan` has been asked what would be done, and what became of it."""

    def __init__(self, shop: Shop, cluster: RealKube, fleet: Fleet) -> None:
        shop.open()
        self.before = {item["metadata"]["uid"]: item for item in shop.stage.replicasets()}
        good = shop.revision
        shop.stage.release("shop:2", manager="ci-pipeline")
        poll(lambda: shop.revision not in (None, good))
        self.rung: dict[str, Any] = planned(shop)
        fleet.symptoms["shop:2"] = Symptom(failing=0.3)
        self.how = shop.closed()["how"]
        self.kinds = shop.kinds()
        (self.intended,) = shop.daemon.rows(shop.target, "rung.intended")
        self.deployment, self.replicasets = shop.stage.deployment(), shop.stage.replicasets()
        self.patches = patches(cluster, shop.namespace)
        fleet.symptoms["shop:2"] = Symptom()
        words = ("undo", self.intended["incident"], "--reason", "it was the database", "--override", "quarantine", "--yes")
        self.undo = shop.daemon.run(*words)
        poll(lambda: shop.image == "shop:2" and len(patches(cluster, shop.namespace)) > len(self.patches))
        self.undone, self.patches_of_undo = shop.stage.deployment(), patches(cluster, shop.namespace)[len(self.patches) :]
        self.doctor = [doctored(shop)]
        cluster.deny("patch", "deployments", shop.namespace)
        self.doctor.append(doctored(shop))
        self.asked = {(item["verb"], item["resource"]) for item in cluster.requests() if item["namespace"] == shop.namespace}


def doctored(shop: Shop) -> tuple[int, str]:
    """Exit code and words of `rollbackd doctor`."""
    done = shop.daemon.run("doctor")
    return done.returncode, done.stdout


def patches(cluster: RealKube, namespace: str) -> list[dict[str, Any]]:
    """What the audit log knows of patches in the namespace."""
    return [item for item in cluster.requests("patch") if item["namespace"] == namespace]


def planned(shop: Shop) -> dict[str, Any]:
    """The only rung of `rollbackd plan`, which says by its exit code that something would be written."""
    done = shop.daemon.run("plan", shop.namespace, "-o", "json")
    assert done.returncode == 2, done.stderr
    (rung,) = json.loads(done.stdout)["rungs"]
    assert isinstance(rung, dict)
    return rung


@pytest.fixture(scope="module")
def story(real_kube: RealKube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    fleet = Fleet(real_kube)
    with watching(tmp_path_factory.mktemp("real"), real_kube, "e2e-once", fleet, "one") as (daemon,):
        yield Story(Shop(daemon, real_kube, "e2e-once"), real_kube, fleet)
    real_kube.empty_namespace("e2e-once")


def test_a_release_that_goes_bad_is_put_back_and_the_incident_closed_as_recovered(story: Story) -> None:
    assert story.deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:1"
    assert (story.how, story.kinds) == ("recovered", ["incident.opened", "rung.intended", "rung.applied", "rung.settled", "incident.closed"])


def test_it_was_put_back_as_the_plan_had_said(story: Story) -> None:
    wrote = story.intended["body"]
    assert story.rung["outcome"] == "planned"
    assert [wrote[key] for key in ("from_revision", "to_revision", "summary", "command")] == [
        story.rung[key] for key in ("from_revision", "to_revision", "summary", "command")
    ]
    assert wrote["steps"] == story.rung["steps"]


def test_the_former_replicaset_serves_again_under_the_next_number_and_none_was_made(story: Story) -> None:
    (uid,) = story.before
    now = {item["metadata"]["uid"]: item for item in story.replicasets}
    notes = now[uid]["metadata"]["annotations"]
    assert (len(now), now[uid]["status"]["readyReplicas"], notes["deployment.kubernetes.io/revision"]) == (2, 2, "3")
    assert [item["status"]["replicas"] for key, item in now.items() if key != uid] == [0]


def test_the_deployment_carries_the_mark_of_the_incident_and_the_field_manager_rollbackd(story: Story) -> None:
    notes, wrote = story.deployment["metadata"]["annotations"], story.intended
    marks = {key.removeprefix("rollbackd.io/"): value for key, value in notes.items() if key.startswith("rollbackd.io/")}
    body = wrote["body"]
    assert marks == {"incident": wrote["incident"], "revision": body["to_revision"], "from": body["from_revision"], "rollout": "3"}
    assert "rollbackd" in {item["manager"] for item in story.deployment["metadata"]["managedFields"]}


def test_the_audit_log_knows_of_one_write_and_of_rehearsals(story: Story) -> None:
    assert [(item["user"], item["status"]) for item in story.patches if not item["dry_run"]] == [(US, 200)]
    # One for `rollbackd plan`, one before the write.
    assert [item["status"] for item in story.patches if item["dry_run"]] == [200, 200]


def test_an_undo_by_hand_is_one_more_rehearsed_write_that_puts_back_what_was_left(story: Story) -> None:
    assert story.undo.returncode == 0, story.undo.stderr
    assert story.undone["metadata"]["annotations"]["rollbackd.io/revision"] == story.rung["from_revision"]
    assert [(item["dry_run"], item["status"]) for item in story.patches_of_undo[-2:]] == [(True, 200), (False, 200)]
    assert sum(not item["dry_run"] for item in story.patches_of_undo) == 1


def test_the_doctor_is_content_with_the_rights_and_names_the_rule_for_one_that_is_taken(story: Story) -> None:
    (sound, _), (ill, words) = story.doctor
    assert (sound, ill) == (0, 2)
    assert 'Add to the Role of namespace e2e-once: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]' in words, words


def test_nothing_else_was_asked_of_the_namespace_than_the_rights_that_it_needs(story: Story) -> None:
    rights = {
        ("get", "deployments"),
        ("list", "deployments"),
        ("patch", "deployments"),
        ("list", "replicasets"),
        ("list", "pods"),
        ("get", "namespaces"),
    }
    assert story.asked <= rights | {("create", "selfsubjectaccessreviews")}


def test_a_release_that_came_with_a_migration_is_put_to_people(real_kube: RealKube, tmp_path: Path) -> None:
    asks = {"unless": [{"job": "migrate-*"}]}
    with watching(tmp_path, real_kube, "e2e-job", Fleet(real_kube), "one", reversible=asks) as (daemon,):
        shop = Shop(daemon, real_kube, "e2e-job")
        shop.open()
        shop.stage.job("migrate-42", "shop:42")
        shop.stage.release("shop:errors")
        offered = daemon.wait_for(shop.target, "rung.offered")
        assert "Job migrate-42 (image shop:42) ran at " in str(offered["body"])
        assert (shop.image, shop.writes()) == ("shop:errors", [])
    real_kube.empty_namespace("e2e-job")


def test_two_daemons_with_stores_of_their_own_write_once(real_kube: RealKube, tmp_path: Path) -> None:
    fleet = Fleet(real_kube)
    with watching(tmp_path, real_kube, "e2e-twice", fleet, "one", "two") as daemons:
        one, two = (Shop(daemon, real_kube, "e2e-twice") for daemon in daemons)
        one.open()
        poll(lambda: two.revision)
        two.declare_good()
        one.stage.release("shop:errors")
        ends = ended(one, two)
        number = one.stage.deployment()["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        assert (one.image, number, one.writes().count(200)) == ("shop:1", "3", 1), ends
        assert set(one.writes()) <= {200, 422}
        assert [sum(row["kind"] == "rung.intended" for row in rows) <= 1 for rows in ends] == [True, True]
    real_kube.empty_namespace("e2e-twice")
