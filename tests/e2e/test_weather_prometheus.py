"""Prometheus in bad weather, through a whole daemon: nothing is written, and `explain` and `status` say why.

Every kind of weather has a Deployment, a policy and, where the server is at fault, a source of its own; all are in one daemon at the same time. Each
Deployment has just been released with a version that fails three requests out of ten, and each could go back to one that is known to be good: the one
with a clear view (``clear``) is put back, so that the weather alone is what keeps the others from it.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests import servers
from tests.doubles.kube import KubeDouble
from tests.e2e.daemon import policy, running
from tests.e2e.fleet import CONTENT_TYPE, Fleet, Shop, double_in
from tests.exposition import Loopback, Reply, Request, serving

ERRORS = {"use": "error-rate", "with": {"for": "0s"}}
LOAD = {"name": "load", "gauge": "edge_load", "above": 90, "for": "0s", "unbounded": "accepted"}
TWO_SERIES = {"name": "twins", "promql": "edge_requests_total", "above": 1, "for": "0s"}


# --- servers at fault: what becomes of a real Prometheus' good answer ------------------------------------------------------------------------------


def slow(answer: Reply) -> Reply:
    return replace(answer, wait=60)


def html(answer: Reply) -> Reply:
    return Reply(body=b"<html><body>Please sign in</body></html>", headers={"Content-Type": "text/html"})


def cut(answer: Reply) -> Reply:
    assert isinstance(answer.body, bytes)
    return replace(answer, body=answer.body[:-20], promise=len(answer.body))


def status_error(answer: Reply) -> Reply:
    said = {"status": "error", "errorType": "execution", "error": "query processing would load too many samples into memory in query execution"}
    return replace(answer, body=json.dumps(said).encode())


def warnings(answer: Reply) -> Reply:
    assert isinstance(answer.body, bytes)
    return replace(answer, body=json.dumps({**json.loads(answer.body), "warnings": ["store gateway 2 of 3 did not answer"]}).encode())


FAULTS: Mapping[str, Callable[[Reply], Reply]] = {"slow": slow, "html": html, "cut": cut, "status-error": status_error, "warnings": warnings}
REFUSING = "refusing"
# Answers of a sound server that prove nothing. Whatever the series say is above its limit.
ANSWERS: Mapping[str, dict[str, Any]] = {"nan": LOAD, "empty": LOAD, "stale": LOAD, "twins": TWO_SERIES}
CLEAR: Mapping[str, dict[str, Any]] = {"clear": ERRORS, "clear-load": LOAD}

SAID = {
    "refusing": ("error", "could not be reached (Connection refused), so nothing is known from it"),
    "slow": ("error", "did not answer within 1 s"),
    "html": ("error", "Please sign in"),
    "cut": ("error", "its answer broke off"),
    "status-error": ("error", "query processing would load too many samples into memory"),
    "warnings": ("error", "store gateway 2 of 3 did not answer"),
    "nan": ("nodata", "no series with a finite value for this workload"),
    "empty": ("nodata", "no series with a finite value for this workload"),
    "stale": ("nodata", "stale: the newest sample is from"),
    "twins": ("error", "two series for app='twins': aggregate the expression by (app)"),
}
"""What `explain` says: the state and a part of the reason."""


# --- the stage -------------------------------------------------------------------------------------------------------------------------------------


@contextmanager
def page_of(fleet: Fleet, load: Mapping[str, str]) -> Iterator[Loopback]:
    """The fleet, and the load of each load balancer: a value, or a value and its time."""

    def reply(_: Request) -> Reply:
        lines = "".join(f'edge_load{{app="{app}"}} {value}\n' for app, value in load.items())
        return Reply(body=(fleet.page() + lines).encode(), headers=CONTENT_TYPE)

    with serving(reply) as server:
        yield server


@contextmanager
def proxy_to(url: str) -> Iterator[Loopback]:
    """A server that asks the Prometheus at ``url`` and spoils its answer as the first part of the path says."""

    def reply(request: Request) -> Reply:
        _, fault, rest = request.path.split("/", 2)
        asked = urllib.request.Request(f"{url}/{rest}", request.body, {"Content-Type": "application/x-www-form-urlencoded"}, method=request.method)
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                return FAULTS[fault](Reply(body=answer.read(), headers={"Content-Type": "application/json"}))
        except urllib.error.URLError:
            return Reply(status=502)

    with serving(reply) as server:
        yield server


def config_of(double: KubeDouble, prometheus: str, proxy: str) -> dict[str, Any]:
    def source(url: str) -> dict[str, str]:
        return {"kind": "prometheus", "url": url, "scrape_interval": "1s", "delay": "0s", "timeout": "1s"}

    faulty = {name: source(f"{proxy}/{name}") for name in FAULTS}
    return {
        "sources": {"main": source(prometheus), REFUSING: source(f"http://127.0.0.1:{servers.free_port()}"), **faulty},
        "clusters": {"test": {"kubeconfig": str(double.kubeconfig)}},
        "guards": {"in_flight": 100},
        "contacts": {"oncall": [{"webhook": {"url": f"http://127.0.0.1:{servers.free_port()}"}}]},
    }


def policies() -> dict[str, str]:
    def watching(name: str, source: str, *when: dict[str, Any]) -> str:
        matched = {} if when[0] is ERRORS else {"match": {"app": name}}
        return policy(name, {"kubernetes": {"namespace": name, "deployment": "checkout"}}, *when, source=source, **matched)

    at_fault = {name: watching(name, name, ERRORS) for name in (*FAULTS, REFUSING)}
    return {**at_fault, **{name: watching(name, "main", when) for name, when in {**ANSWERS, **CLEAR}.items()}}


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shop]]:
    """Every Deployment has its bad release, those with a clear view have been put back, and the others were looked at once more since."""
    folder = tmp_path_factory.mktemp("prometheus-weather")
    load = {"clear-load": "10", "nan": "NaN", "stale": f"99 {time.time() - 60:.0f}000"}
    with (
        double_in(folder) as double,
        page_of(Fleet(double, edge={"twins": 0.3}), load) as page,
        servers.prometheus(page.address) as prometheus,
        proxy_to(prometheus.url) as proxy,
        running(folder, config_of(double, prometheus.url, proxy.url), policies()) as daemon,
    ):
        shops = {name: Shop(daemon, double, name) for name in (*SAID, *CLEAR)}
        for shop in shops.values():
            shop.deploy(replicas=1)
        servers.poll(lambda: all(shop.revision for shop in shops.values()), within=30)
        for shop in shops.values():
            shop.declare_good()
        for shop in shops.values():
            shop.stage.release("shop:errors", settled=False)
        load["clear-load"] = "99"
        for name in CLEAR:
            daemon.wait_for(shops[name].target, "rung.settled", within=60)
        since = daemon.api.get("status")["now"]
        servers.poll(lambda: all((daemon.policy(name)["at"] or "") > since for name in SAID), within=60)
        yield shops


# --- what it does, and what it says ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLEAR)
def test_with_a_clear_view_the_same_release_is_put_back(shops: dict[str, Shop], name: str) -> None:
    assert (shops[name].image, shops[name].writes()) == ("shop:1", [200])


@pytest.mark.parametrize("weather", SAID)
def test_nothing_is_written_on_what_is_not_known(shops: dict[str, Shop], weather: str) -> None:
    shop = shops[weather]
    assert (shop.image, shop.writes(), shop.kinds()) == ("shop:errors", [], [])


@pytest.mark.parametrize("weather", SAID)
def test_explain_says_why_nothing_is_known(shops: dict[str, Shop], weather: str) -> None:
    (condition,) = shops[weather].daemon.explained(weather)["conditions"]
    state, reason = SAID[weather]
    assert condition["state"] == state
    assert reason in condition["reason"]


@pytest.mark.parametrize("weather", [REFUSING, *FAULTS])
def test_status_names_the_source_that_does_not_answer_as_it_should(shops: dict[str, Shop], weather: str) -> None:
    sources = {line["name"]: line["fault"] for line in shops[weather].daemon.ask("status")["sources"]}
    assert SAID[weather][1] in sources[weather]


def test_status_finds_no_fault_with_the_source_that_answers(shops: dict[str, Shop]) -> None:
    # It is not the server's fault that a policy's expression has two series for one workload, or that a series is absent, stale or no number.
    assert {line["name"]: line["fault"] for line in shops["clear"].daemon.ask("status")["sources"]}["main"] is None
