"""Jobs that may be migrations: which of them ran since the former release of a Deployment began."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.kubernetes import objects
from rollbackd.adapters.kubernetes.api import Cluster
from rollbackd.adapters.kubernetes.objects import Raw
from rollbackd.adapters.kubernetes.place import Place, place_of
from rollbackd.adapters.kubernetes.survey import Rollout

MOST = 200
"""So many runs are remembered for each namespace, the newest."""


@dataclass(frozen=True, slots=True)
class Run:
    """A Job that began to run, whatever became of it: one that failed may have changed half of a schema."""

    name: str
    images: tuple[str, ...]
    at: datetime

    def __str__(self) -> str:
        return f"Job {self.name} ({'image' if len(self.images) == 1 else 'images'} {', '.join(self.images)}) ran at {self.at.isoformat()}"


class JobBook:
    """The Jobs that policies ask for. Safe to call from several threads.

    What was seen is remembered while the process lives: a hook is often deleted before the release that it belongs to exists.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._patterns: Mapping[Place, tuple[str, ...]] = {}
        self._runs: dict[tuple[str, str], dict[str, Run]] = {}

    def watch(self, patterns: Mapping[str, Sequence[str]]) -> None:
        """See SeesJobs.watch_jobs. A key that names no Deployment has its fault from every survey."""
        found: dict[Place, tuple[str, ...]] = {}
        for key, names in patterns.items():
            try:
                found[place_of(key)] = tuple(names)
            except Permanent:
                continue
        self._patterns = found

    def asks(self, places: Sequence[Place]) -> bool:
        """Whether Jobs beside any of these are looked for."""
        return any(place in self._patterns for place in places)

    def look(self, cluster: Cluster, namespace: str) -> None:
        """The Jobs of this namespace that are looked for and have begun to run are remembered. Raises Transient or Permanent."""
        wanted = {name for place, names in self._patterns.items() if (place.cluster, place.namespace) == (cluster.name, namespace) for name in names}
        listed = {job["metadata"]["uid"]: _run(job) for job in cluster.find("jobs", namespace) if _matches(job["metadata"]["name"], wanted)}
        with self._lock:
            known = self._runs.get((cluster.name, namespace), {}) | {uid: run for uid, run in listed.items() if run is not None}
            newest = sorted(known.items(), key=lambda item: item[1].at, reverse=True)[:MOST]
            self._runs[cluster.name, namespace] = dict(newest)

    def ran(self, rollout: Rollout) -> str | None:
        """The newest run since the former release began; None too where no former release is left, as nothing can be put back there."""
        place, since = rollout.place, former_start(rollout)
        if since is None or place not in self._patterns:
            return None
        runs = self._runs.get((place.cluster, place.namespace), {}).values()
        found = [run for run in runs if run.at >= since and _matches(run.name, self._patterns[place])]
        return str(max(found, key=lambda run: run.at)) if found else None


def former_start(rollout: Rollout) -> datetime | None:
    """When the ReplicaSet before the current one was made."""
    if rollout.current is None:
        return None
    number = objects.number(rollout.current)
    former = next((item for item in rollout.replicasets if objects.number(item) < number), None)
    return None if former is None else objects.moment(former["metadata"]["creationTimestamp"])


def _matches(name: str, patterns: Sequence[str] | set[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _run(job: Raw) -> Run | None:
    """None where it has not begun: it is suspended, or its controller has not seen it yet."""
    if not (began := job.get("status", {}).get("startTime")):
        return None
    return Run(job["metadata"]["name"], tuple(dict.fromkeys(objects.images(job["spec"]["template"]).values())), objects.moment(began))
