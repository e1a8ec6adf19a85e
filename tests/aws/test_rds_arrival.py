"""What is told of a side instance once it has come, or never will. The states that moto never shows are literals."""

import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from rollbackd.adapters.aws.rds.arriving import FAILED, arrival_of
from rollbackd.adapters.aws.rds.place import place_of
from rollbackd.adapters.aws.rds.reaching import reach

PLACE = place_of("rds:prod/eu-west-1/orders/point-in-time")
RECORD: dict[str, Any] = {
    "side": "orders-rb-42",
    "point": "2026-03-01T12:00:00+00:00",
    "settings": {"DBInstanceClass": "db.r6g.large", "DBParameterGroupName": "shop-pg15", "VpcSecurityGroupIds": ["sg-1", "sg-2"]},
}
SIDE: dict[str, Any] = {
    "DBInstanceStatus": "available",
    "DBInstanceClass": "db.r6g.large",
    "DBParameterGroups": [{"DBParameterGroupName": "shop-pg15", "ParameterApplyStatus": "in-sync"}],
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-2"}, {"VpcSecurityGroupId": "sg-1"}],
    "Endpoint": {"Address": "orders-rb-42.example", "Port": 5432},
    "LatestRestorableTime": datetime(2026, 3, 1, 13, 5, tzinfo=UTC),
}


def test_one_that_is_as_it_was_asked_is_told_with_its_endpoint_and_its_moment() -> None:
    arrival = arrival_of(PLACE, RECORD, SIDE)
    assert arrival is not None
    assert (arrival.end, arrival.is_usable, arrival.address) == ("available", True, ("orders-rb-42.example", 5432))
    assert arrival.lines[:4] == (
        "endpoint: orders-rb-42.example:5432",
        "its data is as of 2026-03-01T12:00:00+00:00; orders serves on, untouched",
        "its own backups reach to 2026-03-01T13:05:00+00:00",
        "its 3 settings are as they were asked",
    )


@pytest.mark.parametrize(
    ("found", "line"),
    [
        pytest.param(
            {"DBInstanceClass": "db.t3.micro"}, "differs from what was asked: DBInstanceClass is db.t3.micro, asked db.r6g.large", id="class"
        ),
        pytest.param(
            {"DBParameterGroups": [{"DBParameterGroupName": "default.postgres15"}]},
            "differs from what was asked: DBParameterGroupName is default.postgres15, asked shop-pg15",
            id="parameter-group",
        ),
        pytest.param(
            {"VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-9"}]},
            "differs from what was asked: VpcSecurityGroupIds is ['sg-9'], asked ['sg-1', 'sg-2']",
            id="security-groups",
        ),
        pytest.param(
            {"DBParameterGroups": [{"DBParameterGroupName": "shop-pg15", "ParameterApplyStatus": "pending-reboot"}]},
            "parameter group shop-pg15 is not in force yet: pending-reboot",
            id="not-in-force",
        ),
        pytest.param({"LatestRestorableTime": None}, "it has no backup of its own yet", id="no-backup"),
        pytest.param({"Endpoint": None}, "endpoint: none is told", id="no-endpoint"),
    ],
)
def test_what_is_not_as_it_should_be_is_named(found: dict[str, Any], line: str) -> None:
    arrival = arrival_of(PLACE, RECORD, {**SIDE, **found})
    assert arrival is not None
    assert line in arrival.lines


@pytest.mark.parametrize("status", ["creating", "backing-up", "modifying", "rebooting", "a-state-of-tomorrow"])
def test_while_rds_works_on_it_nothing_is_told(status: str) -> None:
    assert arrival_of(PLACE, RECORD, {**SIDE, "DBInstanceStatus": status}) is None


@pytest.mark.parametrize("status", sorted(FAILED))
def test_one_that_will_not_come_is_told_with_the_commands(status: str) -> None:
    arrival = arrival_of(PLACE, RECORD, {"DBInstanceStatus": status, "StatusInfos": [{"Message": "no room"}]})
    assert arrival is not None
    assert (arrival.end, arrival.is_usable, arrival.title) == (status, False, f"orders-rb-42 is {status}; orders is untouched")
    assert arrival.lines[0] == "RDS says: no room"
    assert "aws rds describe-events --region eu-west-1 --source-type db-instance --source-identifier orders-rb-42" in arrival.lines[1]
    assert "aws rds delete-db-instance --region eu-west-1 --db-instance-identifier orders-rb-42" in arrival.lines[2]


def test_an_address_that_takes_a_connection_and_one_that_does_not_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert reach(("127.0.0.1", port)) == f"127.0.0.1:{port} takes a connection from here"
    assert reach(("127.0.0.1", port)).startswith(f"127.0.0.1:{port} is not reachable from here (")
