"""A plan towards one ReplicaSet that still exists, rehearsed by the server. It holds the one write that carries it out."""

from dataclasses import dataclass, field
from shlex import quote

from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.past import Kept, Past
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest
from rollbackd.adapters.kubernetes import objects
from rollbackd.adapters.kubernetes.api import MANAGER, Cluster
from rollbackd.adapters.kubernetes.deadline import deadline
from rollbackd.adapters.kubernetes.differences import differences, images_in_doubt, referenced
from rollbackd.adapters.kubernetes.failures import Gone
from rollbackd.adapters.kubernetes.objects import Raw
from rollbackd.adapters.kubernetes.owners import helm_release, kapp_application, owner_to_respect
from rollbackd.adapters.kubernetes.place import Place

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Write:
    """The JSON Patch of a plan. It holds pod templates, so it is never shown."""

    place: Place
    operations: list[Raw] = field(repr=False)


@dataclass(frozen=True, slots=True)
class View:
    """A Deployment as read for one plan: itself, the ReplicaSets that it controls, and all that its selector chooses."""

    deployment: Raw
    mine: list[Raw]
    chosen: list[Raw]


def view_of(cluster: Cluster, place: Place) -> View:
    """Two reads."""
    deployment = cluster.deployment(place)
    chosen = cluster.find("replicasets", place.namespace, objects.selector(deployment))
    return View(deployment, objects.owned(deployment, chosen), chosen)


def plan(cluster: Cluster, place: Place, request: PlanRequest) -> Plan | NothingToDo:
    """See Target.plan."""
    view = view_of(cluster, place)
    kubectl = kubectl_for(cluster, place)
    _refuse_what_stands_still(view.deployment, place, kubectl)
    goal = _goal(view, place, request)
    if isinstance(goal, NothingToDo):
        return goal
    if (refusal := owner_to_respect(place, view.deployment, view.chosen)) is not None:
        raise refusal
    intent = _intent(request, view.deployment, goal)
    write = write_of(place, intent, view.deployment, goal)
    unrehearsed = _rehearse(cluster, write, intent)
    good, bad = goal["spec"]["template"], view.deployment["spec"]["template"]
    name = goal["metadata"]["name"]
    return Plan(
        intent=intent,
        summary=f"Put {place.namespace}/{place.name} back to ReplicaSet {name} ({', '.join(objects.images(good).values())})",
        steps=(f"replace the pod template by that of ReplicaSet {name}", *differences(bad, good)),
        not_undone=(*unrehearsed, *_not_undone(view.deployment, bad, good)),
        command=f"{kubectl} rollout undo deployment/{quote(place.name)} --to-revision={objects.number(goal)}",
        deadline=deadline(view.deployment),
        payload=write,
    )


def past(cluster: Cluster, place: Place) -> Past:
    """See KeepsPast.past."""
    view = view_of(cluster, place)
    found = [
        Kept(objects.digest(item["spec"]["template"]), objects.number(item), objects.moment(item["metadata"]["creationTimestamp"]))
        for item in view.mine
    ]
    live = objects.digest(view.deployment["spec"]["template"])
    kept = sorted(found, key=lambda one: (one.revision == live, one.number))
    return Past(kept, live, owner_to_respect(place, view.deployment, view.chosen))


def kubectl_for(cluster: Cluster, place: Place) -> str:
    """How a person's command for this place begins."""
    context = f" --context {quote(cluster.access.context)}" if cluster.access.context else ""
    return f"kubectl{context} -n {quote(place.namespace)}"


def _refuse_what_stands_still(deployment: Raw, place: Place, kubectl: str) -> None:
    if deployment["metadata"].get("deletionTimestamp"):
        raise Refused(f"{place} is being deleted. Nothing was changed.", advice="Find out who deletes it.")
    if deployment["spec"].get("paused"):
        advice = f"{kubectl} rollout resume deployment/{quote(place.name)}, then plan again."
        raise Refused(f"{place} is paused: a revert would not be rolled out. Nothing was changed.", advice=advice)


def _goal(view: View, place: Place, request: PlanRequest) -> Raw | NothingToDo:
    """The ReplicaSet of the best candidate that is left."""
    live = objects.digest(view.deployment["spec"]["template"])
    revision = next((item for item in request.candidates if item == live or objects.of_template(view.mine, item) is not None), None)
    if revision == live:
        return NothingToDo(f"{place} already stands at {live}, which is known good.")
    if live != request.from_revision:
        advice = "Judge the new revision on its own; it has a watch window of its own."
        raise Refused(f"{place} is at {live} and no longer at {request.from_revision}: superseded. Nothing was changed.", advice=advice)
    if view.deployment["spec"].get("replicas", 1) == 0:
        advice = "Scale it up first, or revert by hand: nothing could be verified."
        raise Refused(f"{place} is scaled to 0 replicas: a revert would serve nobody and prove nothing. Nothing was changed.", advice=advice)
    goal = objects.of_template(view.mine, revision) if revision is not None else None
    if goal is None:
        raise _nowhere_to_go(view, place, request)
    return goal


def _nowhere_to_go(view: View, place: Place, request: PlanRequest) -> Refused:
    limit = view.deployment["spec"].get("revisionHistoryLimit", 10)
    live = objects.digest(view.deployment["spec"]["template"])
    left = [item for item in view.mine if objects.digest(item["spec"]["template"]) != live]
    shown = "; ".join(f"revision {objects.number(item)} ({', '.join(objects.images(item['spec']['template']).values())})" for item in left[:5])
    good = ", ".join(request.candidates) or "none"
    facts = f"known good: {good}; left: {shown or 'none'}; revisionHistoryLimit {limit}"
    advice = "Deploy the last good version again by the usual way, or declare one that is left: rollbackd good."
    return Refused(f"{place}: no known-good revision is left among its ReplicaSets ({facts}). Nothing was changed.", advice=advice)


def _intent(request: PlanRequest, deployment: Raw, goal: Raw) -> Intent:
    good, bad = goal["spec"]["template"], deployment["spec"]["template"]
    before, after = objects.images(bad), objects.images(good)
    changed = {name: [before.get(name), after.get(name)] for name in sorted({**before, **after}) if before.get(name) != after.get(name)}
    record = {
        "uid": deployment["metadata"]["uid"],
        "replicaset": goal["metadata"]["name"],
        "replicaset_uid": goal["metadata"]["uid"],
        "images": changed,
    }
    return Intent(request.target, request.incident, request.from_revision, objects.digest(good), record)


def write_of(place: Place, intent: Intent, deployment: Raw, goal: Raw) -> Write:
    """Guarded by uid, by the whole bad template and by its rollout's number: status updates and scaling do not void it, a newer rollout does.

    A template that went and came back is another rollout, and no longer the one that was judged. Its number tells, once its controller gave it one.
    """
    marks = {
        objects.INCIDENT: intent.incident,
        objects.WRITTEN: intent.to_revision,
        objects.FROM: intent.from_revision,
        # The number that its controller will give to the rollout of this write, and to no other.
        objects.ROLLOUT: str(objects.number(deployment) + 1),
    }
    meta = deployment["metadata"]
    guards = [
        {"op": "test", "path": "/metadata/uid", "value": meta["uid"]},
        {"op": "test", "path": "/spec/template", "value": deployment["spec"]["template"]},
    ]
    if objects.number(deployment) and objects.is_observed(deployment):
        guards.append({"op": "test", "path": _annotation(objects.REVISION), "value": objects.notes(deployment)[objects.REVISION]})
    if meta.get("annotations") is None:
        # "add" of the whole map would replace one that appeared meanwhile, so nothing at all may have changed.
        guards.append({"op": "test", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]})
        annotate: list[Raw] = [{"op": "add", "path": "/metadata/annotations", "value": marks}]
    else:
        annotate = [{"op": "add", "path": _annotation(key), "value": value} for key, value in marks.items()]
    revert = {"op": "replace", "path": "/spec/template", "value": objects.bare(goal["spec"]["template"])}
    return Write(place, [*guards, revert, *annotate])


def _annotation(key: str) -> str:
    return f"/metadata/annotations/{key.replace('/', '~1')}"


def _rehearse(cluster: Cluster, write: Write, intent: Intent) -> tuple[str, ...]:
    """The server admits exactly this patch and would store exactly this template; what could not be rehearsed is said. Raises Refused otherwise."""
    try:
        after = cluster.patch(write.place, write.operations, dry_run=True)
    except Gone:
        raise
    except Permanent as fault:
        if "does not support dry run" in str(fault):
            return ("not rehearsed: an admission webhook of the cluster does not support dry runs",)
        raise Refused(str(fault), advice="Remove the obstacle, then plan again.") from fault
    stored = objects.digest(after["spec"]["template"])
    if stored != intent.to_revision:
        what = f"the server would store {stored} instead of {intent.to_revision} for {write.place}: admission changes the pod template."
        raise Refused(f"{what} Nothing was changed.", advice="Revert by the way that deployed the good version.")
    return ()


def _not_undone(deployment: Raw, bad: Raw, good: Raw) -> tuple[str, ...]:
    lines = [f"{item} stays as it is: it was not looked at, and may be gone" for item in referenced(good)]
    if images := images_in_doubt(bad, good):
        lines.append(f"images by tag ({', '.join(images)}): if a tag was moved since, the old image does not come back")
    lines.append(f"replicas ({deployment['spec'].get('replicas', 1)}), autoscaler, strategy, Services and database schemas stay as they are")
    if (release := helm_release(deployment)) is not None:
        lines.append(f"Helm release {release} still records the reverted version: the next helm upgrade brings its chart's version back")
    if (label := kapp_application(deployment)) is not None:
        lines.append(f"kapp application {label} still has the reverted version: its next deploy, by kapp-controller within minutes, brings it back")
    if LAST_APPLIED in objects.notes(deployment):
        lines.append("the last applied configuration of kubectl stays: the next kubectl apply brings its version back")
    # What a patch changes belongs to whoever patched; the server then refuses (409) an apply of others that would change it again.
    unless_forced = f"its next apply conflicts with {MANAGER} unless it is forced (kubectl apply --server-side --force-conflicts)"
    lines += [f"{manager} holds the pod template by server-side apply: {unless_forced}" for manager in objects.appliers_of_template(deployment)]
    return tuple(lines)
