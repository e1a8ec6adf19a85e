"""From a fleet policy and the workloads that were found to one ordinary policy for each. Pure: what is found, others find."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rollbackd.policies.fleets.notes import Wishes, wishes
from rollbackd.policies.fleets.policy import FleetPolicy, Workload, filled
from rollbackd.policies.model.policy import Mode, OfFleet, Policy
from rollbackd.policies.model.signals import Identity
from rollbackd.policies.text.faults import quoted


@dataclass(frozen=True, slots=True)
class Member:
    """A workload that the selector found. ``policy`` None: the fleet does not watch it; ``own`` is then the policy of its own that wins.

    Without either it has opted out. ``findings``: what is wrong with its annotations or its owner's label.
    """

    target: str
    policy: Policy | None
    own: str | None = None
    findings: tuple[str, ...] = ()


def members(fleet: FleetPolicy, roster: Sequence[Workload], own: Mapping[str, str], contacts: frozenset[str] | None) -> tuple[Member, ...]:
    """Every workload of the roster, in its order. ``own``: targets with a policy of their own, and its name; it wins.

    ``contacts``: those of the daemon's config; None: not known here, and every owner is one.
    """
    found = [_member(fleet, workload, own, contacts) for workload in roster]
    shared = _shared([member.policy for member in found if member.policy is not None])
    return tuple(_told_apart(fleet, member, shared) for member in found)


def _member(fleet: FleetPolicy, workload: Workload, own: Mapping[str, str], contacts: frozenset[str] | None) -> Member:
    target = filled(fleet.template.target, workload)
    if target in own:
        return Member(target, None, own[target])
    wished = wishes(fleet.template, workload.notes)
    if wished.is_out:
        return Member(target, None, None, wished.findings)
    notify, owner_findings = _contacts(fleet, workload, contacts)
    return Member(target, _policy(fleet, workload, wished, notify), None, (*wished.findings, *owner_findings))


def _policy(fleet: FleetPolicy, workload: Workload, wished: Wishes, notify: tuple[str, ...]) -> Policy:
    template = fleet.template
    # The conditions of a policy mostly share one identity; at thousands of members each is worth making once.
    identities = {identity: _identity(identity, workload) for identity in {condition.identity for condition in wished.conditions}}
    return _digested(
        template,
        replace(
            template,
            name=f"{fleet.name}/{workload.namespace}/{workload.name}",
            mode=wished.mode,
            target=filled(template.target, workload),
            conditions=tuple([replace(condition, identity=identities[condition.identity]) for condition in wished.conditions]),
            ladder=tuple([replace(rung, target=_place(rung.target, workload)) for rung in template.ladder]),
            notify=notify,
            migration_metrics=tuple([filled(metric, workload) for metric in template.migration_metrics]),
            fleet=OfFleet(fleet.name, template.digest, template.notify),
            notes=(f"one of the fleet {fleet.name}", *wished.said, *wished.findings),
        ),
    )


def _digested(template: Policy, made: Policy) -> Policy:
    """With its digest: of the template and of what sets this member apart from it, which is all that its meaning is made of."""
    limits = [[c.name, c.limit.high, c.limit.low] for c, before in zip(made.conditions, template.conditions, strict=True) if c.limit != before.limit]
    meaning = [template.digest, made.name, made.target, made.mode.name, made.notify, limits]
    return replace(made, digest=hashlib.sha256(json.dumps(meaning, separators=(",", ":")).encode()).hexdigest())


def _place(target: str, workload: Workload) -> str:
    """A rung's target; of one set of flags there is one spelling, whatever its blanks were filled with."""
    scope, listed, names = filled(target, workload).partition("/flags:")
    return f"{scope}{listed}{','.join(sorted(set(names.split(','))))}"


def _identity(identity: Identity, workload: Workload) -> Identity:
    return replace(identity, values=tuple([filled(value, workload) for value in identity.values]))


def _contacts(fleet: FleetPolicy, workload: Workload, contacts: frozenset[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who is told about this member, and what is wrong with its owner's label."""
    fallback = fleet.template.notify
    if fleet.owner is None:
        return fallback, ()
    owner = dict(workload.labels).get(fleet.owner)
    told = ", ".join(fallback)
    if owner is None:
        return fallback, (f"it has no label {fleet.owner}, so {told} is told",)
    if contacts is not None and owner not in contacts:
        return fallback, (f"label {fleet.owner}: {quoted(owner)} is no contact of the daemon's config, so {told} is told",)
    return (owner,), ()


def _shared(policies: Sequence[Policy]) -> frozenset[Identity]:
    """Identities by which several members would read the very same series."""
    seen = Counter(identity for policy in policies for identity in {c.identity for c in policy.conditions if c.identity.labels})
    return frozenset(identity for identity, times in seen.items() if times > 1)


def _told_apart(fleet: FleetPolicy, member: Member, shared: frozenset[Identity]) -> Member:
    """The member; only observed where its evidence is another's too: the fault of one would put back both."""
    policy = member.policy
    if policy is None or not shared or not any(c.identity in shared for c in policy.conditions):
        return member
    finding = "another member has the same values for the labels of `join`, so both are only observed; add $namespace to it"
    made = _digested(fleet.template, replace(policy, mode=Mode.OBSERVE, notes=(*policy.notes, finding)))
    return replace(member, policy=made, findings=(*member.findings, finding))
