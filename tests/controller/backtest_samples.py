"""A past with releases of every kind, for a real Prometheus, and the policy and changes that go with it."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollbackd.controller.backtest.generations import METRIC
from tests.adapters.openmetrics import START

POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: checkout}
spec:
  mode: observe
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  every: 15s
  watch: 30m
  metrics: custom
  match: {app: checkout}
  rollback_when:
    - name: errors
      ratio: {bad: 'requests_total{code=~"5.."}', total: requests_total}
      above: 5%
      for: 1m
  remedy:
    - revert: {to: known-good}
  notify: [oncall]
"""
TARGET = "kubernetes:default/shop/deployment/checkout"
HOURS = 6
GOOD, BAD, LATE, GAP, BACK = (timedelta(hours=hour) for hour in range(1, HOURS))
"""When which release came: a good one; a bad one; one that turns bad after 20 m; one of which nothing was scraped; one that people took back."""
PER_SCRAPE = 100
STEP = 15
Share = Callable[[timedelta], float | None]


def share_at(at: timedelta) -> float | None:
    """The share of requests that failed then; None where nothing was scraped."""
    if GAP + timedelta(minutes=2) < at < GAP + timedelta(minutes=40):
        return None
    bad = ((BAD + timedelta(minutes=1), BAD + timedelta(minutes=20)), (LATE + timedelta(minutes=20), LATE + timedelta(minutes=35)))
    is_bad = any(since <= at < until for since, until in bad) or BACK <= at < BACK + timedelta(minutes=1)
    return 0.3 if is_bad else 0.01


def past(share: Share = share_at, length: timedelta = timedelta(hours=HOURS), *, resets: Iterable[timedelta] = ()) -> str:
    """The requests of app checkout as OpenMetrics; a share that is no number is scraped as such. ``resets``: when its process began anew."""
    good = bad = 0.0
    resets = set(resets)
    lines: Mapping[str, list[str]] = {"200": [], "500": []}
    for index in range(length // timedelta(seconds=STEP)):
        at = timedelta(seconds=index * STEP)
        good, bad = (0.0, 0.0) if at in resets else (good, bad)
        failed = share(at)
        if failed is None:
            continue
        known = 0.0 if math.isnan(failed) else failed
        good, bad = good + PER_SCRAPE * (1 - known), bad + PER_SCRAPE * known
        for code, value in (("200", good), ("500", bad)) if known == failed else (("200", math.nan), ("500", math.nan)):
            lines[code].append(f'requests_total{{app="checkout",code="{code}"}} {value:g} {START + index * STEP}')
    return "# TYPE requests counter\n" + "\n".join([*lines["200"], *lines["500"]]) + "\n# EOF\n"


def moment(at: timedelta) -> datetime:
    """This long after the past began."""
    return datetime.fromtimestamp(START, UTC) + at


def when(at: timedelta) -> str:
    """The same, as a file of changes writes it."""
    return f"{moment(at):%Y-%m-%dT%H:%M:%SZ}"


def write(folder: Path, *rows: Mapping[str, object], policy: str = POLICY) -> list[str]:
    """The policy and a CSV of the changes in ``folder``; the words of the command that name them."""
    keys = dict.fromkeys(key for row in rows for key in row)
    text = io.StringIO()
    table = csv.DictWriter(text, keys)
    table.writeheader()
    table.writerows(rows)
    (folder / "checkout.yaml").write_text(policy)
    (folder / "changes.csv").write_text(text.getvalue())
    return [str(folder / "checkout.yaml"), "--changes", str(folder / "changes.csv")]


def row(at: timedelta, revision: str, **more: object) -> dict[str, object]:
    """One change of checkout."""
    return {"target": "kubernetes:shop/checkout", "at": when(at), "revision": revision, **more}


def five(**more: object) -> list[dict[str, object]]:
    """All releases of the past."""
    taken_back = {"rolled_back_at": when(BACK + timedelta(minutes=1)), **more}
    return [row(GOOD, "v1"), row(BAD, "v2"), row(LATE, "v3"), row(GAP, "v4"), row(BACK, "v5", **taken_back)]


def generations(*changes: timedelta, every: int = 30, first: int = 0, length: timedelta = timedelta(hours=HOURS)) -> str:
    """What kube-state-metrics shows of checkout, scraped ``every`` so many seconds: a new generation at each of ``changes``."""
    labels = '{namespace="shop",deployment="checkout"}'
    steps = [timedelta(seconds=seconds) for seconds in range(first, int(length.total_seconds()), every)]
    rows = [f"{METRIC}{labels} {1 + sum(change <= at for change in changes)} {START + int(at.total_seconds())}" for at in steps]
    return f"# TYPE {METRIC} gauge\n" + "\n".join(rows) + "\n"
