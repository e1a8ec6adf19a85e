"""All checks, in the order of the report, run at the same time and within one time limit. To add one: a function, and a line below."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TypeAlias

from rollbackd.controller.doctor.accounts import accounts
from rollbackd.controller.doctor.contacts import contacts
from rollbackd.controller.doctor.files import config, pause, policies, store
from rollbackd.controller.doctor.findings import Finding, Grade
from rollbackd.controller.doctor.fleets import fleets
from rollbackd.controller.doctor.sources import evidence, sources
from rollbackd.controller.doctor.surroundings import Surroundings
from rollbackd.controller.doctor.targets import known_goods, targets

Check: TypeAlias = Callable[[Surroundings], Iterable[Finding]]
Found: TypeAlias = tuple[Finding, ...]

CHECKS: Mapping[str, Check] = {
    "config": config,
    "policies": policies,
    "sources": sources,
    "evidence": evidence,
    "accounts": accounts,
    "targets": targets,
    "fleets": fleets,
    "known goods": known_goods,
    "contacts": contacts,
    "store": store,
    "pause": pause,
}


def examine(
    around: Surroundings, *, within: timedelta, told: Callable[[str], None] = lambda name: None, checks: Mapping[str, Check] = CHECKS
) -> Found:
    """What all checks found, in their order. ``told``: which have ended.

    One that breaks or does not end ``within`` is a failure of its own; what it had found until then is kept, and the others are heard.
    """
    found: dict[str, list[Finding]] = {name: [] for name in checks}
    ended: queue.Queue[str] = queue.Queue()
    for name, check in checks.items():
        # A daemon thread: whatever hangs outside must not keep the command from ending.
        threading.Thread(target=_run, args=(name, check, around, found[name], ended), name=f"doctor-{name}", daemon=True).start()
    under_way = set(checks)
    deadline = time.monotonic() + within.total_seconds()
    while under_way:
        try:
            name = ended.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            break
        under_way.discard(name)
        told(name)
    late = f"did not end within {within.total_seconds():g} s: something that it asks hangs, or there is much to ask"
    cut = {name: [Finding(name, "all", Grade.FAIL, late, "give it more time with --within", reached=False)] for name in under_way}
    return tuple(finding for name in checks for finding in (*found[name], *cut.get(name, ())))


def _run(name: str, check: Check, around: Surroundings, found: list[Finding], ended: "queue.Queue[str]") -> None:
    try:
        for finding in check(around):
            found.append(finding)  # noqa: PERF402 - one by one: what is found before a time-out counts
    except Exception as fault:  # noqa: BLE001 - the seam: a bug in one check is its failure, and the others are heard all the same
        broke = f"the check broke: {type(fault).__name__}: {fault}"
        found.append(Finding(name, "all", Grade.FAIL, broke, "report this; the rest of the table holds"))
    ended.put(name)
