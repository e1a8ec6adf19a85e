"""What a policy test says of two sides is what the daemon says: the same samples through its own sources, slot by slot."""

from datetime import timedelta
from pathlib import Path

from rollbackd.adapters.base.target import Sides
from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.policytest.cases import Case
from rollbackd.controller.policytest.run import run
from tests import servers
from tests.controller.policytest_samples import case_in
from tests.controller.test_policytest_parity import daemon_on, judged_on, past_of, same, told_by

POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: shop}
spec:
  mode: observe
  target: {kubernetes: {namespace: shop, deployment: checkout}}
  metrics: custom
  match: {app: shop}
  rollback_when:
    - name: errors
      ratio: {bad: 'requests_total{code="500"}', total: requests_total}
      above: 5%
      for: 1m
    - name: worse
      ratio: {bad: 'requests_total{code="500"}', total: requests_total}
      above: {of_old: 300%, at_least: 1%}
      for: 1m
    - name: slower
      latency: {histogram: seconds}
      quantile: 0.95
      above: {of_old: 200%, at_least: 2s}
      for: 1m
  remedy:
    - revert: {to: known-good}
  notify: [oncall]
"""
NEW, OLD = "checkout-6f7c9d8b4", "checkout-5d4f8c7b9"
WEATHER = {
    f'requests_total{{app="shop",pod="{OLD}-x2k9p",code="200"}}': "0+100x20 2090+90x24 stale",
    f'requests_total{{app="shop",pod="{OLD}-x2k9p",code="500"}}': "0x20 10+10x24 stale",
    f'requests_total{{app="shop",pod="{NEW}-q7w5z",code="200"}}': "_x20 0+50x44",
    f'requests_total{{app="shop",pod="{NEW}-q7w5z",code="500"}}': "_x20 0+50x44",
    f'seconds_bucket{{app="shop",pod="{OLD}-x2k9p",le="2"}}': "0+98x44 stale",
    f'seconds_bucket{{app="shop",pod="{OLD}-x2k9p",le="+Inf"}}': "0+100x44 stale",
    f'seconds_bucket{{app="shop",pod="{NEW}-q7w5z",le="2"}}': "_x20 0+60x44",
    f'seconds_bucket{{app="shop",pod="{NEW}-q7w5z",le="+Inf"}}': "_x20 0+100x44",
}
"""A fault of both sides from 5 min on, of which the new one has much more; the old pods are gone after 11 min 15 s."""
SIDES = Sides(NEW, (OLD,))


def case_of(folder: Path) -> Case:
    test = {
        "name": "parity",
        "series": [{"series": text, "values": values} for text, values in WEATHER.items()],
        "changes": [{"at": "5m", "revision": "v2", "sides": {"new": NEW, "old": [OLD]}}],
        "known_good": ["v1"],
        "expect": [{"at": "8m", "decision": "observed"}, {"at": "15m", "verdicts": {"worse": "breach", "slower": "breach"}}],
    }
    return case_in(folder, test, POLICY)


def test_the_daemon_on_its_scrape_source_compares_the_sides_alike(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    outcome = run(case)
    (tmp_path / "daemon").mkdir()
    with daemon_on(case, tmp_path / "daemon", SIDES) as daemon:
        for index in range(case.until // case.interval + 1):
            daemon.slot(index)
    looks, _ = told_by(outcome)
    assert list(daemon.verdicts) == list(looks)
    assert {at: pair for at, theirs in daemon.verdicts.items() if not same(*(pair := (looks[at], theirs)))} == {}
    assert [str(mismatch) for mismatch in outcome.mismatches] == []
    final = outcome.looks[-1].reasons
    assert ["worse than the old pods" in final[0], "of the old pods beside" in final[1], "of the old pods beside" in final[2]] == [True, True, True]


def test_a_real_prometheus_never_contradicts_it(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    mine = {look.at: [state.value for state in look.states] for look in run(case).looks}
    with servers.prometheus_with_history(past_of(case)) as server:
        source = Prometheus(case.policy.source, server.url, scrape_interval=case.interval, delay=timedelta(0))
        theirs = judged_on(source, case, mine, SIDES)
    unlike = [(at, a, b) for at in mine for a, b in zip(mine[at], theirs[at], strict=True) if a != b]
    assert [one for one in unlike if "unproven" not in one] == []
    assert {at for at in mine if "breach" in mine[at] and theirs[at] == mine[at]} != set()
