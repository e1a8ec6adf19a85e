"""How long the Kubernetes target asks again, and what it says of a write that was not taken. Against the double."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackd.adapters.base.errors import Refused, Transient
from rollbackd.adapters.base.target import Standing
from rollbackd.adapters.kubernetes import ClusterAccess, Kubernetes
from rollbackd.adapters.kubernetes.failures import NotDone
from rollbackd.adapters.kubernetes.patience import WRITING, Patience, asked
from tests.doubles.kube import KubeDouble, running_double, write_kubeconfig
from tests.doubles.kube.stage import Stage, stage_in

BUSY = "too many requests, please try again later"
NOT_READY = 'deployments.apps "checkout" is forbidden: not yet ready to handle request'
DENIED = 'admission webhook "all.example" denied the request: busy'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    with running_double(tmp_path_factory.mktemp("kube")) as double:
        yield double


@pytest.fixture
def double(running: KubeDouble) -> KubeDouble:
    running.reset()
    return running


@pytest.fixture
def slept() -> list[float]:
    """The pauses that were made, in seconds."""
    return []


@pytest.fixture
def stage(double: KubeDouble, slept: list[float]) -> Iterator[Stage]:
    with stage_in(double, Kubernetes({"test": ClusterAccess(double.kubeconfig)}, sleep=slept.append)) as stage:
        yield stage


# Writes


@pytest.mark.parametrize(
    ("fault", "pause"),
    [
        pytest.param({"status": 429, "message": BUSY}, 1.0, id="429"),
        pytest.param({"status": 429, "message": BUSY, "retry_after": 4}, 4.0, id="429-that-names-a-time"),
        pytest.param({"status": 403, "message": NOT_READY}, 1.0, id="webhooks-not-read-yet"),
        pytest.param({"status": 503, "message": DENIED}, 1.0, id="a-webhook-that-is-busy"),
    ],
)
def test_a_write_that_was_certainly_not_done_is_sent_again_after_a_pause(
    stage: Stage, double: KubeDouble, slept: list[float], fault: dict[str, object], pause: float
) -> None:
    plan = stage.plan(stage.broken())
    double.fault("status", method="PATCH", **fault)
    stage.target.apply(plan)
    assert slept == [pause]
    assert stage.sight(plan.intent, Standing.THERE).ours


def test_a_write_that_is_never_taken_is_sent_three_times_and_nothing_is_in_doubt(stage: Stage, double: KubeDouble, slept: list[float]) -> None:
    plan = stage.plan(stage.broken())
    double.forget()
    double.fault("status", method="PATCH", status=429, message=BUSY, times=9)
    with pytest.raises(Transient, match=r"try again later\. Nothing was changed\. Asked 3 times\.$"):
        stage.target.apply(plan)
    assert (len(double.requests("patch")), slept) == (3, [1.0, 3.0])


def test_a_server_that_wants_to_be_left_alone_for_long_is(stage: Stage, double: KubeDouble, slept: list[float]) -> None:
    plan = stage.plan(stage.broken())
    asked_before = len(double.requests("patch"))
    double.fault("status", method="PATCH", status=429, message=BUSY, retry_after=60)
    with pytest.raises(NotDone, match=r"Nothing was changed\.$"):
        stage.target.apply(plan)
    assert (len(double.requests("patch")) - asked_before, slept) == (1, [])


def test_nothing_is_asked_again_later_than_the_budget() -> None:
    asking: list[int] = []

    def ask() -> None:
        asking.append(1)
        raise NotDone("busy")

    with pytest.raises(NotDone, match=r"^busy$"):
        asked(ask, Patience(NotDone, (1.0, 3.0), timedelta(seconds=0.5)), pytest.fail)
    assert asking == [1]


def test_nothing_is_sent_by_a_process_that_stood_still_beyond_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    asking, clock = list[int](), [0.0]
    monkeypatch.setattr("rollbackd.adapters.kubernetes.patience.time.monotonic", lambda: clock[0])

    def ask() -> None:
        asking.append(1)
        raise NotDone("busy")

    def frozen(seconds: float) -> None:
        clock[0] += 600

    with pytest.raises(NotDone, match=r"^busy$"):
        asked(ask, WRITING, frozen)
    assert asking == [1]


def test_a_write_that_is_fenced_off_when_it_is_sent_again_is_refused(stage: Stage, double: KubeDouble) -> None:
    plan = stage.plan(stage.broken())
    stage.release("shop:3")
    double.fault("status", method="PATCH", status=429)
    with pytest.raises(Refused, match="is not as it was when the revert was planned"):
        stage.target.apply(plan)
    assert stage.deployment()["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:3"


def test_a_write_that_found_no_connection_is_tried_again_and_nothing_is_in_doubt(
    stage: Stage, double: KubeDouble, slept: list[float], tmp_path: Path
) -> None:
    plan = stage.plan(stage.broken())
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    write_kubeconfig(tmp_path / "kubeconfig", url, double.token)
    away = Kubernetes({"test": ClusterAccess(tmp_path / "kubeconfig")}, sleep=slept.append)
    with pytest.raises(Transient, match=r"^no connection to patch .* Nothing was changed\. Asked 3 times\.$"):
        away.apply(plan)
    assert slept == [1.0, 3.0]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "drop_before"}, id="cut"),
        pytest.param({"kind": "status", "status": 503}, id="503"),
    ],
)
def test_a_write_whose_answer_was_lost_says_what_the_look_after_it_found(stage: Stage, double: KubeDouble, fault: dict[str, object]) -> None:
    plan = stage.plan(stage.broken())
    double.control("POST", "faults", {**fault, "method": "PATCH"})
    with pytest.raises(Transient, match="It was looked at right after: unchanged, still at ") as failure:
        stage.target.apply(plan)
    assert "unknown" not in str(failure.value)


def test_a_write_whose_answer_was_lost_is_unknown_where_no_look_tells(stage: Stage, double: KubeDouble) -> None:
    plan = stage.plan(stage.broken())
    double.fault("drop_before", method="PATCH")
    double.fault("status", method="GET", status=503)
    with pytest.raises(Transient, match="Whether the patch was applied is unknown"):
        stage.target.apply(plan)


# What plans


@pytest.mark.parametrize("where", [{"method": "GET"}, {"method": "PATCH", "dry_run": True}], ids=["read", "rehearsal"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "status", "status": 429, "retry_after": 1}, id="429"),
        pytest.param({"kind": "status", "status": 503}, id="503"),
        pytest.param({"kind": "drop_before"}, id="cut"),
    ],
)
def test_a_plan_asks_again_after_trouble_that_passes(stage: Stage, double: KubeDouble, where: dict[str, object], fault: dict[str, object]) -> None:
    request = stage.request(stage.broken())
    double.control("POST", "faults", {**fault, **where})
    assert stage.target.plan(request)


def test_a_plan_without_an_answer_is_given_up_after_five_tries(stage: Stage, double: KubeDouble, slept: list[float]) -> None:
    request = stage.request(stage.broken())
    double.fault("status", method="PATCH", status=503, times=9)
    with pytest.raises(Transient) as failure:
        stage.target.plan(request)
    assert slept == [0.5, 1.0, 2.0, 4.0]
    assert ("unknown" in str(failure.value), "Asked 5 times" in str(failure.value)) == (False, True)


def test_a_plan_does_not_wait_for_a_server_that_wants_to_be_left_alone_for_long(stage: Stage, double: KubeDouble, slept: list[float]) -> None:
    request = stage.request(stage.broken())
    double.fault("status", method="PATCH", status=429, retry_after=30)
    with pytest.raises(Transient) as failure:
        stage.target.plan(request)
    assert (failure.value.retry_after, slept) == (30, [])
