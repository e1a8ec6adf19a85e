"""One slot for many single-target policies with four signals each, against a real Prometheus: queries, CPU seconds, memory.

``python -m tests.bench.slot N`` prints one JSON object; what it measures runs in ``slot_child``.
"""

import json
import subprocess
import sys

from tests.bench import workloads
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


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
