"""What a running daemon costs at one moment: from /proc, from its own /metrics, and from its folder."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.bench.figures import MIB_PER_KIB, resident
from tests.e2e.daemon import Daemon
from tests.servers import poll


@dataclass(frozen=True, slots=True)
class Sample:
    """``at``: hours since the begin. ``late``: seconds by which the newest slot began late; ``overslept``: by which the sampler itself came late,
    which is the machine's doing. ``missed``, ``slots``, ``accepted``: counted since the start.
    """

    at: float
    fault: str
    rss_mib: float
    files: int
    threads: int
    late: float
    missed: int
    slots: int
    accepted: int
    journal_kib: float
    overslept: float


def sample(daemon: Daemon, began: float, fault: str, overslept: float = 0.0) -> Sample:
    """Now. ``began``: on the monotonic clock."""
    own = _own(daemon)
    process = Path(f"/proc/{daemon.pid}")
    (threads,) = (line.split()[1] for line in (process / "status").read_text().splitlines() if line.startswith("Threads:"))
    return Sample(
        at=(time.monotonic() - began) / 3600,
        fault=fault,
        rss_mib=resident(daemon.pid),
        files=len(list((process / "fd").iterdir())),
        threads=int(threads),
        late=own["rollbackd_slot_lateness_seconds"],
        missed=int(own["rollbackd_slots_missed_total"]),
        slots=int(own["rollbackd_slots_total"]),
        accepted=int(own["rollbackd_rollbacks_total/accepted"]),
        journal_kib=sum(file.stat().st_size for file in daemon.data.glob("rollbackd.db*")) * MIB_PER_KIB,
        overslept=overslept,
    )


def _own(daemon: Daemon) -> dict[str, float]:
    page = ""

    def answers() -> bool:
        """/metrics answers"""
        nonlocal page
        status, page = daemon.get("/metrics")
        return status == 200

    poll(answers, within=60)
    found = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {"/".join([one.name, *(v for k, v in one.labels.items() if k == "outcome")]): one.value for one in found}


def missed_in(samples: Sequence[Sample], faults: Sequence[str]) -> int:
    """How many slots were missed while one of these faults was on."""
    return sum(max(0, after.missed - before.missed) for before, after in itertools.pairwise(samples) if after.fault in faults)
