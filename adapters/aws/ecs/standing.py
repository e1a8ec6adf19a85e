"""Where a service stands relative to an intent: complete only when its own tasks prove it, and the load balancer agrees."""

import re
from collections.abc import Mapping

from rollbackd.adapters.aws.ecs import calls, objects
from rollbackd.adapters.aws.ecs.objects import Raw
from rollbackd.adapters.aws.ecs.place import Place
from rollbackd.adapters.aws.ecs.reading import Reader, Seen
from rollbackd.adapters.aws.failures import Gone
from rollbackd.adapters.base.target import Intent, Sight, Standing

_NOT_STARTED = ("CannotPullContainer", "CannotPullImageManifest", "ResourceInitializationError", "CannotPullECRContainer")
"""Why a task stopped before it ran. ECS goes on trying."""
_FOR_GOOD = re.compile(
    r"not ?found|does not exist|no such image|can't find|manifest unknown|no match(ing manifest)? for|descriptor matching platform"
    r"|access ?denied|denied:|no basic auth|unauthorized|not authorized|forbidden|invalid reference format",
    re.IGNORECASE,
)
"""What waiting does not mend."""
_PASSES = re.compile(r"too ?many ?requests|rate exceeded|rate limit|throttl|timed? ?out|deadline exceeded|expired|request canceled", re.IGNORECASE)
"""What does pass, whatever else the same line says: an expired token is "denied" too, and an image may be named after any word."""
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
    if _is_before(seen, intent):
        return Sight(Standing.BEFORE, f"still at {seen.revision}", seen.revision)
    if objects.may_be(seen.revision, intent.to_revision):
        standing, reason = _progress(reader, seen, intent)
    else:
        standing, reason = _elsewhere(reader, seen, intent)
    return Sight(standing, reason, seen.revision)


def _is_before(seen: Seen, intent: Intent) -> bool:
    """Whether the change that was judged brought it where it stands; its images may have been resolved since."""
    judged = intent.record.get("change", intent.record.get("deployment"))  # intents of former versions have the deployment's ARN only
    is_judged = objects.change_id(seen.deployment) == judged and objects.may_be(seen.revision, intent.from_revision)
    return is_judged and seen.revision != intent.to_revision


def _elsewhere(reader: Reader, seen: Seen, intent: Intent) -> tuple[Standing, str]:
    deployment, ours = seen.deployment, intent.record.get("deployment")
    if deployment["serviceDeploymentArn"] != ours and deployment["status"] in objects.ROLLING_BACK | objects.ROLLED_BACK:
        (target,) = reader.revisions([deployment["targetServiceRevision"]["arn"]])
        if objects.may_be(reader.name(target), intent.to_revision):
            who = objects.breaker(deployment) or "somebody"
            why = deployment.get("statusReason") or (deployment.get("rollback") or {}).get("reason") or "no reason given"
            return Standing.FAILED, f"{who} rolled our revert back to {seen.revision}: {why}"
    same = seen.revision.partition("@")[0] == intent.to_revision.partition("@")[0]
    if same and deployment["serviceDeploymentArn"] != ours:
        return Standing.FAILED, f"the tag of {intent.to_revision} was resolved to another image: {seen.revision}"
    return Standing.ELSEWHERE, f"another writer has put {seen.revision} there ({deployment['serviceDeploymentArn']})"


def _progress(reader: Reader, seen: Seen, intent: Intent) -> tuple[Standing, str]:
    status = seen.deployment["status"]
    wanted, running = int(seen.service.get("desiredCount") or 0), int(objects.primary(seen.service).get("runningCount") or 0)
    counts = f"{status}: {running} of {wanted} running"
    if not wanted and seen.service.get("schedulingStrategy") != "DAEMON":
        return Standing.FAILED, "scaled to 0 tasks: nothing serves, so nothing can be verified"
    if status in ("STOPPED", "ROLLBACK_FAILED"):
        return Standing.FAILED, objects.stuck(seen.service, seen.deployment) or counts
    fault = _start_fault(reader, seen) if objects.primary(seen.service).get("failedTasks") else None
    if fault is not None and (_is_for_good(fault) or _has_given_up(seen.deployment)):
        return Standing.FAILED, fault
    if status not in objects.FINAL or seen.revision != intent.to_revision:
        trouble = fault or objects.trouble(seen.service, seen.deployment)
        return Standing.UNDERWAY, f"{counts}; {trouble}" if trouble else counts
    return _verified(reader, seen, intent, counts)


def _start_fault(reader: Reader, seen: Seen) -> str | None:
    """Why a task of this deployment did not start; one that waiting does not mend comes first."""
    stopped = [(task, str(task.get("stoppedReason") or "")) for task in _tasks(reader, seen, "STOPPED") if _is_of(seen, task)]
    faults = [f"task {objects.name_of(task['taskArn'])} did not start: {why}" for task, why in stopped if any(word in why for word in _NOT_STARTED)]
    return max(faults, key=_is_for_good, default=None)


def _is_of(seen: Seen, task: Raw) -> bool:
    """Whether this deployment started it. ECS lists a stopped task for an hour: the good definition may have had its own trouble before."""
    began = objects.since(seen.deployment)
    return task.get("taskDefinitionArn") == seen.definition and (task.get("createdAt") or task.get("stoppedAt") or began) >= began


def _is_for_good(fault: str) -> bool:
    return _FOR_GOOD.search(fault) is not None and _PASSES.search(fault) is None


def _has_given_up(deployment: Raw) -> bool:
    """Whether ECS tries no more; in a rollback, what triggered is the breaker of the release that is rolled back."""
    breaker = deployment.get("deploymentCircuitBreaker") or {}
    return breaker.get("status") == "TRIGGERED" and deployment["status"] not in objects.ROLLING_BACK | objects.ROLLED_BACK


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
    checked = _checked(reader, seen)
    well = [task for task in tasks if task.get("lastStatus") == "RUNNING" and _is_healthy(task, checked)]
    if not tasks or len(well) < wanted:
        return Standing.UNDERWAY, f"{counts}; {len(well)} of {wanted} tasks run and are healthy"
    return _served(reader, seen, f"{counts}, {len(well)} healthy")


def _checked(reader: Reader, seen: Seen) -> frozenset[str]:
    """The containers whose own health check counts: those that are not essential have no effect on the health of a task."""
    containers = reader.definition(seen.definition)["taskDefinition"].get("containerDefinitions") or []
    return frozenset(item["name"] for item in containers if item.get("healthCheck") and item.get("essential", True))


def _is_healthy(task: Raw, checked: frozenset[str]) -> bool:
    """UNKNOWN is the word for a task with an essential container without a health check, and for one whose check has not answered yet: then the
    containers that have one tell.
    """
    healthy = {item["name"] for item in task.get("containers") or [] if item.get("healthStatus") == "HEALTHY"}
    return task.get("healthStatus") == "HEALTHY" or (task.get("healthStatus") != "UNHEALTHY" and checked <= healthy)


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
    for balancer in seen.service.get("loadBalancers") or []:
        groups = _groups(balancer)
        healthy = sum(_healthy_in(reader, group) for group in groups)
        if groups and healthy < wanted:
            where = " and ".join(group.rpartition(":")[2] for group in groups)
            return Standing.UNDERWAY, f"{counts}; {healthy} of {wanted} targets healthy in {where}"
    return Standing.THERE, counts


def _groups(balancer: Raw) -> list[str]:
    """Its target groups: ECS moves a blue/green service between two, and the other one is empty."""
    alternate = (balancer.get("advancedConfiguration") or {}).get("alternateTargetGroupArn")
    return [group for group in (balancer.get("targetGroupArn"), alternate) if group]


def _healthy_in(reader: Reader, group: str) -> int:
    answer = reader.caller.read(calls.DESCRIBE_TARGET_HEALTH, TargetGroupArn=group)
    return [item.get("TargetHealth", {}).get("State") for item in answer.get("TargetHealthDescriptions") or []].count("healthy")


def _tasks(reader: Reader, seen: Seen, status: str) -> list[Raw]:
    place, caller = seen.place, reader.caller
    pages = caller.pages(calls.LIST_TASKS, cluster=place.cluster, serviceName=place.service, desiredStatus=status)
    arns = [arn for page in pages for arn in page.get("taskArns") or []]
    found: list[Raw] = []
    for start in range(0, len(arns), _TASKS_AT_ONCE):
        found += caller.read(calls.DESCRIBE_TASKS, cluster=place.cluster, tasks=arns[start : start + _TASKS_AT_ONCE]).get("tasks") or []
    return found
