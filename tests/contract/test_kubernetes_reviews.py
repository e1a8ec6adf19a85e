"""Who a token belongs to and what they may do, by a real API server's word: the double reviews nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.kubernetes import ClusterAccess
from rollbackd.adapters.kubernetes.reviews import Reviews
from tests.kube import RealKube
from tests.servers import poll

RBAC = "/apis/rbac.authorization.k8s.io/v1"
SPACE = "reviews"
ANN = f"system:serviceaccount:{SPACE}:ann"


@pytest.fixture(scope="module")
def ann(real_kube: RealKube) -> str:
    """The token of somebody who may approve in SPACE, and of whom rollbackd may ask."""
    real_kube.make_namespace(SPACE)
    token = real_kube.make_service_account(SPACE, "ann")
    rules = [{"apiGroups": ["rollbackd.io"], "resources": ["rollbacks"], "verbs": ["get", "approve"]}]
    real_kube.api("POST", f"{RBAC}/namespaces/{SPACE}/roles", {"metadata": {"name": "approver"}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "approver"}
    subject = {"kind": "ServiceAccount", "name": "ann", "namespace": SPACE}
    real_kube.api("POST", f"{RBAC}/namespaces/{SPACE}/rolebindings", {"metadata": {"name": "approver"}, "roleRef": role, "subjects": [subject]})
    return token


@pytest.fixture(scope="module")
def reviews(real_kube: RealKube, ann: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviews]:
    """Asked by a ServiceAccount that may ask, and nothing else."""
    asker = real_kube.make_service_account(SPACE, "asker")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"}
    subject = {"kind": "ServiceAccount", "name": "asker", "namespace": SPACE}
    real_kube.api("POST", f"{RBAC}/clusterrolebindings", {"metadata": {"name": "asker"}, "roleRef": role, "subjects": [subject]})
    file = real_kube.kubeconfig_of(asker, tmp_path_factory.mktemp("asker") / "kubeconfig")
    reviews = Reviews("test", ClusterAccess(file))
    poll(lambda: asked(reviews, ann, "approve") == (ANN, True))  # a Role is obeyed a moment after it is stored
    yield reviews
    real_kube.api("DELETE", f"{RBAC}/clusterrolebindings/asker")


def asked(reviews: Reviews, token: str, verb: str, namespace: str = SPACE) -> tuple[str, bool] | None:
    try:
        return reviews.allowed(token, verb, "rollbackd.io", "rollbacks", namespace)
    except Permanent:
        return None


def test_who_holds_the_right_may(reviews: Reviews, ann: str) -> None:
    assert asked(reviews, ann, "approve") == (ANN, True)


@pytest.mark.parametrize(("verb", "namespace"), [("rollback", SPACE), ("approve", "default")], ids=["another-verb", "another-namespace"])
def test_who_holds_another_right_may_not(reviews: Reviews, ann: str, verb: str, namespace: str) -> None:
    assert asked(reviews, ann, verb, namespace) == (ANN, False)


def test_a_forged_token_is_nobodys(reviews: Reviews, ann: str) -> None:
    head, claims, signature = ann.split(".")
    forged = f"{head}.{claims}.{signature[::-1]}"
    assert reviews.allowed(forged, "approve", "rollbackd.io", "rollbacks", SPACE) is None


def test_a_token_that_was_made_for_somebody_else_is_nobodys(real_kube: RealKube, reviews: Reviews, ann: str) -> None:
    spec = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["rollbackd"], "expirationSeconds": 600}}
    made = real_kube.api("POST", f"/api/v1/namespaces/{SPACE}/serviceaccounts/ann/token", spec)["status"]["token"]
    ours = Reviews("test", reviews._cluster.access, "rollbackd")
    assert (asked(reviews, made, "approve"), asked(ours, made, "approve"), asked(ours, ann, "approve")) == (None, (ANN, True), None)


def test_without_the_right_to_ask_the_missing_rule_is_named(real_kube: RealKube, ann: str, tmp_path: Path) -> None:
    file = real_kube.kubeconfig_of(ann, tmp_path / "kubeconfig")
    with pytest.raises(Permanent, match=r"not allowed to create tokenreviews.*Add to a ClusterRole: {apiGroups: \[\"authentication.k8s.io\"\]"):
        Reviews("test", ClusterAccess(file)).allowed(ann, "get", "rollbackd.io", "rollbacks", SPACE)
