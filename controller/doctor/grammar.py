"""Expressions that a daemon cannot read: faults that need no server."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from rollbackd.policies.fleets.policy import NAME, NAMESPACE, Workload, filled
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.signals import PromQL
from rollbackd.policies.resolve.written import Key, Written, conditions_of
from rollbackd.policies.text.faults import Fault, quoted
from rollbackd.policies.text.validate import locate
from rollbackd.policies.text.yaml_text import Path

ANYONE = Workload("namespace", "name")
"""Fills the blanks of a fleet's expressions."""
WhyNot = Callable[[str], str | None]


def has_expressions(policy: Policy) -> bool:
    """Whether anything in the policy is written in PromQL."""
    return bool(policy.migration_metrics) or any(isinstance(condition.signal, PromQL) for condition in policy.conditions)


def unreadable(policies: Iterable[Policy], texts: Mapping[str, str], why_not: WhyNot) -> tuple[Fault, ...]:
    """A fault for each expression of these policies, in their files ``texts``, that ``why_not`` names a reason against."""
    written: dict[str, Mapping[Key, Written]] = {}
    found: set[Fault] = set()
    for policy in policies:
        if policy.file not in written:
            written[policy.file] = conditions_of(texts[policy.file], policy.file)
        found.update(_faults(policy, written[policy.file], why_not))
    return tuple(sorted(found))


def _faults(policy: Policy, written: Mapping[Key, Written], why_not: WhyNot) -> Iterator[Fault]:
    is_of_fleet = NAME in policy.target or NAMESPACE in policy.target
    for place, path, expression in _expressions(policy, written):
        if (why := why_not(filled(expression, ANYONE) if is_of_fleet else expression)) is not None:
            found = place.findings()
            found.fault(path, "a PromQL expression", quoted(expression), why)
            yield from found.faults


def _expressions(policy: Policy, written: Mapping[Key, Written]) -> Iterator[tuple[Written, Path, str]]:
    """Each with where it stands: those of conditions, and those that tell a migration."""
    places = {name: place for (owner, name), place in written.items() if owner == policy.name}
    for condition in policy.conditions:
        if isinstance(condition.signal, PromQL) and (place := places.get(condition.name)) is not None:
            yield place, (*place.path, "promql"), condition.signal.expression
    unless: Path = ("spec", "reversible", "unless")
    for place in list(places.values())[:1]:
        for index in range(len(locate(place.document.root, unless)[1].children or ())):
            path = (*unless, index, "metric")
            known, node, _ = locate(place.document.root, path)
            if known == path:
                yield place, path, str(node.data)
