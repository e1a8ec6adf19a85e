"""What the Kubernetes target takes for granted of an API server and its controllers: true of a real one, and of the double that stands in for it."""

from collections.abc import Iterator
from typing import Any

import pytest

from rollbackd.adapters.kubernetes import Kubernetes
from rollbackd.adapters.kubernetes.api import go_json
from tests.doubles.kube import running_double
from tests.doubles.kube.stage import JSON_PATCH, MERGE_PATCH, Stage, World, stage_in, until

REVISION, HISTORY = "deployment.kubernetes.io/revision", "deployment.kubernetes.io/revision-history"


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_double(tmp_path_factory.mktemp("kube")) as world:
        yield world


@pytest.fixture(scope="module", params=["double", "real"])
def cluster(request: pytest.FixtureRequest) -> World:
    world: World = request.getfixturevalue({"double": "double", "real": "real_kube"}[request.param])
    return world


@pytest.fixture
def stage(cluster: World) -> Iterator[Stage]:
    with stage_in(cluster, Kubernetes({})) as stage:
        yield stage


def patched(stage: Stage, body: Any, kind: str = MERGE_PATCH, **query: str) -> tuple[int, Any]:
    """Status and JSON of a patch that may fail."""
    reply = stage.world.send("PATCH", stage.path(name="checkout"), go_json(body), content_type=kind, **query)
    return reply.status_code, reply.json()


def without_clock(obj: Any) -> Any:
    """As stored, but for what a controller's repeated status write may move."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": "", "managedFields": []}, "status": {}}


# Writes

NOTED = {"annotations": {"note": "a & b"}}


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param([{"op": "test", "path": "/metadata/uid", "value": "another"}], id="another-uid"),
        pytest.param([{"op": "test", "path": "/spec/replicas", "value": 7}], id="another-number"),
        pytest.param([{"op": "test", "path": "/spec/nothing", "value": 1}], id="test-of-nothing"),
        pytest.param([{"op": "test", "path": "/metadata/annotations/note", "value": None}], id="null-is-not-any-value"),
        pytest.param([{"op": "remove", "path": "/metadata/annotations/nothing"}], id="remove-nothing"),
        pytest.param([{"op": "replace", "path": "/metadata/labels/x", "value": ""}], id="replace-below-nothing"),
        pytest.param([{"op": "add", "path": "/metadata/labels/x", "value": ""}], id="add-below-nothing"),
        pytest.param([{"op": "move", "from": "/metadata", "path": "/metadata/annotations/x"}], id="move-into-itself"),
        pytest.param([{"op": "increment", "path": "/spec/replicas"}], id="unknown-operation"),
        pytest.param(
            [{"op": "replace", "path": "/spec/replicas", "value": 3}, {"op": "test", "path": "/spec/replicas", "value": 2}], id="a-later-test"
        ),
    ],
)
def test_a_json_patch_that_does_not_hold_is_answered_by_422_and_nothing_of_it_is_stored(stage: Stage, operations: Any) -> None:
    stage.deploy(metadata=NOTED)
    before = stage.deployment()
    code, status = patched(stage, operations, JSON_PATCH)
    assert (code, status["kind"], status["status"], status["reason"], status["code"]) == (422, "Status", "Failure", "Invalid", 422)
    assert without_clock(stage.deployment()) == without_clock(before)


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param({"op": "replace", "path": "/metadata/annotations/new", "value": "1"}, id="replace-adds"),
        pytest.param({"op": "test", "path": "/metadata/annotations/nothing", "value": None}, id="null-is-nothing"),
        pytest.param({"op": "add", "path": "/metadata/annotations/new"}, id="no-value-is-null"),
        pytest.param({"op": "replace", "path": "/spec/template/spec/containers/00/image", "value": "z"}, id="leading-zero"),
        pytest.param({"op": "replace", "path": "/spec/template/spec/containers/-1/image", "value": "z"}, id="index-from-the-end"),
        pytest.param({"op": "test", "path": "/metadata/annotations/note", "value": "a & b"}, id="spelt-as-go-does"),
    ],
)
def test_the_server_takes_more_than_rfc_6902_does(stage: Stage, operation: Any) -> None:
    stage.deploy(metadata=NOTED)
    assert patched(stage, [operation], JSON_PATCH, dryRun="All")[0] == 200


def test_a_test_of_a_string_that_is_spelt_otherwise_than_go_does_fails(stage: Stage) -> None:
    stage.deploy(metadata=NOTED)
    body = b'[{"op":"test","path":"/metadata/annotations/note","value":"a & b"}]'
    reply = stage.world.send("PATCH", stage.path(name="checkout"), body, content_type=JSON_PATCH)
    assert reply.status_code == 422


@pytest.mark.parametrize("body", [{"op": "remove", "path": "/spec"}, ["remove"]], ids=["no-list", "no-operations"])
def test_what_is_no_json_patch_is_a_bad_request(stage: Stage, body: Any) -> None:
    stage.deploy(settled=False)
    code, status = patched(stage, body, JSON_PATCH)
    assert (code, status["reason"]) == (400, "BadRequest")


def test_a_uid_is_immutable(stage: Stage) -> None:
    stage.deploy(settled=False)
    code, status = patched(stage, {"metadata": {"uid": "another"}})
    assert (code, status["reason"], status["details"]["causes"][0]["field"]) == (422, "Invalid", "metadata.uid")


def test_a_test_of_the_whole_template_as_it_was_read_holds(stage: Stage) -> None:
    stage.deploy(container={"env": [{"name": "A", "value": "x && 'é' <b>"}]})
    template = stage.deployment()["spec"]["template"]
    holds = {"op": "test", "path": "/spec/template", "value": template}
    code, after = patched(stage, [holds, {"op": "add", "path": "/metadata/annotations/a~1b", "value": "1"}], JSON_PATCH)
    assert (code, after["metadata"]["annotations"]["a/b"]) == (200, "1")


def test_a_merge_patch_with_a_stale_version_is_a_conflict(stage: Stage) -> None:
    stage.deploy()
    code, status = patched(stage, {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 3}})
    assert (code, status["reason"]) == (409, "Conflict")


def test_the_selector_is_immutable(stage: Stage) -> None:
    stage.deploy()
    template = {"metadata": {"labels": {"app": "other"}}}
    code, status = patched(stage, {"spec": {"selector": {"matchLabels": {"app": "other"}}, "template": template}})
    assert (code, status["reason"], status["details"]["causes"][0]["field"]) == (422, "Invalid", "spec.selector")


@pytest.mark.parametrize(
    ("patch", "more"),
    [
        pytest.param({"spec": {"minReadySeconds": 1}}, 1, id="spec"),
        pytest.param({"metadata": {"annotations": {"a": "2"}}}, 1, id="annotations"),
        pytest.param({"metadata": {"labels": {"a": "2"}}}, 0, id="labels"),
        pytest.param({"status": {"replicas": 9}}, 0, id="status-is-not-written-here"),
        pytest.param({}, 0, id="nothing"),
    ],
)
def test_a_generation_counts_changes_of_spec_and_annotations(stage: Stage, patch: dict[str, Any], more: int) -> None:
    stage.deploy()
    before = stage.deployment()["metadata"]["generation"]
    code, after = patched(stage, patch)
    assert (code, after["metadata"]["generation"]) == (200, before + more)


def test_a_write_that_changes_nothing_moves_no_version(stage: Stage) -> None:
    stage.deploy()
    before = stage.deployment()
    code, after = patched(stage, {"spec": {"replicas": 2}}, fieldManager="another")
    assert (code, after["metadata"]["resourceVersion"]) == (200, before["metadata"]["resourceVersion"])


def test_a_dry_run_answers_as_if_and_stores_nothing(stage: Stage) -> None:
    stage.deploy()
    before = stage.deployment()
    code, after = patched(stage, {"spec": {"replicas": 3}}, dryRun="All", fieldManager="rehearsal")
    assert (code, after["spec"]["replicas"], after["metadata"]["generation"]) == (200, 3, before["metadata"]["generation"] + 1)
    assert "rehearsal" in {entry["manager"] for entry in after["metadata"]["managedFields"]}
    assert stage.deployment() == before


def test_a_dry_run_of_another_kind_is_invalid(stage: Stage) -> None:
    stage.deploy(settled=False)
    code, status = patched(stage, {}, dryRun="Some")
    assert (code, status["details"]["causes"][0]["field"]) == (422, "dryRun")


def test_a_dry_run_of_what_is_invalid_is_refused_as_the_write_would_be(stage: Stage) -> None:
    stage.deploy()
    empty = [{"op": "replace", "path": "/spec/template/spec/containers", "value": []}]
    code, status = patched(stage, empty, JSON_PATCH, dryRun="All")
    assert (code, status["details"]["causes"][0]["field"]) == (422, "spec.template.spec.containers")


def test_a_field_belongs_to_who_changed_it_last(stage: Stage) -> None:
    stage.deploy()
    patched(stage, {"spec": {"replicas": 3}}, fieldManager="scaler")
    entries = {item["manager"]: item for item in stage.deployment()["metadata"]["managedFields"] if "subresource" not in item}
    assert entries["scaler"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert (entries["scaler"]["operation"], "f:replicas" in entries["kubectl"]["fieldsV1"]["f:spec"]) == ("Update", False)


def test_who_replaces_the_template_is_its_last_writer_though_others_keep_what_stayed_the_same(stage: Stage) -> None:
    stage.deploy("shop:1")
    template = stage.deployment()["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "shop:2"
    patched(stage, [{"op": "replace", "path": "/spec/template", "value": template}], JSON_PATCH, fieldManager="rollbackd")
    entries = {item["manager"]: item for item in stage.deployment()["metadata"]["managedFields"] if "subresource" not in item}
    assert "f:template" in entries["rollbackd"]["fieldsV1"]["f:spec"]


# Reads


def test_a_list_comes_page_by_page_and_its_items_carry_no_kind(stage: Stage) -> None:
    for name in ("a", "b", "c"):
        stage.deploy(name=name, settled=False, replicas=0)
    first = stage.world.send("GET", stage.path(), limit="2").json()
    rest = stage.world.send("GET", stage.path(), limit="2", **{"continue": first["metadata"]["continue"]}).json()
    assert [item["metadata"]["name"] for item in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert (first["kind"], "kind" in first["items"][0], rest["metadata"].get("continue")) == ("DeploymentList", False, None)


def test_what_is_not_there_is_a_status_of_reason_not_found(stage: Stage) -> None:
    reply = stage.world.send("GET", stage.path(name="nobody"))
    assert (reply.status_code, reply.json()["kind"], reply.json()["reason"]) == (404, "Status", "NotFound")


# Controllers


def test_a_template_that_comes_back_uses_its_replicaset_again_under_the_next_number(stage: Stage) -> None:
    stage.deploy("shop:1")
    stage.release("shop:2")
    stage.release("shop:1")
    numbers = {item["spec"]["template"]["spec"]["containers"][0]["image"]: item["metadata"]["annotations"] for item in stage.replicasets()}
    assert (numbers["shop:1"][REVISION], numbers["shop:1"][HISTORY], numbers["shop:2"][REVISION]) == ("3", "1", "2")
    assert stage.deployment()["metadata"]["annotations"][REVISION] == "3"


def test_a_replicaset_holds_the_template_with_one_label_more(stage: Stage) -> None:
    stage.deploy()
    (made,) = stage.replicasets()
    template, label = made["spec"]["template"], made["metadata"]["labels"]["pod-template-hash"]
    assert template["metadata"]["labels"].pop("pod-template-hash") == label
    assert template == stage.deployment()["spec"]["template"]


def test_a_paused_deployment_makes_no_replicaset_of_a_new_template(stage: Stage) -> None:
    stage.deploy("shop:1")
    stage.merge({"spec": {"paused": True}})
    stage.release("shop:2", settled=False)
    until(stage.deployment, lambda seen: seen["status"]["observedGeneration"] >= seen["metadata"]["generation"])
    paused = stage.deployment()
    assert [item["spec"]["template"]["spec"]["containers"][0]["image"] for item in stage.replicasets()] == ["shop:1"]
    assert paused["metadata"]["annotations"][REVISION] == "1"
    assert {"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused"}.items() <= condition(paused, "Progressing").items()


def test_only_as_many_former_replicasets_stay_as_the_limit_says(stage: Stage) -> None:
    stage.deploy("shop:1", revisionHistoryLimit=1)
    for image in ("shop:2", "shop:3"):
        stage.release(image)
    left = until(stage.replicasets, lambda items: len(items) == 2)
    assert {item["metadata"]["annotations"][REVISION] for item in left} == {"2", "3"}


def test_a_quota_that_refuses_a_pod_shows_as_replica_failure(stage: Stage, cluster: World) -> None:
    stage.deploy("shop:1")
    cluster.limit_pods(stage.namespace, 2)
    stage.release("shop:2", settled=False)
    failing = until(stage.deployment, lambda seen: bool(condition(seen, "ReplicaFailure")))
    failure = condition(failing, "ReplicaFailure")
    assert (failure["status"], failure["reason"], "exceeded quota" in failure["message"]) == ("True", "FailedCreate", True)


def test_a_deployment_takes_its_replicasets_and_pods_along(stage: Stage) -> None:
    stage.deploy()
    stage.delete()
    until(stage.replicasets, lambda items: not items)
    until(lambda: stage.world.api("GET", stage.path("pods"))["items"], lambda items: not items)


def condition(deployment: Any, kind: str) -> dict[str, Any]:
    """Its condition of this type; empty where it has none."""
    return next((item for item in deployment["status"].get("conditions", []) if item["type"] == kind), {})
