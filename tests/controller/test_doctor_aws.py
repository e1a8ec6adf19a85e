"""What the doctor says of accounts and of services of ECS."""

from pathlib import Path

from rollbackd.controller.doctor.findings import Grade
from tests.aws.ecs_double import EcsDouble
from tests.aws.servers import ACCOUNT, REGION
from tests.aws.stage import SHOP, open_stage
from tests.controller.patient import Patient
from tests.e2e.daemon import policy


def patient(folder: Path, double: EcsDouble, **account: str) -> Patient:
    """Of the service of the double, with its account as the config has it."""
    target = {"ecs": {"cluster": "main", "service": "api"}}
    api = policy("api", target, {"use": "error-rate"}, match={"app": "api"}, mode="suggest", notify=["oncall"], remedy=[{"revert": {}}])
    known = {"id": ACCOUNT, "regions": [REGION], "endpoint": double.url, **account}
    return Patient(folder, config={"accounts": {"prod": known}}, policies={"api": api})


def test_an_account_and_a_service_that_can_be_put_back_pass(tmp_path: Path, ecs_cloud: EcsDouble) -> None:
    open_stage(ecs_cloud)
    found = patient(tmp_path, ecs_cloud).findings("accounts", "targets")
    assert [(each.check, each.subject, each.grade) for each in found] == [("accounts", f"prod/{REGION}", Grade.PASS), ("targets", SHOP, Grade.PASS)]
    assert found[0].found == f"entered as arn:aws:sts::{ACCOUNT}:assumed-role/rollbackd/session"
    assert found[1].found == "stands at api:2; nothing known stands in the way"


def test_an_account_of_another_number_fails_with_what_to_do(tmp_path: Path, ecs_cloud: EcsDouble) -> None:
    open_stage(ecs_cloud)
    (found,) = patient(tmp_path, ecs_cloud, id="999988887777").findings("accounts")
    assert found.grade is Grade.FAIL
    assert f"are of account {ACCOUNT}" in found.found
    assert "Correct the id or the role of account prod" in found.advice
