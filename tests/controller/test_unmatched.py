"""`rollbackd check --prometheus` of conditions that find nothing: what helps is said, and a metric profile only where one could."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rollbackd.adapters.prometheus import Prometheus
from rollbackd.controller.doctor.sighting import sighted
from rollbackd.policies.load import load_policies
from tests import servers
from tests.adapters.openmetrics import START, document, growing, series

AT = datetime.fromtimestamp(START + 600, UTC) + timedelta(seconds=20)
POLICY = """\
apiVersion: rollbackd/v1
kind: RollbackPolicy
metadata: {name: shop}
spec:
  target: {kubernetes: {namespace: default, deployment: shop}}
  match: {app: shop}
  rollback_when:
"""
COMPARE = "no series with a finite value for this workload; compare its metrics and labels with what the source holds"
CORRECT = "take 'app' out of the selector, or correct `match`"


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    queue = series("queue", {"app": "shop", "pod": "a"}, growing(0.01))
    free = series("free", {"pod": "a", "zone": "1"}, growing(0.01))
    seconds = series("seconds_bucket", {"app": "shop", "le": "+Inf"}, growing(1))
    with servers.prometheus_with_history(
        document(["# TYPE queue gauge"], queue, ["# TYPE free gauge"], free, ["# TYPE seconds gauge"], seconds)
    ) as server:
        yield Prometheus("prometheus", server.url)


def told(source: Prometheus, *conditions: str, text: str = POLICY) -> list[str]:
    """What is said of each condition, without its place."""
    texts = {"shop.yaml": text + "".join(f"    - {condition}\n" for condition in conditions)}
    loaded = load_policies(texts)
    assert loaded.faults == ()
    return [fault.message for fault in sighted(loaded.policies, texts, source, AT)]


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        pytest.param("max(queue)", "max by (app) (…)", id="aggregated-away"),
        pytest.param("sum by (pod) (queue)", "sum by (app) (…)", id="aggregated-by-another"),
        pytest.param("vector(5)", "max by (app) (…)", id="of-no-series"),
        pytest.param("queue * on (pod) free", "max by (app) (…)", id="joined-by-another"),
        pytest.param("avg by (app) (free) or free", "avg by (app) (…)", id="several-without-it"),
    ],
)
def test_an_answer_without_the_labels_of_match_is_told_with_the_way_to_keep_them(source: Prometheus, expression: str, kept: str) -> None:
    said = "backlog: the expression answers, with series that have no label app, which `match` names"
    hint = f"keep what `match` names, as in {kept}, or name there what its series have"
    assert told(source, f"{{name: backlog, promql: '{expression}', above: 90}}") == [f"{said}; {hint}"]


def test_of_several_labels_those_that_the_answer_lacks_are_named_and_all_that_it_needs(source: Prometheus) -> None:
    conditions = "{name: neither, promql: count(queue), above: 90}", "{name: one, promql: sum by (pod) (queue), above: 90}"
    neither, one = told(source, *conditions, text=POLICY.replace("{app: shop}", "{pod: a, app: shop}"))
    assert neither.endswith(
        "have no labels app and pod, which `match` names; keep what `match` names, as in count by (app, pod) (…), or name there what its series have"
    )
    assert one.endswith(
        "have no label app, which `match` names; keep what `match` names, as in sum by (app, pod) (…), or name there what its series have"
    )


@pytest.mark.parametrize("expression", ["nothing", "max by (app) (queue) > 1000", "sum(queue > 1000)", "max by (app) (queue) * 0 / 0"])
def test_of_an_expression_that_does_not_answer_no_label_is_named(source: Prometheus, expression: str) -> None:
    assert told(source, f"{{name: backlog, promql: '{expression}', above: 90}}") == [f"backlog: {COMPARE}"]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        pytest.param(
            "{name: backlog, gauge: 'queue{app=\"cart\"}', above: 90}",
            f"backlog: no series of queue can be app='cart' by its selector and app='shop' by `match`; {CORRECT}",
            id="another-value",
        ),
        pytest.param(
            "{name: slow, latency: {histogram: 'seconds{app!~\"s.*\"}'}, above: 2s}",
            f"slow: no series of seconds can be app!~'s.*' by its selector and app='shop' by `match`; {CORRECT}",
            id="a-pattern",
        ),
        pytest.param(
            "{name: full, gauge: queue, of: 'free{app!=\"shop\"}', above: 90%}",
            f"full: no series of free can be app!='shop' by its selector and app='shop' by `match`; {CORRECT}",
            id="what-it-is-a-share-of",
        ),
        pytest.param(
            "{name: room, gauge: free, below: 1}",
            "room: the series of free have no label app, which `match` names; name in `match` what they have: pod, zone",
            id="series-without-the-label",
        ),
        pytest.param('{name: backlog, gauge: \'queue{app="shop", pod="b"}\', above: 90}', f"backlog: {COMPARE}", id="another-label"),
        pytest.param("{name: backlog, gauge: quene, above: 90}", f"backlog: {COMPARE}", id="no-such-metric"),
    ],
)
def test_a_selector_that_finds_nothing_is_told_what_of_it_or_of_match_is_wrong(source: Prometheus, condition: str, said: str) -> None:
    assert told(source, condition) == [said]


def test_what_the_source_refuses_is_told_without_a_metric_profile(source: Prometheus) -> None:
    (said,) = told(source, '{name: often, promql: \'label_replace(queue, "x", "$1", "pod", "(")\', above: 90}')
    assert said == (
        "often: prometheus: could not answer (execution): invalid regular expression in label_replace(): (, so nothing is known from it: see its log"
    )


def test_what_the_library_does_not_find_of_a_deployment_is_told_where_a_profile_comes_from(source: Prometheus) -> None:
    (said,) = told(source, "{use: memory}")
    assert said.endswith("`rollbackd doctor --workload kubernetes:default/default/deployment/shop` proposes a metric profile")
