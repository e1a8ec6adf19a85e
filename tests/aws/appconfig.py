"""A feature-flags profile in a stand-in for AppConfig, and the people who deploy it."""

import functools
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rollbackd.adapters.aws.appconfig import AppConfig, Place, Profile
from tests.aws.servers import REGION, aws, hand

_NAMES = itertools.count(1)
# To make a client of the SDK takes longer than all its calls.
_hand, _aws = functools.cache(hand), functools.cache(aws)


@dataclass(frozen=True, slots=True)
class Shop:
    """The profile ``flags`` of the environment ``production``. ``strategy`` deploys at once, ``slowly`` takes ten minutes and bakes ten."""

    url: str
    application: str
    ids: Mapping[str, str]
    strategy: str
    slowly: str

    @property
    def api(self) -> Any:
        return _hand(self.url, "appconfig")

    @property
    def environment(self) -> dict[str, str]:
        return {name: self.ids[name] for name in ("ApplicationId", "EnvironmentId")}

    def target(self, url: str | None = None, **more: Any) -> AppConfig:
        """The Target of the provider ``shop``, which reaches AppConfig by ``url``."""
        return AppConfig({"shop": self.profile(url, **more)})

    def profile(self, url: str | None = None, **more: Any) -> Profile:
        return Profile("shop", Place(_aws(url or self.url), "prod", REGION, self.application, "production", "flags", self.strategy), **more)

    def deploy(self, flags: Mapping[str, bool], strategy: str | None = None, **attributes: Any) -> int:
        """Somebody makes a version in which these flags stand so, and deploys it."""
        values = {**self.values(), **{name: {"enabled": is_on, **attributes} for name, is_on in flags.items()}}
        content = json.dumps({"version": "1", "flags": {name: {"name": name} for name in values}, "values": values}).encode()
        made = self.api.create_hosted_configuration_version(**self._profile, Content=content, ContentType="application/json")
        return self.start(made["VersionNumber"], strategy)

    def start(self, version: int, strategy: str | None = None) -> int:
        asked = {**self.ids, "DeploymentStrategyId": strategy or self.strategy, "ConfigurationVersion": str(version)}
        number: int = self.api.start_deployment(**asked)["DeploymentNumber"]
        return number

    def stop(self, number: int) -> None:
        """Somebody takes the deployment back."""
        self.api.stop_deployment(**self.environment, DeploymentNumber=number, AllowRevert=True)

    def remove(self) -> None:
        """Somebody deletes the environment."""
        self.api.delete_environment(**self.environment)

    def made_anew(self) -> "Shop":
        """Somebody deletes the environment and makes it anew: without deployments, and under another id."""
        self.remove()
        made = self.api.create_environment(ApplicationId=self.ids["ApplicationId"], Name="production")
        return replace(self, ids={**self.ids, "EnvironmentId": made["Id"]})

    @property
    def _profile(self) -> dict[str, str]:
        return {name: self.ids[name] for name in ("ApplicationId", "ConfigurationProfileId")}

    def deployments(self) -> list[tuple[int, str, str]]:
        """Number, version and state of each, oldest first."""
        found = self.api.list_deployments(**self.environment)["Items"]
        return sorted((each["DeploymentNumber"], each["ConfigurationVersion"], each["State"]) for each in found)

    def values(self) -> dict[str, Any]:
        """Every flag of the version in force, in full."""
        in_force = [version for _, version, state in self.deployments() if state not in ("REVERTED", "ROLLED_BACK")]
        if not in_force:
            return {}
        found = self.api.get_hosted_configuration_version(**self._profile, VersionNumber=int(in_force[-1]))["Content"].read()
        values: dict[str, Any] = json.loads(found)["values"]
        return values

    def served(self) -> dict[str, Any]:
        """What an application that asks now is served."""
        data = _hand(self.url, "appconfigdata")
        asked = {f"{name.removesuffix('Id')}Identifier": value for name, value in self.ids.items()}
        token = data.start_configuration_session(**asked)["InitialConfigurationToken"]
        found: dict[str, Any] = json.loads(data.get_latest_configuration(ConfigurationToken=token)["Configuration"].read())
        return found


def open_profile(url: str) -> Shop:
    """A profile without a version, in an application of its own, and no other one: MiniStack lists 50 and knows no further page."""
    api, name = _hand(url, "appconfig"), f"shop-{next(_NAMES)}"
    for old in api.list_applications()["Items"]:
        api.delete_application(ApplicationId=old["Id"])
    application = api.create_application(Name=name)["Id"]
    environment = api.create_environment(ApplicationId=application, Name="production")["Id"]
    profile = api.create_configuration_profile(ApplicationId=application, Name="flags", LocationUri="hosted", Type="AWS.AppConfig.FeatureFlags")["Id"]

    def strategy(minutes: int) -> str:
        made = {"DeploymentDurationInMinutes": minutes, "FinalBakeTimeInMinutes": minutes, "GrowthFactor": 10.0 if minutes else 100.0}
        found: str = api.create_deployment_strategy(Name=f"{name}-{minutes}", ReplicateTo="NONE", **made)["Id"]
        return found

    ids = {"ApplicationId": application, "EnvironmentId": environment, "ConfigurationProfileId": profile}
    return Shop(url, name, ids, strategy(0), strategy(10))
