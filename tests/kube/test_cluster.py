"""The real cluster that other tests rely on."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.kube import RealKube, assets
from tests.kube.client import User
from tests.servers import poll

REPO = Path(__file__).parents[2]


def test_missing_binaries_skip_with_their_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=f"etcd, kube-apiserver, kube-controller-manager not found in {tmp_path} .make kube-assets"):
        assets.required()


def test_missing_binaries_fail_where_skips_are_forbidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="not found"):
        assets.required()


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)], ids=["laptop", "ci"])
def test_the_make_target_says_what_is_missing_where_it_can_build_nothing(tmp_path: Path, ci: str, code: int) -> None:
    environment = {**os.environ, "KUBEBUILDER_ASSETS": str(tmp_path), "CI": ci}
    done = subprocess.run([REPO / ".ci" / "kube-assets"], env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, f"KUBEBUILDER_ASSETS={tmp_path} lacks one of:" in done.stderr) == (code, True)


def test_a_service_account_may_do_what_a_role_gives_it_and_nothing_before(real_kube: RealKube) -> None:
    real_kube.make_namespace("rights")
    user = User(real_kube.admin.url, real_kube.make_service_account("rights", "chart"), real_kube.admin.authority)
    assert user.send("GET", "/apis/apps/v1/namespaces/rights/deployments").status_code == 403
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/rights"
    rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]}
    real_kube.api("POST", f"{roles}/roles", {"metadata": {"name": "chart"}, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "namespace": "rights", "name": "chart"}
    bound = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "chart"}
    real_kube.api("POST", f"{roles}/rolebindings", {"metadata": {"name": "chart"}, "roleRef": bound, "subjects": [subject]})
    poll(lambda: user.may("list", "deployments", "rights"))
    assert user.send("GET", "/apis/apps/v1/namespaces/rights/deployments").status_code == 200
    assert not user.may("patch", "deployments", "rights")


def test_the_audit_log_tells_who_asked_for_what(real_kube: RealKube) -> None:
    real_kube.make_namespace("audited")
    token = real_kube.make_service_account("audited", "nobody")
    User(real_kube.admin.url, token, real_kube.admin.authority).send("GET", "/api/v1/namespaces/audited/pods/x")
    poll(lambda: any(item["namespace"] == "audited" and item["verb"] == "get" for item in real_kube.requests()))
    (asked,) = (item for item in real_kube.requests("get") if item["namespace"] == "audited")
    assert (asked["user"], asked["resource"], asked["name"], asked["status"]) == ("system:serviceaccount:audited:nobody", "pods", "x", 403)
