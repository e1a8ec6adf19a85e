"""Plans for side instances where moto has no answer: snapshots that were copied, databases that are protected."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rollbackd.adapters.aws.access import Caller
from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.aws.rds import planning
from rollbackd.adapters.aws.rds.arriving import arrival_of
from rollbackd.adapters.aws.rds.place import place_of
from rollbackd.adapters.aws.rds.reading import Reader
from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.target import Intent, Plan, PlanRequest

KEY = "rds:prod/eu-west-1/orders/snapshot"
DELETE = "aws rds delete-db-instance --region eu-west-1 --db-instance-identifier orders-rb-1 --skip-final-snapshot"
UNPROTECT = "aws rds modify-db-instance --region eu-west-1 --db-instance-identifier orders-rb-1 --no-deletion-protection --apply-immediately"


def moment(day: int, hour: int) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


NIGHTLY = {"DBSnapshotIdentifier": "nightly", "SnapshotCreateTime": moment(2, 3), "OriginalSnapshotCreateTime": moment(2, 3), "Status": "available"}
COPY = {"DBSnapshotIdentifier": "copy", "SnapshotCreateTime": moment(2, 11), "OriginalSnapshotCreateTime": moment(1, 3), "Status": "available"}


class Account:
    """The orders database with these snapshots, as RDS would answer."""

    def __init__(self, *snapshots: Mapping[str, Any], side: Mapping[str, Any] | None = None, **orders: Any) -> None:
        database = {"DBInstanceIdentifier": "orders", "DbiResourceId": "db-1", **orders}
        sides = [] if side is None else [{"DBInstanceIdentifier": "orders-rb-1", **side}]
        self._answers = {"DescribeDBInstances": {"DBInstances": [database, *sides]}, "DescribeDBSnapshots": {"DBSnapshots": snapshots}}

    def pages(self, call: Call, **_: Any) -> Iterator[Mapping[str, Any]]:
        yield self._answers[call.operation]

    def plan(self, **more: Any) -> Plan:
        request = PlanRequest(KEY, "inc-1", "db-1", moment=moment(2, 12), **more)
        plan = planning.plan(Reader(cast(Caller, self)), place_of(KEY), request, moment(2, 13))
        assert isinstance(plan, Plan), plan
        return plan


def test_a_copied_snapshot_is_as_old_as_what_it_is_a_copy_of() -> None:
    record = Account(NIGHTLY, COPY).plan().intent.record
    assert (record["snapshot"], record["point"]) == ("nightly", "2026-03-02T03:00:00+00:00")


def test_where_only_a_copy_is_left_its_data_is_told_as_of_the_original() -> None:
    plan = Account(COPY).plan()
    assert plan.intent.record["point"] == "2026-03-01T03:00:00+00:00"
    assert "snapshot copy of 2026-03-01T03:00:00+00:00: what was written since then, 34 h 0 min so far" in plan.summary


def test_a_snapshot_without_the_time_of_an_original_has_its_own() -> None:
    nightly = {key: value for key, value in NIGHTLY.items() if not key.startswith("Original")}
    assert Account(nightly).plan().intent.record["point"] == "2026-03-02T03:00:00+00:00"


@pytest.mark.parametrize(
    ("is_protected", "command"),
    [pytest.param(True, f"{UNPROTECT}; and once that is done: {DELETE}", id="protected"), pytest.param(False, DELETE, id="not-protected")],
)
class TestToLeaveASideInstance:
    def test_the_plan_says_the_commands_that_rds_takes(self, is_protected: bool, command: str) -> None:
        assert Account(NIGHTLY, DeletionProtection=is_protected).plan().not_undone[-1] == f"to leave it: {command}"

    def test_a_refused_undo_says_them_of_the_one_that_was_made(self, is_protected: bool, command: str) -> None:
        account = Account(NIGHTLY, side={"DeletionProtection": is_protected})
        with pytest.raises(Refused) as refused:
            account.plan(undo=Intent(KEY, "inc-1", "db-1", "orders-rb-1@then", {}))
        assert refused.value.advice == f"by hand: {command}"

    def test_the_page_of_one_that_never_came_says_them(self, is_protected: bool, command: str) -> None:
        found = {"DBInstanceStatus": "failed", "DeletionProtection": is_protected}
        arrival = arrival_of(place_of(KEY), {"side": "orders-rb-1"}, found)
        assert arrival is not None
        assert arrival.lines[-1].endswith(f"until somebody deletes it: {command}")
