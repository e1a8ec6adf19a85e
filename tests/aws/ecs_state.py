"""What ECS and ECR keep, as far as rolling back a service touches it. Time moves by a second with every change, and not by itself."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.aws.servers import ACCOUNT, REGION

Raw = dict[str, Any]
BASE = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


def digest(text: str) -> str:
    """A digest of an image, of its name."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class Said(Exception):
    """An error as Amazon words it."""

    def __init__(self, code: str, message: str = "no") -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Behaviour:
    """What becomes of the next deployments. All off: they succeed at once."""

    holds: bool = False  # they stay under way until `finish`
    breaks: bool = False  # the circuit breaker rolls them back at once
    starves: bool = False  # there is no capacity: they stay under way, with an event
    cannot_pull: bool = False  # their image cannot be pulled
    pauses: bool = False  # they wait at a hook
    unresolved: bool = False  # their images are not resolved yet


@dataclass
class Cloud:
    """One account and region with one cluster."""

    clock: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    account: str = ACCOUNT
    behaviour: Behaviour = field(default_factory=Behaviour)
    definitions: dict[str, Raw] = field(default_factory=dict)
    tags: dict[str, list[Raw]] = field(default_factory=dict)
    services: dict[str, Raw] = field(default_factory=dict)
    deployments: dict[str, Raw] = field(default_factory=dict)
    revisions: dict[str, Raw] = field(default_factory=dict)
    stopped: dict[str, list[Raw]] = field(default_factory=dict)
    images: dict[str, set[str]] = field(default_factory=dict)
    image_tags: dict[str, str] = field(default_factory=dict)
    unhealthy_targets: bool = False
    idle_groups: set[str] = field(default_factory=set)
    health: dict[str, str] = field(default_factory=dict)  # by container; UNKNOWN where nothing is said. The tasks themselves stay UNKNOWN

    def tick(self) -> datetime:
        """A second later."""
        self.clock += timedelta(seconds=1)
        return self.clock

    # --- what other people do ------------------------------------------------------------------------------------------------------------

    def push(self, repository: str, content: str, tag: str = "") -> str:
        """The digest of an image that is in the repository now, under this tag."""
        pushed = digest(content)
        self.images.setdefault(repository, set()).add(pushed)
        if tag:
            self.image_tags[f"{repository}:{tag}"] = pushed
        return pushed

    def register(self, family: str, *, image: str, **more: Any) -> str:
        """The ARN of a new task definition with one container."""
        container = {"name": "app", "image": image, "essential": True, "environment": [{"name": "COLOUR", "value": "green"}]}
        return self.registered({"family": family, "containerDefinitions": [container], "cpu": "256", "memory": "512", **more}, [])

    def registered(self, said: Raw, tags: list[Raw]) -> str:
        """The ARN of a definition as it was registered."""
        number = 1 + sum(1 for each in self.definitions.values() if each["family"] == said["family"])
        arn = f"{BASE}:task-definition/{said['family']}:{number}"
        self.definitions[arn] = {**said, "taskDefinitionArn": arn, "revision": number, "status": "ACTIVE", "registeredAt": self.tick()}
        self.tags[arn] = tags
        return arn

    def create(self, name: str, definition: str, **more: Any) -> Raw:
        """A service, deployed."""
        arn = f"{BASE}:service/main/{name}"
        service = {
            "serviceArn": arn,
            "serviceName": name,
            "clusterArn": f"{BASE}:cluster/main",
            "status": "ACTIVE",
            "desiredCount": 2,
            "runningCount": 0,
            "createdAt": self.tick(),
            "events": [],
            "schedulingStrategy": "REPLICA",
            "deploymentController": {"type": "ECS"},
            **more,
        }
        self.services[name] = service
        self.stopped[name] = []
        self.deploy(name, definition)
        return service

    def deploy(self, name: str, definition: str) -> str:
        """The ARN of a new service deployment. The tasks of the one before run on until it is done."""
        service, at = self.services[name], self.tick()
        before = service.get("currentServiceDeployment")
        revision = self._revision(name, definition, at)
        arn = f"{BASE}:service-deployment/main/{name}/{len(self.deployments):08x}"
        sources = [{"arn": self.effective(before)}] if before else []
        if before and self.deployments[before]["status"] in ("PENDING", "IN_PROGRESS"):
            self.deployments[before] |= {"status": "STOPPED", "statusReason": "superseded"}
        self.deployments[arn] = {
            "serviceDeploymentArn": arn,
            "serviceArn": service["serviceArn"],
            "clusterArn": service["clusterArn"],
            "createdAt": at,
            "startedAt": at,
            "updatedAt": at,
            "status": "IN_PROGRESS",
            "sourceServiceRevisions": sources,
            "targetServiceRevision": {"arn": revision},
            "deploymentCircuitBreaker": {"status": "MONITORING", "failureCount": 0, "threshold": 10},
        }
        service |= {"currentServiceDeployment": arn, "taskDefinition": definition}
        service["deployments"] = [self._primary(name, definition, at)]
        self._behave(name, arn)
        return arn

    def finish(self, name: str) -> None:
        """The deployment that is under way has succeeded."""
        service, at = self.services[name], self.tick()
        deployment = self.deployments[service["currentServiceDeployment"]]
        rolled_back = deployment["status"].startswith("ROLLBACK")
        deployment |= {"status": "ROLLBACK_SUCCESSFUL" if rolled_back else "SUCCESSFUL", "finishedAt": at, "updatedAt": at}
        service["runningCount"] = service["desiredCount"]
        service["deployments"][0] |= {"rolloutState": "COMPLETED", "runningCount": service["desiredCount"], "updatedAt": at}

    def roll_back(self, name: str, *, breaker: bool = False, ends: bool = True) -> None:
        """ECS goes back to what the deployment replaces."""
        service, at = self.services[name], self.tick()
        arn = service["currentServiceDeployment"]
        deployment = self.deployments[arn]
        back = deployment["sourceServiceRevisions"][0]["arn"]
        deployment |= {"status": "ROLLBACK_IN_PROGRESS", "rollback": {"serviceRevisionArn": back, "startedAt": at}, "updatedAt": at}
        if breaker:
            deployment["deploymentCircuitBreaker"] |= {"status": "TRIGGERED", "failureCount": 10}
            deployment["statusReason"] = "the circuit breaker was triggered"
        definition = self.revisions[back]["taskDefinition"]
        service["taskDefinition"] = definition
        service["deployments"] = [self._primary(name, definition, at)]
        if ends:
            self.finish(name)

    def effective(self, arn: str) -> str:
        """The revision at which the service stands after this deployment."""
        deployment = self.deployments[arn]
        if "rollback" in deployment:
            return str(deployment["rollback"]["serviceRevisionArn"])
        return str(deployment["targetServiceRevision"]["arn"])

    # --- inside ---------------------------------------------------------------------------------------------------------------------------

    def _behave(self, name: str, arn: str) -> None:
        how, service, deployment = self.behaviour, self.services[name], self.deployments[arn]
        primary = service["deployments"][0]
        if how.starves:
            service["events"].insert(0, {"id": "e", "createdAt": self.tick(), "message": f"(service {name}) was unable to place a task: no capacity"})
        elif how.cannot_pull:
            primary["failedTasks"] = 2
            reason = "CannotPullContainerError: pull image manifest has been retried 7 times: not found"
            stopped = {"taskArn": f"{BASE}:task/main/dead", "taskDefinitionArn": service["taskDefinition"], "lastStatus": "STOPPED"}
            self.stopped[name].append({**stopped, "stoppedReason": reason, "containers": []})
        elif how.breaks:
            self.roll_back(name, breaker=True)
        elif how.pauses:
            deployment["lifecycleStage"] = "POST_TEST_TRAFFIC_SHIFT"
            deployment["lifecycleHookDetails"] = [{"hookId": f"hook-{arn[-4:]}", "targetType": "PAUSE", "status": "AWAITING_ACTION"}]
        elif not how.holds:
            self.finish(name)

    def _revision(self, name: str, definition: str, at: datetime) -> str:
        arn = f"{BASE}:service-revision/main/{name}/{len(self.revisions):08x}"
        containers = self.definitions[definition]["containerDefinitions"]
        images = [{"containerName": item["name"], "image": item["image"], **self._resolved(item["image"])} for item in containers]
        self.revisions[arn] = {"serviceRevisionArn": arn, "taskDefinition": definition, "containerImages": images, "createdAt": at}
        return arn

    def _resolved(self, image: str) -> Raw:
        if "@" in image or self.behaviour.unresolved:
            return {"imageDigest": image.partition("@")[2]} if "@" in image else {}
        return {"imageDigest": self.image_tags.get(image.removeprefix(f"{REGISTRY}/"), digest(image))}

    def _primary(self, name: str, definition: str, at: datetime) -> Raw:
        return {
            "id": f"ecs-svc/{int(at.timestamp())}",
            "status": "PRIMARY",
            "taskDefinition": definition,
            "desiredCount": self.services[name]["desiredCount"],
            "runningCount": 0,
            "failedTasks": 0,
            "createdAt": at,
            "updatedAt": at,
            "rolloutState": "IN_PROGRESS",
        }

    def tasks(self, name: str) -> list[Raw]:
        """The tasks that run: of the PRIMARY deployment."""
        primary = self.services[name]["deployments"][0]
        revision = self.revisions[self.effective(self.services[name]["currentServiceDeployment"])]
        containers = [
            {"name": item["containerName"], "lastStatus": "RUNNING", "healthStatus": self.health.get(item["containerName"], "UNKNOWN")}
            | ({"imageDigest": item["imageDigest"]} if "imageDigest" in item else {})
            for item in revision["containerImages"]
        ]
        return [
            {
                "taskArn": f"{BASE}:task/main/{name}-{number}",
                "taskDefinitionArn": primary["taskDefinition"],
                "lastStatus": "RUNNING",
                "healthStatus": "UNKNOWN",
                "containers": containers,
            }
            for number in range(primary["runningCount"])
        ]
