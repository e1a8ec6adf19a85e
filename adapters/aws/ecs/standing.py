"""Where a service stands relative to an intent: complete only when its own tasks prove it, and the load balancer agrees."""

from collections.abc import Mapping

from rollbackd.adapters.aws.ecs import calls, objects
from rollbackd.adapters.aws.ecs.objects import Raw
from rollbackd.adapters.aws.ecs.place import Place
from rollbackd.adapters.aws.ecs.reading import Reader, Seen
from rollbackd.adapters.aws.failures import Gone
from rollbackd.adapters.base.target import Intent, Sight, Standing

_FINAL = ("CannotPullContainer", "CannotPullImageManifest", "ResourceInitializationError", "CannotPullECRContainer")
"""Why a task stopped, in words that waiting does not mend."""
_TASKS_AT_ONCE = 100


def look(reader: Reader, place: Place, intent: Intent) -> Sight:
    """See Target.look. A service that is gone, or another of the same name, is ELSEWHERE."""
    try:
        service = reader.service(place)
    except Gone as fault:
        return Sight(Standing.ELSEWHERE, f"{fault} Another writer took it away.", "")
    seen = reader.standing(place, service)
    if service["createdAt"].isoformat() != intent.record.get("created", service["createdAt"].isoformat()):
        return Sight(Standing.ELSEWHERE, f"{place} was deleted and made anew by another writer", seen.revision)
    if _is_at(seen, intent.to_revision):
        standing, reason = _progress(reader, seen, intent)
    else:
        standing, reason = _elsewhere(reader, seen, intent)
    return Sight(standing, reason, seen.revision)


def _is_at(seen: Seen, revision: str) -> bool:
    """Whether it stands there or moves there; ECS may not have resolved its images yet."""
    is_unresolved = seen.revision.endswith(f"@{objects.UNRESOLVED}")
    return seen.revision == revision or (is_unresolved and seen.revision.partition("@")[0] == revision.partition("@")[0])


def _elsewhere(reader: Reader, seen: Seen, intent: Intent) -> tuple[Standing, str]:
    deployment, ours = seen.deployment, intent.record.get("deployment")
    judged = intent.record.get("change", ours)  # intents of former versions have the deployment's ARN only
    if seen.revision == intent.from_revision and objects.change_id(deployment) == judged:
        return Standing.BEFORE, f"still at {seen.revision}"
    if deployment["serviceDeploymentArn"] != ours and deployment["status"] in objects.ROLLING_BACK | objects.ROLLED_BACK:
        (target,) = reader.revisions([deployment["targetServiceRevision"]["arn"]])
        if _same(reader.name(target), intent.to_revision):
            who = objects.breaker(deployment) or "somebody"
            why = deployment.get("statusReason") or (deployment.get("rollback") or {}).get("reason") or "no reason given"
            return Standing.FAILED, f"{who} rolled our revert back to {seen.revision}: {why}"
    same = seen.revision.partition("@")[0] == intent.to_revision.partition("@")[0]
    if same and deployment["serviceDeploymentArn"] != ours:
        return Standing.FAILED, f"the tag of {intent.to_revision} was resolved to another image: {seen.revision}"
    return Standing.ELSEWHERE, f"another writer has put {seen.revision} there ({deployment['serviceDeploymentArn']})"


def _same(name: str, revision: str) -> bool:
    return name == revision or (name.endswith(f"@{objects.UNRESOLVED}") and name.partition("@")[0] == revision.partition("@")[0])


def _progress(reader: Reader, seen: Seen, intent: Intent) -> tuple[Standing, str]:
    status = seen.deployment["status"]
    wanted, running = int(seen.service.get("desiredCount") or 0), int(objects.primary(seen.service).get("runningCount") or 0)
    counts = f"{status}: {running} of {wanted} running"
    if not wanted and seen.service.get("schedulingStrategy") != "DAEMON":
        return Standing.FAILED, "scaled to 0 tasks: nothing serves, so nothing can be verified"
    if status in ("STOPPED", "ROLLBACK_FAILED"):
        return Standing.FAILED, objects.stuck(seen.service, seen.deployment) or counts
    if objects.primary(seen.service).get("failedTasks") and (fault := _final_fault(reader, seen)) is not None:
        return Standing.FAILED, fault
    if status not in objects.FINAL or seen.revision != intent.to_revision:
        trouble = objects.trouble(seen.service, seen.deployment)
        return Standing.UNDERWAY, f"{counts}; {trouble}" if trouble else counts
    return _verified(reader, seen, intent, counts)


def _final_fault(reader: Reader, seen: Seen) -> str | None:
    """Why tasks of this revision cannot start, if it is for good."""
    for task in _tasks(reader, seen, "STOPPED"):
        reason = str(task.get("stoppedReason") or "")
        if task.get("taskDefinitionArn") == seen.definition and any(word in reason for word in _FINAL):
            return f"task {objects.name_of(task['taskArn'])} did not start: {reason}"
    return None


def _verified(reader: Reader, seen: Seen, intent: Intent, counts: str) -> tuple[Standing, str]:
    """ECS calls it done; whether it is, its tasks tell."""
    primary = objects.primary(seen.service)
    if primary and primary.get("taskDefinition") != seen.definition:
        return Standing.UNDERWAY, f"{counts}; its PRIMARY deployment is of {objects.name_of(str(primary.get('taskDefinition')))}"
    tasks = _tasks(reader, seen, "RUNNING")
    if others := {objects.name_of(task["taskDefinitionArn"]) for task in tasks if task["taskDefinitionArn"] != seen.definition}:
        return Standing.UNDERWAY, f"{counts}; tasks of {', '.join(sorted(others))} are left"
    if (fault := _other_images(tasks, intent.record.get("digests"))) is not None:
        return Standing.FAILED, fault
    wanted = int(seen.service.get("desiredCount") or 0)
    checked = _has_health_check(reader, seen)
    well = [task for task in tasks if task.get("lastStatus") == "RUNNING" and _is_healthy(task, is_checked=checked)]
    if not tasks or len(well) < wanted:
        return Standing.UNDERWAY, f"{counts}; {len(well)} of {wanted} tasks run and are healthy"
    return _served(reader, seen, f"{counts}, {len(well)} healthy")


def _has_health_check(reader: Reader, seen: Seen) -> bool:
    containers = reader.definition(seen.definition)["taskDefinition"].get("containerDefinitions") or []
    return any(container.get("healthCheck") for container in containers)


def _is_healthy(task: Raw, *, is_checked: bool) -> bool:
    """UNKNOWN is the word for a task without a health check, and for one whose check has not answered yet."""
    return task.get("healthStatus") == "HEALTHY" or (not is_checked and task.get("healthStatus") != "UNHEALTHY")


def _other_images(tasks: list[Raw], recorded: object) -> str | None:
    known: Mapping[str, object] = recorded if isinstance(recorded, Mapping) else {}
    for task in tasks:
        for container in task.get("containers") or []:
            found, good = container.get("imageDigest"), known.get(container["name"])
            if found and good and found != good:
                return f"container {container['name']} of task {objects.name_of(task['taskArn'])} runs {found} and not {good}"
    return None


def _served(reader: Reader, seen: Seen, counts: str) -> tuple[Standing, str]:
    wanted = int(seen.service.get("desiredCount") or 0)
    groups = [item["targetGroupArn"] for item in seen.service.get("loadBalancers") or [] if item.get("targetGroupArn")]
    for group in groups:
        answer = reader.caller.read(calls.DESCRIBE_TARGET_HEALTH, TargetGroupArn=group)
        states = [item.get("TargetHealth", {}).get("State") for item in answer.get("TargetHealthDescriptions") or []]
        if states.count("healthy") < wanted:
            return Standing.UNDERWAY, f"{counts}; {states.count('healthy')} of {wanted} targets healthy in {group.rpartition(':')[2]}"
    return Standing.THERE, counts


def _tasks(reader: Reader, seen: Seen, status: str) -> list[Raw]:
    place, caller = seen.place, reader.caller
    pages = caller.pages(calls.LIST_TASKS, cluster=place.cluster, serviceName=place.service, desiredStatus=status)
    arns = [arn for page in pages for arn in page.get("taskArns") or []]
    found: list[Raw] = []
    for start in range(0, len(arns), _TASKS_AT_ONCE):
        found += caller.read(calls.DESCRIBE_TASKS, cluster=place.cluster, tasks=arns[start : start + _TASKS_AT_ONCE]).get("tasks") or []
    return found
