"""The calls that are made to RDS. A restore is the only write; to change or delete an instance is not among them, and is denied by name."""

from rollbackd.adapters.aws.calls import Call, Extra, declare

_SOURCE = "arn:aws:rds:REGION:ACCOUNT:db:SOURCE"
_SIDE = "arn:aws:rds:REGION:ACCOUNT:db:SOURCE-rb-*"
_SNAPSHOTS = "arn:aws:rds:REGION:ACCOUNT:snapshot:*"
_GROUPS = ("arn:aws:rds:REGION:ACCOUNT:subgrp:*", "arn:aws:rds:REGION:ACCOUNT:pg:*", "arn:aws:rds:REGION:ACCOUNT:og:*")

DESCRIBE = Call("rds", "DescribeDBInstances", ("arn:aws:rds:REGION:ACCOUNT:db:*",))
DESCRIBE_SNAPSHOTS = Call("rds", "DescribeDBSnapshots", ("arn:aws:rds:REGION:ACCOUNT:db:*", _SNAPSHOTS))
TO_POINT_IN_TIME = Call("rds", "RestoreDBInstanceToPointInTime", (_SOURCE, _SIDE, *_GROUPS), writes=True)
FROM_SNAPSHOT = Call("rds", "RestoreDBInstanceFromDBSnapshot", (_SNAPSHOTS, _SIDE, *_GROUPS), writes=True)

RDS = declare(
    "rds",
    (DESCRIBE, DESCRIBE_SNAPSHOTS, TO_POINT_IN_TIME, FROM_SNAPSHOT),
    extra=(Extra("rds:AddTagsToResource", (_SIDE,)),),
    denied=(
        "rds:DeleteDBCluster",
        "rds:DeleteDBInstance",
        "rds:DeleteDBInstanceAutomatedBackup",
        "rds:DeleteDBSnapshot",
        "rds:ModifyDBCluster",
        "rds:ModifyDBInstance",
        "rds:ModifyDBSnapshot",
        "rds:PromoteReadReplica",
        "rds:RebootDBInstance",
        "rds:StopDBInstance",
        "rds:SwitchoverBlueGreenDeployment",
    ),
)
