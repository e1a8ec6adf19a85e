"""What the Kubernetes target promises about Deployments, on any cluster: on the double, and on a real API server with real controllers.

Tests that need a fault on order, which a real server cannot be told to show, run on the double only: tests/adapters/test_kubernetes.py.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused
from rollbackd.adapters.base.target import NothingToDo, Plan, Progress, Standing
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes, objects
from tests.doubles.kube import running_double
from tests.doubles.kube.stage import Stage, World, stage_in, until

THERE, UNDERWAY, FAILED, ELSEWHERE = Standing.THERE, Standing.UNDERWAY, Standing.FAILED, Standing.ELSEWHERE


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
    with stage_in(cluster, Kubernetes({"test": ClusterAccess(cluster.kubeconfig)})) as stage:
        yield stage


def applied(stage: Stage, *candidates: str) -> Plan:
    plan = stage.plan(*candidates)
    stage.target.apply(plan)
    return plan


# What is seen


def test_the_past_has_every_revision_that_is_left_what_runs_now_last(stage: Stage) -> None:
    stage.deploy("shop:1")
    first = stage.state().revision
    stage.release("shop:2")
    past = stage.target.past(stage.key)
    assert [one.revision for one in past.kept] == [first, stage.state().revision]
    assert [one.number for one in past.kept] == [1, 2]
    assert past.kept[0].began <= past.kept[1].began
    assert (past.live, past.refusal) == (stage.state().revision, None)


def test_a_survey_shows_the_revision_its_change_its_start_and_its_images(stage: Stage) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)
    stage.deploy("shop:1")
    state = stage.state()
    assert len(state.revision) == 16
    assert state.change_id == f"{stage.deployment()['metadata']['uid']}:1"
    assert state.started is not None
    assert began <= state.started.early == state.started.late <= datetime.now(UTC)
    assert state.parts == {"image web": "shop:1"}
    assert (state.has_readiness, state.stuck, state.irreversible) == (True, None, None)


def test_a_revision_is_ready_once_its_first_pod_served(stage: Stage) -> None:
    stage.deploy()
    ready = stage.state().ready
    assert ready is not None
    assert stage.state().ready == ready


def test_a_revision_without_a_serving_pod_is_not_ready(stage: Stage, cluster: World) -> None:
    cluster.image_behaves("shop:unready", "unready")
    stage.deploy("shop:unready", settled=False)
    assert stage.state().ready is None


def test_two_surveys_of_an_unchanged_deployment_are_equal(stage: Stage) -> None:
    stage.deploy()
    assert stage.state() == stage.state()


def test_a_release_is_another_revision_and_another_change(stage: Stage) -> None:
    stage.deploy("shop:1")
    before = stage.state()
    stage.release("shop:2")
    after = stage.state()
    assert after.revision != before.revision
    assert after.change_id == f"{stage.deployment()['metadata']['uid']}:2"


def test_scaling_and_labelling_are_no_change(stage: Stage) -> None:
    stage.deploy()
    before = stage.state()
    stage.merge({"metadata": {"labels": {"team": "payments"}, "annotations": {"note": "x"}}, "spec": {"replicas": 3}})
    stage.settle()
    after = stage.state()
    assert (after.revision, after.change_id, after.started) == (before.revision, before.change_id, before.started)


def test_a_version_that_comes_back_is_a_new_change_whose_start_the_cluster_does_not_know(stage: Stage) -> None:
    stage.deploy("shop:1")
    first = stage.state()
    stage.release("shop:2")
    stage.release("shop:1")
    again = stage.state()
    assert again.revision == first.revision
    assert again.change_id == f"{stage.deployment()['metadata']['uid']}:3"
    assert again.started is None


def test_an_edit_of_a_paused_deployment_is_no_change_until_it_runs(stage: Stage) -> None:
    stage.deploy("shop:1")
    before = stage.state()
    stage.merge({"spec": {"paused": True}})
    stage.release("shop:2", settled=False)
    after = stage.state()
    assert (after.revision, after.change_id) == (before.revision, before.change_id)


def test_a_paused_deployment_that_is_edited_back_still_runs_what_has_pods(stage: Stage) -> None:
    stage.broken()
    before = stage.state()
    stage.merge({"spec": {"paused": True}})
    stage.release("shop:1", settled=False)
    after = stage.state()
    assert (after.revision, after.change_id) == (before.revision, before.change_id)
    stage.merge({"spec": {"paused": False}})
    stage.settle()
    assert stage.state().parts == {"image web": "shop:1"}


def test_a_paused_deployment_without_any_pod_stands_at_its_template(stage: Stage) -> None:
    stage.deploy("shop:1", replicas=0)
    before = stage.state()
    stage.merge({"spec": {"paused": True}})
    assert stage.state().revision == before.revision


def test_several_deployments_of_a_namespace_are_seen_at_once_and_a_missing_one_hides_none(stage: Stage) -> None:
    stage.deploy("shop:1")
    stage.deploy("cart:1", name="cart")
    keys = [stage.key, stage.key_of("cart"), stage.key_of("nobody")]
    seen = stage.target.survey(keys)
    assert seen[keys[0]] == stage.state()
    assert seen[keys[1]] == stage.state("cart")
    assert isinstance(seen[keys[2]], Permanent)


def test_a_rollout_past_its_deadline_is_stuck_and_says_why(stage: Stage, cluster: World) -> None:
    cluster.image_behaves("shop:hangs", "unready")
    stage.deploy("shop:1", progressDeadlineSeconds=2)
    stage.release("shop:hangs", settled=False)
    stuck = until(lambda: stage.state().stuck, lambda why: why is not None)
    assert "timed out progressing" in str(stuck)
    progress = stage.state().progress
    assert progress is not None
    assert (progress.wanted, progress.ready, progress.overdue, progress.allowed) == (2, 2, stuck, None)


def test_a_rollout_that_waits_for_a_pod_says_what_is_missing_and_how_long_it_may_take_without_a_deadline(stage: Stage, cluster: World) -> None:
    cluster.image_behaves("shop:hangs", "unready")
    stage.deploy("shop:1", progressDeadlineSeconds=2147483647)
    complete = stage.state().progress
    stage.release("shop:hangs", settled=False)
    waiting = until(lambda: stage.state().progress, lambda seen: seen is not None and seen.unfinished is not None)
    assert (complete, waiting) == (Progress(2, 2), replace(waiting, overdue=None, allowed=timedelta(minutes=10)))


def test_a_quota_that_refuses_pods_is_stuck_and_says_why(stage: Stage, cluster: World) -> None:
    stage.deploy("shop:1", replicas=2)
    cluster.limit_pods(stage.namespace, 2)
    stage.release("shop:2", settled=False)
    stuck = until(lambda: stage.state().stuck, lambda why: why is not None)
    assert "exceeded quota" in str(stuck)


def test_annotations_of_the_template_are_parts_that_only_tell_whether_they_are_the_same(stage: Stage) -> None:
    stage.deploy()
    before = dict(stage.state().parts)
    stage.merge({"spec": {"template": {"metadata": {"annotations": {"shop/schema": "17", "rollbackd.io/mode": "observe"}}}}})
    stage.settle()
    after = stage.state().parts
    assert set(after) - set(before) == {"annotation shop/schema"}
    assert after["annotation shop/schema"] != "17"


@pytest.mark.parametrize("where", ["deployment", "pod template"])
def test_an_annotation_that_says_irreversible_is_told(stage: Stage, where: str) -> None:
    notes = {"annotations": {"rollbackd.io/irreversible": "migration 42 drops a column"}}
    stage.deploy(metadata=notes if where == "deployment" else None)
    if where == "pod template":
        stage.merge({"spec": {"template": {"metadata": notes}}})
    assert stage.state().irreversible == "migration 42 drops a column"


def test_the_writer_of_a_release_is_told_by_name(stage: Stage) -> None:
    stage.deploy("shop:1")
    stage.release("shop:2", manager="ci-pipeline")
    assert "ci-pipeline" in str(stage.state().writer)


# What is planned


def test_a_plan_names_the_way_back_and_what_stays(stage: Stage) -> None:
    stage.deploy("shop:1", container={"env": [{"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "shop-config", "key": "mode"}}}]})
    good = stage.state().revision
    stage.release("shop:2")
    bad = stage.state().revision
    plan = stage.plan(good)
    assert (plan.intent.target, plan.intent.incident, plan.intent.from_revision, plan.intent.to_revision) == (stage.key, "inc-1", bad, good)
    assert plan.intent.record["images"] == {"web": ["shop:2", "shop:1"]}
    assert plan.steps[1:] == ("container web: image shop:2 -> shop:1",)
    assert plan.not_undone[0] == "ConfigMap shop-config stays as it is: it was not looked at, and may be gone"
    assert plan.command == f"kubectl -n {stage.namespace} rollout undo deployment/checkout --to-revision=1"
    # progressDeadlineSeconds for each of two batches, one pod each, and the time that Kubernetes needs to say that it is over
    assert plan.deadline == timedelta(seconds=1230)


def test_a_plan_says_that_an_image_by_a_tag_that_moves_may_not_come_back(stage: Stage) -> None:
    line = "images by tag (shop:latest): if a tag was moved since, the old image does not come back"
    stage.deploy("shop:latest")
    good = stage.state().revision
    stage.release("shop:2")
    assert line in stage.plan(good).not_undone


def test_a_revert_whose_pods_all_start_at_once_has_one_progress_deadline(stage: Stage) -> None:
    plan = stage.plan(stage.broken(strategy={"rollingUpdate": {"maxSurge": "100%"}}))
    assert plan.deadline == timedelta(seconds=630)


def test_planning_changes_nothing(stage: Stage) -> None:
    good = stage.broken()
    before = stage.deployment()
    stage.plan(good)
    assert stage.deployment() == before


def test_a_plan_made_again_from_the_same_facts_has_the_same_digest(stage: Stage) -> None:
    good = stage.broken()
    first = stage.plan(good)
    again = Kubernetes({"test": ClusterAccess(stage.world.kubeconfig)})
    second = again.plan(stage.request(good))
    again.close()
    assert isinstance(second, Plan)
    assert first.digest == second.digest


def test_the_best_candidate_that_is_left_is_chosen(stage: Stage) -> None:
    stage.deploy("shop:1")
    oldest = stage.state().revision
    stage.release("shop:2")
    stage.release("shop:3")
    assert stage.plan("0123456789abcdef", oldest).intent.to_revision == oldest


def test_where_a_known_good_revision_already_stands_there_is_nothing_to_do(stage: Stage) -> None:
    good = stage.broken()
    request = stage.request(good)
    stage.release("shop:1", manager="a-person")
    assert isinstance(stage.target.plan(request), NothingToDo)


def refused(stage: Stage, *candidates: str) -> Refused:
    before = stage.deployment()
    with pytest.raises(Refused) as refusal:
        stage.target.plan(stage.request(*candidates))
    assert stage.deployment()["spec"] == before["spec"]
    assert refusal.value.advice
    return refusal.value


def test_a_newer_revision_is_not_reverted_for_the_faults_of_the_judged_one(stage: Stage) -> None:
    good = stage.broken("shop:2")
    request = stage.request(good)
    stage.release("shop:3")
    with pytest.raises(Refused, match="superseded"):
        stage.target.plan(request)


def test_a_paused_deployment_is_refused_with_the_command_to_resume(stage: Stage) -> None:
    good = stage.broken()
    stage.merge({"spec": {"paused": True}})
    refusal = refused(stage, good)
    assert "paused" in str(refusal)
    assert f"kubectl -n {stage.namespace} rollout resume deployment/checkout" in refusal.advice


def test_a_deployment_scaled_to_zero_is_refused(stage: Stage) -> None:
    good = stage.broken()
    stage.merge({"spec": {"replicas": 0}})
    assert "scaled to 0" in str(refused(stage, good))


def test_a_pruned_replicaset_is_refused_before_acting_with_what_is_left(stage: Stage) -> None:
    stage.deploy("shop:1", revisionHistoryLimit=1)
    pruned = stage.state().revision
    stage.release("shop:2")
    stage.release("shop:3")
    until(stage.replicasets, lambda items: len(items) == 2)
    refusal = refused(stage, pruned)
    assert pruned in str(refusal)
    assert "revision 2 (shop:2)" in str(refusal)


def test_without_any_history_there_is_nothing_to_go_back_to(stage: Stage) -> None:
    stage.deploy("shop:1", revisionHistoryLimit=0)
    good = stage.state().revision
    stage.release("shop:2")
    until(stage.replicasets, lambda items: len(items) == 1)
    assert "revisionHistoryLimit 0" in str(refused(stage, good))


OWNERS = [
    pytest.param(
        {"annotations": {"argocd.argoproj.io/tracking-id": "store:apps/Deployment:shop/checkout"}}, "argocd app rollback store", id="argo-cd"
    ),
    pytest.param({"annotations": {"argocd.argoproj.io/tracking-id": "a;id:apps"}}, "argocd app rollback 'a;id'", id="argo-cd-of-a-strange-name"),
    pytest.param(
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
        "flux reconcile kustomization apps -n flux-system",
        id="flux-kustomization",
    ),
    pytest.param(
        {"labels": {"helm.toolkit.fluxcd.io/name": "store", "helm.toolkit.fluxcd.io/namespace": "flux-system"}},
        "flux suspend helmrelease store -n flux-system",
        id="flux-helmrelease",
    ),
    pytest.param(
        {"annotations": {"configmanagement.gke.io/managed": "enabled", "configsync.gke.io/manager": ":root_store"}},
        "git revert the commit that brought this version: Config Sync",
        id="config-sync",
    ),
    pytest.param({"annotations": {"objectset.rio.cattle.io/id": "default-store"}}, "where default-store comes from", id="rancher-fleet"),
    pytest.param(
        {"annotations": {"objectset.rio.cattle.io/id": "", "objectset.rio.cattle.io/owner-name": "coredns"}},
        "where coredns comes from",
        id="k3s-add-on",
    ),
    pytest.param(
        {"ownerReferences": [{"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "checkout", "uid": "1", "controller": True}]},
        "Flagger",
        id="flagger-primary",
    ),
    pytest.param(
        {"ownerReferences": [{"apiVersion": "example.com/v1", "kind": "Shop", "name": "main", "uid": "1", "controller": True}]},
        "Shop main",
        id="unknown-operator",
    ),
]


@pytest.mark.parametrize(("metadata", "way"), OWNERS)
def test_an_owner_that_would_fight_back_is_left_alone_and_its_own_way_named(stage: Stage, metadata: dict[str, Any], way: str) -> None:
    good = stage.broken(metadata=metadata)
    assert way in refused(stage, good).advice


def test_flux_told_to_leave_the_object_alone_does_not_stand_in_the_way(stage: Stage) -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps"}
    good = stage.broken(metadata={"labels": labels, "annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}})
    assert stage.plan(good)


def test_config_sync_told_to_leave_the_object_alone_does_not_stand_in_the_way(stage: Stage) -> None:
    good = stage.broken(metadata={"annotations": {"configmanagement.gke.io/managed": "disabled"}})
    assert stage.plan(good)


def test_an_application_of_kapp_is_reverted_with_a_warning(stage: Stage) -> None:
    good = stage.broken(metadata={"labels": {"kapp.k14s.io/app": "1675317921176715845"}})
    assert any("kapp application 1675317921176715845" in line for line in stage.plan(good).not_undone)


def test_a_helm_release_is_reverted_with_a_warning(stage: Stage) -> None:
    labels, notes = {"app.kubernetes.io/managed-by": "Helm"}, {"meta.helm.sh/release-name": "store"}
    good = stage.broken(metadata={"labels": labels, "annotations": notes})
    assert any("Helm release store" in line for line in stage.plan(good).not_undone)


def test_who_applies_server_side_is_told_that_the_next_apply_conflicts_and_so_it_does(stage: Stage) -> None:
    stage.deploy("shop:1")
    good = stage.state().revision
    assert stage.apply("shop:2", manager="ci-pipeline", force=True).ok
    stage.settle()
    plan = stage.plan(good)
    assert [line for line in plan.not_undone if "server-side" in line] == [
        "ci-pipeline holds the pod template by server-side apply: its next apply conflicts with rollbackd unless it is forced "
        "(kubectl apply --server-side --force-conflicts)"
    ]
    stage.target.apply(plan)
    refused = stage.apply("shop:3", manager="ci-pipeline")
    assert (refused.status_code, 'conflict with "rollbackd"' in refused.text.replace('\\"', '"')) == (409, True)
    assert stage.apply("shop:3", manager="ci-pipeline", force=True).ok


def test_a_deployment_that_nobody_applies_server_side_has_no_such_line(stage: Stage) -> None:
    assert not any("server-side" in line for line in stage.plan(stage.broken()).not_undone)


# What is written


def test_a_revert_ends_there_with_the_former_template_and_our_mark(stage: Stage) -> None:
    good = stage.broken()
    plan = applied(stage, good)
    sight = stage.sight(plan.intent, THERE)
    assert (sight.revision, sight.ours) == (good, True)
    state = stage.state()
    assert (state.revision, state.writer) == (good, "rollbackd:inc-1")
    notes = stage.deployment()["metadata"]["annotations"]
    assert notes["rollbackd.io/from"] == plan.intent.from_revision


def test_a_later_release_is_not_taken_for_ours(stage: Stage) -> None:
    good = stage.broken()
    plan = applied(stage, good)
    stage.sight(plan.intent, THERE)
    stage.release("shop:3", manager="ci-pipeline")
    assert "ci-pipeline" in str(stage.state().writer)


@pytest.mark.parametrize("between", [pytest.param("shop:3", id="after-another"), pytest.param("shop:2", id="after-the-bad-one-again")])
def test_a_later_return_to_the_revision_that_we_wrote_is_not_taken_for_ours(stage: Stage, between: str) -> None:
    good = stage.broken()
    stage.sight(applied(stage, good).intent, THERE)
    stage.release(between, manager="ci-pipeline")
    stage.release("shop:1", manager="ann")
    state = stage.state()
    assert state.revision == good
    assert "ann" in str(state.writer)


def test_our_mark_that_an_undo_of_others_brings_back_is_not_taken_for_ours(stage: Stage) -> None:
    good = stage.broken()
    stage.sight(applied(stage, good).intent, THERE)
    stage.release("shop:3")
    (former,) = (item for item in stage.replicasets() if objects.digest(item["spec"]["template"]) == good)
    marks = {name: value for name, value in former["metadata"]["annotations"].items() if name.startswith("rollbackd.io/")}
    assert marks["rollbackd.io/incident"] == "inc-1"
    # What kubectl rollout undo writes.
    annotate = [{"op": "add", "path": f"/metadata/annotations/{name.replace('/', '~1')}", "value": value} for name, value in marks.items()]
    revert = {"op": "replace", "path": "/spec/template", "value": objects.bare(former["spec"]["template"])}
    stage.patch(revert, *annotate, manager="kubectl-rollout")
    stage.settle()
    state = stage.state()
    assert state.revision == good
    assert "kubectl-rollout" in str(state.writer)


def test_a_revert_is_ours_as_long_as_it_stands_whoever_scales_or_labels_it(stage: Stage) -> None:
    good = stage.broken()
    stage.sight(applied(stage, good).intent, THERE)
    stage.merge({"spec": {"replicas": 3}, "metadata": {"labels": {"team": "shop"}}})
    stage.settle()
    assert stage.state().writer == "rollbackd:inc-1"


def test_each_revert_of_a_bad_release_that_comes_again_is_ours(stage: Stage) -> None:
    stage.deploy("shop:1", revisionHistoryLimit=1)
    good = stage.state().revision
    for incident in ("inc-1", "inc-2"):
        stage.release("shop:2")
        plan = stage.target.plan(stage.request(good, incident=incident))
        assert isinstance(plan, Plan)
        stage.target.apply(plan)
        stage.sight(plan.intent, THERE)
        assert stage.state().writer == f"rollbackd:{incident}"


def test_everything_that_the_bad_release_added_to_the_template_goes(stage: Stage) -> None:
    stage.deploy("shop:1")
    good, template = stage.state().revision, stage.deployment()["spec"]["template"]
    stage.patch(
        {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "sidecar", "image": "side:1"}},
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": {"note": "x"}},
    )
    applied(stage, good)
    assert stage.deployment()["spec"]["template"] == template


def test_annotations_of_others_replicas_and_strategy_stay(stage: Stage) -> None:
    good = stage.broken()
    stage.merge({"metadata": {"annotations": {"team": "payments"}}, "spec": {"replicas": 3, "minReadySeconds": 0}})
    before = stage.deployment()
    applied(stage, good)
    after = stage.deployment()
    assert after["metadata"]["annotations"]["team"] == "payments"
    assert {**after["spec"], "template": None} == {**before["spec"], "template": None}


def test_a_template_with_characters_that_json_can_spell_in_two_ways_is_reverted(stage: Stage) -> None:
    stage.deploy(container={"command": ["sh", "-c", 'a && b < "in" > out\t\\ # größer 漢字 🚀 \u2028']})
    good = stage.state().revision
    stage.release("shop:2")
    applied(stage, good)
    assert stage.state().revision == good


def test_a_rollout_that_is_still_under_way_can_be_reverted(stage: Stage, cluster: World) -> None:
    cluster.image_behaves("shop:crashes", "crash")
    stage.deploy("shop:1")
    good = stage.state().revision
    stage.release("shop:crashes", settled=False)
    plan = applied(stage, good)
    assert stage.sight(plan.intent, THERE).ours


def test_scaling_and_annotating_between_plan_and_write_do_not_void_it(stage: Stage) -> None:
    good = stage.broken()
    plan = stage.plan(good)
    stage.merge({"metadata": {"annotations": {"hpa": "was here"}}, "spec": {"replicas": 3}})
    stage.target.apply(plan)
    stage.sight(plan.intent, THERE)
    assert stage.deployment()["spec"]["replicas"] == 3


def test_a_new_revision_between_plan_and_write_is_never_overwritten(stage: Stage) -> None:
    good = stage.broken("shop:2")
    plan = stage.plan(good)
    stage.release("shop:3", manager="ci-pipeline")
    before = stage.deployment()
    with pytest.raises(Refused):
        stage.target.apply(plan)
    assert stage.deployment() == before
    sight = stage.target.look(plan.intent)
    assert (sight.standing, sight.ours) == (ELSEWHERE, False)
    assert "another writer (ci-pipeline" in sight.reason


def test_a_version_that_went_and_came_back_between_plan_and_write_is_not_overwritten(stage: Stage) -> None:
    plan = stage.plan(stage.broken("shop:2"))
    stage.release("shop:3")
    stage.settle()
    stage.release("shop:2", manager="argocd-controller")
    stage.settle()
    before = stage.deployment()
    assert stage.target.look(plan.intent).standing is Standing.BEFORE  # the same template
    with pytest.raises(Refused):
        stage.target.apply(plan)
    assert stage.deployment()["spec"] == before["spec"]


def test_a_repeated_write_is_refused_and_harmless(stage: Stage) -> None:
    good = stage.broken()
    plan = applied(stage, good)
    stage.sight(plan.intent, THERE)
    stage.settle()
    before = stage.deployment()
    with pytest.raises(Refused):
        stage.target.apply(plan)
    assert stage.deployment() == before


def test_an_intent_out_of_the_journal_can_be_carried_out(stage: Stage) -> None:
    plan = stage.plan(stage.broken())
    stage.target.apply(Plan(plan.intent, "from the journal"))
    assert stage.sight(plan.intent, THERE).ours


def test_an_intent_out_of_the_journal_that_no_longer_fits_is_refused(stage: Stage) -> None:
    plan = stage.plan(stage.broken())
    stage.release("shop:3")
    with pytest.raises(Refused):
        stage.target.apply(Plan(plan.intent, "from the journal"))


def test_a_deployment_that_is_gone_is_not_written(stage: Stage) -> None:
    plan = stage.plan(stage.broken())
    stage.delete()
    with pytest.raises(Permanent, match="does not exist"):
        stage.target.apply(plan)
    assert stage.target.look(plan.intent).standing is ELSEWHERE


def test_a_deployment_of_the_same_name_made_anew_is_not_written(stage: Stage) -> None:
    plan = stage.plan(stage.broken("shop:2"))
    stage.delete()
    until(stage.replicasets, lambda items: not items)
    stage.deploy("shop:2")
    with pytest.raises(Refused):
        stage.target.apply(plan)
    sight = stage.target.look(plan.intent)
    assert (sight.standing, "made anew" in sight.reason) == (ELSEWHERE, True)


# Where it stands


def test_it_stands_before_until_the_write(stage: Stage) -> None:
    plan = stage.plan(stage.broken())
    sight = stage.target.look(plan.intent)
    assert (sight.standing, sight.ours) == (Standing.BEFORE, False)


def test_a_version_put_back_by_another_writer_after_our_revert_is_seen_with_its_name(stage: Stage) -> None:
    plan = applied(stage, stage.broken("shop:2"))
    stage.sight(plan.intent, THERE)
    stage.release("shop:2", manager="argocd-controller")
    sight = stage.target.look(plan.intent)
    assert sight.standing is ELSEWHERE
    assert "put back by another writer (argocd-controller" in sight.reason


@pytest.mark.parametrize(("behaviour", "reason"), [("missing", "ImagePullBackOff"), ("crash", "CrashLoopBackOff")])
def test_a_target_whose_pods_cannot_start_has_failed_at_once(stage: Stage, cluster: World, behaviour: Any, reason: str) -> None:
    image = f"shop:later-{behaviour}"
    stage.deploy(image)
    good = stage.state().revision
    stage.release("shop:2")
    cluster.image_behaves(image, behaviour)
    plan = applied(stage, good)
    assert reason in stage.sight(plan.intent, FAILED).reason


def test_a_target_whose_pods_crash_until_what_they_need_is_there_is_waited_for(stage: Stage, cluster: World) -> None:
    good = stage.broken()
    cluster.image_behaves("shop:1", "stumble")
    plan = applied(stage, good)
    until(lambda: {waits_for(pod) for pod in pods_of(stage, "shop:1")}, lambda reasons: reasons == {"CrashLoopBackOff"})
    assert stage.target.look(plan.intent).standing is UNDERWAY
    cluster.image_behaves("shop:1", "ready")
    assert stage.sight(plan.intent, THERE, FAILED).standing is THERE


def test_a_target_whose_images_the_registry_holds_back_for_a_while_is_waited_for(stage: Stage, cluster: World) -> None:
    stage.deploy("shop:held-back")
    good = stage.state().revision
    stage.release("shop:2")
    cluster.image_behaves("shop:held-back", "throttled")
    plan = applied(stage, good)
    sight = until(lambda: stage.target.look(plan.intent), lambda seen: "429 Too Many Requests" in seen.reason)
    assert sight.standing is UNDERWAY
    cluster.image_behaves("shop:held-back", "ready")
    assert stage.sight(plan.intent, THERE, FAILED).standing is THERE


def pods_of(stage: Stage, image: str) -> list[dict[str, Any]]:
    pods: list[dict[str, Any]] = stage.world.api("GET", stage.path("pods"))["items"]
    return [pod for pod in pods if pod["spec"]["containers"][0]["image"] == image]


def waits_for(pod: dict[str, Any]) -> str | None:
    (container,) = pod["status"].get("containerStatuses") or [{}]
    reason: str | None = container.get("state", {}).get("waiting", {}).get("reason")
    return reason


def test_a_target_that_never_becomes_ready_fails_at_its_deadline(stage: Stage, cluster: World) -> None:
    stage.deploy("shop:was-good", progressDeadlineSeconds=2)
    good = stage.state().revision
    stage.release("shop:2")
    cluster.image_behaves("shop:was-good", "unready")
    plan = applied(stage, good)
    assert stage.sight(plan.intent, UNDERWAY).ours
    sight = until(lambda: stage.target.look(plan.intent), lambda seen: seen.standing is FAILED or is_without_a_clock(stage))
    assert sight.standing is UNDERWAY or "timed out progressing" in sight.reason


def is_without_a_clock(stage: Stage) -> bool:
    """A real controller that is slow may see the revert and its first new pod at once: to it nothing progresses, so its deadline never begins.

    Then the condition is still the one of the former rollout beside counts of the new one. Our own deadline (``complete_by``) is for that.
    """
    seen = stage.deployment()
    status = seen["status"]
    is_observed = status.get("observedGeneration") == seen["metadata"]["generation"]
    reasons = {each.get("reason") for each in status.get("conditions", []) if each["type"] == "Progressing"}
    return is_observed and 1 <= status.get("updatedReplicas", 0) < seen["spec"]["replicas"] and reasons == {"NewReplicaSetAvailable"}


def test_the_exceeded_deadline_of_the_bad_rollout_is_not_held_against_the_revert(stage: Stage, cluster: World) -> None:
    cluster.image_behaves("shop:hangs", "unready")
    stage.deploy("shop:1", progressDeadlineSeconds=2)
    good = stage.state().revision
    stage.release("shop:hangs", settled=False)
    until(lambda: stage.state().stuck, lambda why: why is not None)
    plan = applied(stage, good)
    assert stage.sight(plan.intent, THERE, FAILED).standing is THERE


def test_a_revert_that_is_scaled_to_zero_meanwhile_is_not_verified(stage: Stage) -> None:
    plan = applied(stage, stage.broken())
    stage.merge({"spec": {"replicas": 0}})
    sight = stage.sight(plan.intent, FAILED)
    assert "nothing can be verified" in sight.reason


def test_a_revert_that_is_paused_meanwhile_cannot_complete(stage: Stage) -> None:
    plan = applied(stage, stage.broken())
    stage.merge({"spec": {"paused": True}})
    assert "paused" in stage.sight(plan.intent, FAILED).reason


# What we may do


def test_a_missing_right_to_patch_is_refused_at_the_plan_with_verb_and_resource(stage: Stage, cluster: World) -> None:
    good = stage.broken()
    cluster.deny("patch", "deployments", stage.namespace)
    refusal = refused(stage, good)
    assert "not allowed to patch deployments/checkout" in str(refusal)


def test_a_right_that_was_taken_after_the_plan_is_final_and_names_the_rule(stage: Stage, cluster: World) -> None:
    plan = stage.plan(stage.broken())
    before = stage.deployment()
    cluster.deny("patch", "deployments", stage.namespace)
    with pytest.raises(Permanent) as failure:
        stage.target.apply(plan)
    assert 'resources: ["deployments"], verbs: ["patch"], resourceNames: ["checkout"]' in str(failure.value)
    assert stage.deployment() == before


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        pytest.param({"token": "another"}, r"does not accept our credentials \(401\)", id="another-token"),
        pytest.param({}, 'not allowed to get deployments/checkout .*"system:anonymous".* No credentials were sent', id="no-token"),
    ],
)
def test_credentials_that_are_not_accepted_are_final(stage: Stage, cluster: World, tmp_path: Path, user: dict[str, str], reason: str) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = user
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    stranger = Kubernetes({"test": ClusterAccess(tmp_path / "kubeconfig")})
    seen = stranger.survey([stage.key])[stage.key]
    stranger.close()
    assert isinstance(seen, Permanent)
    assert re.search(reason, str(seen))
    assert "apiGroups" not in str(seen)


def test_an_address_beside_the_api_is_no_deployment_that_is_gone(stage: Stage, cluster: World, tmp_path: Path) -> None:
    plan = stage.plan(stage.broken())
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] += "/elsewhere"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    astray = Kubernetes({"test": ClusterAccess(tmp_path / "kubeconfig")})
    with pytest.raises(Permanent, match="Correct the address of its API server") as failure:
        astray.look(plan.intent)
    astray.close()
    assert "apiGroups" not in str(failure.value)


@pytest.mark.parametrize("resource", ["deployments", "replicasets"])
def test_what_may_not_be_read_is_an_error_and_never_a_state(stage: Stage, cluster: World, resource: str) -> None:
    plan = applied(stage, stage.broken())
    stage.sight(plan.intent, THERE)
    cluster.deny("", resource, stage.namespace)
    assert isinstance(stage.target.survey([stage.key])[stage.key], AdapterError)
    with pytest.raises(Permanent, match="not allowed"):
        stage.target.look(plan.intent)


def test_a_sound_deployment_passes_the_check(stage: Stage) -> None:
    stage.deploy()
    assert stage.target.check([stage.key]) == ()


@pytest.mark.parametrize(
    ("verb", "resource"),
    [("get", "deployments"), ("list", "deployments"), ("patch", "deployments"), ("list", "replicasets"), ("list", "pods")],
)
def test_the_check_names_each_missing_right_with_the_rule_to_add(stage: Stage, cluster: World, verb: str, resource: str) -> None:
    stage.deploy()
    cluster.deny(verb, resource, stage.namespace)
    (finding,) = stage.target.check([stage.key])
    assert f"not allowed to {verb} {resource}" in finding
    assert f'resources: ["{resource}"], verbs: ["{verb}"]' in finding


def test_a_right_for_this_name_alone_is_enough(stage: Stage, cluster: World) -> None:
    stage.deploy()
    stage.deploy(name="cart")
    cluster.deny("patch", "deployments", stage.namespace, "cart")
    (finding,) = stage.target.check([stage.key, stage.key_of("cart")])
    assert finding.startswith(stage.key_of("cart"))


def test_the_check_finds_what_is_missing_unowned_or_without_history(stage: Stage) -> None:
    stage.deploy(revisionHistoryLimit=0)
    owner = {"apiVersion": "example.com/v1", "kind": "Shop", "name": "main", "uid": "1", "controller": True}
    stage.deploy(name="cart", metadata={"ownerReferences": [owner]})
    findings = stage.target.check([stage.key, stage.key_of("cart"), stage.key_of("nobody")])
    assert [finding.split(": ")[0] for finding in findings] == [stage.key, stage.key_of("cart"), stage.key_of("nobody")]
    assert "revisionHistoryLimit is 0" in findings[0]
    assert "Shop main" in findings[1]
    assert "does not exist" in findings[2]


def test_another_incident_does_not_take_our_mark_for_its_own(stage: Stage) -> None:
    plan = applied(stage, stage.broken())
    stage.sight(plan.intent, THERE)
    assert stage.target.look(replace(plan.intent, incident="inc-2")).ours is False
