"""The target kind ``kubernetes``: Deployments of the clusters in the daemon's config."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote

from rollbackd.adapters.base.errors import AdapterError, Permanent
from rollbackd.adapters.base.past import Past
from rollbackd.adapters.base.roster import Listed
from rollbackd.adapters.base.shape import shaped
from rollbackd.adapters.base.target import Intent, NothingToDo, Plan, PlanRequest, Sight, TargetState
from rollbackd.adapters.kubernetes import planning, rights, roster, standing, writing
from rollbackd.adapters.kubernetes.access import ClusterAccess
from rollbackd.adapters.kubernetes.api import PAGE, Cluster
from rollbackd.adapters.kubernetes.jobs import JobBook
from rollbackd.adapters.kubernetes.objects import selector
from rollbackd.adapters.kubernetes.patience import READING, asked
from rollbackd.adapters.kubernetes.place import Place, place_of
from rollbackd.adapters.kubernetes.survey import Rollout, awaits_first_sight, first_ready, rollouts, state

PAUSE = "rollbackd.io/pause"
"""While a namespace has this annotation nothing is written there."""
LONGEST_REASON = 500
AT_ONCE = 8
"""So many namespaces are asked at the same moment."""


class Kubernetes:
    """See base.target.Target. ``timeout``: seconds to connect, seconds to wait for an answer.

    What plans is asked again for some seconds, a write after a definite no only; surveys and looks are not, for they come again by themselves.
    The first sight of each revision's readiness is remembered while the process lives: pods that are replaced later tell a later time.
    """

    kind = "kubernetes"

    def __init__(
        self,
        clusters: Mapping[str, ClusterAccess],
        *,
        timeout: tuple[float, float] = (2.0, 10.0),
        page: int = PAGE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self._clusters = {name: Cluster(name, access, timeout, page) for name, access in clusters.items()}
        self._first_ready: dict[Place, tuple[str | None, datetime]] = {}
        self._jobs = JobBook()

    def close(self) -> None:
        """Idle connections are closed. A later call connects anew."""
        for cluster in self._clusters.values():
            cluster.close()

    def survey(self, keys: Sequence[str]) -> Mapping[str, TargetState | AdapterError]:
        """See Target.survey."""
        places, found = self._located(keys)
        groups = tuple(_by_namespace(places))
        if len(groups) <= 1:
            answers = [self._seen(group) for group in groups]
        else:
            # The members of a fleet may be in hundreds of namespaces: one after the other, their answers would come too late for the slot.
            with ThreadPoolExecutor(min(AT_ONCE, len(groups)), thread_name_prefix="namespaces") as pool:
                answers = list(pool.map(self._seen, groups))
        for answer in answers:
            found.update(answer)
        return found

    def _seen(self, group: "_Group") -> Mapping[str, TargetState | AdapterError]:
        try:
            with shaped(f"namespace {group.namespace} of cluster {group.cluster}"):
                return self._surveyed(self._clusters[group.cluster], group.namespace, group.places)
        except AdapterError as fault:
            return {place.key: fault for place in group.places}

    def _surveyed(self, cluster: Cluster, namespace: str, places: Sequence[Place]) -> dict[str, TargetState | AdapterError]:
        read = rollouts(cluster, namespace, places)
        serving = [item for item in read.values() if isinstance(item, Rollout) and awaits_first_sight(item)]
        unseen = [item for item in serving if self._remembered(item) is None]
        if unseen:
            moments = first_ready(cluster, namespace, unseen)
            self._first_ready.update({item.place: (item.change_id, moments[item.place]) for item in unseen if item.place in moments})
        doubt = self._doubt(cluster, namespace, places)
        return {place.key: self._state(item, doubt) if isinstance(item, Rollout) else item for place, item in read.items()}

    def _state(self, rollout: Rollout, doubt: str | None) -> TargetState:
        seen = state(rollout, self._remembered(rollout))
        if not self._jobs.asks([rollout.place]):
            return seen
        return replace(seen, irreversible=seen.irreversible or self._jobs.ran(rollout), doubt=doubt)

    def _doubt(self, cluster: Cluster, namespace: str, places: Sequence[Place]) -> str | None:
        """Why it is unknown which Jobs ran here; None once they were seen, and where nobody asks for them."""
        if not self._jobs.asks(places):
            return None
        try:
            self._jobs.look(cluster, namespace)
        except AdapterError as fault:
            return f"whether a migration ran is unknown: {fault}"
        return None

    def watch_jobs(self, patterns: Mapping[str, Sequence[str]]) -> None:
        """See SeesJobs.watch_jobs."""
        self._jobs.watch(patterns)

    def _remembered(self, rollout: Rollout) -> datetime | None:
        change_id, moment = self._first_ready.get(rollout.place, (None, None))
        return moment if change_id is not None and change_id == rollout.change_id else None

    def plan(self, request: PlanRequest) -> Plan | NothingToDo:
        """See Target.plan."""
        place = self._place(request.target)
        return asked(lambda: planning.plan(self._clusters[place.cluster], place, request), READING, self._sleep)

    def apply(self, plan: Plan) -> None:
        """See Target.apply."""
        place = self._place(plan.intent.target)
        writing.apply(self._clusters[place.cluster], place, plan, self._sleep)

    def look(self, intent: Intent) -> Sight:
        """See Target.look."""
        place = self._place(intent.target)
        return standing.look(self._clusters[place.cluster], place, intent)

    def past(self, key: str) -> Past:
        """See KeepsPast.past."""
        place = self._place(key)
        return planning.past(self._clusters[place.cluster], place)

    def addresses(self, key: str) -> tuple[str, ...]:
        """The addresses of the Deployment's pods that run and are not on their way out. Raises Transient or Permanent."""
        place = self._place(key)
        cluster = self._clusters[place.cluster]
        pods = cluster.find("pods", place.namespace, selector(cluster.deployment(place)))
        running = (pod for pod in pods if pod.get("status", {}).get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"])
        return tuple(sorted(str(pod["status"]["podIP"]) for pod in running if pod["status"].get("podIP")))

    def paused(self, key: str) -> str | None:
        """Why the namespace's own people let nothing be written there: its annotation, whatever it says. Raises Transient or Permanent."""
        place = self._place(key)
        annotations = self._clusters[place.cluster].namespace(place.namespace)["metadata"].get("annotations") or {}
        if PAUSE not in annotations:
            return None
        reason = " ".join(str(annotations[PAUSE]).split())[:LONGEST_REASON] or "no reason is given"
        lift = f"kubectl annotate namespace {quote(place.namespace)} {PAUSE}-"
        return f"namespace {place.namespace} of cluster {place.cluster} is annotated {PAUSE}: {reason}; to lift it: {lift}"

    def check(self, keys: Sequence[str]) -> tuple[str, ...]:
        """See Target.check."""
        places, unknown = self._located(keys)
        lines = [f"{key}: {fault}" for key, fault in unknown.items()]
        for group in _by_namespace(places):
            try:
                lines += rights.findings(self._clusters[group.cluster], group.namespace, group.places, jobs=self._jobs.asks(group.places))
            except AdapterError as fault:
                lines += [f"{place.key}: {fault}" for place in group.places]
        return tuple(lines)

    def workloads(self, cluster: str, labels: Mapping[str, str], namespaces: Sequence[str] = ()) -> tuple[Listed, ...]:
        """See Roll.workloads."""
        return roster.workloads(self._cluster(cluster, "a fleet's selector"), labels, namespaces)

    def roll_rights(self, cluster: str, namespaces: Sequence[str] = ()) -> tuple[str, ...]:
        """See Roll.roll_rights."""
        return roster.rights(self._cluster(cluster, "a fleet's selector"), namespaces)

    def _place(self, key: str) -> Place:
        place = place_of(key)
        self._cluster(place.cluster, key)
        return place

    def _cluster(self, name: str, asker: str) -> Cluster:
        if name not in self._clusters:
            known = ", ".join(sorted(self._clusters)) or "none"
            raise Permanent(f"{asker}: there is no cluster {name} in the daemon's config (known: {known}). Add it or correct the key.")
        return self._clusters[name]

    def _located(self, keys: Sequence[str]) -> tuple[list[Place], dict[str, TargetState | AdapterError]]:
        places, faults = [], dict[str, TargetState | AdapterError]()
        for key in dict.fromkeys(keys):
            try:
                places.append(self._place(key))
            except Permanent as fault:
                faults[key] = fault
        return places, faults


@dataclass(frozen=True, slots=True)
class _Group:
    """The places of one namespace."""

    cluster: str
    namespace: str
    places: tuple[Place, ...]


def _by_namespace(places: Sequence[Place]) -> Iterator[_Group]:
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        groups.setdefault((place.cluster, place.namespace), []).append(place)
    for (cluster, namespace), group in groups.items():
        yield _Group(cluster, namespace, tuple(group))
