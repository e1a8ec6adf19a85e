"""Whether the load balancers that a name is put back to still exist and serve."""

import re
from collections.abc import Sequence
from typing import Any

from rollbackd.adapters.aws.route53 import calls
from rollbackd.adapters.aws.route53.reading import Reader
from rollbackd.adapters.aws.route53.records import Raw, label
from rollbackd.adapters.base.errors import Refused
from rollbackd.adapters.base.shape import shaped

_BALANCER = re.compile(r"(?:.+\.(?P<region>[a-z]{2}(-[a-z]+)+-\d)\.elb|.+\.elb\.(?P<other>[a-z]{2}(-[a-z]+)+-\d))\.amazonaws\.com(\.cn)?")


def refuse_lost(reader: Reader, sets: Sequence[Raw]) -> tuple[str, ...]:
    """What stays unknown of where these records lead, in lines; one of weight 0 gets nothing and is not asked about.

    Raises Refused where a load balancer is gone or has no healthy target.
    """
    unknown: list[str] = []
    for each in sets:
        if each.get("Weight") == 0:
            continue
        address = str((each.get("AliasTarget") or {}).get("DNSName") or "").rstrip(".").lower()
        found = _BALANCER.fullmatch(address)
        if found is None:
            unknown.append(f"whether what {label(each)} leads to serves is not known")
        else:
            _refuse_idle(reader, found["region"] or found["other"], address.removeprefix("dualstack."))
    return tuple(unknown)


def _refuse_idle(reader: Reader, region: str, address: str) -> None:
    there = reader.caller.elsewhere(region)
    pages = there.pages(calls.DESCRIBE_BALANCERS, given="NextMarker", asked="Marker")
    with shaped(f"load balancers in {region}"):
        arn = next((each["LoadBalancerArn"] for page in pages for each in page["LoadBalancers"] if each["DNSName"].lower() == address), None)
    if arn is None:
        what = f"account {reader.caller.account.name} has no application or network load balancer {address} in {region}"
        raise Refused(
            f"{what}: it was deleted, or is another account's. Nothing was changed.", advice="See whether it serves, then change the name by hand."
        )
    groups = there.read(calls.DESCRIBE_GROUPS, LoadBalancerArn=arn).get("TargetGroups") or []
    if not any(_serves(there.read(calls.DESCRIBE_HEALTH, TargetGroupArn=group["TargetGroupArn"])) for group in groups):
        what = f"load balancer {address} has no healthy target in any of its {len(groups)} target groups"
        raise Refused(f"{what}. Nothing was changed.", advice="Bring its targets up first.")


def _serves(answer: dict[str, Any]) -> bool:
    states = [item.get("TargetHealth") or {} for item in answer.get("TargetHealthDescriptions") or []]
    return any(state.get("State") == "healthy" or state.get("Reason") == "Target.HealthChecksDisabled" for state in states)
