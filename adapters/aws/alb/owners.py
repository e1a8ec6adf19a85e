"""Rules whose weights somebody else writes: refused, with the command by which their owner is told to go back."""

import shlex
from collections.abc import Iterator

from rollbackd.adapters.aws.alb.actions import Raw, Rule, weights_of
from rollbackd.adapters.aws.alb.place import Place
from rollbackd.adapters.aws.alb.reading import Reader
from rollbackd.adapters.base.errors import Refused

_CONTROLLER = ("elbv2.k8s.aws/", "ingress.k8s.aws/", "gateway.k8s.aws/", "gateway.k8s.aws.alb/")
"""Tags of the AWS load balancer controller."""


def refuse_owned(reader: Reader, place: Place, rule: Rule) -> None:
    """Nothing, for a rule that nobody else writes. Raises Refused for any other."""
    if (refusal := owner(reader, place, rule)) is not None:
        raise refusal


def owner(reader: Reader, place: Place, rule: Rule) -> Refused | None:
    """Why the rule is not ours to write, with what a person does; None if it is."""
    return _of_kubernetes(reader, place, rule) or next(_of_services(reader, place, rule), None)


def _of_kubernetes(reader: Reader, place: Place, rule: Rule) -> Refused | None:
    # A default rule has no tags of its own.
    tags = reader.tags([rule.listener, rule.balancer] if rule.is_default else [rule.arn, rule.listener, rule.balancer])
    if not any(key.startswith(_CONTROLLER) for key in tags):
        return None
    stack = next((value for key, value in tags.items() if key.endswith("/stack")), "NAMESPACE/INGRESS")
    namespace, _, name = stack.rpartition("/")
    command = shlex.join(["kubectl", "-n", namespace or "NAMESPACE", "edit", "ingress", name])
    what = f"{place} belongs to the AWS load balancer controller (stack {stack}), which would write its own weights again"
    return Refused(
        f"{what}. Nothing was changed.", advice=f"Change the weights in its annotation alb.ingress.kubernetes.io/actions. By hand: {command}"
    )


def _of_services(reader: Reader, place: Place, rule: Rule) -> Iterator[Refused]:
    groups = frozenset(weights_of(rule.actions))
    for service in reader.services():
        is_codedeploy = (service.get("deploymentController") or {}).get("type") == "CODE_DEPLOY"
        if rule.arn in _rules_of(service):
            yield _native(reader.caller.region, place, service)
        elif is_codedeploy and groups & _groups_of(service):
            yield _codedeploy(reader.caller.region, place, service)


def _rules_of(service: Raw) -> frozenset[str]:
    parts = [each.get("advancedConfiguration") or {} for each in service.get("loadBalancers") or []]
    return frozenset(part[key] for part in parts for key in ("productionListenerRule", "testListenerRule") if part.get(key))


def _groups_of(service: Raw) -> frozenset[str]:
    holders = (service, *(service.get("taskSets") or []))
    return frozenset(each["targetGroupArn"] for holder in holders for each in holder.get("loadBalancers") or [] if each.get("targetGroupArn"))


def _native(region: str, place: Place, service: Raw) -> Refused:
    cluster, name = _names(service)
    listed = f"aws ecs list-service-deployments --region {region} --cluster {cluster} --service {name}"
    stopped = f"aws ecs stop-service-deployment --region {region} --stop-type ROLLBACK --service-deployment-arn ARN"
    what = f"{place} belongs to ECS, which shifts its weights in the deployments of service {name} of cluster {cluster}"
    advice = f"Put the service itself back: a rung with target {{ecs: {{cluster: {cluster}, service: {name}}}}}. By hand: {listed}, then {stopped}"
    return Refused(f"{what}. Nothing was changed.", advice=advice)


def _codedeploy(region: str, place: Place, service: Raw) -> Refused:
    cluster, name = _names(service)
    ids = [str(each["externalId"]) for each in service.get("taskSets") or [] if each.get("externalId")]
    what = f"{place} belongs to CodeDeploy, which shifts its weights in the deployments of service {name} of cluster {cluster}"
    command = f"aws deploy stop-deployment --region {region} --deployment-id {ids[-1] if ids else 'DEPLOYMENT_ID'} --auto-rollback-enabled"
    return Refused(f"{what}. Nothing was changed.", advice=f"By hand: {command}")


def _names(service: Raw) -> tuple[str, str]:
    return str(service.get("clusterArn", "CLUSTER")).rpartition("/")[2], str(service["serviceName"])
