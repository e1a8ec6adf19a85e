"""The Numenta Anomaly Benchmark's format through a real Prometheus, by a tiny folder of our own."""

import json
import math
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from tests import servers
from tests.bench.scorecard import nab

START = datetime(2014, 4, 1)  # noqa: DTZ001  # the benchmark's times have no zone
FIVE = timedelta(minutes=5)


def write(file: Path, *, missing: range = range(0), jump: int = 10**9) -> None:
    dice = Random(1)
    file.parent.mkdir(parents=True, exist_ok=True)
    values = [(n, 50 + 20 * math.sin(n / 46) + dice.gauss(0, 2) + (100 if n >= jump else 0)) for n in range(700) if n not in missing]
    file.write_text("timestamp,value\n" + "".join(f"{START + n * FIVE},{value}\n" for n, value in values))


@pytest.fixture
def folder(tmp_path):
    servers.binary("promtool")
    servers.binary("prometheus")
    write(tmp_path / "data/artificialNoAnomaly/calm.csv")
    # 64 minutes between two samples that are otherwise five apart.
    write(tmp_path / "data/realKnown/cpu.csv", missing=range(500, 512), jump=612)
    (tmp_path / "labels").mkdir()
    labels = {"artificialNoAnomaly/calm.csv": [], "realKnown/cpu.csv": ["2014-04-03 02:00:00"]}
    (tmp_path / nab.LABELS[0]).write_text(json.dumps(labels))
    return tmp_path


def test_nothing_is_rolled_back_where_nothing_was_seen_and_the_hole_is_not_bridged(folder):
    said = nab.report(folder).splitlines()
    assert said[0].startswith("artificialnoanomaly-calm: 0 of ")
    assert said[-1].startswith("1 of 2 series without labels: 0 found bad of ")
    assert said[-1].endswith("0 of 1 holes bridged")
    assert said[1].startswith("hole of realknown-cpu, 2014-04-02 17:35 to 18:40: not bridged: what was there before it is confirmed ")


def test_a_series_that_jumps_is_rolled_back(folder):
    _, line = nab.read(folder)
    found, of = nab.rolled_back(line)
    assert (found > 0, found < of) == (True, True)


def test_without_the_folder_it_says_so(tmp_path):
    assert "not shipped" in nab.report(tmp_path / "none")
