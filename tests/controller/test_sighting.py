"""`rollbackd check --prometheus` against a real Prometheus: what only the source can tell of a policy, at the place where it was written."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.cli.main import outcome
from rollbackd.controller.doctor.sighting import sighted
from rollbackd.policies.load import load_policies
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series
from tests.exposition import Reply, serving
from tests.faults.server import certificate, fault_server, pass_on

AT = datetime.fromtimestamp(START + 600, UTC) + timedelta(seconds=20)
"""A moment at which the newest sample of the history has just arrived."""
POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: shop}
spec:
  target: {command: {name: shop}}
  match: {app: shop}
  rollback_when:
    - name: slow
      latency: {histogram: seconds}
      above: LIMIT
"""
PODS = [("old", "1.0"), ("old", "2.5"), ("old", "+Inf"), ("new", "1.0"), ("new", "2.0"), ("new", "2.5"), ("new", "+Inf")]
RATES = {"0.5": 3, "1.0": 5, "2.5": 9, "+Inf": 10}


def shop(start: int = 0, end: int = 600) -> str:
    """Requests and their durations from second ``start`` to ``end`` of the history."""
    code = series("http_requests_total", {"app": "shop", "code": "200"}, growing(10, first=start, last=end))
    buckets = [series("seconds_bucket", {"app": "shop", "le": le}, growing(rate, first=start, last=end)) for le, rate in RATES.items()]
    one = series("single_bucket", {"app": "shop", "le": "+Inf"}, growing(10, first=start, last=end))
    mixed = [series("mixed_bucket", {"app": "shop", "pod": pod, "le": le}, growing(1, first=start, last=end)) for pod, le in PODS]
    twice = [
        series("served_total", {"app": "shop", "pod": "a", "code": code, **scraped}, growing(2, first=start, last=end))
        for code in ("200", "500")
        for scraped in ({"job": "pods"}, {"job": "services", "service": "shop"})
    ]
    for service in ("cart", "search"):  # of a gateway, which tells its own services apart
        labels = {"app": "other", "pod": "b", "code": "200", "job": "pods", "service": service}
        twice.append(series("served_total", labels, growing(2, first=start, last=end)))
    sold = [
        series("sold_total", {"app": "shop", "code": code, "cluster": cluster}, growing(2, first=start, last=end))
        for code in ("200", "500")
        for cluster in ("eu", "us")
    ]
    counters = ["# TYPE http_requests counter"], code, ["# TYPE served counter"], *twice, ["# TYPE sold counter"], *sold
    return document(*counters, ["# TYPE seconds gauge"], *buckets, ["# TYPE single gauge"], one, *mixed)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with servers.prometheus_with_history(shop()) as server:
        yield server.url


@pytest.fixture(scope="module")
def source(url: str) -> Prometheus:
    return Prometheus("prometheus", url)


@pytest.fixture(scope="module")
def present() -> Iterator[servers.Server]:
    """A Prometheus whose samples go from ten minutes ago to some minutes from now: the command asks for its own present."""
    now = int(time.time()) - START
    with servers.prometheus_with_history(shop(now - 600, now + 300)) as server:
        yield server


def told(source: Prometheus, text: str) -> list[str]:
    texts = {"shop.yaml": text}
    loaded = load_policies(texts)
    assert loaded.faults == ()
    return [str(fault) for fault in sighted(loaded.policies, texts, source, AT)]


def test_a_limit_where_a_bucket_ends_is_no_finding(source: Prometheus) -> None:
    assert told(source, POLICY.replace("LIMIT", "2500ms")) == []


def test_a_limit_inside_a_bucket_is_a_warning_at_the_limit(source: Prometheus) -> None:
    assert told(source, POLICY.replace("LIMIT", "2s")) == [
        "shop.yaml:10:14: warning: policy 'shop' › rollback_when[0] › above: slow: the limit 2 s lies inside a bucket: "
        "a p95 between 1 s and 2.5 s proves nothing; BREACH is proven only by requests slower than 2.5 s, health only by those faster than 1 s; "
        'add a bucket le="2" to the histogram, or move the limit to a bucket\'s end'
    ]


def test_a_limit_beyond_the_largest_bucket_is_an_error(source: Prometheus) -> None:
    (said,) = told(source, POLICY.replace("LIMIT", "10s"))
    assert "shop.yaml:10:14: policy 'shop' › rollback_when[0] › above: slow can never fire: the largest bucket ends at 2.5 s" in said
    assert 'add a bucket le="10"' in said


def test_a_histogram_of_one_bucket_can_prove_nothing(source: Prometheus) -> None:
    (said,) = told(source, POLICY.replace("LIMIT", "2s").replace("seconds}", "single}"))
    assert 'slow can never fire: there is no bucket but le="+Inf"' in said


def test_replicas_with_different_buckets_are_told_with_those_that_count(source: Prometheus) -> None:
    (said,) = told(source, POLICY.replace("LIMIT", "2s").replace("seconds}", "mixed}"))
    assert said.startswith("shop.yaml:10:14: warning: policy 'shop' › rollback_when[0] › above: slow: the limit 2 s lies inside a bucket")
    assert "its series have different buckets, and only those that all of them have count (1 s, 2.5 s)" in said


SERVED = "    - {name: errors, ratio: {bad: 'served_total{code=\"500\"}', total: MATCHED}, above: 5%}\n"


def test_events_of_two_clusters_are_a_warning_until_the_source_is_kept_to_one(source: Prometheus, url: str) -> None:
    text = (POLICY[: POLICY.index("    - name")] + SERVED.replace("MATCHED", "sold_total")).replace("served", "sold")
    (said,) = told(source, text)
    assert said.startswith(
        'shop.yaml:8:7: warning: policy \'shop\' › rollback_when[0]: errors: it counts the events of cluster="eu" and cluster="us" together'
    )
    assert "keep the source to one of them by its `match`" in said
    assert told(Prometheus("prometheus", url, match=(("cluster", "eu"),)), text) == []


def test_events_that_two_jobs_scrape_are_a_warning_with_their_names(source: Prometheus) -> None:
    text = POLICY[: POLICY.index("    - name")] + SERVED.replace("MATCHED", "served_total")
    (said,) = told(source, text)
    assert said.startswith(
        'shop.yaml:8:7: warning: policy \'shop\' › rollback_when[0]: errors: its events are counted once for job="pods" and job="services"'
    )
    assert "name one of them in the selector" in said


@pytest.mark.parametrize(
    ("app", "matched"), [("shop", "'served_total{job=\"pods\"}'"), ("other", "served_total")], ids=["one-job-named", "scraped-once"]
)
def test_events_that_are_scraped_once_are_no_finding(source: Prometheus, app: str, matched: str) -> None:
    text = (POLICY[: POLICY.index("    - name")] + SERVED.replace("MATCHED", matched)).replace("app: shop", f"app: {app}")
    assert told(source, text) == []


def test_a_condition_by_hand_that_has_no_series_is_an_error_where_it_stands(source: Prometheus) -> None:
    (said,) = told(source, POLICY.replace("LIMIT", "2s").replace("seconds}", "secnods}"))
    assert said.startswith("shop.yaml:8:7: policy 'shop' › rollback_when[0]: slow: no series with a finite value for this workload")


def test_a_condition_of_the_library_without_data_is_a_warning_beside_others_that_have_some(source: Prometheus) -> None:
    library = POLICY[: POLICY.index("    - name")]
    mixed = told(source, library + "    - {use: error-rate}\n    - {use: memory}\n")
    assert [line.partition(": memory")[0] for line in mixed] == ["shop.yaml:9:7: warning: policy 'shop' › rollback_when[1]"]
    (alone,) = told(source, library + "    - {use: memory}\n")
    assert "warning" not in alone


def test_what_a_set_lacks_is_said_once_with_all_that_lack_it_and_what_was_asked_for(source: Prometheus) -> None:
    (said,) = told(source, POLICY[: POLICY.index("    - name")].replace("app: shop", "app: shpo") + "    - use: standard\n")
    names = "error-rate, p95-latency, memory, database-failures, restarts, oom-kills"
    assert said.startswith(f"shop.yaml:8:7: policy 'shop' › rollback_when[0]: {names}: no series with a finite value for this workload")
    assert 'asked for http_requests_total{app="shpo"}, http_request_duration_seconds_bucket{app="shpo"}, ' in said


def test_what_a_set_lacks_beside_what_it_has_is_one_warning(source: Prometheus) -> None:
    (said,) = told(source, POLICY[: POLICY.index("    - name")] + "    - use: standard\n")
    names = "p95-latency, memory, database-failures, restarts, oom-kills"
    assert said.startswith(f"shop.yaml:8:7: warning: policy 'shop' › rollback_when[0]: {names}: no series with a finite value")
    assert "conditions of the library, so they are not applicable and no alarm; asked for http_request_duration_seconds_bucket" in said


def test_a_question_that_is_refused_is_an_error(source: Prometheus) -> None:
    text = POLICY[: POLICY.index("    - name")] + "    - {name: odd, promql: 'sum by (app) (no_such_function(up))', above: 1}\n"
    (said,) = told(source, text)
    assert "shop.yaml:8:7: policy 'shop' › rollback_when[0]: odd: not a PromQL expression (unknown function" in said


# --- the command ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "words", "code"),
    [
        pytest.param("2500ms", (), 0, id="sound"),
        pytest.param("2s", (), 0, id="doubtful"),
        pytest.param("2s", ("--strict",), 2, id="doubtful-and-strict"),
        pytest.param("10s", (), 2, id="can-never-fire"),
    ],
)
def test_the_exit_code_says_how_bad_it_is(limit, words, code, present, tmp_path, capsys):
    file = tmp_path / "shop.yaml"
    file.write_text(POLICY.replace("LIMIT", limit))
    assert outcome(["check", str(file), "--prometheus", present.url, *words]) == code
    said = capsys.readouterr()
    assert ("lies inside a bucket" in said.out, "can never fire" in said.out) == (limit == "2s", limit == "10s")
    assert f"{int(limit != '10s')} polic" in said.err


def test_a_server_that_is_not_there_is_4(tmp_path, capsys):
    file = tmp_path / "shop.yaml"
    file.write_text(POLICY.replace("LIMIT", "2s"))
    assert outcome(["check", str(file), "--prometheus", f"http://127.0.0.1:{servers.free_port()}"]) == 4
    assert "could not be reached (Connection refused)" in capsys.readouterr().err


def test_the_token_is_sent_and_never_shown(tmp_path, capsys):
    file, token = tmp_path / "shop.yaml", tmp_path / "token"
    file.write_text(POLICY.replace("LIMIT", "2s"))
    token.write_text("s3cr3t-4711\n")
    with serving(Reply(status=401, body=b"not with s3cr3t-4711")) as server:
        assert outcome(["check", str(file), "--prometheus", server.url, "--token-file", str(token)]) == 4
    said = capsys.readouterr()
    assert "refused us (HTTP 401)" in said.err
    assert "s3cr3t" not in said.out + said.err


def test_a_server_with_a_certificate_of_a_private_authority_is_believed_with_its_file_only(present, tmp_path, capsys):
    file = tmp_path / "shop.yaml"
    file.write_text(POLICY.replace("LIMIT", "2500ms"))
    with fault_server(certificate(tmp_path)) as secure:
        secure.speakers["prometheus"] = pass_on(present.url)
        words = ["check", str(file), "--prometheus", secure.at("prometheus")]
        assert outcome(words) == 4
        assert "its certificate was not accepted" in capsys.readouterr().err
        assert outcome([*words, "--ca-file", str(tmp_path / "tls.crt")]) == 0


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        pytest.param((), "up[450s]", id="the-config's"),
        pytest.param(("--scrape-interval", "30s"), "up[300s]", id="said"),
    ],
)
def test_it_asks_by_the_scrape_interval_that_was_said_and_else_by_the_config_s(words, asked, present, tmp_path):
    (tmp_path / "shop.yaml").write_text(POLICY.replace("LIMIT", "2500ms"))
    config = tmp_path / "rollbackd.yaml"
    config.write_text(
        "apiVersion: rollbackd/v1\nkind: Config\npolicies: [shop.yaml]\nsources: {prometheus: {url: 'http://127.0.0.1:1', scrape_interval: 45s}}\n"
        "commands: {shop: {describe: [/bin/true], apply: [/bin/true, '{revision}']}}\n"
    )
    with fault_server() as server:
        server.speakers["prometheus"] = pass_on(present.url)
        outcome(["check", "--config", str(config), "--prometheus", server.at("prometheus"), *words])
        questions = [question for request in server.asked_of("prometheus") for question in parse_qs(request.body.decode())["query"]]
    assert [question for question in questions if asked in question]


@pytest.mark.parametrize("words", [("--token-file", "FILE"), ("--ca-file", "FILE"), ("--scrape-interval", "30s")])
def test_what_is_about_a_server_is_a_wrong_use_without_one(words, tmp_path, capsys):
    file = tmp_path / "shop.yaml"
    file.write_text(POLICY.replace("LIMIT", "2s"))
    assert outcome(["check", str(file), *(word.replace("FILE", str(file)) for word in words)]) == 64
    assert f"{words[0]} is for --prometheus URL" in " ".join(capsys.readouterr().err.split())


def test_a_fleet_is_left_out_with_a_word(tmp_path, capsys):
    file = tmp_path / "web.yaml"
    select = 'select: {kubernetes: {labels: {rollback: "on"}}, expect: {min: 1, max: 9}}'
    text = POLICY.replace("LIMIT", "2s").replace("target: {command: {name: shop}}", select).replace("match: {app: shop}", "join: {app: $name}")
    file.write_text(text)
    assert outcome(["check", str(file), "--prometheus", f"http://127.0.0.1:{servers.free_port()}"]) == 0
    assert "shop: not looked up: its cluster knows who its members are" in capsys.readouterr().err


def test_a_policy_of_another_kind_of_source_is_left_out_with_a_word(tmp_path, capsys):
    (tmp_path / "shop.yaml").write_text(POLICY.replace("LIMIT", "2s"))
    config = tmp_path / "rollbackd.yaml"
    config.write_text(
        "apiVersion: rollbackd/v1\nkind: Config\npolicies: [shop.yaml]\n"
        "sources: {pages: {kind: scrape, targets: [{urls: ['http://127.0.0.1:1/metrics']}]}}\n"
        "commands: {shop: {describe: [/bin/true], apply: [/bin/true, '{revision}']}}\n"
    )
    assert outcome(["check", "--config", str(config), "--prometheus", f"http://127.0.0.1:{servers.free_port()}"]) == 0
    assert "shop: not looked up: its source pages is no Prometheus" in capsys.readouterr().err
