"""The chart's NetworkPolicy: nobody reaches the pod who is not named, and it may reach everything, or what is named and DNS."""

import re
from pathlib import Path

import pytest
import yaml

from tests.helm.chart import REPO, RICH, SMALLEST, Object, merged, only, refusal, render

MONITORING: Object = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
DNS: Object = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


def spec_of(folder: Path, **values: object) -> Object:
    found: Object = only(render(folder, merged(SMALLEST, {"networkPolicy": {"enabled": True, **values}})), "NetworkPolicy")["spec"]
    return found


def test_it_is_about_the_pods_of_the_release_alone(tmp_path: Path) -> None:
    objects = render(tmp_path, RICH)
    labels = only(objects, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    selected = only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert selected == {"app.kubernetes.io/name": "rollbackd", "app.kubernetes.io/instance": "rollbackd"}
    assert selected.items() <= labels.items()


def test_without_peers_nobody_is_let_in_and_everything_may_be_reached(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    assert (spec["policyTypes"], spec["ingress"], "egress" in spec) == (["Ingress"], [], False)


def test_the_peers_that_are_named_reach_the_health_port_and_no_other(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, ingressFrom=[MONITORING])
    assert spec["ingress"] == [{"from": [MONITORING], "ports": [{"port": "health", "protocol": "TCP"}]}]


def test_it_reaches_what_is_named_and_dns(tmp_path: Path) -> None:
    api = {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [{"port": 6443}]}
    spec = spec_of(tmp_path, egress=[api])
    assert (spec["policyTypes"], spec["egress"]) == (["Ingress", "Egress"], [DNS, api])


def test_what_the_page_shows_is_rendered(tmp_path: Path) -> None:
    page = (REPO / "docs" / "installing.md").read_text()
    (shown,) = re.findall(r"^```yaml\n(# values\.yaml\nnetworkPolicy:\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    spec = only(render(tmp_path, merged(SMALLEST, yaml.safe_load(shown))), "NetworkPolicy")["spec"]
    assert (spec["ingress"][0]["from"], len(spec["egress"])) == ([MONITORING], 4)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"ingressFrom": [{}]}, id="a-peer-that-names-nobody"),
        pytest.param({"ingressFrom": [{"namespace": "monitoring"}]}, id="a-peer-in-other-words"),
        pytest.param({"egress": [{"from": [MONITORING]}]}, id="a-rule-of-the-other-direction"),
        pytest.param({"ingress": []}, id="a-name-that-is-none"),
    ],
)
def test_what_is_no_peer_or_rule_is_refused(tmp_path: Path, values: Object) -> None:
    assert "networkPolicy" in refusal(tmp_path, merged(SMALLEST, {"networkPolicy": {"enabled": True, **values}}))
