"""The API does what its OpenAPI document says: schemathesis asks whatever the document allows, and what it does not, of a daemon on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from starlette.applications import Starlette
from starlette.routing import Route

from rollbackd.controller.api.app import build_app
from rollbackd.controller.api.openapi import openapi
from rollbackd.controller.api.token import TokenBook
from rollbackd.controller.cli.main import outcome
from tests.controller.served import Served
from tests.controller.world import World

DOCUMENT: dict[str, Any] = openapi("0.1.0")
# Beside its usual ones a body that is too large is a refusal, too.
REFUSED = ["400", "401", "403", "404", "405", "409", "413", "415"]
CONFIG = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}})
OPERATIONS = [result.ok() for result in schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG).get_all_operations()]
EACH = pytest.mark.parametrize("operation", [pytest.param(each, id=each.label.replace(" ", "-")) for each in OPERATIONS])
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]
CLOSED = [(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method, said in item.items() if said.get("security") != []]
QUIETLY = settings(max_examples=6, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
# A name that nothing has is no fault of the request's shape: what is well-formed may still make no sense here.
UNPROMISED = [schemathesis.checks.positive_data_acceptance]
# In a query a single number and a list of one text look the same.
UNTOLD = {"GET /api/v1/audit": [schemathesis.checks.negative_data_rejection]}
REAL = st.fixed_dictionaries(
    {},
    optional={
        "target": st.sampled_from(["command:shop", "kubernetes:shop/checkout"]),
        "of": st.sampled_from(["shop", "command:shop"]),
        "policy": st.just("shop"),
        "revision": st.sampled_from(["v1", "v2"]),
        "started": st.just("2026-11-22T14:00:00Z"),
        "who": st.just("ann"),
    },
)
"""Values that lead further in than what is made up."""


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("described")
    world = World(folder)
    world.slot(0)
    served = Served(world, folder)
    yield served
    served.close()
    world.close()


def routes_of(app: Starlette) -> set[tuple[str, str]]:
    assert all(isinstance(route, Route) for route in app.routes)
    return {(method, route.path) for route in app.routes if isinstance(route, Route) for method in (route.methods or set()) - {"HEAD"}}


def test_every_route_is_described_and_everything_described_is_a_route(served: Served, tmp_path: Path) -> None:
    app = build_app(served.desk, served.metrics, TokenBook(tmp_path / "token", {}))
    assert routes_of(app) == {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}


def test_the_document_is_served_behind_the_token(served: Served) -> None:
    assert served.get("/api/openapi.json").json == DOCUMENT
    assert served.ask("GET", "/api/openapi.json", authorization="").status == 401


def test_the_command_prints_the_document_without_a_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["schema", "api"]) == 0
    assert json.loads(capsys.readouterr().out)["paths"] == DOCUMENT["paths"]


def test_no_two_operations_have_the_same_name() -> None:
    names = [said["operationId"] for item in DOCUMENT["paths"].values() for said in item.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_every_other_method_is_refused_with_those_that_there_are(served: Served, path: str) -> None:
    there = {method.upper() for method in DOCUMENT["paths"][path]}
    for method in set(METHODS) - there:
        answer = served.ask(method, path.format(name="deploys"))
        assert (answer.status, set(answer.headers["allow"].split(", ")) - {"HEAD"}) == (405, there), method


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_nothing_but_the_open_pages_is_answered_without_a_token(served: Served, method: str, path: str) -> None:
    answer = served.ask(method, path.format(name="deploys"), b"{}", authorization="", content_type="application/json")
    assert (answer.status, set(answer.json)) == (401, {"error", "hint"})


@pytest.mark.parametrize("path", ["/healthz/", "/metrics/", "/api/v1/status/", "/hooks/deploys/"])
def test_nobody_is_led_to_a_host_that_they_named(served: Served, path: str) -> None:
    answer = served.ask("GET", path, host="evil.example")
    assert (answer.status, "location" in answer.headers) == (404, False)


@EACH
def test_whatever_the_document_allows_is_answered_as_it_says(served: Served, operation: Any) -> None:
    @QUIETLY
    @given(operation.as_strategy(), REAL)
    def ask(case: Any, real: dict[str, str]) -> None:
        held = case.body if isinstance(case.body, dict) else case.query
        held.update({name: value for name, value in real.items() if name in held})
        case.call_and_validate(base_url=served.url, headers={"Authorization": f"Bearer {served.token}"}, excluded_checks=UNPROMISED)

    ask()


@EACH
def test_whatever_the_document_forbids_is_refused_as_it_says(served: Served, operation: Any) -> None:
    @QUIETLY
    @given(operation.as_strategy(GenerationMode.NEGATIVE))
    def ask(case: Any) -> None:
        excluded = [*UNPROMISED, *UNTOLD.get(operation.label, [])]
        case.call_and_validate(base_url=served.url, headers={"Authorization": f"Bearer {served.token}"}, excluded_checks=excluded)

    if operation.body or list(operation.iter_parameters()):
        ask()
