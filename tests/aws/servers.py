"""Stand-ins for Amazon on loopback: MiniStack, moto, and microburst, which goes in front of either and makes faults as Amazon words them."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from rollbackd.adapters.aws import Account, Aws
from tests.servers import Server, answers, missing, running
from tests.unleash.server import asked

CACHE = Path(__file__).parents[2] / ".cache" / "aws"
REGION = "eu-west-1"
ACCOUNT = "111122223333"
KEYS = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "no-secret"}
"""Credentials that the stand-ins take; MiniStack takes an access key of twelve digits for the account's number."""


@pytest.fixture
def aws_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The process has the credentials of nobody, and no file of the person at this machine is read."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def ministack() -> Iterator[Server]:
    """A MiniStack, shared by the whole run: give each test names of its own. Right about Route 53, AppConfig, percentiles, RDS defaults and IAM."""
    path = _program("ministack")
    with _folder() as folder:
        environment = {"BIND_HOST": "127.0.0.1", "PERSIST_STATE": "0", "HOME": str(folder)}
        with running(lambda port: _with([str(path)], {**environment, "GATEWAY_PORT": str(port)}), folder, is_ready=_ministack_is_ready) as server:
            yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Server]:
    """A moto server, shared by the whole run: give each test names of its own. Right about load balancers, STS and ECR."""
    path = _program("moto_server")
    with _folder() as folder, running(lambda port: [str(path), "-H", "127.0.0.1", "-p", str(port)], folder, is_ready=_moto_is_ready) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Microburst:
    """microburst in front of another stand-in. It makes no fault until it is given a rule."""

    url: str
    port: int

    def rules(self, *rules: Mapping[str, Any]) -> None:
        """These rules hold, and no others: ``{"service": "sts", "operation": "AssumeRole", "error": {"code": "Throttling"}, "times": 2}``."""
        status, said, _ = asked(self.url, "POST", "/_microburst/rules", {}, list(rules))
        assert status < 300, said

    def fired(self) -> list[dict[str, Any]]:
        """The faults that were made, in order."""
        _, said, _ = asked(self.url, "GET", "/_microburst/fired", {})
        found: list[dict[str, Any]] = said["fired"] if isinstance(said, dict) else said
        return found


@contextlib.contextmanager
def microburst(upstream: str) -> Iterator[Microburst]:
    """A microburst of the caller's own, in front of the stand-in at ``upstream``."""
    path = _program("microburst")
    with _folder() as folder:

        def argv(port: int) -> list[str]:
            return [str(path), "--upstream", upstream, "--host", "127.0.0.1", "--port", str(port)]

        with running(argv, folder, is_ready=lambda port: answers(port, "/_microburst/health")) as server:
            yield Microburst(server.url, server.port)


def account(url: str, **more: Any) -> Account:
    """The account ``prod`` of the stand-in at ``url``, entered with the process's own credentials unless ``more`` says otherwise."""
    said = {"name": "prod", "id": ACCOUNT, "regions": (REGION,), "endpoint": url, **more}
    return Account(**said)


def aws(url: str, *, timeout: tuple[float, float] = (2.0, 20.0), **more: Any) -> Aws:
    """That account as adapters call it, without a pause before a read is asked again. moto may take seconds over its first call of a service."""
    return Aws({"prod": account(url, **more)}, now=lambda: datetime.now(UTC), timeout=timeout, sleep=lambda seconds: None)


def hand(url: str, service: str) -> Any:
    """The SDK's own client, for setting up and for looking: a person's hand."""
    return boto3.client(service, region_name=REGION, endpoint_url=url, aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key="no-secret")


def _program(name: str) -> Path:
    path = CACHE / "bin" / name
    if not (CACHE / ".ready").exists() or not path.exists():
        missing(f"{name} is not installed (make aws)")
    return path


def _with(argv: list[str], environment: Mapping[str, str]) -> list[str]:
    return ["/usr/bin/env", *(f"{name}={value}" for name, value in environment.items()), *argv]


def _ministack_is_ready(port: int) -> bool:
    return answers(port, "/_ministack/health")


def _moto_is_ready(port: int) -> bool:
    return answers(port, "/moto-api/data.json")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rollbackd-aws-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
