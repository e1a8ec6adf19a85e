"""Who else writes a Deployment. An owner that would undo our write is not fought: the plan is refused and names the owner's own way back."""

from collections.abc import Iterable
from shlex import quote

from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.kubernetes.objects import Raw, controller, notes
from rollbackd.adapters.kubernetes.place import Place

ARGO_ID = "argocd.argoproj.io/tracking-id"
ARGO_INSTANCE = "argocd.argoproj.io/instance"
FLUX = "kustomize.toolkit.fluxcd.io"
FLUX_HELM = "helm.toolkit.fluxcd.io"
CONFIG_SYNC = "configmanagement.gke.io/managed"
CONFIG_SYNC_RECONCILER = "configsync.gke.io/manager"
OBJECT_SET = "objectset.rio.cattle.io"
KAPP = "kapp.k14s.io/app"


def owner_to_respect(place: Place, deployment: Raw, replicasets: Iterable[Raw]) -> Refused | None:
    """The refusal that this Deployment's owner demands, if it has one that would undo our write."""
    return _gitops(place, deployment) or _declared(place, deployment) or _controlled(place, deployment) or _rollout(place, replicasets)


def helm_release(deployment: Raw) -> str | None:
    """The Helm release that it belongs to: a release does not undo our write before its next upgrade."""
    labels = deployment["metadata"].get("labels") or {}
    if labels.get("app.kubernetes.io/managed-by") != "Helm":
        return None
    return notes(deployment).get("meta.helm.sh/release-name") or "of unknown name"


def kapp_application(deployment: Raw) -> str | None:
    """The label of the kapp application that it belongs to. It does not tell whether kapp-controller deploys that time and again, or people."""
    return (deployment["metadata"].get("labels") or {}).get(KAPP)


def _gitops(place: Place, deployment: Raw) -> Refused | None:
    labels, managers = deployment["metadata"].get("labels") or {}, _managers(deployment)
    if f"{FLUX_HELM}/name" in labels:
        name, namespace = labels[f"{FLUX_HELM}/name"], labels.get(f"{FLUX_HELM}/namespace", place.namespace)
        way = f"flux suspend helmrelease {quote(name)} -n {quote(namespace)}, then helm rollback to the last good version, then revert the commit"
        return _refusal(place, f"Flux HelmRelease {namespace}/{name}", way)
    if f"{FLUX}/name" in labels and notes(deployment).get(f"{FLUX}/reconcile") != "disabled":
        name, namespace = labels[f"{FLUX}/name"], labels.get(f"{FLUX}/namespace", place.namespace)
        way = f"git revert the commit that brought this version, then: flux reconcile kustomization {quote(name)} -n {quote(namespace)} --with-source"
        return _refusal(place, f"Flux Kustomization {namespace}/{name}", way)
    app = notes(deployment).get(ARGO_ID, "").split(":")[0] or labels.get(ARGO_INSTANCE)
    if app or any(manager.startswith("argocd") for manager in managers):
        name = app or "APPLICATION"
        command = f"argocd app set {quote(name)} --sync-policy none && argocd app rollback {quote(name)}"
        way = f"git revert the commit that brought this version, or: {command}"
        return _refusal(place, f"Argo CD application {name}", way)
    return None


def _declared(place: Place, deployment: Raw) -> Refused | None:
    told = notes(deployment)
    if told.get(CONFIG_SYNC) == "enabled":
        way = "git revert the commit that brought this version: Config Sync then brings the former one by itself"
        return _refusal(place, f"Config Sync (reconciler {told.get(CONFIG_SYNC_RECONCILER) or 'of unknown name'})", way)
    # Fleet puts a change back at once only where its drift correction is on, which the object does not tell; its next deployment does so always.
    if f"{OBJECT_SET}/id" in told:
        name = told[f"{OBJECT_SET}/id"] or told.get(f"{OBJECT_SET}/owner-name") or "of unknown name"
        way = f"put the former version back where {name} comes from: git revert the commit of Fleet, or the manifest of k3s"
        return _refusal(place, f"Rancher's object set {name} (Fleet or an add-on of k3s)", way)
    return None


def _controlled(place: Place, deployment: Raw) -> Refused | None:
    owner = controller(deployment)
    if owner is None:
        return None
    if owner.get("kind") == "Canary":
        way = f"revert the Deployment that Flagger's Canary {owner['name']} watches, and let Flagger promote it"
        return _refusal(place, f"Flagger Canary {owner['name']}", way)
    named = f"{owner.get('kind')} {owner.get('name')}"
    return _refusal(place, named, f"change the version in {named}: its operator rewrites this Deployment")


def _rollout(place: Place, replicasets: Iterable[Raw]) -> Refused | None:
    owners = [owner for owner in map(controller, replicasets) if owner is not None and owner.get("kind") == "Rollout"]
    if not owners:
        return None
    name = owners[0]["name"]
    which = f"{quote(name)} -n {quote(place.namespace)}"
    way = f"kubectl argo rollouts abort {which}, then kubectl argo rollouts undo {which}"
    return _refusal(place, f"Argo Rollouts' Rollout {name}", way)


def _refusal(place: Place, owner: str, way: str) -> Refused:
    return Refused(f"{place} belongs to {owner}, which would undo the change or is undone by it. Nothing was changed.", advice=way)


def _managers(deployment: Raw) -> list[str]:
    return [str(entry.get("manager", "")) for entry in deployment["metadata"].get("managedFields") or []]
