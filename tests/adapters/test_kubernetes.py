"""The Kubernetes target on the wire: what is sent, what is not sent twice, and what bad weather means. Against the double."""

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from kubernetes.config import incluster_config

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.target import Intent, Plan, PlanRequest, Standing, TargetState
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from tests import servers
from tests.doubles.kube import TOKEN, KubeDouble, running_double, write_kubeconfig
from tests.doubles.kube.stage import Stage, stage_in, until
from tests.kube import RealKube

REAL_USER = "system:serviceaccount:rollbackd:rollbackd"
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "tls.pem"
    argv = [servers.binary("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=double"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(argv, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_in_a_pod_the_service_account_is_used_and_its_token_really_sent(certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("pod-token")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", f"{certificate}.crt")
    with running_double(tmp_path, token="pod-token", certificate=certificate) as double:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", double.url.rsplit(":", 1)[1])
        with stage_in(double, Kubernetes({"test": ClusterAccess()})) as stage:
            stage.deploy()
            assert isinstance(stage.state(), TargetState)
        assert {item["authorization"].lower() for item in double.requests()} == {"bearer pod-token"}


@pytest.fixture
def pod(certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """``checkout`` seen from a pod whose token, ``tmp_path / "token"``, is read again before every request instead of every minute."""
    (tmp_path / "token").write_text("pod-token")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", f"{certificate}.crt")
    monkeypatch.setattr(incluster_config, "datetime", SimpleNamespace(datetime=datetime, timedelta=lambda minutes: timedelta(0)))
    with running_double(tmp_path, token="pod-token", certificate=certificate) as double:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", double.url.rsplit(":", 1)[1])
        with stage_in(double, Kubernetes({"test": ClusterAccess()})) as stage:
            stage.deploy()
            assert isinstance(stage.state(), TargetState)
            yield stage


def is_gone(token: Path) -> None:
    token.unlink()


def is_a_folder(token: Path) -> None:
    token.unlink()
    token.mkdir()


def is_empty(token: Path) -> None:
    token.write_text("")


def is_no_token(token: Path) -> None:
    token.write_text("pod\ntoken")


def is_in_no_known_alphabet(token: Path) -> None:
    token.write_text("pod-tökeñ")


@pytest.mark.parametrize("happens", [is_gone, is_a_folder, is_empty, is_no_token, is_in_no_known_alphabet])
def test_a_token_that_cannot_be_read_again_is_final_until_it_can_and_nothing_is_sent(
    pod: Stage, tmp_path: Path, happens: Callable[[Path], None]
) -> None:
    assert isinstance(pod.world, KubeDouble)
    pod.world.forget()
    happens(tmp_path / "token")
    error = pod.target.survey([pod.key])[pod.key]
    assert isinstance(error, Permanent)
    assert "Nothing was sent. Mend" in str(error)
    assert "pod" not in str(error).replace(str(tmp_path), "")
    assert pod.world.requests() == []
    shutil.rmtree(tmp_path / "token", ignore_errors=True)
    (tmp_path / "token").unlink(missing_ok=True)
    (tmp_path / "token").write_text("pod-token")
    assert isinstance(pod.state(), TargetState)


def test_a_token_that_we_may_not_read_any_more_is_named_by_its_file(pod: Stage, tmp_path: Path) -> None:
    (tmp_path / "token").chmod(0)
    with as_nobody():
        error = pod.target.survey([pod.key])[pod.key]
    assert isinstance(error, Permanent)
    assert f"PermissionError: {tmp_path}/token" in str(error)


def test_a_token_that_the_disk_does_not_give_may_be_read_later(pod: Stage, tmp_path: Path) -> None:
    (tmp_path / "token").unlink()
    (tmp_path / "token").symlink_to("/proc/self/mem")  # whose first bytes are an input/output error
    error = pod.target.survey([pod.key])[pod.key]
    assert isinstance(error, Transient)
    assert "Nothing was sent." in str(error)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root, which may read everything, is somebody else for a moment; others stay who they are."""
    if is_root := os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_line_break_behind_a_token_does_not_count(pod: Stage, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pod-token\n")
    assert isinstance(pod.target.survey([pod.key])[pod.key], TargetState)


def test_in_a_pod_of_a_real_cluster_the_service_account_is_used(real_kube: RealKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(yaml.safe_load(real_kube.kubeconfig.read_text())["users"][0]["user"]["token"])
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(real_kube.admin.authority))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", real_kube.admin.url.rsplit(":", 1)[1])
    with stage_in(real_kube, Kubernetes({"test": ClusterAccess()})) as stage:
        stage.deploy()
        assert isinstance(stage.state(), TargetState)
        assert {item["user"] for item in real_kube.requests("get") if item["namespace"] == stage.namespace} == {REAL_USER}


def test_a_certificate_that_is_not_trusted_is_final_and_nothing_is_sent(certificate: Path, tmp_path: Path) -> None:
    with running_double(tmp_path, certificate=certificate) as double:
        write_kubeconfig(double.kubeconfig, double.url, TOKEN)
        target = Kubernetes({"test": ClusterAccess(double.kubeconfig)})
        error = target.survey(["kubernetes:test/default/deployment/x"])["kubernetes:test/default/deployment/x"]
        target.close()
        assert isinstance(error, Permanent)
        assert "certificate that is not trusted" in str(error)
        assert double.requests() == []


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


@pytest.mark.parametrize("server", ["ftp://127.0.0.1", "http://127.0.0.1:99999", "http://"], ids=["ftp", "port", "no-host"])
def test_an_address_that_is_none_is_final(tmp_path: Path, server: str) -> None:
    key = "kubernetes:test/shop/deployment/checkout"
    error = Kubernetes({"test": ClusterAccess(kubeconfig_of(tmp_path, {"server": server}, {"token": TOKEN}))}).survey([key])[key]
    assert isinstance(error, Permanent)
    assert "Correct the address of its API server" in str(error)


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
        pytest.param({"kind": "status", "status": 429, "retry_after": 2}, Standing.BEFORE, id="429"),
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


def test_a_server_that_has_not_read_its_webhooks_yet_may_be_asked_again_and_nothing_is_in_doubt(stage: Stage, double: KubeDouble) -> None:
    plan = stage.plan(stage.broken())
    message = 'deployments.apps "checkout" is forbidden: not yet ready to handle request'
    double.fault("status", method="PATCH", status=403, message=message)
    with pytest.raises(Transient, match=r"not yet ready to handle request\. Nothing was changed\."):
        stage.target.apply(plan)
    assert stage.target.look(plan.intent).standing is Standing.BEFORE


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


def test_a_rehearsal_without_an_answer_is_transient(stage: Stage, double: KubeDouble) -> None:
    good = stage.broken()
    double.fault("status", method="PATCH", status=503)
    with pytest.raises(Transient) as failure:
        stage.plan(good)
    assert "unknown" not in str(failure.value)


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


@pytest.mark.parametrize("content", ["", "not: [yaml", "kind: Config", "- a list", "clusters: 5"], ids=["empty", "broken", "bare", "list", "wrong"])
def test_a_kubeconfig_that_cannot_be_used_is_an_error_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig.yaml"
    path.write_text(content)
    key = "kubernetes:test/shop/deployment/checkout"
    error = Kubernetes({"test": ClusterAccess(path)}).survey([key])[key]
    assert isinstance(error, Permanent)
    assert str(path) in str(error)


def kubeconfig_of(tmp_path: Path, cluster: dict[str, object], user: dict[str, object]) -> Path:
    """The kubeconfig of a server where nobody listens, with this in it."""
    path = tmp_path / "kubeconfig.yaml"
    write_kubeconfig(path, f"http://127.0.0.1:{servers.free_port()}", TOKEN)
    config = yaml.safe_load(path.read_text())
    config["clusters"][0]["cluster"] |= cluster
    config["users"][0]["user"] = user
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.DependencyWarning")
@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        pytest.param({"proxy-url": "squid.example"}, {"token": TOKEN}, id="a-proxy-without-scheme"),
        pytest.param({"proxy-url": "http://[::1"}, {"token": TOKEN}, id="a-proxy-at-no-address"),
        pytest.param({"proxy-url": "socks5://127.0.0.1:1"}, {"token": TOKEN}, id="a-proxy-that-takes-another-library"),
        pytest.param({"server": ["https://127.0.0.1:1"]}, {"token": TOKEN}, id="a-list-of-servers"),
        pytest.param({}, {"auth-provider": {"name": "gcp"}}, id="a-provider-that-takes-another-library"),
        pytest.param({}, {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/nowhere/gcloud"}}}, id="a-command-that-is-not-there"),
    ],
)
def test_a_kubeconfig_whose_ways_cannot_be_gone_is_an_error_by_name(tmp_path: Path, cluster: dict[str, object], user: dict[str, object]) -> None:
    path = kubeconfig_of(tmp_path, cluster, user)
    key = "kubernetes:test/shop/deployment/checkout"
    error = Kubernetes({"test": ClusterAccess(path)}).survey([key])[key]
    assert isinstance(error, Permanent)
    assert (str(path) in str(error), TOKEN in str(error)) == (True, False)


def test_an_issuer_of_tokens_that_does_not_answer_may_answer_later(tmp_path: Path) -> None:
    expired = "a." + base64.urlsafe_b64encode(b'{"exp": 1}').decode().rstrip("=") + ".c"
    issuer = f"http://127.0.0.1:{servers.free_port()}"
    provider = {"name": "oidc", "config": {"id-token": expired, "idp-issuer-url": issuer, "client-id": "rollbackd", "refresh-token": "b"}}
    path = kubeconfig_of(tmp_path, {}, {"auth-provider": provider})
    key = "kubernetes:test/shop/deployment/checkout"
    error = Kubernetes({"test": ClusterAccess(path)}).survey([key])[key]
    assert isinstance(error, Transient)
    assert (str(path) in str(error), expired in str(error)) == (True, False)


def test_a_missing_kubeconfig_or_context_is_an_error_by_name(double: KubeDouble, tmp_path: Path) -> None:
    target = Kubernetes({"gone": ClusterAccess(tmp_path / "gone.yaml"), "other": ClusterAccess(double.kubeconfig, "no-such-context")})
    keys = [f"kubernetes:{name}/shop/deployment/checkout" for name in ("gone", "other")]
    assert all(isinstance(error, Permanent) and "lacks the context" in str(error) for error in target.survey(keys).values())


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
