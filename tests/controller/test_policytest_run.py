"""Policy tests, run: what is judged and decided from given series and changes."""

import pytest

from rollbackd.controller.policytest.run import run
from tests.controller.policytest_samples import BAD, FLEET, GOOD, POLICY, SERIES, at, case_in, outcome_in, written

LADDER = POLICY.replace("    - revert:", "    - flags: {provider: flagd, tag: checkout}\n    - revert:")
TOGETHER = POLICY.replace("    - revert: {to: known-good}", "    - together: [{revert: {to: known-good}}, {flags: {provider: flagd, tag: checkout}}]")
GAUGE = POLICY.replace(
    "    - name: error-rate",
    "    - {name: queue, gauge: queue_depth, above: 100, for: 1m}\n    - name: error-rate",
)
ASKED = POLICY.replace(
    "    - name: error-rate",
    "    - {name: slow, promql: 'max by (app) (slow_share)', above: 0.2, for: 30s}\n"
    "    - {name: health, probe: {port: 8080, path: /healthz}, above: 50%, for: 30s}\n    - name: error-rate",
)
TWO_TARGETS = POLICY.replace("    - revert: {to: known-good}", "    - revert: {target: {kubernetes: {namespace: shop, deployment: worker}}}")


def failures(outcome):
    return [str(mismatch) for mismatch in outcome.mismatches]


def words(outcome, *minutes):
    return [at(outcome, minute).standing.word for minute in minutes]


def test_a_bad_release_is_put_back_and_its_recovery_is_proven(tmp_path):
    expect = [
        {"at": "4m", "verdicts": {"error-rate": "ok"}, "decision": "nothing"},
        {"at": "7m15s", "verdicts": {"error-rate": "breach"}, "decision": "nothing", "reason_contains": "breached 45s of 1m0s"},
        {"at": "7m30s", "verdicts": {"error-rate": "breach"}, "decision": "rollback", "remedy": "revert", "to": "v1"},
        {"at": "10m", "verdicts": {"error-rate": "ok"}, "decision": "rollback", "remedy": "revert shop/checkout"},
        {"at": "15m", "decision": "recovered", "reason_contains": "healthy for 5m0s", "remedy": "revert kubernetes:default/shop/deployment/checkout"},
    ]
    outcome = outcome_in(tmp_path, written(*expect))
    assert failures(outcome) == []
    assert outcome.passed


def test_what_is_scraped_once_a_minute_and_looked_at_each_quarter_of_it_is_put_back_too(tmp_path):
    series = [{"series": GOOD, "values": "0+400x40"}, {"series": BAD, "values": "0x5 100+100x40"}]
    expect = [{"at": "7m15s", "decision": "nothing"}, {"at": "7m30s", "decision": "rollback", "remedy": "revert", "to": "v1"}]
    assert failures(outcome_in(tmp_path, written(*expect, series=series, interval="60s"))) == []


def test_rungs_that_begin_at_once_are_verified_once_and_one_without_a_suspect_is_left_out(tmp_path):
    expect = [
        {"at": "7m30s", "decision": "rollback", "remedy": "revert", "to": "v1"},
        {"at": "10m", "decision": "rollback", "remedy": "revert"},
        {"at": "15m", "decision": "recovered", "reason_contains": "healthy for 5m0s"},
    ]
    assert failures(outcome_in(tmp_path, written(*expect), TOGETHER)) == []


def test_what_was_only_suggested_is_put_back_once_a_condition_that_may_act_blames_the_release(tmp_path):
    policy = GAUGE.replace("above: 100, for: 1m}", "above: 100, for: 15s, mode: suggest}")
    deep = {"series": 'queue_depth{app="checkout"}', "values": "0x22 900x60"}
    expect = [
        {"at": "7m", "decision": "suggested"},
        {"at": "7m30s", "decision": "rollback", "remedy": "revert", "to": "v1"},
    ]
    assert failures(outcome_in(tmp_path, written(*expect, series=[*SERIES, deep]), policy)) == []


def test_a_mismatch_says_what_was_found_and_its_arithmetic(tmp_path):
    outcome = outcome_in(tmp_path, written({"at": "7m30s", "verdicts": {"error-rate": "ok"}, "decision": "nothing"}))
    proof = "over a million to 1 against chance, 100 to 1 needed, 160/960 since 00:05:30, bursts not measured"
    breach = f"error-rate 160/960 = 16.7 % > 5 % ({proof}) since 00:06:30, breached 1m0s of 1m0s"
    assert failures(outcome) == [
        f"at 7m30s: error-rate: expected ok, found breach: {breach}",
        f"at 7m30s: decision: expected nothing, found rollback: {breach}; kubernetes:default/shop/deployment/checkout revision v2 ready 00:05:30",
    ]


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        pytest.param({"remedy": "revert"}, "at 4m: remedy: expected revert, found none", id="remedy"),
        pytest.param({"to": "v1"}, "at 4m: to: expected v1, found none", id="to"),
        pytest.param({"guard": "pause"}, "at 4m: guard: expected pause, found none", id="guard"),
        pytest.param({"reason_contains": "x"}, "at 4m: reason: expected one with 'x', found ''", id="reason"),
        pytest.param({"decision": "held"}, "at 4m: decision: expected held, found nothing", id="decision"),
    ],
)
def test_every_part_of_a_decision_is_compared(tmp_path, expected, found):
    assert failures(outcome_in(tmp_path, written({"at": "4m", **expected}))) == [found]


def test_a_release_that_stays_bad_after_the_last_rung_is_held(tmp_path):
    series = [SERIES[0], {"series": BAD, "values": "0x20 20+20x60"}]
    expect = {"at": "9m", "decision": "held", "guard": "ladder", "remedy": "revert", "reason_contains": "did not help"}
    assert failures(outcome_in(tmp_path, written(expect, series=series))) == []


def test_a_ladder_is_climbed_cheapest_first(tmp_path):
    changes = [{"at": "5m", "revision": "f2", "target": "flagd:flagd/tag:checkout"}, {"at": "5m", "revision": "v2"}]
    series = [SERIES[0], {"series": BAD, "values": "0x20 20+20x8 180x60"}]
    expect = [
        {"at": "7m", "decision": "rollback", "remedy": "flags", "to": "safe"},
        {"at": "7m30s", "decision": "rollback", "remedy": "revert", "to": "v1"},
    ]
    outcome = outcome_in(tmp_path, written(*expect, series=series, changes=changes), LADDER)
    assert [look.said for look in outcome.looks if any("act: rung 2" in said for said in look.said)] != []
    assert failures(outcome) == []


def test_without_a_change_nothing_is_undone(tmp_path):
    outcome = outcome_in(
        tmp_path, written({"at": "10m", "decision": "nothing", "reason_contains": "no change of its targets explains it"}, changes=[])
    )
    assert failures(outcome) == []


def test_a_counter_that_counts_no_events_any_more_is_an_error_and_not_judged(tmp_path):
    expect = {"at": "9m", "verdicts": {"error-rate": "error"}, "decision": "nothing"}
    series = [{"series": GOOD, "values": "0+1e160x400"}, {"series": BAD, "values": "0x20 20+20x60"}]
    outcome = outcome_in(tmp_path, written(expect, series=series))
    assert failures(outcome) == []
    assert "beyond 2^53" in at(outcome, 9).reasons[0]


def test_traffic_that_was_no_number_of_events_is_nothing_to_compare_with(tmp_path):
    policy = POLICY.replace("    - name: error-rate", "    - {use: traffic-drop}\n    - name: error-rate")
    series = [{"series": GOOD, "values": "0+1e160x240 240e160+100x80"}]
    expect = {"at": "65m", "verdicts": {"traffic-drop": "unproven"}, "decision": "nothing"}
    outcome = outcome_in(tmp_path, written(expect, series=series, changes=[{"at": "60m", "revision": "v2"}]), policy)
    assert failures(outcome) == []


def test_outside_a_watch_people_may_be_told(tmp_path):
    policy = POLICY.replace("  remedy:", "  outside_watch: notify\n  remedy:")
    series = [SERIES[0], {"series": BAD, "values": "0x20 20+20x60"}]
    assert failures(outcome_in(tmp_path, written({"at": "10m", "decision": "outside"}, changes=[], series=series), policy)) == []


@pytest.mark.parametrize(
    ("interval", "every"), [("15s", "15s"), ("5s", "5s"), ("1s", "25s"), ("1s", "35s")], ids=["scrape-15", "scrape-5", "every-25", "every-35"]
)
@pytest.mark.parametrize("signal", ["count: http_requests_total, above: 1000", "rate: http_requests_total, above: 4/s"], ids=["count", "rate"])
def test_events_are_counted_without_a_gap_where_nothing_is_watched(tmp_path, signal, interval, every):
    """They come five a second: looked at once a minute, they have to be seen as that."""
    policy = POLICY.replace("- name: error-rate", f"- {{name: calls, {signal}, for: 1m, unbounded: accepted}}\n    - name: error-rate")
    policy = policy.replace("  remedy:", f"  every: {every}\n  outside_watch: notify\n  remedy:")
    seconds = int(interval[:-1])
    series = [{"series": GOOD, "values": f"0+{5 * seconds}x{900 // seconds}"}]
    expect = {"at": "14m", "verdicts": {"calls": "breach"}, "decision": "outside"}
    assert failures(outcome_in(tmp_path, written(expect, changes=[], series=series, interval=interval), policy)) == []


@pytest.mark.parametrize(("mode", "word"), [("observe", "observed"), ("suggest", "suggested"), ("approve", "approval"), ("auto", "rollback")])
def test_a_policy_may_be_tried_in_another_mode(tmp_path, mode, word):
    assert words(outcome_in(tmp_path, written({"at": "8m", "decision": word}, mode=mode)), 7.5) == [word]


def test_what_people_do_not_approve_in_time_is_held(tmp_path):
    series = [SERIES[0], {"series": BAD, "values": "0x20 20+20x180"}]
    series[0] = {"series": GOOD, "values": "0+100x200"}
    outcome = outcome_in(tmp_path, written({"at": "40m", "decision": "held", "guard": "approval"}, mode="approve", series=series))
    assert failures(outcome) == []


def test_across_an_irreversible_change_people_are_asked(tmp_path):
    changes = [{"at": "5m", "revision": "v2", "irreversible": "schema 41 to 42"}]
    expect = {"at": "8m", "decision": "approval", "to": "v1", "reason_contains": "schema 41 to 42"}
    assert failures(outcome_in(tmp_path, written(expect, changes=changes))) == []


@pytest.mark.parametrize(
    ("parts", "guard", "reason"),
    [
        pytest.param({"guards": {"paused": "database move"}}, "pause", "database move", id="pause"),
        pytest.param({"guards": {"in_breach": ["shop/cart", "shop/search"]}}, "systemic", "common cause", id="systemic"),
        pytest.param({"guards": {"quarantined": ["v2"]}}, "quarantine", "was rolled back before", id="quarantine"),
        pytest.param({"known_good": []}, "ladder", "no other revision of kubernetes:default/shop/deployment/checkout is known good", id="no-good"),
        pytest.param({"changes": [{"at": "5m", "revision": "db", "posted": True}]}, "ladder", "nothing here can undo", id="posted"),
    ],
)
def test_what_stands_against_a_rollback_holds_it(tmp_path, parts, guard, reason):
    assert failures(outcome_in(tmp_path, written({"at": "8m", "decision": "held", "guard": guard, "reason_contains": reason}, **parts))) == []


def test_a_second_bad_release_in_the_cool_down_is_held(tmp_path):
    bad = "0x20 20+20x9 200x49 220+20x60"
    series = [{"series": GOOD, "values": "0+100x200"}, {"series": BAD, "values": bad}]
    changes = [{"at": "5m", "revision": "v2"}, {"at": "20m", "revision": "v3"}]
    expect = [{"at": "16m", "decision": "recovered"}, {"at": "25m", "decision": "held", "guard": "cool-down"}]
    assert failures(outcome_in(tmp_path, written(*expect, series=series, changes=changes))) == []


def test_what_was_rolled_back_is_quarantined(tmp_path):
    bad = "0x20 20+20x9 200x249 220+20x60"
    series = [{"series": GOOD, "values": "0+100x400"}, {"series": BAD, "values": bad}]
    changes = [{"at": "5m", "revision": "v2"}, {"at": "70m", "revision": "v2"}]
    expect = {"at": "75m", "decision": "held", "guard": "quarantine"}
    assert failures(outcome_in(tmp_path, written(expect, series=series, changes=changes))) == []


def test_another_target_of_the_ladder_goes_back_to_its_own_known_good(tmp_path):
    changes = [{"at": "5m", "ready": "5m30s", "revision": "w9", "target": "shop/worker"}]
    others = [{"target": "shop/worker", "known_good": ["w8"]}]
    expect = {"at": "8m", "decision": "rollback", "remedy": "revert shop/worker", "to": "w8"}
    assert failures(outcome_in(tmp_path, written(expect, changes=changes, others=others), TWO_TARGETS)) == []


def test_a_release_that_never_becomes_ready_is_judged_too(tmp_path):
    changes = [{"at": "5m", "revision": "v2", "ready": "never"}]
    assert failures(outcome_in(tmp_path, written({"at": "7m", "decision": "rollback"}, changes=changes))) == []


def test_a_revision_that_served_the_bake_time_becomes_known_good(tmp_path):
    series = [{"series": GOOD, "values": "0+100x400"}, {"series": BAD, "values": "0x240 20+20x7 160x100"}]
    changes = [{"at": "1m", "revision": "v2"}, {"at": "60m", "revision": "v3"}]
    outcome = outcome_in(tmp_path, written({"at": "64m", "decision": "rollback", "to": "v2"}, series=series, changes=changes, known_good=[]))
    assert failures(outcome) == []


def test_a_fleet_policy_is_tried_on_a_member(tmp_path):
    expect = {"at": "7m30s", "decision": "rollback", "remedy": "revert shop/checkout"}
    assert failures(outcome_in(tmp_path, written(expect, member={"namespace": "shop", "deployment": "checkout"}), FLEET)) == []


def test_a_members_annotations_count(tmp_path):
    notes = {"rollbackd.io/error-rate.above": "20%", "example.org/other": "x"}
    member = {"namespace": "shop", "deployment": "checkout", "annotations": notes}
    expect = {"at": "7m", "verdicts": {"error-rate": "unproven"}, "decision": "nothing"}
    assert failures(outcome_in(tmp_path, written(expect, member=member), FLEET)) == []


# --- samples -------------------------------------------------------------------------------------------------------------------------------


def test_an_absent_series_is_no_data_and_the_report_says_what_is_read(tmp_path):
    outcome = outcome_in(tmp_path, written({"at": "4m", "verdicts": {"error-rate": "ok"}}, series=[]))
    (failure,) = failures(outcome)
    assert "found nodata" in failure
    assert 'it reads http_requests_total{code=~"5.."} and http_requests_total, where app="checkout"' in failure


def states(outcome):
    return {look.at.total_seconds() / 60: look.states[0].value for look in outcome.looks}


def test_a_stale_series_is_gone_at_once_and_a_missing_one_once_it_is_too_old(tmp_path):
    def run_of(values):
        return states(
            outcome_in(
                tmp_path, written({"at": "9m", "decision": "nothing"}, series=[gauge(values)], changes=[{"at": "1m", "revision": "v2"}]), GAUGE
            )
        )

    def gauge(values):
        return {"series": 'queue_depth{app="checkout"}', "values": values}

    stale, missing = run_of("200x24 stale _x20"), run_of("200x24 _x20")
    assert (stale[6.0], stale[6.25]) == ("breach", "nodata")
    assert (missing[6.0], missing[6.5], missing[7.0]) == ("breach", "breach", "nodata")


def test_a_series_that_is_born_later_counts_from_its_first_event(tmp_path):
    series = [SERIES[0], {"series": BAD, "values": "_x26 60 60x40"}]
    assert "error-rate 60/" in at(outcome_in(tmp_path, written({"at": "7m", "decision": "nothing"}, series=series)), 7).reasons[0]


def test_a_counter_that_falls_was_restarted_and_counts_in_full(tmp_path):
    series = [{"series": GOOD, "values": "0+100x24 40+100x40"}]
    assert "0/540 " in at(outcome_in(tmp_path, written({"at": "8m", "decision": "nothing"}, series=series)), 7).reasons[0]


def test_a_scrape_that_failed_is_bridged_and_its_events_are_not_lost(tmp_path):
    series = [{"series": GOOD, "values": "0+100x22 _ 2400+100x40"}, {"series": BAD, "values": "0x22 _ 0x40"}]
    assert at(outcome_in(tmp_path, written({"at": "7m", "decision": "nothing"}, series=series)), 6.5).reasons[0].startswith("error-rate 0/400")


def test_latency_is_judged_by_its_buckets(tmp_path):
    policy = POLICY.replace(
        "    - name: error-rate",
        "    - {name: slow, latency: {histogram: search_seconds}, quantile: 0.95, above: 2s, for: 1m}\n    - name: error-rate",
    )
    buckets = {"1": "0+80x60", "2.5": "0+90x60", "+Inf": "0+100x60"}
    series = [{"series": f'search_seconds_bucket{{app="checkout", le="{le}"}}', "values": values} for le, values in buckets.items()]
    outcome = outcome_in(tmp_path, written({"at": "8m", "verdicts": {"slow": "breach"}}, series=series), policy)
    assert failures(outcome) == []
    assert "(buckets 1 to 2.5 s)" in at(outcome, 8).reasons[0]


def test_what_an_expression_and_a_probe_say_is_told_by_the_test(tmp_path):
    answers = [{"condition": "slow", "values": "0.1x26 0.4x20"}, {"condition": "health", "values": "0x30 1x14"}]
    expect = [
        {"at": "6m30s", "verdicts": {"slow": "ok", "health": "ok"}},
        {"at": "7m", "verdicts": {"slow": "breach", "health": "ok"}},
        {"at": "8m", "verdicts": {"slow": "breach", "health": "breach"}},
    ]
    assert failures(outcome_in(tmp_path, written(*expect, answers=answers), ASKED)) == []


def test_an_expression_without_an_answer_is_an_error_and_never_a_verdict(tmp_path):
    expect = {"at": "8m", "verdicts": {"slow": "error", "health": "nodata"}}
    outcome = outcome_in(tmp_path, written(expect), ASKED)
    assert failures(outcome) == []
    assert "write under 'answers' what it says" in at(outcome, 8).reasons[0]


# --- looks ---------------------------------------------------------------------------------------------------------------------------------


def test_a_target_without_an_open_watch_is_looked_at_once_a_minute_as_by_the_daemon(tmp_path):
    outcome = outcome_in(tmp_path, written({"at": "6m", "decision": "nothing"}))
    assert [look.at.total_seconds() for look in outcome.looks] == [0, 60, 120, 180, 240, 300, 315, 330, 345, 360]


def test_a_time_between_two_looks_is_that_of_the_look_before(tmp_path):
    outcome = outcome_in(tmp_path, written({"at": "4m40s", "decision": "held"}))
    assert failures(outcome) == ["at 4m40s (looked at 4m): decision: expected held, found nothing"]


def test_equal_cases_have_equal_outcomes(tmp_path):
    case = case_in(tmp_path, written({"at": "8m", "decision": "rollback"}))
    assert run(case) == run(case)
