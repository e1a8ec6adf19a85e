"""`rollbackd check` on 1,000 policies: the command as it is typed."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figures import Figure

RUNS = 3
POLICY = """apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {{name: service-{n:04d}, labels: {{team: payments}}}}
spec:
  mode: suggest
  target: {{kubernetes: {{namespace: shop, deployment: service-{n:04d}}}}}
  source: prometheus
  metrics: istio
  match: {{app: service-{n:04d}}}
  every: 15s
  watch: 1h
  rollback_when:
    - use: standard
      with: {{error-rate: {{above: 3%, except: {{path: /healthz}}}}, memory: {{watch: 24h}}, p95-latency: {{mode: suggest}}}}
    - name: payment-failures
      ratio: {{bad: 'payments_total{{result="error"}}', total: payments_total}}
      above: 10%
  remedy:
    - flags: {{provider: flagd, tag: checkout, only: changed}}
    - revert: {{to: known-good}}
  notify: [oncall]
"""


def figures(count: int = 1_000) -> list[Figure]:
    """Wall and CPU time of the command, one file a policy, each like the README's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in range(count):
            (folder / f"service-{n:04d}.yaml").write_text(POLICY.format(n=n))
        runs = [_run(folder) for _ in range(RUNS)]
    what, how = f"check {count:,} policies", "the command from exec to exit, a file each; median of three"
    return [
        Figure(what, statistics.median(wall for wall, _ in runs), "s", 1.5, how),
        Figure(f"{what}: CPU", statistics.median(cpu for _, cpu in runs), "s", None, how),
    ]


def _run(folder: Path) -> tuple[float, float]:
    began = time.monotonic()
    argv = [sys.executable, "-c", "from rollbackd.controller.cli.main import main; main()", "check", str(folder)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime
