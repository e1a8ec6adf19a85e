"""How the Kubernetes target reaches its cluster, and as whom: kubeconfigs, service accounts, certificates, tokens. Against the double."""

import base64
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from kubernetes.config import incluster_config

from rollbackd.adapters.base.errors import Permanent, Transient
from rollbackd.adapters.base.target import TargetState
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from tests import servers
from tests.doubles.kube import TOKEN, KubeDouble, running_double, write_kubeconfig
from tests.doubles.kube.stage import Stage, stage_in
from tests.kube import RealKube

REAL_USER = "system:serviceaccount:rollbackd:rollbackd"


# In a pod


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


# By a kubeconfig


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


def test_a_missing_kubeconfig_or_context_is_an_error_by_name(tmp_path: Path) -> None:
    there = kubeconfig_of(tmp_path, {}, {"token": TOKEN})
    target = Kubernetes({"gone": ClusterAccess(tmp_path / "gone.yaml"), "other": ClusterAccess(there, "no-such-context")})
    keys = [f"kubernetes:{name}/shop/deployment/checkout" for name in ("gone", "other")]
    assert all(isinstance(error, Permanent) and "lacks the context" in str(error) for error in target.survey(keys).values())


@pytest.mark.parametrize("server", ["ftp://127.0.0.1", "http://127.0.0.1:99999", "http://"], ids=["ftp", "port", "no-host"])
def test_an_address_that_is_none_is_final(tmp_path: Path, server: str) -> None:
    key = "kubernetes:test/shop/deployment/checkout"
    error = Kubernetes({"test": ClusterAccess(kubeconfig_of(tmp_path, {"server": server}, {"token": TOKEN}))}).survey([key])[key]
    assert isinstance(error, Permanent)
    assert "Correct the address of its API server" in str(error)
