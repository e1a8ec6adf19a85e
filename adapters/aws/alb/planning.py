"""A plan towards the weights of one known-good revision, with nobody kept at the bad group: checked against Amazon, nothing sent."""

import json
import shlex
from datetime import timedelta
from typing import Any, Literal

from rollbackd.adapters.aws.alb import calls
from rollbackd.adapters.aws.alb.actions import Actions, Rule, name_of, read, sendable, spelled, sticky_of, weights_of, with_forward
from rollbackd.adapters.aws.alb.capacity import refuse_weak
from rollbackd.adapters.aws.alb.owners import refuse_owned
from rollbackd.adapters.aws.alb.place import Place
from rollbackd.adapters.aws.alb.reading import Reader
from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.aws.failures import Gone
from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.target import Intent, Json, NothingToDo, Plan, PlanRequest

SETTLE = timedelta(seconds=30)
"""New weights count within seconds; requests that are under way end where they began."""
DEADLINE = timedelta(minutes=12)
"""Longer than request counts are waited for, so that a rung never fails for want of them."""


def plan(reader: Reader, place: Place, request: PlanRequest) -> Plan | NothingToDo:
    """See Target.plan."""
    rule = reader.rule(place)
    after = recorded(request.undo, "before") if request.undo is not None else _unstuck(_goal(reader, rule, request), rule)
    if after is not None and rule.named(after) == rule.revision:
        return NothingToDo(f"{place} already stands at {rule.revision}.")
    if rule.revision != request.from_revision:
        what = f"{place} stands at {rule.revision} and no longer at {request.from_revision}: superseded"
        raise Refused(f"{what}. Nothing was changed.", advice="Judge what stands there now; it has a watch window of its own.")
    refuse_owned(reader, place, rule)
    if after is None:
        raise _nowhere(place, request)
    return _planned(rule, place, request, after, refuse_weak(reader, rule.actions, after))


def recorded(intent: Intent, when: Literal["before", "after"]) -> Actions:
    """The exact actions from before a write of ours, or after it. Raises Permanent if its record holds none."""
    found: Any = intent.record.get(when)
    if not isinstance(found, list | tuple) or not found:
        raise Permanent(f"the intent of {intent.incident} for {intent.target} holds no actions; nothing was changed; compare the rule by hand")
    return tuple(found)


def _goal(reader: Reader, rule: Rule, request: PlanRequest) -> Actions | None:
    """The actions of the first candidate that can be made again to the letter; None if there is none."""
    for candidate in request.candidates:
        if candidate != request.from_revision and (found := _made_again(reader, rule, candidate)) is not None:
            return found
    return None


def _made_again(reader: Reader, rule: Rule, revision: str) -> Actions | None:
    """The actions that the revision stands for; None where more than weights and stickiness has changed since, which only its digest tells."""
    said = read(revision)
    if said is None:
        return None
    present = {name_of(arn): arn for arn in weights_of(rule.actions)}
    try:
        weights = {present.get(name) or reader.group(name): weight for name, weight in said.weights.items()}
    except Gone:
        return None
    made = with_forward(rule.actions, weights, said.sticky)
    return made if rule.named(made) == revision else None


def _unstuck(goal: Actions | None, rule: Rule) -> Actions | None:
    """The same without stickiness: a client that holds a cookie of the bad group would stay there, whatever the weights say."""
    if goal is None or (sticky_of(goal) is None and sticky_of(rule.actions) is None):
        return goal
    return with_forward(goal, weights_of(goal), None)


def _nowhere(place: Place, request: PlanRequest) -> Refused:
    good = ", ".join(request.candidates) or "none"
    what = f"{place}: no known-good weights can be put back; either there are none, or more than weights has changed since (known good: {good})"
    return Refused(f"{what}. Nothing was changed.", advice="Compare the rule by hand, or declare what is good: rollbackd good.")


def _planned(rule: Rule, place: Place, request: PlanRequest, after: Actions, fit: tuple[str, ...]) -> Plan:
    call, parameters = written(rule, after)
    to = rule.named(after)
    record: dict[str, Json] = {"before": list(rule.actions), "after": list(after), "rule": rule.arn}
    stuck = sticky_of(rule.actions)
    steps = [f"set the weights of {place}: {spelled(rule.actions)} -> {spelled(after)}"]
    if stuck is not None and sticky_of(after) is None:
        steps.append(f"switch off its group stickiness ({stuck} s), which would keep clients at the bad group")
    elif sticky_of(after) is not None:
        steps.append(f"with group stickiness as it was ({sticky_of(after)} s)")
    return Plan(
        intent=Intent(request.target, request.incident, request.from_revision, to, record),
        # The counts move from minute to minute, and a plan that people have approved is known by its steps.
        summary=f"Put the weights of {place} back to {spelled(after)} ({'; '.join(fit)})",
        steps=tuple(steps),
        not_undone=_not_undone(rule, after),
        command=_command(place.region, call, parameters),
        deadline=DEADLINE,
        settle=SETTLE,
    )


def _not_undone(rule: Rule, after: Actions) -> tuple[str, ...]:
    lines = ["requests and connections that are under way end at the group where they began; target groups keep their targets"]
    if sticky_of(rule.actions) is not None and sticky_of(after) is None:
        lines.append("group stickiness stays off until somebody switches it on again; `rollbackd undo` restores it exactly")
    return tuple(lines)


def written(rule: Rule, after: Actions) -> tuple[Call, dict[str, Any]]:
    """The call that writes these actions: the default rule is written through its listener."""
    if rule.is_default:
        return calls.MODIFY_LISTENER, {"ListenerArn": rule.listener, "DefaultActions": sendable(after)}
    return calls.MODIFY_RULE, {"RuleArn": rule.arn, "Actions": sendable(after)}


def _command(region: str, call: Call, parameters: dict[str, Any]) -> str:
    """What a person types to do the same, actions included: they hold no secret, as Amazon does not give it away."""
    if call is calls.MODIFY_LISTENER:
        words = ["modify-listener", "--listener-arn", parameters["ListenerArn"], "--default-actions", json.dumps(parameters["DefaultActions"])]
    else:
        words = ["modify-rule", "--rule-arn", parameters["RuleArn"], "--actions", json.dumps(parameters["Actions"])]
    return shlex.join(["aws", "elbv2", words[0], "--region", region, *words[1:]])
