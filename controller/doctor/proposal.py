"""Which metric profile fits a workload: every profile is asked what the daemon itself would ask, at this moment.

Ranking: most standard conditions found; among equals fewest that are lacking; among those the order of ORDER. Profiles are never mixed, with one
exception: what the best one lacks and another's metrics have under labels that no profile knows is written out with `match`, if the daemon's own
question then finds it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollbackd.adapters.base.errors import Transient
from rollbackd.adapters.base.source import Query, RowKey, Selector, Source
from rollbackd.controller.doctor.labels import Labels, Workload, example, guess, main_selector, telling_first, told_apart
from rollbackd.controller.doctor.sources import read_now
from rollbackd.controller.doctor.surroundings import ShowsSeries
from rollbackd.controller.observe.questions import ProbeQuestion, TargetQuestion, asks_of
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import Policy
from rollbackd.policies.model.readings import Lack, Reading, Unknown
from rollbackd.policies.resolve.profiles import library
from rollbackd.policies.text.units import written

ORDER = (
    "otel",
    "otel-pods",
    "otel-job",
    "micrometer",
    "prometheus-client",
    "istio",
    "nginx-ingress",
    "nginx-ingress-own-labels",
    "cadvisor",
)
"""The service's own account before its mesh's, which does not see inside, before its ingress's, which does not see what comes from inside."""
STANDARD = "standard"
OF_PODS = "kube-state-metrics"
"""The profile that says the same of every workload, however it is instrumented: it is no proposal."""


@dataclass(frozen=True, slots=True)
class SignalSight:
    """One condition of one profile. ``state``: found, elsewhere (others have such series), missing, or error; ``why`` says more.

    ``labels``: of one of its series, those that tell workloads apart first; of somebody else's where it is elsewhere.
    """

    condition: str
    metric: str
    state: str
    why: str
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProfileSight:
    """What the source has of one profile for the workload."""

    profile: str
    signals: tuple[SignalSight, ...]

    def conditions(self, state: str) -> tuple[str, ...]:
        """Those in this state."""
        return tuple(sight.condition for sight in self.signals if sight.state == state)


@dataclass(frozen=True, slots=True)
class Proposal:
    """``spec``: the part of a policy that follows, empty where nothing was found. ``lacking``: the standard conditions that stay without data."""

    target: str
    source: str
    profiles: tuple[ProfileSight, ...]
    spec: Mapping[str, Any]
    lacking: tuple[str, ...]

    @property
    def telling(self) -> tuple[ProfileSight, ...]:
        """The profiles that found what not every profile finds; all where none did."""
        common = frozenset.intersection(*(frozenset(sight.conditions("found")) for sight in self.profiles))
        return tuple(sight for sight in self.profiles if frozenset(sight.conditions("found")) - common) or self.profiles

    def document(self) -> Mapping[str, Any]:
        """For programs."""
        sights = [
            {
                "profile": sight.profile,
                "found": len(sight.conditions("found")),
                "signals": [
                    {"condition": s.condition, "metric": s.metric, "state": s.state, "why": s.why, "labels": dict(s.labels)} for s in sight.signals
                ],
            }
            for sight in self.profiles
        ]
        head = {"apiVersion": "rollbackd/v1", "kind": "ProfileProposal", "target": self.target, "source": self.source}
        return {**head, "spec": self.spec, "lacking": list(self.lacking), "profiles": sights}


@dataclass(frozen=True, slots=True)
class _Asking:
    """One source, one workload, one moment. ``shown``: what the source has shown already."""

    name: str
    source: Source
    target: str
    workload: Workload
    at: datetime
    shown: dict[tuple[Selector, int], tuple[Labels, ...]] = field(default_factory=dict)

    def show(self, selector: Selector, most: int) -> tuple[Labels, ...]:
        """The labels of up to ``most`` series, as a slot would have asked for them; none where the source cannot show any."""
        if not isinstance(self.source, ShowsSeries):
            return ()
        if (selector, most) not in self.shown:
            self.shown[selector, most] = self.source.series(selector, self.at - self.source.delay, most)
        return self.shown[selector, most]

    def policies(self, specs: Mapping[str, Mapping[str, Any]]) -> tuple[Policy, ...]:
        """A policy of each spec for the workload."""
        cluster = self.target.partition(":")[2].partition("/")[0]
        place = {"cluster": cluster, "namespace": self.workload.namespace, "deployment": self.workload.name}
        head = {"apiVersion": "rollbackd/v1", "kind": "RollbackPolicy"}
        texts = {
            f"{name}.yaml": json.dumps(
                {**head, "metadata": {"name": name}, "spec": {"target": {"kubernetes": place}, "source": self.name, "every": "15s", **spec}}
            )
            for name, spec in specs.items()
        }
        loaded = load_policies(texts)
        if loaded.faults:
            raise ValueError(f"a policy of the doctor's own is faulty: {loaded.faults[0]}")
        return loaded.policies

    def readings(self, policies: Sequence[Policy]) -> Mapping[str, tuple[Reading, ...]]:
        """What a slot would read. Raises Transient if nothing could be asked."""
        read = read_now({self.name: self.source}, policies, self.at)
        lacks = [reading for readings in read.values() for reading in readings]
        if lacks and all(isinstance(reading, Unknown) and reading.lack is Lack.ERROR for reading in lacks):
            raise Transient(next(reading.why for reading in lacks if isinstance(reading, Unknown)))
        return read


def propose(name: str, source: Source, target: str, at: datetime) -> Proposal:
    """The proposal for a Deployment, by its whole key, out of what the source has at ``at``. Raises Transient or Permanent where it has no answer."""
    _, namespace, _, deployment = target.partition(":")[2].split("/")
    asking = _Asking(name, source, target, Workload(namespace, deployment), at)
    sights = _sights(asking)
    best = min(sights, key=_rank)
    found = best.conditions("found")
    match, others = _written_out(asking, sights, [name for name in _measured() if name not in found])
    lacking = tuple(name for name in _measured() if name not in found and name not in {other["name"] for other in others})
    return Proposal(target, name, sights, _spec(best, match, others), lacking)


def _measured() -> tuple[str, ...]:
    """The standard conditions by which ways of instrumenting differ."""
    of_pods = library().profiles[OF_PODS]
    return tuple(name for name in library().sets[STANDARD] if library().conditions[name].reads is None and name not in of_pods)


def _rank(sight: ProfileSight) -> tuple[int, int, int]:
    found = len(sight.conditions("found"))
    return -found, len(sight.signals) - found, ORDER.index(sight.profile)


def _sights(asking: _Asking) -> tuple[ProfileSight, ...]:
    standard = _measured()
    used = {profile: [name for name in standard if name in library().profiles[profile]] for profile in ORDER}
    policies = asking.policies({profile: {"metrics": profile, "rollback_when": [{"use": name} for name in names]} for profile, names in used.items()})
    readings = asking.readings(policies)
    by_name = {policy.name: policy for policy in policies}
    return tuple(ProfileSight(profile, tuple(_signals(asking, by_name[profile], readings[profile]))) for profile in ORDER)


def _signals(asking: _Asking, policy: Policy, readings: Sequence[Reading]) -> list[SignalSight]:
    asks = asks_of(policy, asking.source.block(policy.every))
    sights = []
    for condition, one, reading in zip(policy.conditions, asks, readings, strict=True):
        if not isinstance(one.group, ProbeQuestion | TargetQuestion):
            sights.append(_signal(asking, condition.name, one.group, one.row, reading))
    return sights


def _signal(asking: _Asking, name: str, query: Query, row: RowKey, reading: Reading) -> SignalSight:
    selector = main_selector(query)
    metric = selector.metric if selector is not None else ""
    if isinstance(reading, Unknown) and reading.lack is Lack.ERROR:
        return SignalSight(name, metric, "error", reading.why)
    wanted = ", ".join(f'{label}="{value}"' for label, value in told_apart(query.identity, row).items())
    if not isinstance(reading, Unknown):
        labels = example(asking.show, selector, query.identity, row) if selector else {}
        return SignalSight(name, metric, "found", wanted, telling_first(labels, query.identity))
    anywhere = asking.show(selector, 1) if selector else ()
    if not anywhere:
        return SignalSight(name, metric, "missing", "no series of this metric")
    return SignalSight(name, metric, "elsewhere", f"none with {wanted}", telling_first(anywhere[0], query.identity))


def _written_out(asking: _Asking, sights: Sequence[ProfileSight], lacking: Sequence[str]) -> tuple[Labels, list[Mapping[str, Any]]]:
    """``match`` and conditions of one profile, written out, that the daemon would find with it; empty if there are none."""
    for sight in sights:
        elsewhere = [name for name in sight.conditions("elsewhere") if name in lacking]
        match = _match(asking, sight, elsewhere[0]) if elsewhere else {}
        if match:
            conditions = [_condition(sight.profile, name) for name in elsewhere]
            (policy,) = asking.policies({"written-out": {"match": dict(match), "rollback_when": conditions}})
            readings = asking.readings([policy])[policy.name]
            has = [condition for condition, reading in zip(conditions, readings, strict=True) if not isinstance(reading, Unknown)]
            if has:
                return match, has
    return {}, []


def _match(asking: _Asking, sight: ProfileSight, condition: str) -> Labels:
    (policy,) = asking.policies({sight.profile: {"metrics": sight.profile, "rollback_when": [{"use": condition}]}})
    (one,) = asks_of(policy, asking.source.block(policy.every))
    selector = None if isinstance(one.group, ProbeQuestion | TargetQuestion) else main_selector(one.group)
    return guess(asking.show, selector, asking.workload) if selector is not None else {}


def _condition(profile: str, name: str) -> Mapping[str, Any]:
    """The condition of the library with its limit, as it is written by hand."""
    base = library().conditions[name]
    signal = library().profiles[profile][name].signal.model_dump(by_alias=True, exclude_unset=True)
    said = {"quantile": base.quantile, "above": base.above, "over": written(base.over) if base.over else None}
    return {"name": name, **signal, **{key: value for key, value in said.items() if value is not None}}


def _spec(best: ProfileSight, match: Labels, others: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    found = best.conditions("found")
    if not found and not others:
        return {}
    whole = not others and set(_measured()) <= set(library().profiles[best.profile])
    uses: list[Mapping[str, Any]] = [{"use": STANDARD}] if whole else [{"use": name} for name in found]
    profile = {"metrics": best.profile} if found else {}
    return {**profile, **({"match": dict(match)} if match else {}), "rollback_when": [*uses, *others]}
