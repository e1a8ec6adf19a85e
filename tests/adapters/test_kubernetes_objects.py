"""What raw Kubernetes objects mean: tables of judgements, no server."""

from typing import Any

import pytest

from rollbackd.adapters.kubernetes import differences, objects, owners
from rollbackd.adapters.kubernetes.api import go_json
from rollbackd.adapters.kubernetes.place import Place

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "checkout"}},
    "spec": {"containers": [{"name": "web", "image": "shop:1", "resources": {}}]},
}
PLACE = Place("test", "shop", "checkout")


def template(**container: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "web", "image": "shop:1", **container}]}}


def test_the_hash_label_and_nulls_do_not_count_in_a_digest() -> None:
    stored = {**TEMPLATE, "metadata": {"creationTimestamp": None, "labels": {"app": "checkout", "pod-template-hash": "abc"}}}
    assert objects.digest(stored) == objects.digest(TEMPLATE)


def test_everything_else_counts_in_a_digest() -> None:
    assert objects.digest(template(image="shop:2")) != objects.digest(template())
    assert objects.digest(template(madeUpField=1)) != objects.digest(template())


@pytest.mark.parametrize(
    ("bad", "good", "in_doubt"),
    [
        pytest.param("shop:2", "shop:1", (), id="another-tag"),
        pytest.param("shop:2", "shop:latest", ("shop:latest",), id="latest"),
        pytest.param("shop:2", "registry:5000/shop", ("registry:5000/shop",), id="no-tag-behind-a-port"),
        pytest.param("shop:stable", "shop:stable", ("shop:stable",), id="the-same-name-before-and-after"),
        pytest.param("shop:2", "shop:latest@sha256:ab", (), id="a-digest"),
        pytest.param("shop@sha256:ab", "shop@sha256:ab", (), id="the-same-digest"),
    ],
)
def test_an_image_is_in_doubt_where_its_name_may_mean_another_by_now(bad: str, good: str, in_doubt: tuple[str, ...]) -> None:
    assert differences.images_in_doubt(template(image=bad), template(image=good)) == in_doubt


def test_a_digest_is_stable() -> None:
    assert objects.digest(TEMPLATE) == "390a7174181dae9d"


def test_taking_the_hash_label_away_does_not_touch_the_original() -> None:
    stored = {"metadata": {"labels": {"pod-template-hash": "abc"}}, "spec": {}}
    objects.bare(stored)
    assert stored == {"metadata": {"labels": {"pod-template-hash": "abc"}}, "spec": {}}


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        pytest.param({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2", id="labels"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, "a in (1,2)", id="in"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, "a notin (1)", id="not-in"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}, "a,!b", id="presence"),
    ],
)
def test_a_selector_is_written_as_a_query(chosen: dict[str, Any], text: str) -> None:
    assert objects.selector({"spec": {"selector": chosen}}) == text


def deadline_exceeded(message: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": message}]}}


@pytest.mark.parametrize(
    ("message", "stuck"),
    [
        pytest.param('ReplicaSet "checkout-new" has timed out progressing.', True, id="of-this-replicaset"),
        pytest.param('ReplicaSet "checkout-old" has timed out progressing.', False, id="left-over-from-another"),
        pytest.param('Deployment "checkout" has timed out progressing.', True, id="of-the-whole-deployment"),
    ],
)
def test_an_exceeded_deadline_counts_for_the_replicaset_that_it_names(message: str, stuck: bool) -> None:
    assert (objects.stall(deadline_exceeded(message), {"metadata": {"name": "checkout-new"}}) is not None) is stuck


def entry(manager: str, day: int, field: str = "f:template") -> dict[str, Any]:
    return {"manager": manager, "time": f"2026-01-0{day}T00:00:00Z", "fieldsV1": {"f:spec": {field: {}}}}


@pytest.mark.parametrize(
    ("entries", "writer"),
    [
        pytest.param([], None, id="none-kept"),
        pytest.param([entry("helm", 1), entry("ci", 2)], "ci", id="the-newest"),
        pytest.param([entry("ci", 1), entry("hpa", 2, "f:replicas")], "ci", id="scaling-is-not-the-template"),
        pytest.param([entry("b", 1), entry("a", 1)], "a, b", id="in-the-same-second"),
    ],
)
def test_the_writer_is_who_wrote_the_template_last(entries: list[dict[str, Any]], writer: str | None) -> None:
    assert objects.writer_of_template({"metadata": {"managedFields": entries}}) == writer


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        pytest.param(template(image="a"), template(image="b"), ("container web: image a -> b",), id="image"),
        pytest.param(
            template(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
            template(env=[{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]),
            ("container web: env removed: A", "container web: env added: C", "container web: env changed: B"),
            id="environment-by-name-only",
        ),
        pytest.param(
            template(resources={"limits": {"memory": "1Gi"}}),
            template(),
            ('container web: resources {"limits": {"memory": "1Gi"}} -> none',),
            id="resources-with-values",
        ),
        pytest.param(template(command=["a"]), template(command=["b"]), ("container web: command changed",), id="command-without-values"),
        pytest.param(
            {**TEMPLATE, "spec": {"containers": [*TEMPLATE["spec"]["containers"], {"name": "side", "image": "s:1"}]}},
            TEMPLATE,
            ("container side: removed (image s:1)",),
            id="container-removed",
        ),
        pytest.param(
            TEMPLATE,
            {**TEMPLATE, "metadata": {"labels": {"app": "checkout"}, "annotations": {"token": "s3cret"}}},
            ("pod annotations added: token",),
            id="annotations-by-name-only",
        ),
        pytest.param(TEMPLATE, {**TEMPLATE, "spec": {**TEMPLATE["spec"], "volumes": [{"name": "v"}]}}, ("pod volumes changed",), id="pod-fields"),
        pytest.param(TEMPLATE, TEMPLATE, (), id="nothing"),
    ],
)
def test_differences_are_told_without_values_that_may_be_secret(before: dict[str, Any], after: dict[str, Any], lines: tuple[str, ...]) -> None:
    assert differences.differences(before, after) == lines


def over_http(path: str, token: str = "", **more: Any) -> dict[str, Any]:
    headers = {"httpHeaders": [{"name": "Authorization", "value": token}]} if token else {}
    return {"httpGet": {"path": path, "port": 8080, "scheme": "HTTP", **headers}, **more}


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        pytest.param({"exec": {"command": ["ping", "s3cret"]}}, {"exec": {"command": ["ping", "s3cret2"]}}, "changed", id="command"),
        pytest.param(over_http("/up", "s3cret"), over_http("/up", "s3cret2"), "changed", id="header"),
        pytest.param(over_http("/up?key=s3cret"), over_http("/up?key=s3cret2"), "changed", id="query"),
        pytest.param(
            over_http("/up?key=s3cret", "s3cret", periodSeconds=5),
            over_http("/health", "s3cret", periodSeconds=9),
            '{"httpGet": {"path": "/up", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 5} -> '
            '{"httpGet": {"path": "/health", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 9}, the rest changed',
            id="path-and-timing",
        ),
        pytest.param(
            over_http("/up", "s3cret"),
            {"exec": {"command": ["s3cret"]}, "failureThreshold": 2},
            '{"httpGet": {"path": "/up", "port": 8080, "scheme": "HTTP"}} -> {"exec": {}, "failureThreshold": 2}, the rest changed',
            id="another-kind",
        ),
        pytest.param(
            {"grpc": {"port": 9}, "timeoutSeconds": 1},
            {"tcpSocket": {"port": "web"}, "timeoutSeconds": 1},
            '{"grpc": {"port": 9}, "timeoutSeconds": 1} -> {"tcpSocket": {"port": "web"}, "timeoutSeconds": 1}',
            id="nothing-but-what-is-shown",
        ),
        pytest.param({"mail": "s3cret"}, {"mail": "s3cret2"}, "changed", id="what-a-later-kubernetes-may-add"),
        pytest.param({"exec": {"command": ["s3cret"]}}, None, '{"exec": {}} -> none, the rest changed', id="removed"),
    ],
)
@pytest.mark.parametrize("kind", ["livenessProbe", "readinessProbe", "startupProbe"])
def test_of_a_probe_only_what_cannot_be_secret_is_told(kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None, line: str) -> None:
    assert differences.differences(template(**{kind: before}), template(**{kind: after})) == (f"container web: {kind} {line}",)


def test_what_pods_read_is_found_wherever_it_is_named() -> None:
    pod = {
        "containers": [
            {
                "name": "web",
                "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
                "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}}],
            }
        ],
        "volumes": [{"name": "v", "secret": {"secretName": "d"}}, {"name": "w", "projected": {"sources": [{"configMap": {"name": "e"}}]}}],
    }
    assert differences.referenced({"spec": pod}) == ("ConfigMap a", "ConfigMap e", "Secret b", "Secret c", "Secret d")


def test_replicasets_of_an_argo_rollout_are_left_to_it() -> None:
    deployment = {"metadata": {"name": "checkout", "uid": "1"}}
    replicaset = {"metadata": {"ownerReferences": [{"kind": "Rollout", "name": "checkout", "uid": "2", "controller": True}]}}
    refusal = owners.owner_to_respect(PLACE, deployment, [replicaset])
    assert refusal is not None
    assert "kubectl argo rollouts abort checkout -n shop" in refusal.advice


def test_an_argo_cd_that_left_no_label_is_known_by_its_field_manager() -> None:
    deployment = {"metadata": {"managedFields": [{"manager": "argocd-controller"}]}}
    assert owners.owner_to_respect(PLACE, deployment, []) is not None


def test_a_deployment_that_nobody_owns_is_free() -> None:
    deployment = {"metadata": {"labels": {"app.kubernetes.io/instance": "store", "app.kubernetes.io/managed-by": "Helm"}}}
    assert owners.owner_to_respect(PLACE, deployment, []) is None


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        pytest.param("a && b < c > d", b'"a \\u0026\\u0026 b \\u003c c \\u003e d"', id="escaped"),
        pytest.param("größer 漢 🚀", '"größer 漢 🚀"'.encode(), id="as-it-is"),
        pytest.param("\u2028\u2029", b'"\\u2028\\u2029"', id="line-separators"),
        pytest.param('"\\\t\n', b'"\\"\\\\\\t\\n"', id="short-escapes"),
    ],
)
def test_json_is_spelt_as_the_server_spells_it(value: str, spelling: bytes) -> None:
    assert go_json(value) == spelling
