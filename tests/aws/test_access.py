"""How accounts are entered and called: against moto's STS, with microburst's faults in front."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbackd.adapters.aws import Account, Aws, Caller
from rollbackd.adapters.aws.appconfig.calls import STOP
from rollbackd.adapters.aws.calls import ASSUME_ROLE, GET_CALLER_IDENTITY, Call, declare
from rollbackd.adapters.aws.failures import Denied, Expired, Gone, Rejected, Sent, Throttled, WrongAccount
from rollbackd.adapters.aws.sessions import READER, Sessions, session_name
from rollbackd.adapters.base.errors import AdapterError, Permanent, Transient
from tests.aws.servers import ACCOUNT, REGION, Microburst, aws, hand, microburst
from tests.servers import Server

pytestmark = pytest.mark.usefixtures("aws_keys")

LIST = Call("ecs", "ListClusters")
MAKE = Call("ecs", "CreateCluster", ("arn:aws:ecs:REGION:ACCOUNT:cluster/CLUSTER",), writes=True)
ADAPTER = declare("test", (LIST, MAKE))
ROLE = f"arn:aws:iam::{ACCOUNT}:role/rollbackd"


@pytest.fixture(scope="module")
def front(moto: Server) -> Iterator[Microburst]:
    with microburst(moto.url) as front:
        yield front


@pytest.fixture(autouse=True)
def calm(front: Microburst) -> None:
    front.rules()


def caller(front: Microburst, *, patient: bool = False, **more: Any) -> Caller:
    patience = timedelta(minutes=1) if patient else timedelta(milliseconds=1)
    return aws(front.url, **{"role": ROLE, **more}).caller("prod", REGION, ADAPTER, asker="test", patience=patience)


def clusters(front: Microburst) -> list[str]:
    found: list[str] = hand(front.url, "ecs").list_clusters()["clusterArns"]
    return [arn.rpartition("/")[2] for arn in found]


def test_a_role_is_assumed_with_the_external_id_and_the_incident_as_session(front: Microburst) -> None:
    front.rules({"service": "sts", "operation": "AssumeRole", "body": "ExternalId == 'rb-7'", "latency": 1})
    made = caller(front, external_id="rb-7")
    assert made.identify("inc-42") == f"arn:aws:sts::{ACCOUNT}:assumed-role/rollbackd/inc-42"
    assert made.identify() == f"arn:aws:sts::{ACCOUNT}:assumed-role/rollbackd/{READER}"
    assert len(front.fired()) >= 2


def test_credentials_and_clients_are_kept_until_shortly_before_they_expire(front: Microburst) -> None:
    clock = [datetime.now(UTC)]
    account = Account("prod", ACCOUNT, (REGION,), ROLE, endpoint=front.url)
    sessions = Sessions(account, lambda: clock[0], (2.0, 20.0))
    first = sessions.client(REGION, "ecs")
    assert sessions.client(REGION, "ecs") is first
    clock[0] += timedelta(minutes=54)
    assert sessions.client(REGION, "ecs") is first
    clock[0] += timedelta(minutes=2)
    assert sessions.client(REGION, "ecs") is not first


def test_without_a_role_all_incidents_share_one_session() -> None:
    sessions = Sessions(Account("prod", ACCOUNT, (REGION,)), lambda: datetime.now(UTC), (1.0, 1.0))
    assert sessions.client(REGION, "ecs", "inc-1") is sessions.client(REGION, "ecs", "inc-2")


def test_a_call_that_is_not_declared_is_not_sent(front: Microburst) -> None:
    with pytest.raises(Permanent, match="DeleteCluster is not among the declared calls of adapter test"):
        caller(front).write(Call("ecs", "DeleteCluster", writes=True), "inc-1", cluster="c")
    with pytest.raises(Permanent, match="declared as a write"):
        caller(front).read(MAKE, clusterName="c")


def test_a_write_into_the_wrong_account_is_refused_before_it_is_sent(front: Microburst) -> None:
    before = clusters(front)
    wrong = caller(front, id="999988887777")
    with pytest.raises(WrongAccount, match=f"are of account {ACCOUNT} .* and not of 999988887777") as refused:
        wrong.write(MAKE, "inc-1", clusterName="wrong-account")
    assert "aws sts get-caller-identity --region eu-west-1" in refused.value.advice
    assert clusters(front) == before


def asked_who(front: Microburst) -> int:
    return len([each for each in front.fired() if each["operation"] == "GetCallerIdentity"])


@pytest.mark.parametrize("role", [ROLE, None])
def test_whose_credentials_they_are_is_asked_once_for_each_access_key(front: Microburst, monkeypatch: pytest.MonkeyPatch, role: str | None) -> None:
    front.rules({"service": "sts", "operation": "GetCallerIdentity", "latency": 1})
    made, before = caller(front, role=role, id=ACCOUNT if role else "123456789012"), asked_who(front)
    for _ in range(2):
        made.write(MAKE, "inc-1", clusterName="proven")
    assert asked_who(front) - before == 1
    made._sessions.forget()
    made.write(MAKE, "inc-1", clusterName="proven")
    assert asked_who(front) - before == 2


def test_a_write_with_an_expired_token_is_left_to_whoever_looked_before_it_and_its_next_credentials_are_proven(front: Microburst) -> None:
    expired = {"service": "ecs", "operation": "CreateCluster", "error": {"code": "ExpiredTokenException", "status": 400}, "times": 1}
    front.rules(expired, {"service": "sts", "operation": "GetCallerIdentity", "latency": 1})
    made, before = caller(front), len(front.fired())
    with pytest.raises(Expired, match="Nothing was changed"):
        made.write(MAKE, "inc-1", clusterName="renewed")
    assert "renewed" not in clusters(front)
    made.write(MAKE, "inc-1", clusterName="renewed")
    assert [each["operation"] for each in front.fired()[before:]] == ["GetCallerIdentity", "CreateCluster", "GetCallerIdentity"]


def test_a_throttled_read_is_asked_again(front: Microburst) -> None:
    front.rules({"service": "ecs", "operation": "ListClusters", "error": {"code": "ThrottlingException"}, "times": 3})
    assert "clusterArns" in caller(front, patient=True).read(LIST)


@pytest.mark.parametrize("operation", ["AssumeRole", "GetCallerIdentity"])
def test_an_answer_that_was_cut_is_no_answer(front: Microburst, operation: str) -> None:
    front.rules({"service": "sts", "operation": operation, "response": {"truncate_frac": 0.5}})
    with pytest.raises(Transient, match="ResponseParserError"):
        caller(front).identify()


def test_a_write_is_sent_once_however_it_fails(front: Microburst) -> None:
    front.rules({"service": "ecs", "operation": "CreateCluster", "reset": True})
    before = len(front.fired())
    with pytest.raises(Transient, match="Whether it was done is unknown"):
        caller(front).write(MAKE, "inc-1", clusterName="once")
    assert [each["operation"] for each in front.fired()[before:]] == ["CreateCluster"]


def test_an_expired_token_is_renewed_once(front: Microburst) -> None:
    front.rules({"service": "ecs", "operation": "ListClusters", "error": {"code": "ExpiredTokenException", "status": 400}, "times": 1})
    assert "clusterArns" in caller(front).read(LIST)
    front.rules({"service": "ecs", "operation": "ListClusters", "error": {"code": "ExpiredTokenException", "status": 400}})
    with pytest.raises(Expired, match="Renew them"):
        caller(front).read(LIST)


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        pytest.param("ThrottlingException", 400, Throttled, "was throttled", id="throttled"),
        pytest.param("AccessDeniedException", 400, Denied, f"Allow {ROLE}: ecs:CreateCluster on arn:aws:ecs:REGION", id="denied"),
        pytest.param("ClusterNotFoundException", 400, Gone, "found nothing", id="not-found"),
        pytest.param("ClientException", 400, Rejected, "was refused", id="rejected"),
        pytest.param("ServerException", 500, Transient, "failed at Amazon's end", id="their-end"),
    ],
)
def test_a_failure_is_told_in_our_words_with_the_command(front: Microburst, code: str, status: int, kind: type[AdapterError], words: str) -> None:
    front.rules({"service": "ecs", "operation": "CreateCluster", "error": {"code": code, "status": status, "message": "no"}})
    with pytest.raises(kind, match=words) as fault:
        caller(front).write(MAKE, "inc-1", clusterName="c")
    assert str(fault.value).endswith("By hand: aws ecs create-cluster --region eu-west-1 --cluster-name c")


def test_a_command_has_booleans_as_amazons_command_line_takes_them() -> None:
    sent = Sent(Account("prod", ACCOUNT, (REGION,)), REGION, STOP, {"DeploymentNumber": 2, "AllowRevert": True})
    assert sent.command == f"aws appconfig stop-deployment --region {REGION} --deployment-number 2 --allow-revert"
    assert replace(sent, parameters={"AllowRevert": False}).command.endswith(" --no-allow-revert")


def test_a_role_that_may_not_be_assumed_is_told_of(front: Microburst) -> None:
    front.rules({"service": "sts", "operation": "AssumeRole", "error": {"code": "AccessDenied", "status": 403, "message": "no"}})
    with pytest.raises(Denied, match="sts:AssumeRole"):
        caller(front).read(LIST)


def test_without_credentials_nothing_is_asked(front: Microburst, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(Expired, match="there are no credentials"):
        caller(front, role=None).read(LIST)


def test_a_server_that_is_not_there_is_transient() -> None:
    nobody = aws("http://127.0.0.1:9").caller("prod", REGION, ADAPTER, asker="test", patience=timedelta(milliseconds=1))
    with pytest.raises(Transient, match="no answer to ecs ListClusters"):
        nobody.read(LIST)


@pytest.mark.parametrize(("account", "region", "known"), [("dev", REGION, "known: prod"), ("prod", "us-east-1", "its regions: eu-west-1")])
def test_an_account_or_region_that_is_not_configured_is_said_so(account: str, region: str, known: str) -> None:
    with pytest.raises(Permanent, match=known):
        aws("http://127.0.0.1:9").caller(account, region, ADAPTER, asker="ecs:x")


def test_an_endpoint_beyond_loopback_is_refused() -> None:
    with pytest.raises(Permanent, match="not on loopback"):
        Account("prod", ACCOUNT, (REGION,), endpoint="https://ecs.example.org")


def test_the_regional_endpoint_of_sts_is_used_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://attacker.example")
    client = Sessions(Account("prod", ACCOUNT, (REGION,)), lambda: datetime.now(UTC), (1.0, 1.0)).client("us-east-1", "sts")
    assert client.meta.endpoint_url == "https://sts.us-east-1.amazonaws.com"
    assert client.meta.config.retries["total_max_attempts"] == 1


def test_a_session_name_is_as_amazon_takes_it() -> None:
    assert session_name("inc 1/ä") == "inc-1--"
    assert len(session_name("x" * 100)) == 64


def test_only_the_access_itself_calls_the_sdk() -> None:
    """What is not declared cannot be sent, because adapters have no other way to send."""
    package = Path(__file__).parents[2] / "adapters" / "aws"
    importing = {file.name for file in package.rglob("*.py") if "boto" in file.read_text()}
    assert importing == {"access.py", "failures.py", "sessions.py"}


def test_the_sdk_is_not_imported_before_the_first_call() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from datetime import datetime, UTC; from rollbackd.adapters.aws import Account, Aws;"
        "Aws({'a': Account('a', '1', ('eu-west-1',))}, now=lambda: datetime.now(UTC)); sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_base_calls_are_sts_calls() -> None:
    assert {ASSUME_ROLE.permission, GET_CALLER_IDENTITY.permission} == {"sts:AssumeRole", "sts:GetCallerIdentity"}


def test_all_accounts_are_closed_to_typos() -> None:
    assert Aws({}, now=lambda: datetime.now(UTC)).accounts == {}


def test_ministack_answers_too(ministack: Server) -> None:
    assert aws(ministack.url).identify("prod", REGION).startswith(f"arn:aws:iam::{ACCOUNT}:")
