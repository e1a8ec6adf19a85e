"""Services that ECS itself does not deploy: refused, with the command that does it."""

from rollbackd.adapters.aws.ecs import objects
from rollbackd.adapters.aws.ecs.objects import Raw
from rollbackd.adapters.aws.ecs.place import Place
from rollbackd.adapters.aws.ecs.reading import Reader
from rollbackd.adapters.base.errors import Refused


def refuse_other_deployers(reader: Reader, place: Place, service: Raw) -> None:
    """Nothing, for a service that ECS deploys. Raises Refused for any other."""
    if (refusal := other_deployer(reader.caller.region, place, service)) is not None:
        raise refusal


def other_deployer(region: str, place: Place, service: Raw) -> Refused | None:
    """Why a service is not ours to put back, with the exact command; None if it is."""
    match objects.controller(service):
        case "ECS":
            return None
        case "CODE_DEPLOY":
            return Refused(
                f"{place} is deployed by CodeDeploy, which alone may put it back. Nothing was changed.", advice=_codedeploy(region, service)
            )
        case other:
            return Refused(f"{place} has the deployment controller {other}. Nothing was changed.", advice=_external(region, place, service))


def task_set(service: Raw) -> Raw:
    """The PRIMARY task set of a service that another deployer deploys; empty where it has none."""
    sets: list[Raw] = service.get("taskSets") or []
    return next((item for item in sets if item.get("status") == "PRIMARY"), {})


def _codedeploy(region: str, service: Raw) -> str:
    sets: list[Raw] = service.get("taskSets") or []
    newest = max(sets, key=lambda item: item["createdAt"], default={})
    deployment = newest.get("externalId") or "DEPLOYMENT_ID"
    if len(sets) > 1:
        return f"By hand: aws deploy stop-deployment --region {region} --deployment-id {deployment} --auto-rollback-enabled"
    shown = f"aws deploy get-deployment --region {region} --deployment-id {deployment}"
    return f"By hand, a new deployment of the former revision: {shown}, then aws deploy create-deployment with its application and group"


def _external(region: str, place: Place, service: Raw) -> str:
    former = next((str(item["id"]) for item in service.get("taskSets") or [] if item.get("status") == "ACTIVE"), "TASK_SET")
    where = f"--region {region} --cluster {place.cluster} --service {place.service}"
    return f"By hand: aws ecs update-service-primary-task-set {where} --primary-task-set {former}"
