"""What a side instance has of its source: RDS gives a restored one defaults for most of it. Pure."""

from collections.abc import Mapping
from typing import Any

from rollbackd.adapters.base.target import Json

_SAME = (
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DeletionProtection",
    "MultiAZ",
    "NetworkType",
    "PubliclyAccessible",
    "StorageType",
)
_SPEED = ("Iops", "StorageThroughput")
_FIXED_BELOW = 400
"""GiB. RDS gives smaller gp3 volumes a fixed speed, and refuses to be told one."""


def copied(source: Mapping[str, Any]) -> dict[str, Json]:
    """The parameters of a restore that make the side instance like its source. Those that a restore has not are left to people."""
    found: dict[str, Json] = {name: source[name] for name in _SAME if source.get(name) is not None}
    if source.get("StorageType") != "gp3" or int(source.get("AllocatedStorage") or 0) >= _FIXED_BELOW:
        found |= {name: source[name] for name in _SPEED if source.get(name)}
    if group := (source.get("DBSubnetGroup") or {}).get("DBSubnetGroupName"):
        found["DBSubnetGroupName"] = group
    if groups := [each["VpcSecurityGroupId"] for each in source.get("VpcSecurityGroups") or ()]:
        found["VpcSecurityGroupIds"] = sorted(groups)
    if parameters := source.get("DBParameterGroups"):
        found["DBParameterGroupName"] = parameters[0]["DBParameterGroupName"]
    options = [each["OptionGroupName"] for each in source.get("OptionGroupMemberships") or ()]
    if own := [name for name in options if not name.startswith("default:")]:  # the default one is given anyway
        found["OptionGroupName"] = own[0]
    if logs := source.get("EnabledCloudwatchLogsExports"):
        found["EnableCloudwatchLogsExports"] = sorted(logs)
    if source.get("IAMDatabaseAuthenticationEnabled"):
        found["EnableIAMDatabaseAuthentication"] = True
    return found
