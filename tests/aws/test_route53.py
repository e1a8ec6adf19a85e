"""Names in Route 53: put back in one batch, all addresses together, or not at all."""

import json
import shlex
from typing import Any

import pytest

from rollbackd.adapters.aws.route53.records import LONGEST, parsed, revision_of
from rollbackd.adapters.base.errors import Permanent, Refused
from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest, Standing, TargetState
from tests.aws.names import ZONE_OF_BALANCERS, Names, Settling, alias, balancer, open_names, plain, weighted
from tests.aws.servers import REGION
from tests.servers import Server


@pytest.fixture
def url(ministack: Server, aws_keys: None) -> str:
    return ministack.url


def carried_out(names: Names) -> Plan:
    target = names.target(of=Settling)
    plan = names.plan(target)
    target.apply(plan)
    return plan


SETS = [
    pytest.param([plain("api.x.", "192.0.2.2", "192.0.2.1")], "A ttl=60 192.0.2.1,192.0.2.2", id="plain"),
    pytest.param([plain("api.x.", "2001:db8::1", kind="AAAA")], "AAAA ttl=60 2001:db8::1", id="ipv6"),
    pytest.param(
        [weighted("api.x.", "blue one", 100, "192.0.2.1"), weighted("api.x.", "green", 0, "192.0.2.2")],
        "A#blue%20one weight=100 ttl=60 192.0.2.1; A#green weight=0 ttl=60 192.0.2.2",
        id="weighted",
    ),
    pytest.param(
        [{**plain("api.x.", "192.0.2.1"), "SetIdentifier": "one", "Failover": "PRIMARY", "HealthCheckId": "0a-1b"}],
        "A#one failover=PRIMARY health=0a-1b ttl=60 192.0.2.1",
        id="failover",
    ),
    pytest.param(
        [alias("api.x.", "dualstack.web-1.eu-west-1.elb.amazonaws.com.")],
        f"A alias=dualstack.web-1.eu-west-1.elb.amazonaws.com/{ZONE_OF_BALANCERS}/yes",
        id="alias",
    ),
    pytest.param(
        [{**plain("api.x.", "192.0.2.1"), "SetIdentifier": "a", "MultiValueAnswer": True}], "A#a multivalue=True ttl=60 192.0.2.1", id="multi"
    ),
]


@pytest.mark.parametrize(("sets", "text"), SETS)
def test_a_revision_holds_all_that_is_needed_to_put_it_back(sets: list[dict[str, Any]], text: str) -> None:
    assert revision_of(sets) == text
    again = parsed(text, "api.x.")
    assert again is not None
    assert revision_of(again) == text
    assert {each["Name"] for each in again} == {"api.x."}


NO_REVISIONS = ["", "A", "api:7", "A ttl=x 192.0.2.1", "TXT ttl=60 a", "A ttl=60 192.0.2.1; ", "A alias=x/y", "A colour=red 192.0.2.1"]


@pytest.mark.parametrize("text", NO_REVISIONS)
def test_what_is_no_revision_is_not_written(text: str) -> None:
    assert parsed(text, "api.x.") is None


def test_records_that_could_not_be_put_back_are_not_watched() -> None:
    with pytest.raises(Permanent, match="routed by GeoLocation"):
        revision_of([{**plain("api.x.", "192.0.2.1"), "SetIdentifier": "a", "GeoLocation": {"CountryCode": "CH"}}])
    with pytest.raises(Permanent, match=f"at most {LONGEST} are kept"):
        revision_of([plain("api.x.", *(f"192.0.2.{number}" for number in range(200)))])


def test_a_name_goes_back_in_one_batch_that_carries_the_incident(url: str) -> None:
    names = open_names(url)
    plan = carried_out(names)
    assert plan.steps == ("delete A ttl=60 192.0.2.2", "create A ttl=60 192.0.2.1")
    assert '"Comment": "rollbackd inc-1"' in plan.command
    assert names.state().revision == names.before


def test_evidence_waits_until_caches_have_let_go(url: str) -> None:
    names = open_names(url, now=lambda name: [plain(name, "192.0.2.2", ttl=300)])
    plan = names.plan()
    assert plan.settle.total_seconds() == 330
    assert plan.not_undone == (
        "caches may answer as before for another 300 s, and programs that keep addresses for longer",
        "whether what A leads to serves is not known",
    )


def test_an_alias_within_the_zone_is_kept_for_as_long_as_the_record_that_it_leads_to(url: str) -> None:
    names = open_names(url)
    green = f"green.{names.zone}."
    sets = [{**weighted(green, str(ttl), 1, "192.0.2.3"), "TTL": ttl} for ttl in (3600, 300)]
    names.put(*sets, plain(green, "2001:db8::1", kind="AAAA", ttl=7200))
    names.put(within(names, green))
    plan = names.plan()
    assert plan.settle.total_seconds() == 3630
    assert plan.not_undone == (
        "caches may answer as before for another 3600 s, and programs that keep addresses for longer",
        "whether what A leads to serves is not known",
    )


@pytest.mark.parametrize("leads_on", [True, False])
def test_how_long_an_alias_within_the_zone_is_kept_is_unknown_where_it_leads_on_or_nowhere(url: str, leads_on: bool) -> None:
    names = open_names(url)
    green, web = f"green.{names.zone}.", f"web.{names.zone}."
    names.put(plain(web, "192.0.2.3", ttl=3600), plain(green, "2001:db8::1", kind="AAAA", ttl=7200))
    names.put(*([{**within(names, web), "Name": green}] if leads_on else []), within(names, green))
    plan = names.plan()
    assert plan.settle.total_seconds() == 90
    why = "it is an alias within the zone, too, or has no record of type A"
    assert plan.not_undone[-1] == f"how long caches keep green.{names.zone} is not known: {why}"


def test_an_alias_to_an_alias_of_a_load_balancer_is_kept_as_that_one(url: str) -> None:
    names = open_names(url)
    green = f"green.{names.zone}."
    names.put(alias(green, "web-2.eu-west-1.elb.amazonaws.com."))
    names.put(within(names, green))
    plan = names.plan()
    assert (plan.settle.total_seconds(), len(plan.not_undone)) == (90, 2)


def within(names: Names, address: str) -> dict[str, Any]:
    """The name as an alias to another record of its zone."""
    return {"Name": names.name, "Type": "A", "AliasTarget": {"HostedZoneId": names.zone_id, "DNSName": address, "EvaluateTargetHealth": False}}


def test_weights_go_back_and_both_kinds_of_address_with_them(url: str) -> None:
    def shared(good: int, bad: int) -> Any:
        v4, v6 = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")
        return lambda name: [
            weighted(name, color, weight, addresses[index], kind=kind)
            for kind, addresses in (("A", v4), ("AAAA", v6))
            for index, (color, weight) in enumerate((("blue", good), ("green", bad)))
        ]

    names = open_names(url, shared(100, 0), shared(0, 100))
    plan = carried_out(names)
    assert len(plan.steps) == 8
    assert names.state().revision == names.before


def test_an_undo_restores_the_records_exactly(url: str) -> None:
    names = open_names(url)
    now = names.records()
    plan = carried_out(names)
    asked = PlanRequest(names.key, "inc-2", plan.intent.to_revision, (plan.intent.from_revision,), undo=plan.intent)
    target = names.target(of=Settling)
    back = target.plan(asked)
    assert isinstance(back, Plan)
    target.apply(back)
    assert names.records() == now


def test_it_is_done_when_all_name_servers_have_it(url: str) -> None:
    names = open_names(url)
    target = names.target()
    plan = names.plan(target)
    target.apply(plan)
    first = target.look(plan.intent)
    assert first.reason.endswith(("is PENDING", "is INSYNC"))
    while (sight := target.look(plan.intent)).standing is Standing.UNDERWAY:
        assert sight.reason.endswith("is PENDING")
    assert (sight.standing, sight.reason[-9:]) == (Standing.THERE, "is INSYNC")


def test_a_change_whose_id_was_lost_gets_the_time_that_a_change_takes(url: str) -> None:
    names, clock = open_names(url), iter((0.0, 59.0, 60.0))
    plan = carried_out(names)
    after_a_restart = names.target(clock=lambda: next(clock))
    seen = [after_a_restart.look(plan.intent).standing for _ in range(3)]
    assert seen == [Standing.UNDERWAY, Standing.UNDERWAY, Standing.THERE]


def test_what_stays_as_it_is_guards_the_batch_and_is_no_step(url: str) -> None:
    checked = {"SetIdentifier": "blue", "Weight": 100, "HealthCheckId": "0a-1b"}
    full = balancer(url, "dns-guard", targets=1)

    def shared(green: int) -> Any:
        return lambda name: [alias(name, full, **checked), alias(name, full, SetIdentifier="green", Weight=green)]

    names = open_names(url, shared(0), shared(50))
    stays = next(each for each in names.records() if each["SetIdentifier"] == "blue")
    plan = carried_out(names)
    batch = json.loads(shlex.split(plan.command)[-1])["Changes"]
    assert [each["Action"] for each in batch if each["ResourceRecordSet"] == stays] == ["DELETE", "CREATE"]
    assert [each["Action"] for each in batch] == ["DELETE", "DELETE", "CREATE", "CREATE"]
    assert all("green" in step for step in plan.steps)
    assert names.state().revision == names.before


def test_other_records_of_the_name_and_of_the_zone_stay(url: str) -> None:
    names = open_names(url)
    names.put(plain(names.name, '"v=spf1 -all"', kind="TXT"), plain(f"web.{names.zone}", "192.0.2.9"))
    kept = [each for each in names.records() if each["Type"] == "TXT" or each["Name"].startswith("web.")]
    carried_out(names)
    assert [each for each in names.records() if each["Type"] == "TXT" or each["Name"].startswith("web.")] == kept


def test_a_record_of_hints_is_named_as_staying(url: str) -> None:
    names = open_names(url)
    names.put(plain(names.name, "1 . alpn=h2", kind="HTTPS"))
    assert "its HTTPS record stays as it is" in names.plan().not_undone


def test_a_name_without_a_previous_state_is_refused(url: str) -> None:
    names = open_names(url)
    with pytest.raises(Refused, match=r"no previous state that is known good \(known good: none\)"):
        names.target().plan(PlanRequest(names.key, "inc-1", names.state().revision))


def test_a_name_that_stands_there_already_needs_nothing(url: str) -> None:
    names = open_names(url)
    asked = names.request()
    names.put(plain(names.name, "192.0.2.1"))
    assert isinstance(names.target().plan(asked), NothingToDo)


@pytest.mark.parametrize("prefix", ["", "a-", "cname-"])
def test_what_external_dns_owns_is_refused_and_the_owner_named(url: str, prefix: str) -> None:
    names = open_names(url)
    mark = '"heritage=external-dns,external-dns/owner=prod-eu,external-dns/resource=ingress/shop/web"'
    names.put(plain(f"{prefix}{names.name}", mark, kind="TXT"))
    with pytest.raises(Refused, match=r"belongs to external-dns \(owner prod-eu, for ingress/shop/web\)"):
        names.plan()
    (line,) = names.target().check([names.key])
    assert "owner prod-eu" in line


def test_a_delegated_name_is_refused(url: str) -> None:
    names = open_names(url)
    names.put(plain(names.name, "ns1.other.example.", kind="NS"))
    with pytest.raises(Refused, match="is delegated to other name servers"):
        names.plan()


def test_the_name_servers_of_the_zone_itself_are_never_touched(url: str) -> None:
    names = open_names(url)
    key = names.key.replace(f"/{names.name}", f"/{names.zone}")
    names.put(plain(names.zone, "192.0.2.1"))
    before = names.state(key).revision
    names.put(plain(names.zone, "192.0.2.2"))
    target = names.target()
    plan = target.plan(PlanRequest(key, "inc-1", names.state(key).revision, (before,)))
    assert isinstance(plan, Plan)
    assert plan.steps == ("delete A ttl=60 192.0.2.2", "create A ttl=60 192.0.2.1")


def test_an_alias_goes_back_to_a_load_balancer_that_serves(url: str) -> None:
    good = balancer(url, "dns-good", targets=1)
    names = open_names(url, lambda name: [alias(name, f"dualstack.{good}.")], lambda name: [alias(name, "web-2.eu-west-1.elb.amazonaws.com.")])
    assert carried_out(names).settle.total_seconds() == 90
    assert names.state().revision == names.before


def test_an_alias_does_not_go_back_to_a_load_balancer_without_targets(url: str) -> None:
    good = balancer(url, "dns-empty", targets=0)
    names = open_names(url, lambda name: [alias(name, f"dualstack.{good}.")])
    with pytest.raises(Refused, match=f"load balancer {good} has no healthy target in any of its 1 target groups"):
        names.plan()


def test_an_alias_does_not_go_back_to_a_load_balancer_that_is_gone(url: str) -> None:
    names = open_names(url, lambda name: [alias(name, "dualstack.web-9.eu-west-1.elb.amazonaws.com.")])
    with pytest.raises(Refused, match=f"has no application or network load balancer web-9.eu-west-1.elb.amazonaws.com in {REGION}"):
        names.plan()


def test_a_name_is_not_left_with_a_record_that_stays_and_leads_to_no_targets(url: str) -> None:
    empty, full = balancer(url, "dns-stays-empty", targets=0), balancer(url, "dns-stays-full", targets=1)

    def shared(weight: int) -> Any:
        return lambda name: [
            alias(name, address, SetIdentifier=color, Weight=part) for color, address, part in (("blue", empty, 100), ("green", full, weight))
        ]

    names = open_names(url, shared(0), shared(50))
    with pytest.raises(Refused, match=f"load balancer {empty} has no healthy target in any of its 1 target groups"):
        names.plan()


def test_the_only_record_that_serves_is_not_taken_away(url: str) -> None:
    gone, full = "web-8.eu-west-1.elb.amazonaws.com", balancer(url, "dns-added", targets=1)

    def blue(name: str) -> list[dict[str, Any]]:
        return [alias(name, gone, SetIdentifier="blue", Weight=100)]

    names = open_names(url, blue, lambda name: [*blue(name), alias(name, full, SetIdentifier="green", Weight=100)])
    with pytest.raises(Refused, match=f"has no application or network load balancer {gone}"):
        names.plan()


def test_a_zone_that_several_share_a_name_with_is_named_by_its_id(url: str) -> None:
    names = open_names(url)
    other = names.dns.create_hosted_zone(Name=names.zone, CallerReference=f"{names.zone}-2")["HostedZone"]["Id"].rpartition("/")[2]
    found = names.target().survey([names.key])[names.key]
    assert isinstance(found, Permanent)
    assert other in str(found)
    assert names.zone_id in str(found)
    key = names.key.replace(f"/{names.zone}/", f"/{names.zone_id}/")
    assert names.state(key).revision == "A ttl=60 192.0.2.2"


def test_a_zone_that_was_made_anew_is_found_again_and_gets_no_write_that_was_planned_for_the_old_one(url: str) -> None:
    names = open_names(url)
    target = names.target()
    plan = names.plan(target)
    names.put(*(records := names.records()), action="DELETE")
    names.dns.delete_hosted_zone(Id=names.zone_id)
    made = names.dns.create_hosted_zone(Name=names.zone, CallerReference=f"{names.zone}-anew")
    names.zone_id = made["HostedZone"]["Id"].rpartition("/")[2]
    names.put(*records)
    found = target.survey([names.key])[names.key]
    assert isinstance(found, TargetState)
    assert found.revision == plan.intent.from_revision
    with pytest.raises(Refused, match="is in another zone than the one that was planned for"):
        target.apply(plan)
    assert names.records() == records


def test_a_name_of_another_zone_is_no_place(url: str) -> None:
    names = open_names(url)
    key = f"route53:prod/{names.zone}/api.elsewhere.example"
    assert "is no name of zone" in str(names.target().survey([key])[key])
