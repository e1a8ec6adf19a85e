"""How long the others wait for a dead replica: real daemons on one PostgreSQL, the one that has claimed killed by -9 before it writes."""

import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from tests.bench.figures import Figure
from tests.crash.nursery import nursery
from tests.doubles.kube import running_double
from tests.postgres import postgres
from tests.replicas.stories import Ending, Story, killed, played

RUNS = 10
AT_ONCE = 2
EVERY = 1.0
"""Seconds: the interval of the stories' policies."""


def figures(runs: int = RUNS) -> list[Figure]:
    """From the kill to the takeover, as a part of what the claim has left then and one interval."""
    with ExitStack() as stack:
        name, server = stack.enter_context(tempfile.TemporaryDirectory()), stack.enter_context(postgres())
        double = stack.enter_context(running_double(Path(name)))
        stack.enter_context(nursery())
        pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        story = Story(2, killed)
        ends = list(pool.map(lambda index: played(story, double, server, Path(name) / f"takeover-{index}"), range(runs)))
    waits = [_wait(end) for end in ends]
    how = "from the kill to claim.taken_over, over the rest of the claim and one interval (1s); two daemons on PostgreSQL, a Deployment of the double"
    return [
        Figure("takeover after kill -9, p50", statistics.median(waits), "of the bound", 1.0, f"{how}; median of {runs}"),
        Figure("takeover after kill -9, slowest", max(waits), "of the bound", 1.0, f"{how}; the most of {runs}"),
        Figure("writes accepted, the most of a run", max(end.patches.count(200) for end in ends), "", 1, f"of {runs} runs"),
    ]


def _wait(end: Ending) -> float:
    intended, taken = end.record.of("rung.intended"), end.record.of("claim.taken_over")
    # Killed as soon as the intent was durable, a moment after the time that stands in its row.
    left = (datetime.fromisoformat(intended.body["deadline"]) - intended.at).total_seconds()
    return (taken.at - intended.at).total_seconds() / (left + EVERY)
