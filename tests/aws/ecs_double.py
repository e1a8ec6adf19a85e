"""A double of ECS's service deployments, because MiniStack and moto know none; with as much of ECR, STS and load balancers as a rollback asks.

It speaks the wire: its answers are parsed by the real SDK, and each is held against the service model before it leaves, so that the double can
answer nothing that Amazon could not. It obeys where the emulators do not: definitions out of use and unknown ones are refused, so are definitions
of a service that CodeDeploy deploys; a deployment that has ended cannot be stopped; pages are short.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.aws.ecs_model import check
from tests.aws.ecs_state import BASE, Cloud, Raw, Said

PAGE = 2
"""So many tasks a page, so that pages are met."""


@dataclass
class Fault:
    """What happens to the next ``times`` calls of an operation (``*``: any): ``code`` is answered, or the answer is lost.

    ``lost``: before: nothing was done; after: it was done; late: it is done at ``EcsDouble.catch_up``.
    """

    operation: str
    code: str = ""
    lost: str = ""
    times: int = 1


@dataclass
class EcsDouble:
    """A running double. ``asked``: every operation with its parameters, in order."""

    url: str
    cloud: Cloud = field(default_factory=Cloud)
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, Raw]] = field(default_factory=list)
    late: list[tuple[str, Raw]] = field(default_factory=list)

    def writes(self) -> list[tuple[str, Raw]]:
        """Those that change something."""
        return [(name, said) for name, said in self.asked if name.startswith(("Update", "Stop", "Continue", "Register"))]

    def catch_up(self) -> None:
        """What was on its way when the connection broke is done now."""
        for name, said in self.late:
            answer(self.cloud, name, said)
        self.late.clear()


@contextlib.contextmanager
def ecs_double(poll_interval: float = 0.01) -> Iterator[EcsDouble]:
    """An empty double on loopback. ``poll_interval``: seconds that its end may take; where many run at once, looking often costs more."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    double = EcsDouble(f"http://127.0.0.1:{server.server_address[1]}")
    server.double = double  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": poll_interval}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: apart, the second waits 40 ms for the first to be acknowledged

    def do_POST(self) -> None:
        double: EcsDouble = self.server.double  # type: ignore[attr-defined]
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # whoever asks has died over it: half a request is none
            self.close_connection = True
            return
        service, name, said = _read(self.headers.get("X-Amz-Target", ""), body)
        double.asked.append((name, said))
        fault = next((each for each in double.faults if each.operation in (name, "*") and each.times > 0), None)
        if fault is not None:
            fault.times -= 1
        if fault is not None and fault.lost:
            if fault.lost == "after":
                answer(double.cloud, name, said)
            if fault.lost == "late":
                double.late.append((name, said))
            self.close_connection = True
            return
        try:
            if fault is not None:
                raise Said(fault.code)
            self._reply(200, service, name, answer(double.cloud, name, said))
        except Said as error:
            self._refuse(service, error)

    def _reply(self, status: int, service: str, name: str, found: Raw | str) -> None:
        if isinstance(found, str):
            self._send(status, "text/xml", found.encode())
            return
        check(service, name, found)
        self._send(status, "application/x-amz-json-1.1", json.dumps(found, default=datetime.timestamp).encode())

    def _refuse(self, service: str, error: Said) -> None:
        status = 500 if error.code in ("ServerException", "InternalFailure") else 400
        if service in ("sts", "elbv2"):
            self._send(
                status, "text/xml", f"<ErrorResponse><Error><Code>{error.code}</Code><Message>{error}</Message></Error></ErrorResponse>".encode()
            )
        else:
            self._send(status, "application/x-amz-json-1.1", json.dumps({"__type": error.code, "message": str(error)}).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        pass


def _read(target: str, body: bytes) -> tuple[str, str, Raw]:
    if target:
        prefix, _, name = target.partition(".")
        return "ecr" if "Registry" in prefix else "ecs", name, json.loads(body or b"{}")
    said = {key: values[0] for key, values in parse_qs(body.decode()).items()}
    name = said.get("Action", "")
    return "elbv2" if name == "DescribeTargetHealth" else "sts", name, said


def answer(cloud: Cloud, name: str, said: Raw) -> Raw | str:
    """What Amazon says to this operation. Raises Said."""
    made = OPERATIONS[name](cloud, said)
    assert isinstance(made, dict | str)
    return made


# --- operations -------------------------------------------------------------------------------------------------------------------------------------


def _service(cloud: Cloud, said: Raw, key: str = "service") -> Raw:
    if said.get("cluster") != "main":
        raise Said("ClusterNotFoundException", "Cluster not found.")
    if (service := cloud.services.get(said[key])) is None:
        raise Said("ServiceNotFoundException", "Service not found.")
    return service


def describe_services(cloud: Cloud, said: Raw) -> Raw:
    if len(said["services"]) > 10:
        raise Said("InvalidParameterException", "Services cannot have more than 10 elements.")
    if said.get("cluster") != "main":
        raise Said("ClusterNotFoundException", "Cluster not found.")
    missing = [name for name in said["services"] if name not in cloud.services]
    return {
        "services": [cloud.services[name] for name in said["services"] if name in cloud.services],
        "failures": [{"arn": f"{BASE}:service/main/{name}", "reason": "MISSING"} for name in missing],
    }


def list_service_deployments(cloud: Cloud, said: Raw) -> Raw:
    service = _service(cloud, said)
    mine = [item for item in cloud.deployments.values() if item["serviceArn"] == service["serviceArn"]]
    chosen = [item for item in mine if item["status"] in said.get("status", [item["status"]])]
    start, size = int(said.get("nextToken", 0)), min(said.get("maxResults", 20), 100)
    more = {"nextToken": str(start + size)} if start + size < len(chosen) else {}
    brief = ("serviceDeploymentArn", "serviceArn", "clusterArn", "createdAt", "startedAt", "finishedAt", "status")
    page = [(item, item["targetServiceRevision"]["arn"]) for item in chosen[start : start + size]]
    told = [{key: item[key] for key in brief if key in item} | {"targetServiceRevisionArn": arn} for item, arn in page]
    return {"serviceDeployments": told, **more}


def describe_service_deployments(cloud: Cloud, said: Raw) -> Raw:
    return {"serviceDeployments": [cloud.deployments[arn] for arn in said["serviceDeploymentArns"] if arn in cloud.deployments], "failures": []}


def describe_service_revisions(cloud: Cloud, said: Raw) -> Raw:
    return {"serviceRevisions": [cloud.revisions[arn] for arn in said["serviceRevisionArns"] if arn in cloud.revisions], "failures": []}


def update_service(cloud: Cloud, said: Raw) -> Raw:
    service = _service(cloud, said)
    if service["status"] != "ACTIVE":
        raise Said("ServiceNotActiveException", "Service was not ACTIVE.")
    if service["deploymentController"]["type"] != "ECS":
        raise Said("InvalidParameterException", "Unable to update task definition on services with a CODE_DEPLOY deployment controller.")
    definition = cloud.definitions.get(said["taskDefinition"])
    if definition is None or definition["status"] != "ACTIVE":
        raise Said("ClientException", "TaskDefinition is inactive" if definition else "TaskDefinition not found.")
    cloud.deploy(service["serviceName"], said["taskDefinition"])
    return {"service": service}


def _rolls_back(cloud: Cloud, said: Raw) -> Raw:
    deployment = cloud.deployments.get(said["serviceDeploymentArn"])
    if deployment is None:
        raise Said("ServiceDeploymentNotFoundException")
    if deployment["status"] in ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"):
        return {"serviceDeploymentArn": said["serviceDeploymentArn"]}
    if deployment["status"] not in ("PENDING", "IN_PROGRESS"):
        raise Said("ConflictException", f"Deployment is {deployment['status']}")
    cloud.roll_back(deployment["serviceArn"].rpartition("/")[2], ends=not cloud.behaviour.holds)
    return {"serviceDeploymentArn": said["serviceDeploymentArn"]}


def stop_service_deployment(cloud: Cloud, said: Raw) -> Raw:
    assert said["stopType"] == "ROLLBACK"
    return _rolls_back(cloud, said)


def continue_service_deployment(cloud: Cloud, said: Raw) -> Raw:
    deployment = cloud.deployments.get(said["serviceDeploymentArn"], {})
    if said["hookId"] not in [hook["hookId"] for hook in deployment.get("lifecycleHookDetails", [])]:
        raise Said("InvalidParameterException", "hookId")
    if said.get("action", "CONTINUE") == "CONTINUE":
        deployment["lifecycleHookDetails"] = []
        cloud.finish(deployment["serviceArn"].rpartition("/")[2])
        return {"serviceDeploymentArn": said["serviceDeploymentArn"]}
    return _rolls_back(cloud, said)


def describe_task_definition(cloud: Cloud, said: Raw) -> Raw:
    if said["taskDefinition"] not in cloud.definitions:
        raise Said("ClientException", "Unable to describe task definition.")
    return {"taskDefinition": cloud.definitions[said["taskDefinition"]], "tags": cloud.tags[said["taskDefinition"]]}


def list_task_definitions(cloud: Cloud, said: Raw) -> Raw:
    found = [arn for arn, item in cloud.definitions.items() if item["family"] == said["familyPrefix"] and item["status"] == said["status"]]
    return {"taskDefinitionArns": found[::-1] if said["sort"] == "DESC" else found}


def register_task_definition(cloud: Cloud, said: Raw) -> Raw:
    tags = said.pop("tags", [])
    return {"taskDefinition": cloud.definitions[cloud.registered(said, tags)], "tags": tags}


def list_tasks(cloud: Cloud, said: Raw) -> Raw:
    service = _service(cloud, said, "serviceName")
    tasks = cloud.stopped[service["serviceName"]] if said["desiredStatus"] == "STOPPED" else cloud.tasks(service["serviceName"])
    start = int(said.get("nextToken", 0))
    more = {"nextToken": str(start + PAGE)} if start + PAGE < len(tasks) else {}
    return {"taskArns": [task["taskArn"] for task in tasks[start : start + PAGE]], **more}


def describe_tasks(cloud: Cloud, said: Raw) -> Raw:
    every = [task for name in cloud.services for task in (*cloud.tasks(name), *cloud.stopped[name])]
    return {"tasks": [task for task in every if task["taskArn"] in said["tasks"]], "failures": []}


def describe_images(cloud: Cloud, said: Raw) -> Raw:
    repository, (image,) = said["repositoryName"], said["imageIds"]
    found = image.get("imageDigest") or cloud.image_tags.get(f"{repository}:{image['imageTag']}")
    if found not in cloud.images.get(repository, set()):
        raise Said("ImageNotFoundException", "The image does not exist.")
    return {"imageDetails": [{"registryId": said["registryId"], "repositoryName": repository, "imageDigest": found}]}


def get_caller_identity(cloud: Cloud, said: Raw) -> str:
    arn = f"arn:aws:sts::{cloud.account}:assumed-role/rollbackd/session"
    result = f"<UserId>u</UserId><Account>{cloud.account}</Account><Arn>{arn}</Arn>"
    return f"<GetCallerIdentityResponse><GetCallerIdentityResult>{result}</GetCallerIdentityResult></GetCallerIdentityResponse>"


def describe_target_health(cloud: Cloud, said: Raw) -> str:
    states = [] if said["TargetGroupArn"] in cloud.idle_groups else ["unhealthy" if cloud.unhealthy_targets else "healthy"] * 2
    members = "".join(f"<member><Target><Id>t</Id></Target><TargetHealth><State>{state}</State></TargetHealth></member>" for state in states)
    inside = f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions>"
    return f"<DescribeTargetHealthResponse><DescribeTargetHealthResult>{inside}</DescribeTargetHealthResult></DescribeTargetHealthResponse>"


OPERATIONS: dict[str, Any] = {
    "DescribeServices": describe_services,
    "ListServiceDeployments": list_service_deployments,
    "DescribeServiceDeployments": describe_service_deployments,
    "DescribeServiceRevisions": describe_service_revisions,
    "UpdateService": update_service,
    "StopServiceDeployment": stop_service_deployment,
    "ContinueServiceDeployment": continue_service_deployment,
    "DescribeTaskDefinition": describe_task_definition,
    "ListTaskDefinitions": list_task_definitions,
    "RegisterTaskDefinition": register_task_definition,
    "ListTasks": list_tasks,
    "DescribeTasks": describe_tasks,
    "DescribeImages": describe_images,
    "GetCallerIdentity": get_caller_identity,
    "DescribeTargetHealth": describe_target_health,
}
