"""What a daemon meets in a pod: its policies are a mounted ConfigMap, and the kubelet asks for its health from outside."""

import http.client
from collections.abc import Iterator

import pytest

from tests.e2e.corner import Corner, exposed, shop_policy
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import project
from tests.servers import free_port, poll


@pytest.fixture(scope="module")
def health_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, health_port: int) -> Iterator[Daemon]:
    """A daemon whose policies ``a`` and ``b`` are a ConfigMap's, with a health address."""
    folder = tmp_path_factory.mktemp("pod")
    corner = Corner(folder / "shop")
    with exposed(corner) as page:
        config = {**corner.config(page), "contacts": {"oncall": [{"webhook": {"url": "http://127.0.0.1:9"}}]}}
        daemon = Daemon(folder, {**config, "health": {"listen": f"127.0.0.1:{health_port}"}}, {})
        project(daemon.policies, {"a.yaml": shop_policy("a"), "b.yaml": shop_policy("b")})
        try:
            daemon.start()
            yield daemon
            daemon.stop()
        finally:
            daemon.kill()


def asked(port: int, method: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def loaded(daemon: Daemon) -> list[str]:
    return [line["name"] for line in daemon.api.get("status")["policies"]]


def test_the_health_address_answers_probes_and_prometheus(daemon: Daemon, health_port: int) -> None:
    assert [asked(health_port, "GET", path) for path in ("/healthz", "/readyz")] == [(200, "ok\n"), (200, "ok\n")]
    assert "rollbackd_policies " in asked(health_port, "GET", "/metrics")[1]


def test_the_health_address_gives_no_answer_of_the_api(daemon: Daemon, health_port: int) -> None:
    assert [asked(health_port, "GET", "/api/v1/status")[0], asked(health_port, "POST", "/api/v1/pause")[0]] == [404, 404]


def test_a_new_set_of_a_mounted_configmap_is_read_without_a_signal(daemon: Daemon) -> None:
    project(daemon.policies, {"b.yaml": shop_policy("b2"), "c.yaml": shop_policy("c")})
    poll(lambda: loaded(daemon) == ["b2", "c"])
    assert daemon.ask("status")["daemon"]["reload"]["is_ok"]


def test_a_configmap_with_a_fault_keeps_the_last_good_policies_of_that_file(daemon: Daemon) -> None:
    project(daemon.policies, {"d.yaml": shop_policy("d"), "e.yaml": shop_policy("e")})
    daemon.reload()
    poll(lambda: loaded(daemon) == ["d", "e"])
    project(daemon.policies, {"d.yaml": shop_policy("d").replace("mode: auto", "mode: atuo"), "e.yaml": shop_policy("e2")})
    daemon.reload()
    poll(lambda: not daemon.api.get("status")["daemon"]["reload"]["is_ok"])
    assert loaded(daemon) == ["d", "e2"]
