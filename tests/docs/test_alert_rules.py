"""The example alert rules: promtool takes them, they name metrics that there are, and the dead man's switch fires."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from rollbackd.controller.api.metrics import Metrics
from rollbackd.controller.notify.audit_watch import AuditWatch
from rollbackd.controller.notify.clocks import Clocks
from tests.controller.served import Said, desk_of
from tests.controller.test_clocks import Clock
from tests.controller.world import World
from tests.servers import binary

RULES = Path("docs/prometheus/rollbackd.rules.yaml")


def expressions() -> dict[str, str]:
    return {rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}


def test_every_metric_in_them_is_one_that_the_daemon_shows(tmp_path):
    world = World(tmp_path)
    world.slot(0)
    clocks = Clocks({"prometheus": Clock()}, world.store, lambda: world.at, tuple)
    clocks.check()
    page = Metrics(desk_of(world, Said()), clocks, AuditWatch(world.store, lambda: world.at, lambda _: None)).page("")[0].decode()
    world.close()
    named = {name for expression in expressions().values() for name in re.findall(r"rollbackd_\w+", expression)}
    assert len(named) >= 9
    assert {name for name in named if not re.search(rf"^{name}[ {{]", page, re.MULTILINE)} == set()


SILENT = """\
rule_files: [{rules}]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - {{series: 'rollbackd_build_info{{instance="a"}}', values: '1x20'}}
      - {{series: 'rollbackd_last_slot_timestamp_seconds{{instance="a"}}', values: '0 30 60 60x17'}}
    alert_rule_test:
      - {{eval_time: 2m, alertname: RollbackdStuck, exp_alerts: []}}
      - eval_time: {late}
        alertname: RollbackdStuck
        exp_alerts:
          - exp_labels: {{severity: page, instance: a}}
            exp_annotations: {{summary: 'a has finished no evaluation for {long}'}}
"""


LOST = """\
rule_files: [{rules}]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - {{series: 'rollbackd_build_info{{instance="a"}}', values: '1x60'}}
      - {{series: 'up{{job="rollbackd",instance="a"}}', values: '1x60'}}
      - {{series: 'rollbackd_build_info{{instance="b"}}', values: '1x10 stale'}}
      - {{series: 'up{{job="rollbackd",instance="b"}}', values: '1x10 {then}'}}
    alert_rule_test:
      - {{eval_time: 5m, alertname: {alert}, exp_alerts: []}}
      - eval_time: 20m
        alertname: {alert}
        exp_alerts:
          - exp_labels: {{severity: page{labels}}}
            exp_annotations: {{summary: '{says}'}}
"""
PART = "if it is a part of several, nobody watches its targets"
PARTS = "if they are parts, nobody watches the targets of the others"


@pytest.mark.parametrize(("late", "long"), [("5m", "4m 0s"), ("8m", "7m 0s")])
def test_an_engine_that_stops_is_paged(tmp_path, late, long):
    passes(tmp_path, SILENT.format(rules=RULES.absolute(), late=late, long=long))


def test_one_of_several_that_dies_is_paged(tmp_path):
    told = {"alert": "RollbackdDown", "labels": ", job: rollbackd, instance: b", "says": f"b does not answer; {PART}"}
    passes(tmp_path, LOST.format(rules=RULES.absolute(), then="0x49", **told))


def test_one_of_several_that_runs_nowhere_is_paged_where_their_number_is_given(tmp_path):
    (tmp_path / "two.yaml").write_text(RULES.read_text().replace("count(rollbackd_build_info) < 1", "count(rollbackd_build_info) < 2"))
    told = {"alert": "RollbackdTooFew", "labels": "", "says": f"only 1 rollbackd are scraped; {PARTS}"}
    passes(tmp_path, LOST.format(rules=tmp_path / "two.yaml", then="stale", **told))


def passes(folder: Path, test: str) -> None:
    """promtool finds that the rules do as the test says."""
    (folder / "test.yaml").write_text(test)
    run = subprocess.run([binary("promtool"), "test", "rules", str(folder / "test.yaml")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
