"""Which Jobs the policies call migrations: told to the kinds of targets that see Jobs run."""

from collections.abc import Iterable, Mapping

from rollbackd.adapters.base.jobs import SeesJobs
from rollbackd.adapters.base.target import Target
from rollbackd.policies.model.policy import Policy


def watch_jobs(targets: Mapping[str, Target], policies: Iterable[Policy]) -> None:
    """From now on surveys look for the Jobs of these policies, and for no others."""
    asked: dict[str, tuple[str, ...]] = {}
    for policy in policies:
        if policy.migration_jobs:
            asked[policy.target] = tuple(dict.fromkeys((*asked.get(policy.target, ()), *policy.migration_jobs)))
    for kind, target in targets.items():
        if isinstance(target, SeesJobs):
            target.watch_jobs({key: names for key, names in asked.items() if key.startswith(f"{kind}:")})
