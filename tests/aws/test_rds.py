"""Side instances of databases, against moto with microburst's faults in front. MiniStack has no point in time, and drops the tags of a restore."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from rollbackd.adapters.aws.failures import Rejected
from rollbackd.adapters.aws.rds import Rds
from rollbackd.adapters.aws.rds.calls import RDS
from rollbackd.adapters.aws.rds.place import place_of
from rollbackd.adapters.aws.rds.reading import refuse_unfit
from rollbackd.adapters.aws.rds.settings import copied
from rollbackd.adapters.base.errors import Permanent, Refused, Transient
from rollbackd.adapters.base.target import NothingToDo, Plan, PlanRequest, Standing, TargetState
from tests.aws.databases import ROLE, made, people, there
from tests.aws.servers import Microburst, aws, microburst
from tests.servers import Server

pytestmark = pytest.mark.usefixtures("aws_keys")

SOURCE: dict[str, Any] = {
    "DBInstanceClass": "db.r6g.large",
    "MultiAZ": True,
    "DeletionProtection": True,
    "DBSubnetGroup": {"DBSubnetGroupName": "shop"},
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-2"}, {"VpcSecurityGroupId": "sg-1"}],
    "DBParameterGroups": [{"DBParameterGroupName": "shop-pg15"}],
    "OptionGroupMemberships": [{"OptionGroupName": "shop-pg15-options"}],
    "EnabledCloudwatchLogsExports": ["upgrade", "postgresql"],
    "IAMDatabaseAuthenticationEnabled": True,
    "Iops": None,
}
LATER = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture(scope="module")
def front(moto: Server) -> Iterator[Microburst]:
    with microburst(moto.url) as front:
        yield front


@pytest.fixture
def name(moto: Server, front: Microburst) -> str:
    """A database with a snapshot, protected and in two zones."""
    front.rules()
    return made(moto.url)


def key_of(name: str, way: str = "snapshot") -> str:
    return f"rds:prod/eu-west-1/{name}/{way}"


def target(url: str) -> Rds:
    return Rds(aws(url, role=ROLE), now=lambda: LATER + timedelta(minutes=30))


def seen(rds: Rds, key: str) -> TargetState:
    state = rds.survey([key])[key]
    assert isinstance(state, TargetState), state
    return state


def asked(rds: Rds, key: str, moment: datetime = LATER) -> PlanRequest:
    return PlanRequest(key, "inc-42", seen(rds, key).revision, moment=moment)


def planned(rds: Rds, key: str, moment: datetime = LATER) -> Plan:
    plan = rds.plan(asked(rds, key, moment))
    assert isinstance(plan, Plan), plan
    return plan


def test_a_side_instance_is_made_of_the_newest_snapshot_with_the_settings_of_its_source_and_handed_over(moto: Server, name: str) -> None:
    rds, key = target(moto.url), key_of(name)
    plan = planned(rds, key)
    assert f"make {name}-rb-42 beside {name}, with snapshot {name}-nightly of " in plan.summary
    assert "what was written since then, 1 h " in plan.summary
    assert "DeletionProtection: True" in plan.steps
    assert any("nothing is cut over, renamed or deleted" in line for line in plan.not_undone)
    assert rds.look(plan.intent).standing is Standing.BEFORE
    rds.apply(plan)
    sight = rds.look(plan.intent)
    assert (sight.standing, sight.ours, sight.revision) == (Standing.THERE, True, plan.intent.to_revision)
    assert f"{name}-rb-42 is " in sight.reason
    assert any(f"--new-db-instance-identifier {name}-old" in line for line in plan.not_undone)
    assert seen(rds, key).revision == plan.intent.from_revision
    (side,) = there(moto.url, name)
    assert (side["MultiAZ"], side["DeletionProtection"]) == (True, True)
    assert {"Key": "rollbackd:incident", "Value": "inc-42"} in side["TagList"]


def test_what_was_made_already_leaves_nothing_to_do_and_is_not_made_twice(moto: Server, name: str) -> None:
    rds, key = target(moto.url), key_of(name)
    plan = planned(rds, key)
    rds.apply(plan)
    assert isinstance(rds.plan(asked(rds, key)), NothingToDo)
    rds.apply(plan)  # RDS answers that it exists, and it is ours
    assert len(there(moto.url, name)) == 1


def test_nothing_is_made_where_the_claim_was_looked_at_too_long_ago(moto: Server, name: str) -> None:
    rds = target(moto.url)
    with pytest.raises(Refused, match="Nothing was changed"):
        rds.apply(replace(planned(rds, key_of(name)), begun=time.monotonic() - 60))
    assert there(moto.url, name) == []


def test_an_instance_of_somebody_else_under_that_name_is_refused(moto: Server, name: str) -> None:
    people(moto.url).restore_db_instance_from_db_snapshot(DBSnapshotIdentifier=f"{name}-nightly", DBInstanceIdentifier=f"{name}-rb-42")
    rds, key = target(moto.url), key_of(name)
    with pytest.raises(Refused, match="was not made for inc-42"):
        rds.plan(asked(rds, key))


def test_one_that_appears_under_that_name_while_it_is_ordered_is_refused_unless_it_carries_our_tag(front: Microburst, name: str) -> None:
    rds, key = target(front.url), key_of(name)
    plan = planned(rds, key)
    front.rules({"service": "rds", "operation": "RestoreDBInstanceFromDBSnapshot", "error": {"code": "DBInstanceAlreadyExists", "status": 400}})
    with pytest.raises(Refused, match="exists and was not made for inc-42"):
        rds.apply(plan)


def test_a_snapshot_from_after_the_moment_is_not_used(moto: Server, name: str) -> None:
    rds, key = target(moto.url), key_of(name)
    with pytest.raises(Refused, match="no available snapshot from before 2001"):
        rds.plan(asked(rds, key, datetime(2001, 1, 1, tzinfo=UTC)))


def test_without_a_moment_nothing_is_planned(moto: Server, name: str) -> None:
    rds, key = target(moto.url), key_of(name)
    with pytest.raises(Refused, match="no suspect tells which moment"):
        rds.plan(replace(asked(rds, key), moment=None))


@pytest.mark.parametrize("code", ["InstanceQuotaExceeded", "KMSKeyNotAccessibleFault", "InvalidRestoreFault", "InvalidDBSnapshotState"])
def test_what_rds_cannot_do_is_final(front: Microburst, moto: Server, name: str, code: str) -> None:
    rds, key = target(front.url), key_of(name)
    plan = planned(rds, key)
    front.rules({"service": "rds", "operation": "RestoreDBInstanceFromDBSnapshot", "error": {"code": code, "status": 400}})
    with pytest.raises(Rejected, match="Nothing was changed"):
        rds.apply(plan)
    assert there(moto.url, name) == []


def test_after_a_lost_answer_a_look_finds_the_side_instance(front: Microburst, name: str) -> None:
    rds, key = target(front.url), key_of(name)
    plan = planned(rds, key)
    front.rules({"service": "rds", "operation": "RestoreDBInstanceFromDBSnapshot", "response": {"abort_bytes": 0}})
    with pytest.raises(Transient, match="Whether it was done is unknown"):
        rds.apply(plan)
    assert rds.look(plan.intent).standing is Standing.THERE


def test_a_point_in_time_is_never_newer_than_the_moment(moto: Server) -> None:
    name = made(moto.url)
    rds, key = target(moto.url), key_of(name, "point-in-time")
    moment = datetime(2020, 1, 1, 3, 0, tzinfo=UTC)
    plan = planned(rds, key, moment)
    assert plan.intent.record["point"] == "2020-01-01T03:00:00+00:00"
    assert "--restore-time 2020-01-01T03:00:00+00:00" in plan.command
    rds.apply(plan)
    assert rds.look(plan.intent).standing is Standing.THERE


def test_the_newest_point_that_rds_has_limits_the_moment(moto: Server) -> None:
    name = made(moto.url)

    def newest() -> datetime:
        (found,) = people(moto.url).describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        return found["LatestRestorableTime"]

    plan = planned(target(moto.url), key_of(name, "point-in-time"), newest() + timedelta(hours=1))
    assert datetime.fromisoformat(str(plan.intent.record["point"])) <= newest()  # it goes on with the clock


def test_a_member_of_a_cluster_is_refused_with_the_command_of_a_person() -> None:
    with pytest.raises(Refused, match="member of cluster shop") as refused:
        refuse_unfit(place_of(key_of("shop-1")), {"DBClusterIdentifier": "shop"})
    assert "aws rds restore-db-cluster-to-point-in-time --region eu-west-1 --source-db-cluster-identifier shop" in refused.value.advice


def test_a_read_replica_is_refused_with_the_instance_to_name() -> None:
    with pytest.raises(Refused, match="is a read replica; nothing was made") as refused:
        refuse_unfit(place_of(key_of("shop-2")), {"ReadReplicaSourceDBInstanceIdentifier": "shop-1"})
    assert refused.value.advice == "name the instance that it follows: shop-1"


def test_a_side_instance_is_not_taken_back_and_the_command_that_deletes_it_is_said(moto: Server, name: str) -> None:
    rds, key = target(moto.url), key_of(name)
    plan = planned(rds, key)
    rds.apply(plan)
    with pytest.raises(Refused, match="serves nobody") as refused:
        rds.plan(replace(asked(rds, key), undo=plan.intent))
    assert f"delete-db-instance --region eu-west-1 --db-instance-identifier {name}-rb-42" in refused.value.advice


def test_a_database_without_backups_has_no_point_in_time(moto: Server) -> None:
    name = made(moto.url, BackupRetentionPeriod=0)
    (found,) = target(moto.url).check([key_of(name, "point-in-time")])
    assert "keeps no automatic backups" in found


def test_a_database_that_is_not_there_is_said(moto: Server, front: Microburst) -> None:
    error = target(moto.url).survey([key_of("nobody")])[key_of("nobody")]
    assert isinstance(error, Permanent)
    assert "there is no database nobody" in str(error)


def test_equal_questions_get_plans_of_equal_digest_however_late(moto: Server, name: str) -> None:
    early, late = target(moto.url), Rds(aws(moto.url, role=ROLE), now=lambda: LATER + timedelta(days=1))
    assert planned(early, key_of(name)).digest == planned(late, key_of(name)).digest


def test_no_declared_call_touches_what_serves_and_the_policy_document_denies_it_by_name() -> None:
    assert {call.operation for call in RDS.calls if call.writes} == {"RestoreDBInstanceToPointInTime", "RestoreDBInstanceFromDBSnapshot"}
    assert not [call for call in RDS.calls if call.operation.startswith(("Delete", "Modify", "Reboot", "Stop", "Promote", "Switchover"))]
    statements = json.loads((Path(__file__).parents[2] / "docs" / "aws" / "rds.json").read_text())["Statement"]
    (denied,) = [each for each in statements if each["Effect"] == "Deny"]
    assert {"rds:ModifyDBInstance", "rds:DeleteDBInstance", "rds:RebootDBInstance", "rds:StopDBInstance"} <= set(denied["Action"])
    assert denied["Resource"] == "*"


def test_every_setting_that_is_copied_is_one_that_both_restores_know() -> None:
    service = botocore.session.get_session().get_service_model("rds")
    everything = {**SOURCE, "StorageType": "io1", "Iops": 3000, "StorageThroughput": 500, "NetworkType": "IPV4", "BackupRetentionPeriod": 7}
    everything |= {"AutoMinorVersionUpgrade": True, "CopyTagsToSnapshot": True, "PubliclyAccessible": False}
    for operation in ("RestoreDBInstanceToPointInTime", "RestoreDBInstanceFromDBSnapshot"):
        known = set(service.operation_model(operation).input_shape.members)
        assert set(copied(everything)) <= known, operation


def test_a_small_gp3_volume_is_not_told_its_speed_which_rds_would_refuse() -> None:
    small = {"StorageType": "gp3", "AllocatedStorage": 100, "Iops": 3000, "StorageThroughput": 125}
    assert copied(small) == {"StorageType": "gp3"}
    assert copied({**small, "AllocatedStorage": 500})["Iops"] == 3000


def test_the_settings_that_rds_would_give_defaults_for_are_copied() -> None:
    assert copied(SOURCE) == {
        "DBInstanceClass": "db.r6g.large",
        "MultiAZ": True,
        "DeletionProtection": True,
        "DBSubnetGroupName": "shop",
        "VpcSecurityGroupIds": ["sg-1", "sg-2"],
        "DBParameterGroupName": "shop-pg15",
        "OptionGroupName": "shop-pg15-options",
        "EnableCloudwatchLogsExports": ["postgresql", "upgrade"],
        "EnableIAMDatabaseAuthentication": True,
    }
