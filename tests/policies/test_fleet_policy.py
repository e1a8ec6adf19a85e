"""Fleets: from one policy and the workloads that were found to a policy for each, whatever their annotations say."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbackd.policies.fleets.members import Member, members
from rollbackd.policies.fleets.policy import FleetPolicy, Workload, doubt, retold
from rollbackd.policies.load import load_policies
from rollbackd.policies.model.policy import FlagsRung, Limit, Mode, Policy, RevertRung
from rollbackd.policies.model.signals import Identity, Latency
from rollbackd.policies.resolve.names import Names

CONTACTS = frozenset({"payments", "platform"})
NAMES = Names(frozenset({"prometheus"}), frozenset({"eu"}), "eu", {"flagd": "flagd"}, tagged=frozenset({"flagd"}), contacts=CONTACTS)
ERRORS = {"use": "error-rate"}
SLOW = {"name": "slow", "latency": {"histogram": "search_ms"}, "above": "800ms"}
DEPTH = {"name": "depth", "gauge": "queue_depth", "outside": [10, 1000]}
CHECKOUT = Workload("shop", "checkout", (("team", "payments"),))
CART = Workload("shop", "cart")


def document(*when: dict[str, Any], **spec: Any) -> str:
    select = {"kubernetes": {"labels": {"rollback": "on"}}, "expect": {"min": 1, "max": 400}}
    body = {"mode": "auto", "select": select, "rollback_when": list(when or (ERRORS,)), "remedy": [{"revert": {}}], "notify": ["platform"], **spec}
    return yaml.safe_dump({"apiVersion": "rollbackd/v1", "kind": "RollbackPolicy", "metadata": {"name": "web"}, "spec": body})


def fleet(*when: dict[str, Any], **spec: Any) -> FleetPolicy:
    loaded = load_policies({"web.yaml": document(*when, **spec)}, NAMES)
    assert (loaded.faults, loaded.policies) == ((), ())
    (read,) = loaded.fleets
    return read


def member(read: FleetPolicy, workload: Workload, **own: str) -> Member:
    (found,) = members(read, [workload], own, CONTACTS)
    return found


def policy(read: FleetPolicy, workload: Workload) -> Policy:
    found = member(read, workload).policy
    assert found is not None
    return found


def noted(**notes: str) -> Workload:
    """The workload with these annotations; ``__`` stands for a dot, ``_`` for a dash."""
    return replace(CART, notes=tuple((name.replace("__", ".").replace("_", "-"), value) for name, value in notes.items()))


# --- what a member is ----------------------------------------------------------------------------------------------------------------------


def test_a_member_is_watched_as_if_it_had_a_policy_of_its_own():
    own = document(target={"kubernetes": {"namespace": "shop", "deployment": "checkout"}})
    written = yaml.safe_load(own)
    del written["spec"]["select"]
    (alone,) = load_policies({"web.yaml": yaml.safe_dump(written)}, NAMES).policies
    made = policy(fleet(), CHECKOUT)
    assert made == replace(alone, name="web/shop/checkout", digest=made.digest, fleet=made.fleet, notes=("one of the fleet web",))


def test_join_tells_each_members_own_series_apart():
    made = policy(fleet(DEPTH, join={"app": "$name", "job": "$namespace/$name-web"}), CHECKOUT)
    assert made.conditions[0].identity == Identity(("app", "job"), ("checkout", "shop/checkout-web"))


def test_each_member_has_its_own_flags_where_the_tag_says_so():
    made = policy(fleet(remedy=[{"flags": {"provider": "flagd", "tag": "$name"}}, {"revert": {}}]), CHECKOUT)
    assert made.ladder == (FlagsRung("flagd:flagd/tag:checkout"), RevertRung("kubernetes:eu/shop/deployment/checkout"))


def test_each_member_has_a_schema_of_its_own_where_the_metric_says_so():
    made = policy(fleet(reversible={"unless": [{"metric": 'schema{app="$name",ns="$namespace",at=~"x$"}'}]}), CHECKOUT)
    assert made.migration_metrics == ('schema{app="checkout",ns="shop",at=~"x$"}',)


def test_a_set_of_flags_with_the_members_own_has_one_spelling():
    made = policy(fleet(remedy=[{"flags": {"provider": "flagd", "flags": ["basket", "$name"]}}]), replace(CART, name="a"))
    assert made.ladder == (FlagsRung("flagd:flagd/flags:a,basket"),)


def test_a_policy_of_its_own_wins():
    found = member(fleet(), CHECKOUT, **{"kubernetes:eu/shop/deployment/checkout": "checkout"})
    assert found == Member("kubernetes:eu/shop/deployment/checkout", None, "checkout")


def test_members_that_would_read_the_same_series_are_only_observed():
    elsewhere = replace(CHECKOUT, namespace="outlet")
    found = members(fleet(DEPTH, join={"app": "$name"}), [CHECKOUT, elsewhere, CART], {}, CONTACTS)
    assert [each.policy.mode for each in found if each.policy] == [Mode.OBSERVE, Mode.OBSERVE, Mode.AUTO]
    assert "add $namespace to it" in found[0].findings[0]


def test_the_warning_that_two_namespaces_cannot_be_told_apart_comes_when_the_policy_is_written():
    said = [str(fault) for fault in load_policies({"web.yaml": document(DEPTH, join={"app": "$name"})}).warnings]
    assert any("no label with $namespace; workloads that have one name in two namespaces are only observed" in line for line in said)


def test_the_digest_is_of_the_meaning_of_one_member():
    read = fleet()
    assert policy(read, CHECKOUT).digest == policy(read, replace(CHECKOUT, labels=(("team", "unheard-of"),))).digest
    others = [policy(read, CART), policy(read, replace(CHECKOUT, notes=(("mode", "observe"),))), policy(fleet(watch="2h"), CHECKOUT)]
    assert len({each.digest for each in [policy(read, CHECKOUT), *others]}) == 4


# --- what annotations may ask for ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["observe", "suggest", "approve"])
def test_an_annotation_lowers_the_mode(value):
    assert policy(fleet(), noted(mode=value)).mode is Mode[value.upper()]


def test_an_annotation_never_raises_the_mode():
    found = member(fleet(mode="suggest"), noted(mode="auto"))
    assert found.policy is not None
    assert found.policy.mode is Mode.SUGGEST
    assert found.findings == ("annotation rollbackd.io/mode: auto is more than the policy's suggest: not raised",)


def test_a_workload_may_opt_out():
    assert member(fleet(), noted(opt_out="true")) == Member("kubernetes:eu/shop/deployment/cart", None)


def test_a_workload_that_opts_out_is_out_whatever_else_is_wrong_with_it():
    assert member(fleet(), noted(mode="?", opt_out="true")).policy is None


@pytest.mark.parametrize(
    ("notes", "index", "limit"),
    [
        pytest.param({"error_rate__above": "8%"}, 0, Limit(0.08, None, "%"), id="higher"),
        pytest.param({"error_rate__above": "0.01"}, 0, Limit(0.01, None, "%"), id="lower-as-a-fraction"),
        pytest.param({"slow__above": "2s"}, 1, Limit(2000.0, None, "ms"), id="in-the-histograms-own-unit"),
        pytest.param({"depth__below": "50"}, 2, Limit(1000.0, 50.0), id="one-side-of-a-range"),
        pytest.param({"depth__below": "50", "depth__above": "60"}, 2, Limit(60.0, 50.0), id="both-sides"),
    ],
)
def test_an_annotation_changes_a_limit_in_either_direction(notes, index, limit):
    read = fleet(ERRORS, SLOW, DEPTH, join={"app": "$name", "namespace": "$namespace"})
    found = member(read, noted(**notes))
    assert found.policy is not None
    assert (found.policy.conditions[index].limit, found.policy.mode, found.findings) == (limit, Mode.AUTO, ())


def test_a_latency_is_asked_for_at_the_limit_that_the_annotation_says():
    signal = policy(fleet(SLOW, join={"app": "$name", "namespace": "$namespace"}), noted(slow__above="2s")).conditions[0].signal
    assert isinstance(signal, Latency)
    assert signal.limit == 2000.0


def test_a_side_that_an_annotation_makes_meaningless_is_left_out():
    good = {"name": "good", "ratio": {"bad": "good_total", "total": "all_total"}, "outside": ["95%", "99%"]}
    read = fleet(good, join={"app": "$name", "namespace": "$namespace"})
    assert policy(read, noted(good__above="100%")).conditions[0].limit == Limit(low=0.95, unit="%")


def test_what_an_annotation_changed_is_said_with_the_policy():
    notes = policy(fleet(), noted(mode="suggest", error_rate__above="8%")).notes
    assert notes == (
        "one of the fleet web",
        "mode suggest, by its annotation rollbackd.io/mode",
        "error-rate above 8%, by its annotation rollbackd.io/error-rate.above",
    )


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        pytest.param({"mode": "AUTO"}, "expected one of observe, suggest, approve", id="no-such-mode"),
        pytest.param({"opt_out": "yes"}, 'expected "true"', id="opt-out-in-other-words"),
        pytest.param({"optout": "true"}, "did you mean 'opt-out'?", id="misspelt"),
        pytest.param({"error_rate__above": "lots"}, "expected a percentage such as 5%", id="no-quantity"),
        pytest.param({"error_rate__above": "8"}, "write 8%", id="without-its-unit"),
        pytest.param({"error_rate__above": "100%"}, "can never be met", id="out-of-reach"),
        pytest.param({"error_rate__above": "0%"}, "it would never be healthy again", id="no-error-ever"),
        pytest.param({"error_rate__above": "9" * 5000}, "expected at most 40 characters", id="endless"),
        pytest.param({"error_rate__below": "1%"}, "error-rate has a limit 'above'", id="the-other-side"),
        pytest.param({"latency__above": "1s"}, "did you mean", id="no-such-condition"),
        pytest.param({"depth__below": "2000"}, "the lower limit is not below the higher", id="crossed"),
    ],
)
def test_a_member_whose_annotations_cannot_be_understood_is_only_observed(notes, said):
    read = fleet(ERRORS, DEPTH, join={"app": "$name", "namespace": "$namespace"})
    found = member(read, noted(**notes))
    assert found.policy is not None
    assert found.policy.mode is Mode.OBSERVE
    assert [each.limit for each in found.policy.conditions] == [each.limit for each in read.template.conditions]
    assert len(found.findings) == 1
    assert said in found.findings[0]
    assert len(found.findings[0]) < 400


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["mode", "opt-out", "error-rate.above", "x", ".", ""]) | st.text(), st.text()), max_size=20))
def test_no_annotation_makes_a_member_bolder_or_breaks_its_fleet(notes):
    found = member(fleet_at_suggest, replace(CART, notes=tuple(notes)))
    assert found.policy is None or found.policy.mode <= Mode.SUGGEST
    assert len(found.findings) <= 11


fleet_at_suggest = fleet(mode="suggest")


# --- who is told ---------------------------------------------------------------------------------------------------------------------------

ROUTED = {"notify": {"owner": {"label": "team"}, "fallback": "platform"}}


@pytest.mark.parametrize(
    ("labels", "told", "said"),
    [
        pytest.param({"team": "payments"}, ("payments",), None, id="its-owner"),
        pytest.param({"team": "sales"}, ("platform",), "label team: 'sales' is no contact of the daemon's config, so platform is told", id="unknown"),
        pytest.param({}, ("platform",), "it has no label team, so platform is told", id="unlabelled"),
    ],
)
def test_messages_go_to_the_owner_that_the_label_names_else_to_the_fallback(labels, told, said):
    found = member(fleet(**ROUTED), replace(CART, labels=tuple(labels.items())))
    assert found.policy is not None
    assert (found.policy.notify, found.findings) == (told, (said,) if said else ())


def test_what_is_not_about_one_member_goes_to_the_fallback_and_to_nobody_else():
    assert policy(fleet(**ROUTED), CHECKOUT).notify_of_all == ("platform",)


def test_a_fallback_that_the_config_does_not_have_is_a_fault():
    text = document(notify={"owner": {"label": "team"}, "fallback": "plattform"})
    (fault,) = load_policies({"web.yaml": text}, NAMES).faults
    assert fault.message == "expected a contact of the daemon's config, found 'plattform'; did you mean 'platform'? known: payments, platform"


# --- which rosters are believed -------------------------------------------------------------------------------------------------------------


def crowd(number: int) -> list[Workload]:
    return [Workload("shop", f"w{index}") for index in range(number)]


EXPECTING = fleet(select={"kubernetes": {"labels": {"rollback": "on"}}, "expect": {"min": 50, "max": 400}})


@pytest.mark.parametrize(
    ("before", "found", "why"),
    [
        pytest.param(None, 50, None, id="as-few-as-expected"),
        pytest.param(None, 400, None, id="as-many-as-expected"),
        pytest.param(None, 2000, "its selector matches 2,000, expected at most 400", id="too-many"),
        pytest.param(120, 2000, "its selector matches 2,000, expected at most 400", id="suddenly-too-many"),
        pytest.param(None, 49, "its selector matches 49, expected at least 50", id="too-few"),
        pytest.param(120, 0, "its selector matches 0, expected at least 50", id="none"),
        pytest.param(300, 149, "its selector matches 149, and matched 300 before", id="shrunk-by-more-than-half"),
        pytest.param(300, 150, None, id="shrunk-by-half"),
        pytest.param(60, 400, None, id="grown-as-expected"),
    ],
)
def test_a_roster_that_is_most_likely_a_mistake_is_not_believed(before, found, why):
    assert doubt(EXPECTING, None if before is None else crowd(before), crowd(found)) == why


def test_while_a_roster_is_not_believed_nobody_joins_or_leaves_but_an_opt_out_counts():
    wished = replace(CART, notes=(("opt-out", "true"),))
    assert retold([CHECKOUT, CART], [wished, *crowd(2000)]) == (CHECKOUT, wished)
