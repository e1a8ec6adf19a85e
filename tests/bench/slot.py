"""One slot for many single-target policies with four signals each, against a real Prometheus: queries, CPU seconds, memory.

``python -m tests.bench.slot N`` prints one JSON object; what it measures runs in ``slot_child``.
"""

import json
import subprocess
import sys

from tests.bench import workloads
from tests.bench.figures import Figure
from tests.servers import prometheus_with_history


def measure(count: int) -> dict[str, float]:
    """The figures of ``slot_child`` for ``count`` policies."""
    with prometheus_with_history(workloads.history(count)) as server:
        argv = [sys.executable, "-m", "tests.bench.slot_child", server.url, str(count)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"the slot's bench failed:\n{done.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def figures(count: int) -> list[Figure]:
    """One slot for ``count`` policies with four signals, beside the budget, which is one for 10,000."""
    found = measure(count)
    what = f"one slot, {count:,} policies x 4 signals"
    is_large = count == 10_000
    return [
        Figure(f"{what}: queries", found["queries"], "", 2 * 4 + 4, "as Prometheus counts them, the most of four slots"),
        Figure(f"{what}: CPU", found["cpu_seconds"], "s", 1.5, "observer to journal, median of four slots on full windows"),
        Figure(f"{what}: wall time", found["wall_seconds"], "s", None, "the same, Prometheus on the same cores"),
        Figure(f"{what}: peak RSS", found["peak_rss_mib"], "MiB", 300 if is_large else None, "VmHWM, the past read at start included"),
        Figure(f"first slot, {count:,} policies: CPU", found["first_cpu_seconds"], "s", None, "all targets new, all watches rebuilt"),
    ]


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
