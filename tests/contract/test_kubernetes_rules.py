"""What a cluster's own rules make of a revert: policies, webhooks, finalizers, server-side apply. The double has none of them: real only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollbackd.adapters.base.errors import AdapterError, Refused, Transient
from rollbackd.adapters.base.target import Plan, Standing
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from tests.doubles.kube.stage import JSON_PATCH, Stage, stage_in, until
from tests.kube import RealKube
from tests.kube.webhook import Webhook, serving_webhook

ADMISSION = "/apis/admissionregistration.k8s.io"
DEPLOYMENTS = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]


ANNOTATED = 'Object.spec.template{metadata: Object.spec.template.metadata{annotations: {"mesh": "on"}}}'
CHANGE = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": f"Object{{spec: Object.spec{{template: {ANNOTATED}}}}}"}}
MUTATION = {"reinvocationPolicy": "Never", "mutations": [CHANGE]}


@pytest.fixture
def stage(real_kube: RealKube) -> Iterator[Stage]:
    with stage_in(real_kube, Kubernetes({"test": ClusterAccess(real_kube.kubeconfig)})) as stage:
        yield stage


def only_here(stage: Stage) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}}}


def add_policy(stage: Stage, kind: str, version: str, spec: dict[str, Any]) -> None:
    """A policy for the Deployments of this namespace."""
    api, name = f"{ADMISSION}/{version}", {"name": stage.namespace}
    plural = f"{kind.lower()[:-1]}ies"
    matching = {"resourceRules": DEPLOYMENTS}
    stage.world.api("POST", f"{api}/{plural}", {"metadata": name, "spec": {"failurePolicy": "Fail", "matchConstraints": matching, **spec}})
    bound = {"policyName": stage.namespace, "matchResources": only_here(stage)}
    bound |= {"validationActions": ["Deny"]} if kind.startswith("Validating") else {}
    stage.world.api("POST", f"{api}/{kind.lower()}bindings", {"metadata": name, "spec": bound})


def add_webhook(stage: Stage, client: dict[str, str]) -> None:
    """A webhook ``signatures.example.com`` for the Deployments of this namespace."""
    hook = {
        "name": "signatures.example.com",
        "clientConfig": client,
        "rules": DEPLOYMENTS,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
        **only_here(stage),
    }
    stage.world.api("POST", f"{ADMISSION}/v1/validatingwebhookconfigurations", {"metadata": {"name": stage.namespace}, "webhooks": [hook]})


def rehearsed(stage: Stage, image: str) -> Any:
    """Status and answer of another writer's dry run to this image: a rule is in force a moment after it is stored."""
    body = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
    reply = stage.world.send("PATCH", stage.path(name="checkout"), body, content_type=JSON_PATCH, dryRun="All")
    return reply.status_code, reply.json()


def refusal_of(stage: Stage, good: str) -> AdapterError:
    """How the plan of this revert fails; nothing is changed by it."""
    before = stage.deployment()
    with pytest.raises(AdapterError) as refusal:
        stage.target.plan(stage.request(good))
    assert stage.deployment() == before
    return refusal.value


@pytest.mark.parametrize(("reason", "code"), [("", 422), ("Forbidden", 403), ("RequestEntityTooLarge", 413)])
def test_a_policy_that_forbids_the_former_version_is_met_at_the_plan_and_its_words_are_told(stage: Stage, reason: str, code: int) -> None:
    good = stage.broken()
    rule = {"expression": "!object.spec.template.spec.containers.exists(c, c.image == 'shop:1')", "message": "shop:1 has a known hole"}
    add_policy(stage, "ValidatingAdmissionPolicy", "v1", {"validations": [{**rule, **({"reason": reason} if reason else {})}]})
    until(lambda: rehearsed(stage, "shop:1")[0], lambda seen: seen == code)
    refusal = refusal_of(stage, good)
    assert isinstance(refusal, Refused)
    name = stage.namespace
    assert f"({code}): ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: shop:1 has a known hole. Nothing" in str(refusal)
    assert "apiGroups" not in f"{refusal} {refusal.advice}"


def test_a_policy_that_changes_every_pod_template_does_not_stand_in_the_way(stage: Stage) -> None:
    add_policy(stage, "MutatingAdmissionPolicy", "v1beta1", MUTATION)
    stage.deploy("shop:0")
    until(lambda: rehearsed(stage, "shop:1")[1]["spec"]["template"]["metadata"].get("annotations"), bool)
    stage.release("shop:1")
    good = stage.state().revision
    stage.release("shop:2")
    plan = stage.plan(good)
    stage.target.apply(plan)
    assert stage.sight(plan.intent, Standing.THERE).revision == good
    assert stage.deployment()["spec"]["template"]["metadata"]["annotations"] == {"mesh": "on"}


def test_a_policy_that_would_change_the_template_on_its_way_back_is_met_at_the_plan(stage: Stage) -> None:
    good = stage.broken()
    add_policy(stage, "MutatingAdmissionPolicy", "v1beta1", MUTATION)
    until(lambda: rehearsed(stage, "shop:3")[1]["spec"]["template"]["metadata"].get("annotations"), bool)
    with pytest.raises(Refused, match="admission changes the pod template"):
        stage.target.plan(stage.request(good))


def test_a_policy_that_fails_to_change_the_template_is_named_with_its_words(stage: Stage) -> None:
    good = stage.broken()
    broken = CHANGE["applyConfiguration"] | {"expression": "object.metadata.annotations['nobody'] == '' ? Object{} : Object{}"}
    add_policy(stage, "MutatingAdmissionPolicy", "v1beta1", {**MUTATION, "mutations": [{**CHANGE, "applyConfiguration": broken}]})
    until(lambda: rehearsed(stage, "shop:1")[0], lambda code: code == 403)
    refusal = refusal_of(stage, good)
    assert isinstance(refusal, Refused)
    assert f"(403): policy '{stage.namespace}' with binding '{stage.namespace}' denied request: " in str(refusal)
    assert "apiGroups" not in f"{refusal} {refusal.advice}"


def test_a_webhook_that_is_down_may_be_up_again_so_the_plan_may_be_asked_for_again(stage: Stage) -> None:
    good = stage.broken()
    add_webhook(stage, {"url": "https://127.0.0.1:1/"})
    until(lambda: rehearsed(stage, "shop:3")[0], lambda code: code == 500)
    with pytest.raises(Transient, match=r"signatures\.example\.com"):
        stage.target.plan(stage.request(good))


@pytest.fixture(scope="module")
def webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    with serving_webhook(tmp_path_factory.mktemp("webhook")) as webhook:
        yield webhook


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        pytest.param({"code": 403, "message": "shop:1 is not signed"}, 403, ": shop:1 is not signed", id="403"),
        pytest.param({"message": "shop:1 is not signed"}, 400, ": shop:1 is not signed", id="no-code"),
        pytest.param({"code": 401, "message": "\n\nblocked:\n\n  signed: no\n"}, 401, ": blocked: signed: no", id="several-lines"),
        pytest.param({"code": 404, "message": "no such key"}, 404, ": no such key", id="404-that-is-not-of-the-deployment"),
        pytest.param({"code": 409, "reason": "Conflict"}, 409, ": Conflict", id="409"),
        pytest.param({}, 400, " without explanation", id="without-a-word"),
    ],
)
def test_a_webhook_that_denies_the_revert_is_named_with_its_words_whatever_its_code(
    stage: Stage, webhook: Webhook, result: dict[str, Any], code: int, said: str
) -> None:
    good = stage.broken()
    add_webhook(stage, webhook.denying(stage.namespace, result))
    until(lambda: rehearsed(stage, "shop:1")[0], lambda seen: seen == code)
    refusal = refusal_of(stage, good)
    assert isinstance(refusal, Refused)
    assert f'({code}): admission webhook "signatures.example.com" denied the request{said}. Nothing was changed.' in str(refusal)
    assert "apiGroups" not in f"{refusal} {refusal.advice}"


def test_a_webhook_that_fails_while_it_judges_may_judge_later_and_nothing_is_in_doubt(stage: Stage, webhook: Webhook) -> None:
    plan = stage.plan(stage.broken())
    add_webhook(stage, webhook.denying(stage.namespace, {"code": 500, "message": "the registry timed out"}))
    until(lambda: rehearsed(stage, "shop:1")[0], lambda seen: seen == 500)
    with pytest.raises(Transient, match=r'"signatures\.example\.com" denied the request: the registry timed out\. Nothing was changed\.'):
        stage.target.apply(plan)
    assert stage.target.look(plan.intent).standing is Standing.BEFORE


def test_a_webhook_that_denies_what_it_let_pass_at_the_plan_is_named_too(stage: Stage, webhook: Webhook) -> None:
    plan = stage.plan(stage.broken())
    add_webhook(stage, webhook.denying(stage.namespace, {"code": 403, "message": "shop:1 is not signed"}))
    until(lambda: rehearsed(stage, "shop:1")[0], lambda seen: seen == 403)
    with pytest.raises(Refused, match=r'"signatures\.example\.com" denied the request: shop:1 is not signed\. Nothing was changed\.') as refusal:
        stage.target.apply(plan)
    assert "those who own it" in refusal.value.advice


def test_the_rules_that_the_check_names_are_all_that_a_revert_needs(stage: Stage, real_kube: RealKube, tmp_path: Path) -> None:
    good = stage.broken()
    token = real_kube.make_service_account(stage.namespace, "fresh")
    target = Kubernetes({"test": ClusterAccess(real_kube.kubeconfig_of(token, tmp_path / "kubeconfig"))})
    assert target.check([stage.key]) != ()
    follow_the_advice(stage, target)
    plan = target.plan(stage.request(good))
    assert isinstance(plan, Plan)
    target.apply(plan)
    until(lambda: target.look(plan.intent).standing, lambda standing: standing is Standing.THERE)
    target.close()


def follow_the_advice(stage: Stage, target: Kubernetes) -> None:
    """A Role with exactly the rules that the findings tell to add, in force."""
    api = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{stage.namespace}"
    subject = {"kind": "ServiceAccount", "namespace": stage.namespace, "name": "fresh"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "fresh"}
    rules = [yaml.safe_load(finding.partition(f"Add to the Role of namespace {stage.namespace}: ")[2]) for finding in target.check([stage.key])]
    stage.world.api("POST", f"{api}/roles", {"metadata": {"name": "fresh"}, "rules": rules})
    stage.world.api("POST", f"{api}/rolebindings", {"metadata": {"name": "fresh"}, "roleRef": role, "subjects": [subject]})
    until(lambda: target.check([stage.key]), lambda findings: not findings)


def test_the_rule_that_the_check_itself_lacks_is_all_that_it_needs(stage: Stage, real_kube: RealKube) -> None:
    stage.deploy(settled=False)
    rbac, name = "/apis/rbac.authorization.k8s.io/v1", {"name": f"asker-{stage.namespace}"}
    everyones = f"{rbac}/clusterrolebindings/system:basic-user"  # by which every authenticated user may ask for its own rights
    taken = real_kube.api("GET", everyones)
    real_kube.api("DELETE", everyones)
    try:
        (finding,) = until(lambda: stage.target.check([stage.key]), bool)
        rule = yaml.safe_load(finding.partition("Add to a ClusterRole: ")[2])
        real_kube.api("POST", f"{rbac}/clusterroles", {"metadata": name, "rules": [rule]})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **name}
        subject = {"kind": "ServiceAccount", "namespace": "rollbackd", "name": "rollbackd"}
        real_kube.api("POST", f"{rbac}/clusterrolebindings", {"metadata": name, "roleRef": role, "subjects": [subject]})
        until(lambda: stage.target.check([stage.key]), lambda findings: not findings)
    finally:
        real_kube.api("DELETE", f"{rbac}/clusterrolebindings/{name['name']}")
        back = {key: value for key, value in taken["metadata"].items() if key in ("name", "labels", "annotations")}
        real_kube.api("POST", f"{rbac}/clusterrolebindings", {"metadata": back, "roleRef": taken["roleRef"], "subjects": taken["subjects"]})
        until(lambda: stage.target.check([stage.key]), lambda findings: not findings)


def test_the_rule_that_a_fleet_policy_lacks_is_all_that_a_list_of_every_namespace_needs(stage: Stage, real_kube: RealKube, tmp_path: Path) -> None:
    labels = {"fleet": stage.namespace}
    stage.deploy(metadata={"labels": labels}, replicas=0, settled=False)
    token = real_kube.make_service_account(stage.namespace, "fresh")
    target = Kubernetes({"test": ClusterAccess(real_kube.kubeconfig_of(token, tmp_path / "kubeconfig"))})
    (finding,) = target.roll_rights("test")
    rbac, name = "/apis/rbac.authorization.k8s.io/v1", {"name": f"fresh-{stage.namespace}"}
    rule = yaml.safe_load(finding.partition("Add to a ClusterRole: ")[2])
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **name}
    subject = {"kind": "ServiceAccount", "namespace": stage.namespace, "name": "fresh"}
    real_kube.api("POST", f"{rbac}/clusterroles", {"metadata": name, "rules": [rule]})
    real_kube.api("POST", f"{rbac}/clusterrolebindings", {"metadata": name, "roleRef": role, "subjects": [subject]})
    until(lambda: target.roll_rights("test"), lambda findings: not findings)
    assert [(each.namespace, each.name) for each in target.workloads("test", labels)] == [(stage.namespace, "checkout")]
    target.close()


def test_a_deployment_that_is_being_deleted_is_left_alone(stage: Stage) -> None:
    good = stage.broken(metadata={"finalizers": ["example.com/backup"]})
    stage.delete()
    until(stage.deployment, lambda seen: "deletionTimestamp" in seen["metadata"])
    with pytest.raises(Refused, match="is being deleted"):
        stage.target.plan(stage.request(good))
    stage.patch({"op": "remove", "path": "/metadata/finalizers"})
    until(lambda: stage.world.send("GET", stage.path(name="checkout")).status_code, lambda code: code == 404)


def test_a_release_by_server_side_apply_is_told_by_its_manager_and_reverted(stage: Stage) -> None:
    applied = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "checkout"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "shop:2"}]}}},
    }
    stage.deploy("shop:1")
    good = stage.state().revision
    apply = {"content_type": "application/apply-patch+yaml", "fieldManager": "argo-like", "force": "true"}
    assert stage.world.send("PATCH", stage.path(name="checkout"), applied, **apply).status_code == 200
    stage.settle()
    assert "argo-like" in str(stage.state().writer)  # with the creator, if that wrote in the same second
    plan = stage.plan(good)
    stage.target.apply(plan)
    assert stage.sight(plan.intent, Standing.THERE).ours
    assert stage.state().parts == {"image web": "shop:1"}
