"""Right policies: the exact value that the engine reads."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import (
    Bound,
    Breaches,
    Condition,
    FlagsRung,
    For,
    Group,
    Leaf,
    Limit,
    Mode,
    OfBefore,
    OnNoData,
    OutsideWatch,
    Policy,
    RevertRung,
    Timing,
)
from rollbackd.policies.model.signals import Count, Derived, Gauge, Identity, Latency, Matcher, OfTarget, Probe, PromQL, Rate, Ratio, Selector
from rollbackd.policies.resolve.names import Names

DATA = Path(__file__).parent / "testdata"
CHECKOUT = (DATA / "checkout.yaml").read_text("utf-8")
MINUTE = timedelta(minutes=1)
POD = r"(.+)-[bcdfghjklmnpqrstvwxz2456789]{1,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"
BY_POD = Identity(("namespace", "workload"), ("shop", "checkout"), Derived("workload", "pod", POD))
BY_MESH = Identity(("destination_workload_namespace", "destination_workload"), ("shop", "checkout"))
BY_APP = Identity(("app",), ("checkout",))
NAMES = Names(
    sources=frozenset({"main"}),
    clusters=frozenset({"eu"}),
    default_cluster="eu",
    flag_providers={"switches": "flagd"},
    commands=frozenset({"deploy"}),
    contacts=frozenset({"oncall"}),
    probes=frozenset({"login"}),
)


def resolved(text: str, names: Names | None = None) -> Policy:
    loaded = load_policies({"shop.yaml": text}, names)
    assert loaded.faults == ()
    return loaded.policies[0]


def with_spec(spec: str, names: Names | None = None) -> Policy:
    lines = "".join(f"  {line}\n" for line in spec.strip().split("\n"))
    return resolved(f"apiVersion: rollbackd/v1\nkind: RollbackPolicy\nmetadata: {{name: checkout}}\nspec:\n{lines}", names)


TARGET = "target: {kubernetes: {namespace: shop, deployment: checkout}}"


def condition(entry: str, more: str = "match: {app: checkout}") -> Condition:
    (found,) = with_spec(f"{TARGET}\n{more}\nrollback_when:\n  - {entry}").conditions
    return found


def standard(name: str, signal: object, limit: Limit, identity: Identity, min_volume: int = 0, alpha: float = 0.005) -> Condition:
    """As the library has it: what a bound proves needs to last a little less."""
    found = own(name, signal, limit, min_volume, identity, alpha)
    return replace(found, from_library=True, mode=Mode.AUTO, confirm=For(timedelta(seconds=45)) if found.bound else found.confirm)


KILLED = Selector("kube_pod_container_status_last_terminated_reason", (Matcher("reason", "=", "OOMKilled"),))
RESTARTED = Selector("kube_pod_container_status_restarts_total")


def of_pods() -> tuple[Condition, ...]:
    """What the library says of pods."""
    found = (
        standard("stuck-rollout", OfTarget("rollout"), Limit(), Identity((), ())),
        replace(standard("restarts", Count(RESTARTED), Limit(high=3.0), BY_POD), window=10 * MINUTE),
        replace(standard("oom-kills", Count(RESTARTED, KILLED), Limit(high=1.0), BY_POD), window=10 * MINUTE),
    )
    return tuple(replace(each, confirm=For(MINUTE / 2)) for each in found)


def own(name: str, signal: object, limit: Limit, min_volume: int = 0, identity: Identity = BY_APP, alpha: float = 0.01) -> Condition:
    bound = Bound(alpha) if isinstance(signal, Ratio | Latency) else None
    mode = Mode.AUTO if bound else Mode.SUGGEST
    found = Condition(name, signal, limit, For(MINUTE), identity, 5 * MINUTE, min_volume, OnNoData.UNPROVEN, mode, False)  # type: ignore[arg-type]
    return replace(found, bound=bound)


CONTAINERS = (Matcher("container", "!=", ""), Matcher("container", "!=", "POD"))
MEMORY = Gauge(Selector("container_memory_working_set_bytes", CONTAINERS), Selector("container_spec_memory_limit_bytes", CONTAINERS), "second", "pod")
AT_DESTINATION = Matcher("reporter", "=", "destination")
SERVER_ERROR = Matcher("response_code", "=~", "5..")
NOT_HEALTH = Matcher("path", "!=", "/healthz")


def test_the_shortest_policy_observes_the_four_triggers() -> None:
    policy = with_spec(f"{TARGET}\nrollback_when: [{{use: standard}}]")
    assert replace(policy, digest="") == Policy(
        name="checkout",
        file="shop.yaml",
        digest="",
        labels=(),
        mode=Mode.OBSERVE,
        target="kubernetes:default/shop/deployment/checkout",
        source="prometheus",
        every=timedelta(seconds=15),
        watch=timedelta(hours=1),
        outside_watch=OutsideWatch.IGNORE,
        timing=Timing(),
        conditions=(
            standard(
                "error-rate",
                Ratio(Selector("http_requests_total", (Matcher("code", "=~", "5.."),)), Selector("http_requests_total")),
                Limit(high=0.05, unit="%"),
                BY_POD,
                50,
            ),
            standard("p95-latency", Latency(Selector("http_request_duration_seconds"), 0.95, 2.0), Limit(high=2.0, unit="s"), BY_POD, 200),
            replace(standard("memory", MEMORY, Limit(high=0.95, unit="%"), BY_POD), compares=True),
            standard("database-failures", Count(Selector("db_client_connection_timeouts_total")), Limit(high=10.0), BY_POD),
            *of_pods(),
        ),
        trigger=Group(tuple(Leaf(index) for index in range(7)), 1),
        ladder=(),
        notify=(),
    )


def test_the_example_of_the_contract_resolves_to_what_it_says() -> None:
    assert replace(resolved(CHECKOUT), digest="") == Policy(
        name="checkout",
        file="shop.yaml",
        digest="",
        labels=(("team", "payments"),),
        mode=Mode.SUGGEST,
        target="kubernetes:default/shop/deployment/checkout",
        source="prometheus",
        every=timedelta(seconds=15),
        watch=timedelta(hours=1),
        outside_watch=OutsideWatch.IGNORE,
        timing=Timing(warmup=timedelta(seconds=60)),
        conditions=(
            standard(
                "error-rate",
                Ratio(
                    Selector("istio_requests_total", (AT_DESTINATION, SERVER_ERROR, NOT_HEALTH)),
                    Selector("istio_requests_total", (AT_DESTINATION, NOT_HEALTH)),
                ),
                Limit(high=0.03, unit="%"),
                BY_MESH,
                50,
                alpha=0.01 / 3,
            ),
            replace(
                standard(
                    "p95-latency",
                    # The mesh counts in milliseconds, and so does the limit.
                    Latency(Selector("istio_request_duration_milliseconds", (AT_DESTINATION,)), 0.95, 2000.0),
                    Limit(high=2000.0, unit="ms"),
                    BY_MESH,
                    200,
                    alpha=0.01 / 3,
                ),
                mode=Mode.SUGGEST,
            ),
            replace(standard("memory", MEMORY, Limit(high=0.95, unit="%"), BY_POD), watch=timedelta(hours=24), compares=True),
            standard("database-failures", Count(Selector("db_client_connection_timeouts_total")), Limit(high=10.0), BY_POD),
            *of_pods(),
            own(
                "payment-failures",
                Ratio(Selector("payments_total", (Matcher("result", "=", "error"),)), Selector("payments_total")),
                Limit(high=0.1, unit="%"),
                50,
                alpha=0.01 / 3,
            ),
            own("slow-search", Latency(Selector("search_seconds"), 0.95, 0.8), Limit(high=0.8, unit="s"), 200, alpha=0.01 / 3),
            replace(own("backlog", Gauge(Selector("queue_depth")), Limit(high=2000.0)), confirm=For(10 * MINUTE)),
        ),
        trigger=Group(tuple(Leaf(index) for index in range(10)), 1),
        ladder=(
            FlagsRung("unleash:unleash/production/tag:checkout", only_changed=True),
            RevertRung("kubernetes:default/shop/deployment/checkout"),
        ),
        notify=("oncall",),
    )


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        pytest.param("{name: c, rate: errors_total, above: 600/m}", own("c", Rate(Selector("errors_total")), Limit(high=10.0, unit="/s")), id="rate"),
        pytest.param("{name: c, count: errors_total, below: 1}", own("c", Count(Selector("errors_total")), Limit(low=1.0)), id="count-below"),
        pytest.param(
            "{name: c, gauge: heap_bytes, above: 512Mi}",
            own("c", Gauge(Selector("heap_bytes")), Limit(high=2.0**29, unit="bytes")),
            id="gauge-in-bytes",
        ),
        pytest.param(
            "{name: c, gauge: used, of: size, pick: avg, outside: [10%, 120%]}",
            own("c", Gauge(Selector("used"), Selector("size"), "avg"), Limit(high=1.2, low=0.1, unit="%")),
            id="gauge-outside-a-range",
        ),
        pytest.param("{name: c, promql: 'sum by (app) (up)', below: 2}", own("c", PromQL("sum by (app) (up)"), Limit(low=2.0)), id="expression"),
        pytest.param(
            "{name: c, probe: {port: 8080, path: /healthz}, above: 50%}",
            own("c", Probe(port=8080, path="/healthz"), Limit(high=0.5, unit="%"), identity=Identity((), ())),
            id="probe-by-port",
        ),
        pytest.param(
            "{name: c, probe: login, above: 50%}",
            own("c", Probe(name="login"), Limit(high=0.5, unit="%"), identity=Identity((), ())),
            id="probe-by-name",
        ),
        pytest.param(
            "{name: c, latency: {histogram: rpc_ms}, quantile: 0.99, above: 1s}",
            own("c", Latency(Selector("rpc_ms"), 0.99, 1000.0), Limit(high=1000.0, unit="ms"), 1000),
            id="latency-in-milliseconds-by-its-name",
        ),
        pytest.param(
            "{name: c, latency: {histogram: rpc, unit: milliseconds}, above: 250ms}",
            own("c", Latency(Selector("rpc"), 0.95, 250.0), Limit(high=250.0, unit="ms"), 200),
            id="latency-in-milliseconds-by-its-unit",
        ),
        pytest.param(
            "{name: c, gauge: g, above: 1, breaches: {at_least: 3, of: 5}, over: 10m, on_no_data: hold, mode: approve, watch: 2h, "
            "unbounded: accepted}",
            Condition(
                "c",
                Gauge(Selector("g")),
                Limit(high=1.0),
                Breaches(3, 5),
                BY_APP,
                10 * MINUTE,
                0,
                OnNoData.HOLD,
                Mode.APPROVE,
                False,
                timedelta(hours=2),
            ),
            id="everything-said",
        ),
        pytest.param(
            "{name: c, gauge: g, above: 1, for: 0s}", replace(own("c", Gauge(Selector("g")), Limit(high=1.0)), confirm=For(timedelta(0))), id="for-0s"
        ),
    ],
)
def test_a_condition_resolves_to_what_it_says(entry: str, found: Condition) -> None:
    assert condition(entry) == found


@pytest.mark.parametrize(
    ("entry", "mode"),
    [
        pytest.param("{name: c, gauge: g, above: 1}", Mode.SUGGEST, id="nothing-bounds-it"),
        pytest.param("{name: c, gauge: g, above: 1, mode: observe}", Mode.OBSERVE, id="a-lower-mode-stays"),
        pytest.param("{name: c, gauge: g, above: 1, mode: approve}", Mode.SUGGEST, id="a-higher-one-is-not-enough"),
        pytest.param("{name: c, gauge: g, above: 1, unbounded: accepted}", Mode.AUTO, id="accepted"),
        pytest.param("{name: c, promql: up, below: 1, unbounded: accepted, mode: approve}", Mode.APPROVE, id="accepted-with-people"),
        pytest.param("{name: c, count: n_total, above: 1, unbounded: accepted}", Mode.AUTO, id="accepted-count"),
        pytest.param("{use: memory}", Mode.AUTO, id="the-library-s-memory-asks-for-more"),
        pytest.param("{use: database-failures}", Mode.AUTO, id="the-library-s-facts"),
        pytest.param("{use: error-rate}", Mode.AUTO, id="a-bound-holds"),
    ],
)
def test_what_no_bound_holds_for_suggests_at_most_unless_that_is_accepted(entry: str, mode: Mode) -> None:
    assert condition(entry).mode is mode


def test_a_share_acts_without_a_bound_where_the_policy_wants_none() -> None:
    policy = with_spec(f"{TARGET}\nmax_false_rollback: none\nrollback_when: [{{use: error-rate}}]")
    assert (policy.conditions[0].bound, policy.conditions[0].mode) == (None, Mode.AUTO)


THREE = "rollback_when: [{use: error-rate}, {use: p95-latency, with: {mode: suggest}}, {use: error-rate, name: many, with: {above: 20%}}]"


@pytest.mark.parametrize(
    ("said", "alpha"),
    [
        pytest.param("", 0.005, id="default-of-1%"),
        pytest.param("max_false_rollback: 4%", 0.02, id="percent"),
        pytest.param("max_false_rollback: 0.5", 0.25, id="fraction-up-to-a-half"),
    ],
)
def test_the_risk_is_split_over_the_conditions_that_may_act(said: str, alpha: float) -> None:
    policy = with_spec(f"{TARGET}\n{THREE}\n{said}".rstrip())
    assert [condition.bound for condition in policy.conditions] == [Bound(alpha)] * 3


def test_without_a_bound_each_look_is_judged_by_itself() -> None:
    assert [condition.bound for condition in with_spec(f"{TARGET}\n{THREE}\nmax_false_rollback: none").conditions] == [None] * 3


def test_another_risk_is_another_meaning() -> None:
    policies = [with_spec(f"{TARGET}\n{THREE}\nmax_false_rollback: {said}") for said in ("1%", "2%", "none")]
    assert len({policy.digest for policy in policies}) == 3
    assert policies[0].digest == with_spec(f"{TARGET}\n{THREE}").digest


def test_a_written_volume_is_needed_for_a_breach_too() -> None:
    assert condition("{use: error-rate, with: {min_volume: 30}}").bound == Bound(0.01, 30)


@pytest.mark.parametrize(
    ("entries", "trigger"),
    [
        pytest.param("[{use: memory}]", Leaf(0), id="one-entry-needs-no-group"),
        pytest.param("[{all_of: [{use: memory}, {use: error-rate}]}]", Group((Leaf(0), Leaf(1)), 2), id="all-of"),
        pytest.param(
            "[{use: memory}, {any_of: [{use: error-rate}, {use: p95-latency}]}]", Group((Leaf(0), Leaf(1), Leaf(2)), 1), id="any-of-in-any-of-is-flat"
        ),
        pytest.param(
            "[{use: memory}, {at_least: {of: [{use: error-rate}, {use: p95-latency}, {use: database-failures}], count: 2}}]",
            Group((Leaf(0), Group((Leaf(1), Leaf(2), Leaf(3)), 2)), 1),
            id="at-least",
        ),
        pytest.param(
            "[{all_of: [{use: standard}, {name: up, probe: login, above: 50%}]}]",
            Group((Group(tuple(Leaf(index) for index in range(7)), 1), Leaf(7)), 2),
            id="a-set-inside-all-of-is-any-of-its-members",
        ),
    ],
)
def test_entries_nest(entries: str, trigger: object) -> None:
    assert with_spec(f"{TARGET}\nrollback_when: {entries}").trigger == trigger


def test_a_library_condition_may_be_used_twice_under_another_name() -> None:
    policy = with_spec(f"{TARGET}\nrollback_when: [{{use: error-rate}}, {{use: error-rate, name: many-errors, with: {{above: 20%, for: 0s}}}}]")
    assert [(each.name, each.limit.high, each.confirm) for each in policy.conditions] == [
        ("error-rate", 0.05, For(timedelta(seconds=45))),
        ("many-errors", 0.2, For(timedelta(0))),
    ]


RATIO = "ratio: {bad: b_total, total: t_total}"


@pytest.mark.parametrize(
    ("entry", "limit"),
    [
        pytest.param(f"{RATIO}, outside: [95%, 100%]", Limit(low=0.95, unit="%"), id="more-than-all"),
        pytest.param(f"{RATIO}, outside: [0%, 5%]", Limit(high=0.05, unit="%"), id="less-than-none"),
        pytest.param(f"{RATIO}, outside: [1%, 99%]", Limit(high=0.99, low=0.01, unit="%"), id="both-can-be-left"),
        pytest.param("count: n_total, outside: [0, 9]", Limit(high=9.0), id="fewer-events-than-none"),
        pytest.param("rate: n_total, outside: [0, 9/s]", Limit(high=9.0, unit="/s"), id="a-rate-below-none"),
        pytest.param("gauge: n, outside: [0, 9]", Limit(high=9.0, low=0.0), id="a-gauge-may-be-negative"),
        pytest.param("gauge: n, of: m, outside: [50%, 100%]", Limit(high=1.0, low=0.5, unit="%"), id="a-gauge-may-exceed-its-whole"),
        pytest.param(f"{RATIO}, above: {{of_before: 300%, at_least: 0%}}", Limit(0.0, unit="%", of_before=OfBefore(3.0, True)), id="of-before"),
        pytest.param("probe: {port: 80}, above: 0%", Limit(high=0.0, unit="%"), id="none-of-the-endpoints"),
    ],
)
def test_a_side_that_no_value_is_ever_beyond_is_left_out(entry: str, limit: Limit) -> None:
    assert condition(f"{{name: c, {entry}}}").limit == limit


def test_an_override_below_takes_the_place_of_the_limit_above() -> None:
    policy = with_spec(f"{TARGET}\nrollback_when: [{{use: error-rate, with: {{below: 10%}}}}]")
    assert policy.conditions[0].limit == Limit(low=0.1, unit="%")


def test_breaches_take_the_place_of_the_library_s_wait() -> None:
    policy = with_spec(f"{TARGET}\nrollback_when: [{{use: memory, with: {{breaches: {{at_least: 3, of: 5}}}}}}]")
    assert policy.conditions[0].confirm == Breaches(3, 5)


def test_a_default_wait_stretches_to_one_evaluation() -> None:
    policy = with_spec(f"{TARGET}\nevery: 5m\nrollback_when: [{{use: standard}}]")
    assert {each.confirm for each in policy.conditions} == {For(5 * MINUTE)}


def test_a_target_behind_commands_is_found_by_match() -> None:
    policy = with_spec("target: {command: {name: deploy}}\nmatch: {job: shop, app: web}\nrollback_when: [{use: standard}]", NAMES)
    assert policy.target == "command:deploy"
    assert {each.identity for each in policy.conditions if each.name != "stuck-rollout"} == {Identity(("app", "job"), ("web", "shop"))}


def test_custom_metrics_are_the_usual_names_found_by_match() -> None:
    policy = with_spec(f"{TARGET}\nmetrics: custom\nmatch: {{app: checkout}}\nrollback_when: [{{use: error-rate}}]")
    (found,) = policy.conditions
    assert found.identity == BY_APP
    assert found.signal == Ratio(Selector("http_requests_total", (Matcher("code", "=~", "5.."),)), Selector("http_requests_total"))


def test_what_the_config_offers_fills_the_gaps() -> None:
    policy = with_spec(f"{TARGET}\nrollback_when: [{{use: standard}}]\nremedy: [{{flags: {{provider: switches, all: true}}}}]", NAMES)
    assert (policy.target, policy.source) == ("kubernetes:eu/shop/deployment/checkout", "main")
    assert policy.ladder == (FlagsRung("flagd:switches/all"),)


@pytest.mark.parametrize(
    ("rung", "found"),
    [
        pytest.param("flags: {provider: flagd, flags: [b, a, b]}", FlagsRung("flagd:flagd/flags:a,b"), id="flags-in-order"),
        pytest.param("flags: {provider: flagd, tag: shop, only: all}", FlagsRung("flagd:flagd/tag:shop", only_changed=False), id="tag"),
        pytest.param(
            "flags: {provider: flagd, all: true, always: true}", FlagsRung("flagd:flagd/all", only_changed=False, always=True), id="always-means-all"
        ),
        pytest.param(
            "revert: {target: {command: {name: deploy}}, mode: suggest}", RevertRung("command:deploy", mode=Mode.SUGGEST), id="another-target"
        ),
    ],
)
def test_a_rung_names_its_own_target(rung: str, found: object) -> None:
    assert with_spec(f"{TARGET}\nrollback_when: [{{use: standard}}]\nremedy: [{{{rung}}}]").ladder == (found,)


def test_a_limit_of_the_old_pods_has_a_fixed_one_beside_it() -> None:
    slow = "{name: slow, latency: {histogram: rpc_ms}, above: {of_old: 150%, at_least: 1s}}"
    errors = "{use: error-rate, with: {above: {of_old: 300%, at_least: 1%}}}"
    policy = with_spec(f"{TARGET}\nmatch: {{app: checkout}}\nrollback_when: [{errors}, {slow}]")
    assert [c.limit for c in policy.conditions] == [Limit(high=0.01, unit="%", of_old=3.0), Limit(high=1000.0, unit="ms", of_old=1.5)]


def test_a_migration_is_told_by_parts_jobs_and_metrics() -> None:
    marks = "[{container: migrate}, {job: 'm-*'}, {metric: 'max(schema{app=\"a\"})'}, {metric: ledger_version}]"
    policy = with_spec(f"{TARGET}\nrollback_when: [{{use: standard}}]\nreversible: {{unless: {marks}}}")
    assert (policy.migrations, policy.migration_jobs) == (("image migrate",), ("m-*",))
    assert policy.migration_metrics == ('max(schema{app="a"})', "ledger_version")


def test_a_metric_that_tells_a_migration_takes_a_source_that_keeps_history() -> None:
    names = replace(NAMES, source_kinds={"main": "scrape"})
    text = CHECKOUT.replace("  source: prometheus\n", "").replace("reversible: always", "reversible: {unless: [{metric: x}]}")
    assert (
        "shop.yaml:29:34: policy 'checkout' › reversible › unless[0] › metric: expected a policy whose source is a Prometheus, "
        "found one of kind scrape; the value now is compared with that before the change, so it takes a source that keeps history"
    ) in [str(fault) for fault in load_policies({"shop.yaml": text}, names).faults]


def test_watch_always_has_no_end() -> None:
    assert with_spec(f"{TARGET}\nwatch: always\nrollback_when: [{{use: standard}}]").watch is None


def test_timing_is_what_was_written_and_else_the_default() -> None:
    policy = with_spec(f"{TARGET}\ntiming: {{recover_for: 5s, give_up: 20s, cooldown: 0s}}\nrollback_when: [{{use: standard}}]")
    assert policy.timing == Timing(recover_for=timedelta(seconds=5), give_up=timedelta(seconds=20), cooldown=timedelta(0))


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(CHECKOUT.replace("every: 15s", "every: '15s'   # four a minute"), id="quotes-and-comments"),
        pytest.param(CHECKOUT.replace("above: 800ms", "above: 0.8s"), id="another-unit"),
        pytest.param(CHECKOUT.replace("  every: 15s\n", ""), id="a-default-left-out"),
        pytest.param("---\n" + CHECKOUT, id="document-mark"),
    ],
)
def test_the_digest_is_the_same_for_the_same_meaning(same: str) -> None:
    assert resolved(same).digest == resolved(CHECKOUT).digest


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(CHECKOUT.replace("above: 800ms", "above: 801ms"), id="limit"),
        pytest.param(CHECKOUT.replace("mode: suggest\n", "mode: auto\n", 1), id="mode"),
        pytest.param(CHECKOUT.replace("only: changed", "only: all"), id="rung"),
        pytest.param(CHECKOUT.replace("app: checkout", "app: checkout2"), id="match"),
        pytest.param(CHECKOUT.replace("team: payments", "team: search"), id="labels"),
    ],
)
def test_the_digest_differs_where_the_meaning_does(other: str) -> None:
    assert resolved(other).digest != resolved(CHECKOUT).digest
