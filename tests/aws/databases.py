"""Databases in moto, and somebody of the same account who makes them."""

import functools
import itertools
from typing import Any

import boto3

from tests.aws.servers import ACCOUNT, REGION, hand

ROLE = f"arn:aws:iam::{ACCOUNT}:role/rollbackd"
_NAMES = itertools.count(1)


@functools.cache
def people(url: str) -> Any:
    """Somebody else in the same account: moto tells accounts apart by the role that was assumed."""
    given = hand(url, "sts").assume_role(RoleArn=ROLE, RoleSessionName="dana")["Credentials"]
    keys = {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"], "aws_session_token": given["SessionToken"]}
    return boto3.client("rds", region_name=REGION, endpoint_url=url, **keys)


def made(url: str, **more: Any) -> str:
    name = f"orders-{next(_NAMES)}"
    rds = people(url)
    asked = {"MultiAZ": True, "DeletionProtection": True, "BackupRetentionPeriod": 7, **more}
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t3.medium",
        Engine="postgres",
        MasterUsername="shop",
        MasterUserPassword="no-secret",
        AllocatedStorage=20,
        **asked,
    )
    rds.create_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=f"{name}-nightly")
    return name


def there(url: str, name: str) -> list[dict[str, Any]]:
    every = people(url).describe_db_instances()["DBInstances"]
    return [each for each in every if each["DBInstanceIdentifier"].startswith(f"{name}-rb-")]
