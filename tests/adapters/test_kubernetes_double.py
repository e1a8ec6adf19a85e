"""The double keeps the rules of the API that it stands for: patches by the book, and what a write does to an object."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.doubles.kube import TOKEN, KubeDouble, jsonpatch, running_double, selectors

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
PATHS = "/apis/apps/v1/namespaces/default/deployments"


def patched(document: Any, *operations: dict[str, Any]) -> Any:
    return jsonpatch.apply(document, jsonpatch.decode(json.dumps(operations, ensure_ascii=False).encode()))


@pytest.mark.parametrize(
    ("document", "operation", "result"),
    [
        pytest.param({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}, id="add-member"),
        pytest.param({"a": 1}, {"op": "add", "path": "/a", "value": 2}, {"a": 2}, id="add-replaces-a-member"),
        pytest.param({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}, id="add-element"),
        pytest.param({"a": [1]}, {"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}, id="append"),
        pytest.param({"a": 1}, {"op": "add", "path": "", "value": [2]}, [2], id="the-whole-document"),
        pytest.param({"a": 1, "b": 2}, {"op": "remove", "path": "/a"}, {"b": 2}, id="remove-member"),
        pytest.param({"a": [1, 2]}, {"op": "remove", "path": "/a/0"}, {"a": [2]}, id="remove-element"),
        pytest.param({"a": {"b": 1}}, {"op": "replace", "path": "/a/b", "value": None}, {"a": {"b": None}}, id="replace-by-null"),
        pytest.param({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/a/b", "path": "/c/d"}, {"a": {}, "c": {"d": 1}}, id="move"),
        pytest.param({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}, id="copy"),
        pytest.param({"a/b": 1}, {"op": "replace", "path": "/a~1b", "value": 2}, {"a/b": 2}, id="slash-in-a-name"),
        pytest.param({"~1": 1}, {"op": "replace", "path": "/~01", "value": 2}, {"~1": 2}, id="tilde-before-a-digit"),
        pytest.param({"": 1}, {"op": "replace", "path": "/", "value": 2}, {"": 2}, id="empty-name"),
        pytest.param({"a": [1, {"b": None}]}, {"op": "test", "path": "/a", "value": [1, {"b": None}]}, {"a": [1, {"b": None}]}, id="test-holds"),
    ],
)
def test_an_operation_does_what_rfc_6902_says(document: Any, operation: dict[str, Any], result: Any) -> None:
    assert patched(document, operation) == result


@pytest.mark.parametrize(
    ("document", "operation"),
    [
        pytest.param({"a": 1}, {"op": "test", "path": "/a", "value": 2}, id="test-of-another-value"),
        pytest.param({"a": 1}, {"op": "test", "path": "/a", "value": True}, id="one-is-not-true"),
        pytest.param({"a": 1}, {"op": "remove", "path": "/b"}, id="remove-nothing"),
        pytest.param({"a": 1}, {"op": "add", "path": "/b/c", "value": 1}, id="add-below-nothing"),
        pytest.param({"a": [1]}, {"op": "add", "path": "/a/2", "value": 1}, id="add-past-the-end"),
        pytest.param({"a": {"b": 1}}, {"op": "move", "from": "/a", "path": "/a/b/c"}, id="move-into-itself"),
        pytest.param({"a": 1}, {"op": "increment", "path": "/a"}, id="unknown-operation"),
        pytest.param({"a": 1}, {"op": "remove", "path": "a"}, id="no-pointer"),
    ],
)
def test_an_operation_that_does_not_hold_fails_the_patch_and_leaves_the_document(document: Any, operation: dict[str, Any]) -> None:
    before = json.dumps(document)
    with pytest.raises(jsonpatch.PatchFault):
        patched(document, {"op": "add", "path": "/first", "value": 1}, operation)
    assert json.dumps(document) == before


def test_a_test_compares_the_spelling_as_the_server_does() -> None:
    stored = {"a": "x && é"}
    as_go = b'[{"op":"test","path":"/a","value":"x \\u0026\\u0026 \xc3\xa9"}]'
    as_python = json.dumps([{"op": "test", "path": "/a", "value": "x && é"}]).encode()
    assert jsonpatch.apply(stored, jsonpatch.decode(as_go)) == stored
    with pytest.raises(jsonpatch.PatchFault):
        jsonpatch.apply(stored, jsonpatch.decode(as_python))


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}, id="null-removes"),
        pytest.param({"a": [1, 2]}, {"a": [3]}, {"a": [3]}, id="lists-are-replaced"),
        pytest.param({"a": 1}, {"b": {"c": None, "d": 1}}, {"a": 1, "b": {"d": 1}}, id="nulls-are-not-stored"),
    ],
)
def test_a_merge_patch_does_what_rfc_7396_says(document: Any, patch: Any, result: Any) -> None:
    assert jsonpatch.merge(document, patch) == result


@pytest.mark.parametrize(
    ("selector", "labels", "chosen"),
    [
        ("a=1,b!=2", {"a": "1"}, True),
        ("a=1,b!=2", {"a": "1", "b": "2"}, False),
        ("a in (1, 2),c", {"a": "2", "c": ""}, True),
        ("a notin (1,2)", {"a": "1"}, False),
        ("!a", {"a": "1"}, False),
        ("", {}, True),
    ],
)
def test_a_label_selector_chooses(selector: str, labels: dict[str, str], chosen: bool) -> None:
    assert selectors.parse(selector)(labels) is chosen


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    with running_double(tmp_path_factory.mktemp("kube")) as double:
        yield double


@pytest.fixture
def double(running: KubeDouble) -> KubeDouble:
    """A double whose controllers stand still, with one Deployment."""
    running.reset()
    running.run_controllers(False)
    running.api("POST", PATHS, DEPLOYMENT)
    return running


DEPLOYMENT = {
    "metadata": {"name": "x", "annotations": {"a": "1"}},
    "spec": {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "web", "image": "shop:1"}]}},
    },
}


def send(double: KubeDouble, method: str, path: str, body: Any = None, kind: str = MERGE, query: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    return double.session.request(method, f"{double.url}{path}{query}", data=json.dumps(body), headers=headers, timeout=10)


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "code", "reason"),
    [
        pytest.param("GET", "/apis/apps/v2", None, "", 404, "NotFound", id="no-such-path"),
        pytest.param("POST", PATHS, DEPLOYMENT, "application/json", 409, "AlreadyExists", id="exists"),
        pytest.param("PATCH", f"{PATHS}/x", {}, "application/strategic-merge-patch+json", 415, "UnsupportedMediaType", id="strategic-merge"),
        pytest.param("PUT", f"{PATHS}/x", {}, "application/json", 405, "MethodNotAllowed", id="put"),
    ],
)
def test_a_failure_is_a_status_object(double: KubeDouble, method: str, path: str, body: Any, kind: str, code: int, reason: str) -> None:
    reply = send(double, method, path, body, kind)
    status = reply.json()
    assert (reply.status_code, status["kind"], status["status"], status["code"], status["reason"]) == (code, "Status", "Failure", code, reason)
