"""A plan towards one known-good revision, by the way that fits the state of the service: checked against ECS and ECR, nothing sent."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.aws.ecs import calls, definitions, images, objects
from rollbackd.adapters.aws.ecs.allowance import deadline, strategy
from rollbackd.adapters.aws.ecs.deployers import refuse_other_deployers
from rollbackd.adapters.aws.ecs.differences import differences
from rollbackd.adapters.aws.ecs.goals import Goal, goal, source
from rollbackd.adapters.aws.ecs.place import Place
from rollbackd.adapters.aws.ecs.reading import Reader, Seen
from rollbackd.adapters.aws.failures import Sent
from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.revisions import is_resolved_by
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest


class Way(Enum):
    """How a service is put back."""

    STOP = "stop"  # its deployment is under way: ECS rolls it back
    CONTINUE = "continue"  # its deployment waits at a hook: it is told to roll back
    UPDATE = "update"  # its deployment is over: the good definition is deployed
    VERIFY = "verify"  # ECS rolls it back already: nothing is sent


@dataclass(frozen=True, slots=True)
class Move:
    """What is sent: a call and its parameters; none where ECS is at it already."""

    way: Way
    call: Call | None
    parameters: dict[str, Any]

    def command(self, reader: Reader) -> str:
        """What a person types to do the same."""
        if self.call is None:
            return ""
        return Sent(reader.caller.account, reader.caller.region, self.call, self.parameters).command


def plan(reader: Reader, place: Place, request: PlanRequest) -> Plan | NothingToDo:
    """See Target.plan."""
    service = reader.service(place)
    refuse_other_deployers(reader, place, service)
    seen = reader.standing(place, service)
    if is_rolling_back_itself(reader, seen, request.from_revision):
        return _only_verified(seen, _in_full(request, _deployed(reader, seen)))
    wanted = goal(reader, seen, request.candidates)
    if wanted is not None and wanted.revision == seen.revision:
        return NothingToDo(f"{place} already stands at {seen.revision}, which is known good.")
    _refuse_what_moves(seen, request)
    if wanted is None:
        raise _nowhere_to_go(seen, request)
    return _planned(reader, seen, _in_full(request, seen.revision), wanted)


def is_rolling_back_itself(reader: Reader, seen: Seen, judged: str) -> bool:
    """Whether ECS undoes, or has undone, the very deployment that was judged."""
    if seen.deployment["status"] not in objects.ROLLING_BACK | {"ROLLBACK_SUCCESSFUL"} or seen.revision == judged:
        return False
    return objects.may_be(_deployed(reader, seen), judged)


def _deployed(reader: Reader, seen: Seen) -> str:
    """The revision that its deployment is of, also where ECS undoes it."""
    (target,) = reader.revisions([seen.deployment["targetServiceRevision"]["arn"]])
    return reader.name(target)


def _in_full(request: PlanRequest, name: str) -> PlanRequest:
    """The request with the full name of what was judged before its images were resolved: no other release may share its quarantine."""
    return replace(request, from_revision=name) if is_resolved_by(name, request.from_revision) else request


def move_of(reader: Reader, seen: Seen, wanted: Goal) -> Move:
    """The way that fits the state of the service. Two reads at most."""
    deployment = seen.deployment
    if deployment["status"] in objects.IN_FLIGHT and source(reader, seen) == wanted.revision:
        arn = deployment["serviceDeploymentArn"]
        if (hook := objects.paused_hook(deployment)) is not None:
            # The default of the action is to go on with the bad release.
            return Move(Way.CONTINUE, calls.CONTINUE_DEPLOYMENT, {"serviceDeploymentArn": arn, "hookId": hook, "action": "ROLLBACK"})
        return Move(Way.STOP, calls.STOP_DEPLOYMENT, {"serviceDeploymentArn": arn, "stopType": "ROLLBACK"})
    return update_to(seen, wanted.definition)


def update_to(seen: Seen, definition: str) -> Move:
    """A new deployment of a task definition, and nothing else: no desired count, which autoscaling owns, and nothing forced."""
    return Move(Way.UPDATE, calls.UPDATE_SERVICE, {"cluster": seen.place.cluster, "service": seen.place.service, "taskDefinition": definition})


def _refuse_what_moves(seen: Seen, request: PlanRequest) -> None:
    place = seen.place
    if not _is_judged(seen, request):
        advice = "Judge the new revision on its own; it has a watch window of its own."
        raise Refused(f"{place} is at {seen.revision} and no longer at {request.from_revision}: superseded. Nothing was changed.", advice=advice)
    if seen.deployment["status"] in objects.ROLLING_BACK | {"STOP_REQUESTED"}:
        advice = f"Wait for its end: {_shown(seen)}"
        raise Refused(f"{place} is being stopped or rolled back by another hand ({seen.deployment['status']}). Nothing was changed.", advice=advice)
    if not seen.service.get("desiredCount") and seen.service.get("schedulingStrategy") != "DAEMON":
        advice = "Scale it up first, or revert by hand: nothing could be verified."
        raise Refused(f"{place} is scaled to 0 tasks: a revert would serve nobody and prove nothing. Nothing was changed.", advice=advice)


def _is_judged(seen: Seen, request: PlanRequest) -> bool:
    """Whether it stands where it was judged; its images may have been resolved since. What was deployed since of the same definition is another."""
    if is_resolved_by(seen.revision, request.from_revision):
        return request.change in (None, objects.change_id(seen.deployment))
    return seen.revision == request.from_revision


def _shown(seen: Seen) -> str:
    """What a person types to see how far its deployment is."""
    return f"aws ecs describe-service-deployments --region {seen.place.region} --service-deployment-arns {seen.deployment['serviceDeploymentArn']}"


def _nowhere_to_go(seen: Seen, request: PlanRequest) -> Refused:
    good = ", ".join(request.candidates) or "none"
    advice = "Deploy the last good version again by the usual way, with its images named by digest, or declare one that is left: rollbackd good."
    what = f"{seen.place}: no known-good revision is left among its service deployments and task definitions (known good: {good})"
    return Refused(f"{what}. Nothing was changed.", advice=advice)


def _only_verified(seen: Seen, request: PlanRequest) -> Plan:
    who = objects.breaker(seen.deployment) or "somebody's stop"
    if seen.revision not in request.candidates:
        advice = "Wait for it, and judge what runs then."
        raise Refused(f"{seen.place}: ECS rolls it back by itself ({who}), to {seen.revision}, which is not known good.", advice=advice)
    intent = intent_of(seen, request, seen.revision, Move(Way.VERIFY, None, {}), objects.digests(seen.service_revision))
    return Plan(
        intent=intent,
        summary=f"Verify that ECS puts {seen.place.service} back to {seen.revision} by itself",
        steps=(f"nothing is sent: {who} has it rolled back to {seen.revision}",),
        command=_shown(seen),
        deadline=deadline(seen.service),
    )


def _planned(reader: Reader, seen: Seen, request: PlanRequest, wanted: Goal) -> Plan:
    move = move_of(reader, seen, wanted)
    if move.way is Way.UPDATE and wanted.definition == seen.definition:
        raise _same_definition(seen, move.command(reader), wanted)
    _refuse_lost_images(reader, wanted, resolves=move.way is Way.UPDATE)
    deployed = update_to(seen, definitions.COPY).command(reader)
    good = definitions.usable(reader, wanted.definition, deployed) if move.way is Way.UPDATE else None
    after = good.definition if good is not None else reader.definition(wanted.definition)["taskDefinition"]
    if good is not None and good.arn is not None:
        move = update_to(seen, good.arn)
    registers = good is not None and good.arn is None
    before = reader.definition(seen.definition)["taskDefinition"]
    return Plan(
        intent=intent_of(seen, request, wanted.revision, move, wanted.digests),
        summary=f"Put {seen.place.service} of cluster {seen.place.cluster} back to {wanted.revision} ({', '.join(wanted.images.values())})",
        steps=(*_steps(move, wanted, registers=registers), *differences(before, after)),
        not_undone=_not_undone(seen, move, wanted),
        command=definitions.by_hand(reader, objects.name_of(wanted.definition), deployed) if registers else move.command(reader),
        deadline=deadline(seen.service),
    )


def _same_definition(seen: Seen, command: str, wanted: Goal) -> Refused:
    """Only a forced deployment would start other images of the same definition, and each repetition would start another."""
    name = objects.name_of(seen.definition)
    what = f"{seen.place}: {wanted.revision} has the same task definition {name} as what runs; deploying it would start nothing"
    return Refused(f"{what}. Nothing was changed.", advice=f"Put the tag back to its former image, then by hand: {command} --force-new-deployment")


def _refuse_lost_images(reader: Reader, wanted: Goal, *, resolves: bool) -> None:
    if found := images.troubles(reader.caller, wanted.images, wanted.digests, resolves=resolves):
        what = "; ".join(f"{trouble.subject}: {trouble.what}" for trouble in found)
        raise Refused(f"{wanted.revision} would not start as it was: {what}. Nothing was changed.", advice=found[0].advice)


def _steps(move: Move, wanted: Goal, *, registers: bool) -> tuple[str, ...]:
    first = {
        Way.STOP: f"stop the service deployment under way; ECS rolls it back to {wanted.revision}",
        Way.CONTINUE: f"answer the hook at which the service deployment waits with ROLLBACK; ECS rolls it back to {wanted.revision}",
        Way.UPDATE: f"deploy task definition {objects.name_of(str(move.parameters.get('taskDefinition', wanted.definition)))}",
    }[move.way]
    name = objects.name_of(wanted.definition)
    return (f"register a copy of task definition {name}, which is out of use", "deploy the copy") if registers else (first,)


def _not_undone(seen: Seen, move: Move, wanted: Goal) -> tuple[str, ...]:
    lines = [f"desired count ({seen.service.get('desiredCount')}) and autoscaling, secrets and parameters, database schemas stay as they are"]
    if move.way is Way.UPDATE:
        lines.append("network, load balancers and capacity of the service stay as they are")
        if strategy(seen.service) != "ROLLING":
            lines.append(f"its {strategy(seen.service)} deployment runs in full again, with its hooks and bake time: this is slow")
    lines += [f"{image} is outside ECR: whether it can still be pulled is not known" for image in images.outside(wanted.images)]
    return tuple(lines)


def intent_of(seen: Seen, request: PlanRequest, to: str, move: Move, digests: Any) -> Intent:
    """The write as the journal keeps it."""
    record = {
        "created": seen.service["createdAt"].isoformat(),
        "deployment": seen.deployment["serviceDeploymentArn"],
        "change": objects.change_id(seen.deployment),
        "way": move.way.value,
        "parameters": move.parameters,
        "digests": dict(digests),
    }
    return Intent(request.target, request.incident, request.from_revision, to, record)
