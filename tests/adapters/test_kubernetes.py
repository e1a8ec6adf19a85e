"""The Kubernetes target on the wire: what is sent, what is not sent twice, and what bad weather means. Against the double."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import Intent, Plan, PlanRequest, Standing, TargetState
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from tests import servers
from tests.doubles.kube import TOKEN, KubeDouble, running_double, write_kubeconfig
from tests.doubles.kube.stage import Stage, stage_in, until

HASTE = (2.0, 0.3)
"""Seconds to connect and to wait for an answer, for tests in which no answer comes."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    with running_double(tmp_path_factory.mktemp("kube")) as double:
        yield double


@pytest.fixture
def double(running: KubeDouble) -> KubeDouble:
    running.reset()
    return running


@pytest.fixture
def stage(double: KubeDouble) -> Iterator[Stage]:
    with stage_in(double, Kubernetes({"test": ClusterAccess(double.kubeconfig)}, timeout=HASTE)) as stage:
        yield stage


# What is sent


def test_the_bearer_token_is_really_sent_with_every_request(stage: Stage, double: KubeDouble) -> None:
    plan = stage.plan(stage.broken())
    stage.target.apply(plan)
    stage.target.look(plan.intent)
    stage.target.check([stage.key])
    assert {item["verb"] for item in double.requests()} == {"get", "list", "patch", "create"}
    assert {item["authorization"] for item in double.requests()} == {f"Bearer {TOKEN}"}


def test_a_revert_is_one_patch_as_field_manager_rollbackd_and_its_rehearsal_another(stage: Stage, double: KubeDouble) -> None:
    good = stage.broken()
    double.forget()
    plan = stage.plan(good)
    stage.target.apply(plan)
    patches = [(item["query"], item["content_type"]) for item in double.requests("patch")]
    assert patches == [
        ({"fieldManager": "rollbackd", "dryRun": "All"}, "application/json-patch+json"),
        ({"fieldManager": "rollbackd"}, "application/json-patch+json"),
    ]
    rehearsed, sent = (json.loads(item["body"]) for item in double.requests("patch"))
    assert rehearsed == sent
    assert [(operation["op"], operation["path"]) for operation in sent] == [
        ("test", "/metadata/uid"),
        ("test", "/spec/template"),
        ("test", "/metadata/annotations/deployment.kubernetes.io~1revision"),
        ("replace", "/spec/template"),
        ("add", "/metadata/annotations/rollbackd.io~1incident"),
        ("add", "/metadata/annotations/rollbackd.io~1revision"),
        ("add", "/metadata/annotations/rollbackd.io~1from"),
        ("add", "/metadata/annotations/rollbackd.io~1rollout"),
    ]


def test_many_deployments_of_a_namespace_cost_one_list_of_each_kind(stage: Stage, double: KubeDouble) -> None:
    names = [f"shop-{number}" for number in range(5)]
    for name in names:
        stage.deploy(name=name, settled=False)
    for name in names:
        stage.settle(name)
    double.forget()
    seen = stage.target.survey([stage.key_of(name) for name in names])
    assert all(isinstance(state, TargetState) and state.ready for state in seen.values())
    assert [(item["verb"], item["resource"]) for item in double.requests()] == [("list", "deployments"), ("list", "replicasets"), ("list", "pods")]


def test_readiness_once_seen_is_not_asked_for_again(stage: Stage, double: KubeDouble) -> None:
    stage.deploy()
    ready = stage.state().ready
    double.forget()
    assert stage.state().ready == ready
    assert [item["resource"] for item in double.requests()] == ["deployments", "replicasets"]


def test_the_addresses_of_the_running_pods_are_known_for_probes(stage: Stage, double: KubeDouble) -> None:
    stage.deploy()
    pods = double.api("GET", stage.path("pods"))["items"]
    assert len(pods) > 1
    assert stage.target.addresses(stage.key_of("checkout")) == tuple(sorted(pod["status"]["podIP"] for pod in pods))


def test_a_long_list_is_read_to_its_end(stage: Stage, double: KubeDouble) -> None:
    stage.deploy()
    for number in range(501):
        body = {"metadata": {"name": f"old-{number:03}", "labels": {"app": "checkout"}}, "spec": {"replicas": 0, "template": {"metadata": {}}}}
        double.api("POST", stage.path("replicasets"), {**body, "status": {}})
    double.forget()
    assert isinstance(stage.state(), TargetState)
    lists = [item["query"] for item in double.requests("list") if item["resource"] == "replicasets"]
    assert [query.get("continue") for query in lists] == [None, "500"]


# Bad weather for reading


def test_a_change_that_its_controller_has_not_seen_yet_leaves_the_former_state_standing(stage: Stage, double: KubeDouble) -> None:
    stage.deploy()
    double.run_controllers(False)
    stage.release("shop:2", settled=False)
    error = stage.target.survey([stage.key])[stage.key]
    assert isinstance(error, Transient)
    assert "not observed generation 2 yet" in str(error)
    double.run_controllers(True)
    assert stage.state().parts == {"image web": "shop:2"}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param({"kind": "status", "status": 500}, Transient, id="500"),
        pytest.param({"kind": "status", "status": 503, "retry_after": 7}, Transient, id="503"),
        pytest.param({"kind": "status", "status": 429, "retry_after": 7}, Transient, id="429"),
        pytest.param({"kind": "wait_before", "seconds": 0.6}, Transient, id="no-answer-in-time"),
        pytest.param({"kind": "drop_before"}, Transient, id="connection-cut"),
        pytest.param({"kind": "garbage"}, Transient, id="a-proxys-html-page"),
        pytest.param({"kind": "status", "status": 403}, Permanent, id="403"),
        pytest.param({"kind": "status", "status": 302}, Permanent, id="redirected-to-a-login"),
    ],
)
def test_a_read_that_fails_is_an_error_and_is_sent_once(stage: Stage, double: KubeDouble, fault: dict[str, object], kind: type[AdapterError]) -> None:
    stage.deploy()
    double.forget()
    double.control("POST", "faults", {**fault, "method": "GET"})
    error = stage.target.survey([stage.key])[stage.key]
    assert isinstance(error, kind)
    assert TOKEN not in str(error)
    assert getattr(error, "retry_after", None) == fault.get("retry_after")
    until(double.requests, lambda items: len(items) == 1)


OTHER_ANSWERS = [
    pytest.param("null", id="null"),
    pytest.param("[]", id="a-list"),
    pytest.param("{}", id="an-empty-object"),
    pytest.param('{"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}', id="a-status"),
    pytest.param('{"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}', id="another-list"),
    pytest.param("[" * 100_000, id="nested-without-end"),
]


@pytest.mark.parametrize("body", OTHER_ANSWERS)
def test_a_200_with_something_else_than_what_was_asked_for_is_never_a_state(stage: Stage, double: KubeDouble, body: str) -> None:
    plan = stage.plan(stage.broken())
    for asks in (stage.target.look, lambda _: stage.target.paused(stage.key), lambda _: stage.target.workloads("test", {"app": "checkout"})):
        double.fault("garbage", method="GET", message=body)
        with pytest.raises(Transient, match=r"is not the API's \(200"):
            asks(plan.intent)
    double.fault("garbage", method="GET", message=body)
    assert isinstance(stage.target.survey([stage.key])[stage.key], Transient)


@pytest.mark.parametrize("body", OTHER_ANSWERS)
def test_a_200_with_something_else_than_a_review_names_no_right_as_missing(stage: Stage, double: KubeDouble, body: str) -> None:
    stage.deploy()
    double.fault("garbage", method="POST", message=body)
    (finding,) = stage.target.check([stage.key])
    assert "is not the API's (200" in finding


@pytest.mark.parametrize("body", OTHER_ANSWERS)
def test_a_write_that_is_answered_by_something_else_is_explained_by_looking(stage: Stage, double: KubeDouble, body: str) -> None:
    plan = stage.plan(stage.broken())
    double.fault("garbage", method="PATCH", message=body)
    with pytest.raises(Transient, match="Whether the patch was applied is unknown"):
        stage.target.apply(plan)
    assert stage.sight(plan.intent, Standing.THERE).ours


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        pytest.param(
            'deployments.apps "checkout" is forbidden: User "ann" cannot get resource "deployments" in API group "apps"', "Add to", id="rbac"
        ),
        pytest.param('deployments.apps "checkout" is forbidden: the plugin of this cloud says no', "no answer of RBAC", id="another-plugin"),
        pytest.param("access denied", "no answer of RBAC", id="a-proxy"),
    ],
)
def test_a_403_names_the_missing_rule_only_where_rbac_says_that_one_is_missing(stage: Stage, double: KubeDouble, message: str, advice: str) -> None:
    double.fault("status", method="GET", status=403, message=message)
    error = stage.target.survey([stage.key])[stage.key]
    assert isinstance(error, Permanent)
    assert (message in str(error), advice in str(error), "apiGroups" in str(error)) == (True, True, advice == "Add to")


@pytest.mark.parametrize("message", ["404 page not found", 'namespaces "shop" not found'], ids=["of-a-path", "of-something-else"])
def test_a_404_that_is_not_of_the_deployment_says_nothing_about_it(stage: Stage, double: KubeDouble, message: str) -> None:
    plan = stage.plan(stage.broken())
    double.fault("status", method="GET", status=404, message=message)
    with pytest.raises(Permanent, match=message):
        stage.target.look(plan.intent)
    double.fault("status", method="PATCH", status=404, message=message)
    with pytest.raises(Permanent, match="Nothing was changed"):
        stage.target.apply(plan)
    assert stage.target.look(plan.intent).standing is Standing.BEFORE


def test_without_the_right_to_ask_for_its_rights_the_check_names_the_rule_for_that(stage: Stage, double: KubeDouble) -> None:
    stage.deploy()
    double.deny("create", "selfsubjectaccessreviews")
    (finding,) = stage.target.check([stage.key])
    assert finding.endswith('ClusterRole: {apiGroups: ["authorization.k8s.io"], resources: ["selfsubjectaccessreviews"], verbs: ["create"]}')


@pytest.mark.parametrize("wish", ["²", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "9" * 400], ids=["superscript", "a-date", "negative", "for-ever"])
def test_a_wish_to_wait_that_is_no_number_of_seconds_is_none(stage: Stage, double: KubeDouble, wish: str) -> None:
    double.fault("status", method="GET", status=503, retry_after=wish)
    error = stage.target.survey([stage.key])[stage.key]
    assert isinstance(error, Transient)
    assert error.retry_after is None


@pytest.mark.parametrize("number", ["²", "9" * 5000, "-1", "1e3"], ids=["superscript", "too-long", "negative", "a-float"])
def test_a_revision_that_somebody_annotated_is_no_number_and_stops_nothing(stage: Stage, double: KubeDouble, number: str) -> None:
    stage.deploy()
    double.run_controllers(False)
    (made,) = stage.replicasets()
    body = {"metadata": {"annotations": {"deployment.kubernetes.io/revision": number}}}
    double.api("PATCH", stage.path("replicasets", made["metadata"]["name"]), body, content_type="application/merge-patch+json")
    assert stage.state().parts == {"image web": "shop:1"}


def test_a_pod_that_says_no_moment_of_its_readiness_is_passed_over(stage: Stage, double: KubeDouble) -> None:
    stage.deploy()
    pods = double.api("GET", stage.path("pods"))
    odd, other = (next(each for each in pod["status"]["conditions"] if each["type"] == "Ready") for pod in pods["items"])
    odd["lastTransitionTime"] = None
    double.fault("garbage", method="GET", resource="pods", message=json.dumps(pods))
    assert stage.state().ready == datetime.fromisoformat(other["lastTransitionTime"])


def test_an_object_of_an_unknown_shape_hides_no_other_namespace(stage: Stage, double: KubeDouble) -> None:
    with stage_in(double, stage.target) as other:
        for each in (stage, other):
            each.deploy()
        double.run_controllers(False)
        path = other.path("replicasets", other.replicasets()[0]["metadata"]["name"])
        double.api("PATCH", path, {"spec": {"template": None}}, content_type="application/merge-patch+json")
        seen = stage.target.survey([stage.key, other.key])
        assert isinstance(seen[stage.key], TargetState)
        assert isinstance(seen[other.key], Transient)
        assert str(seen[other.key]).startswith(f"namespace {other.namespace} of cluster test answered in an unknown shape")


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n"


def test_an_answer_that_the_http_library_trips_over_is_no_answer_and_leaves_a_write_in_doubt(
    stage: Stage, double: KubeDouble, tmp_path: Path
) -> None:
    plan = stage.plan(stage.broken())
    with answering(CHUNKED) as url:
        write_kubeconfig(tmp_path / "kubeconfig", url, TOKEN)
        target = Kubernetes({"test": ClusterAccess(tmp_path / "kubeconfig")}, timeout=HASTE)
        with pytest.raises(Transient, match="Whether the patch was applied is unknown"):
            target.apply(plan)
        target.close()


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """The address of a server that says this, once, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(reply)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_an_unreachable_cluster_is_an_error_and_hides_no_other(double: KubeDouble, tmp_path: Path) -> None:
    away = tmp_path / "away.yaml"
    write_kubeconfig(away, f"http://127.0.0.1:{servers.free_port()}", TOKEN)
    target = Kubernetes({"test": ClusterAccess(double.kubeconfig), "away": ClusterAccess(away)})
    with stage_in(double, target) as stage:
        stage.deploy()
        lost = "kubernetes:away/shop/deployment/checkout"
        seen = target.survey([lost, stage.key])
        assert isinstance(seen[lost], Transient)
        assert isinstance(seen[stage.key], TargetState)
        assert len(target.check([lost])) == 1


def test_a_rotated_token_is_read_again_once(stage: Stage, double: KubeDouble) -> None:
    stage.deploy()
    assert stage.state()
    double.accept_token("second")
    write_kubeconfig(double.kubeconfig, double.url, "second")
    seen = stage.target.survey([stage.key])[stage.key]
    double.accept_token(TOKEN)
    write_kubeconfig(double.kubeconfig, double.url, TOKEN)
    assert isinstance(seen, TargetState)


def test_a_token_that_stays_refused_is_final_after_one_more_try(stage: Stage, double: KubeDouble) -> None:
    stage.deploy()
    double.forget()
    double.accept_token("unknown to us")
    error = stage.target.survey([stage.key])[stage.key]
    double.accept_token(TOKEN)
    assert isinstance(error, Permanent)
    assert "does not accept our credentials" in str(error)
    assert [item["status"] for item in double.requests()] == [401, 401]


# Bad weather for writing


@pytest.mark.parametrize(
    ("fault", "standing"),
    [
        pytest.param({"kind": "drop_before"}, Standing.BEFORE, id="cut-before-it-was-applied"),
        pytest.param({"kind": "drop_after"}, Standing.THERE, id="reply-lost-after-it-was-applied"),
        pytest.param({"kind": "wait_after", "seconds": 0.6}, Standing.THERE, id="slow-reply-after-it-was-applied"),
        pytest.param({"kind": "wait_before", "seconds": 0.6}, Standing.THERE, id="applied-after-we-gave-up"),
        pytest.param({"kind": "garbage"}, Standing.THERE, id="a-proxys-html-page"),
        pytest.param({"kind": "status", "status": 500}, Standing.BEFORE, id="500"),
        pytest.param({"kind": "status", "status": 504}, Standing.BEFORE, id="504"),
    ],
)
def test_a_write_whose_outcome_is_unknown_is_sent_once_and_explained_by_looking(
    stage: Stage, double: KubeDouble, fault: dict[str, object], standing: Standing
) -> None:
    plan = stage.plan(stage.broken())
    double.control("POST", "faults", {**fault, "method": "PATCH"})
    with pytest.raises(Transient):
        stage.target.apply(plan)
    sight = stage.sight(plan.intent, standing)
    assert sight.ours is (standing is Standing.THERE)
    assert len(double.requests("patch", dry_run=False)) == 1


@pytest.mark.parametrize("status", [409, 422])
def test_a_lost_precondition_is_refused_and_not_repeated(stage: Stage, double: KubeDouble, status: int) -> None:
    plan = stage.plan(stage.broken())
    double.fault("status", method="PATCH", status=status)
    with pytest.raises(Refused):
        stage.target.apply(plan)
    assert stage.target.look(plan.intent).standing is Standing.BEFORE
    assert len(double.requests("patch", dry_run=False)) == 1


def test_a_review_that_the_admission_denies_is_final_and_names_who_denied_it(stage: Stage, double: KubeDouble) -> None:
    stage.deploy()
    message = 'admission webhook "all.example" denied the request: not signed'
    double.fault("status", method="POST", status=403, message=message)
    (finding,) = stage.target.check([stage.key])
    assert (message in finding, "apiGroups" in finding) == (True, False)


def test_a_rehearsal_that_the_server_refuses_is_refused_in_its_words(stage: Stage, double: KubeDouble) -> None:
    good = stage.broken()
    double.fault("status", method="PATCH", status=400, message='admission webhook "policy" denied the request: unsigned image')
    with pytest.raises(Refused, match="unsigned image"):
        stage.plan(good)


def test_a_webhook_that_cannot_rehearse_leaves_a_plan_that_says_so(stage: Stage, double: KubeDouble) -> None:
    good = stage.broken()
    double.fault("status", method="PATCH", status=400, message='admission webhook "inject" does not support dry run')
    assert stage.plan(good).not_undone[0].startswith("not rehearsed")


def test_a_deployment_without_annotations_keeps_those_that_appear_before_the_write(stage: Stage, double: KubeDouble) -> None:
    good = stage.broken()
    double.run_controllers(False)
    stage.patch({"op": "remove", "path": "/metadata/annotations"})
    plan = _planned(stage, good)
    stage.merge({"metadata": {"annotations": {"team": "payments"}}})
    with pytest.raises(Refused):
        stage.target.apply(plan)
    stage.target.apply(_planned(stage, good))
    assert stage.deployment()["metadata"]["annotations"]["team"] == "payments"


def test_a_deployment_without_any_annotation_gets_ours(stage: Stage, double: KubeDouble) -> None:
    good = stage.broken()
    double.run_controllers(False)
    stage.patch({"op": "remove", "path": "/metadata/annotations"})
    stage.target.apply(_planned(stage, good))
    assert stage.deployment()["metadata"]["annotations"]["rollbackd.io/incident"] == "inc-1"


def _planned(stage: Stage, good: str) -> Plan:
    """A plan while no controller observes the Deployment, so that a survey would withhold its state."""
    live = stage.target.look(Intent(stage.key, "inc-1", "none", "none")).revision
    plan = stage.target.plan(PlanRequest(stage.key, "inc-1", live, (good,)))
    assert isinstance(plan, Plan)
    return plan


# What never leaves


def test_no_secret_of_a_template_or_kubeconfig_shows_in_what_people_and_the_journal_see(stage: Stage) -> None:
    stage.deploy("shop:1", container={"env": [{"name": "PASSWORD", "value": "old-s3cret"}], "args": ["--key=old-s3cret"]})
    good = stage.state().revision
    env = {"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value", "value": "new-s3cret"}
    stage.patch(env, {"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["--key=new-s3cret"]})
    plan = stage.plan(good)
    assert plan.steps[1:] == ("container web: env changed: PASSWORD", "container web: args changed")
    shown = f"{plan} {plan.intent} {plan.payload} {json.dumps(plan.intent.record)} {stage.state()} {stage.target!r}"
    assert "s3cret" not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("key", ["kubernetes:test/shop/checkout", "kubernetes:test/shop/statefulset/db", "kubernetes:", "ecs:test/a/deployment/b"])
def test_a_key_of_another_form_is_an_error_everywhere(key: str) -> None:
    target = Kubernetes({"test": ClusterAccess()})
    assert isinstance(target.survey([key])[key], Permanent)
    with pytest.raises(Permanent):
        target.plan(PlanRequest(key, "inc-1", "a", ("b",)))
    with pytest.raises(Permanent):
        target.look(Intent(key, "inc-1", "a", "b"))
    assert len(target.check([key])) == 1


def test_an_unknown_cluster_is_an_error_that_names_the_known_ones() -> None:
    key = "kubernetes:prod/shop/deployment/checkout"
    error = Kubernetes({"test": ClusterAccess(), "stage": ClusterAccess()}).survey([key])[key]
    assert isinstance(error, Permanent)
    assert "known: stage, test" in str(error)
