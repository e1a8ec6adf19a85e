"""The doctor beside a daemon at work, as a person types it; and its proposal out of a Prometheus that scrapes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rollbackd.controller.cli.main import outcome
from tests import servers
from tests.controller.patient import report
from tests.e2e.corner import TARGET, Corner, exposed, shop_policy
from tests.e2e.daemon import Daemon, running
from tests.exposition import Exposition

POD = "checkout-7d9f8c6b5d-x2x4z"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Running, with a shop whose v1 is declared good and whose on-call is a webhook that nobody listens to."""
    corner = Corner(tmp_path / "shop")
    (tmp_path / "secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (tmp_path / "secret").chmod(0o600)
    hook = {"webhook": {"url": f"http://127.0.0.1:{servers.free_port()}", "secret_file": str(tmp_path / "secret")}}
    with exposed(corner) as page, running(tmp_path, {**corner.config(page), "contacts": {"oncall": [hook]}}, {"shop": shop_policy()}) as daemon:
        servers.poll(lambda: daemon.history(TARGET))
        yield daemon


def test_the_doctor_works_beside_a_running_daemon_and_finds_it_sound(daemon: Daemon) -> None:
    daemon.api.post("good", target=TARGET, revision="v1", who="ann")
    done = daemon.run("doctor", "-o", "json", "--strict")
    assert done.returncode == 0, done.stdout
    assert report(done.stdout) == [
        ("config", str(daemon.config), "pass"),
        ("policies", str(daemon.policies), "pass"),
        ("sources", "scrape", "pass"),
        ("targets", TARGET, "pass"),
        ("targets", "flagd:flagd/all", "pass"),
        ("known goods", TARGET, "pass"),
        ("contacts", "oncall", "pass"),
        ("store", str(daemon.data / "rollbackd.db"), "pass"),
        ("store", str(daemon.data), "pass"),
        ("pause", str(daemon.data / "pause"), "pass"),
    ]
    # The daemon noticed nothing of it: it still writes its journal, and has told nobody.
    daemon.api.post("good", target=TARGET, revision="v0", who="ann", unseen=True)
    assert daemon.api.get("status")["daemon"]["outbox_pending"] == 0


def test_a_profile_is_proposed_out_of_what_a_prometheus_scrapes_now(
    tmp_path: Path, prometheus: servers.Server, exposition: Exposition, capsys: pytest.CaptureFixture[str]
) -> None:
    own = f'namespace="doctored",pod="{POD}",uri="/order"'
    exposition.text = f'http_server_requests_seconds_count{{{own},status="200"}} 100\nhttp_server_requests_seconds_count{{{own},status="500"}} 3\n'
    file = tmp_path / "rollbackd.yaml"
    source = {"kind": "prometheus", "url": prometheus.url, "scrape_interval": "1s", "delay": "1s"}
    file.write_text(yaml.safe_dump({"apiVersion": "rollbackd/v1", "kind": "Config", "sources": {"prometheus": source}, "policies": ["."]}))

    def has_proposed() -> bool:
        capsys.readouterr()
        return outcome(["doctor", "--config", str(file), "--workload", "doctored/checkout", "-o", "json"]) == 0

    servers.poll(has_proposed, within=30, every=0.5)
    document = json.loads(capsys.readouterr().out)
    assert document["spec"] == {"metrics": "micrometer", "rollback_when": [{"use": "standard"}]}
    assert document["lacking"] == ["p95-latency", "memory", "database-failures"]
    assert outcome(["doctor", "--config", str(file), "--workload", "doctored/checkout"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (found,) = [line for line in lines if line.startswith("micrometer ")]
    assert found.split()[:4] == ["micrometer", "error-rate", "found", "http_server_requests_seconds_count"]
    assert lines[-4:] == ["spec:", "  metrics: micrometer", "  rollback_when:", "  - use: standard"]
