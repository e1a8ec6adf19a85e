"""One profile in one environment, as AppConfig's API shows it: names found, deployments and versions read, each write sent once. Decides nothing."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rollbackd.adapters.aws import Aws, Caller, fenced
from rollbackd.adapters.aws.appconfig import calls
from rollbackd.adapters.aws.appconfig.document import Document, document_of, served
from rollbackd.adapters.aws.appconfig.history import Deployment, History, history_of
from rollbackd.adapters.aws.calls import Call
from rollbackd.adapters.aws.failures import Gone, whole
from rollbackd.adapters.base.errors import Permanent
from rollbackd.adapters.base.shape import shaped

_TYPE = "AWS.AppConfig.FeatureFlags"
_VERSIONS = 100
"""So many versions and ended deployments are kept; they never change."""


@dataclass(slots=True)
class _Memory:
    """What never changes, once it was read. Numbers begin again in what is made anew, so they are kept with the id of what they are of."""

    ids: Mapping[str, str] | None = None
    documents: dict[tuple[str, int], Document] = field(default_factory=dict)
    ended: dict[tuple[str, int], Mapping[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Place:
    """``application``, ``environment`` and ``profile`` by name; ``strategy`` by id. Every method raises Transient, Permanent or Refused."""

    aws: Aws = field(repr=False)
    account: str
    region: str
    application: str
    environment: str
    profile: str
    strategy: str
    _memory: _Memory = field(default_factory=_Memory, init=False, repr=False, compare=False)

    def __str__(self) -> str:
        return f"AppConfig profile '{self.profile}' of {self.application}/{self.environment} (account {self.account}, {self.region})"

    @property
    def _caller(self) -> Caller:
        return self.aws.caller(self.account, self.region, calls.APPCONFIG, asker=str(self))

    def ids(self) -> Mapping[str, str]:
        """The parameters that name the application, the environment and the profile. Raises Permanent where a name is not there."""
        with self._memory.lock:
            if self._memory.ids is not None:
                return self._memory.ids
        application = self._named(calls.LIST_APPLICATIONS, self.application, "application")["Id"]
        environment = self._named(calls.LIST_ENVIRONMENTS, self.environment, "environment", ApplicationId=application)["Id"]
        profile = self._named(calls.LIST_PROFILES, self.profile, "profile", ApplicationId=application)
        if profile.get("Type") != _TYPE:
            raise Permanent(f"{self} is of type {profile.get('Type')} and not {_TYPE}; nothing was changed; give a profile of feature flags")
        ids = {"ApplicationId": application, "EnvironmentId": environment, "ConfigurationProfileId": profile["Id"]}
        with self._memory.lock:
            self._memory.ids = ids
        return ids

    def _named(self, call: Call, name: str, what: str, **asked: str) -> Mapping[str, Any]:
        with shaped(str(self)):
            found = {str(item["Name"]): dict(item) for item in self._items(call, **asked)}
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise Permanent(f"{self}: there is no {what} '{name}' (known: {known}); nothing was changed; correct the daemon's config")
        return found[name]

    def _items(self, call: Call, **asked: Any) -> Iterator[Mapping[str, Any]]:
        for page in self._caller.pages(call, given="NextToken", asked="NextToken", **asked):
            yield from page["Items"]

    def history(self, *, whole: bool = False) -> History:
        """The profile's deployments, as far back as what was in force before the live one; all of them where there is none, or if ``whole``."""
        is_known = self._memory.ids is not None
        try:
            return self._history(whole=whole)
        except Gone:
            if not is_known:
                raise
            # The environment was deleted and made anew, as deployments of infrastructure do.
            with self._memory.lock:
                self._memory.ids = None
            return self._history(whole=whole)

    def _history(self, *, whole: bool) -> History:
        ids, newest, found = self.ids(), 0, list[Deployment]()
        asked = {name: ids[name] for name in ("ApplicationId", "EnvironmentId")}
        with shaped(str(self)):
            for page in self._caller.pages(calls.LIST_DEPLOYMENTS, given="NextToken", asked="NextToken", MaxResults=50, **asked):
                numbers = [int(item["DeploymentNumber"]) for item in page["Items"]]
                newest = max([newest, *numbers])
                found += [_deployment(item) for item in page["Items"] if self._is_mine(item, ids)]
                # They are listed newest first, so an older page can tell nothing more.
                if not whole and numbers == sorted(numbers, reverse=True) and history_of(found, newest).before is not None:
                    break
        return history_of(found, newest)

    def _is_mine(self, item: Mapping[str, Any], ids: Mapping[str, str]) -> bool:
        known = item.get("ConfigurationProfileId")
        return bool(known == ids["ConfigurationProfileId"] if known else item["ConfigurationName"] == self.profile)

    def deployment(self, number: int) -> Mapping[str, Any]:
        """All about a deployment, its events and what was said of it included."""
        ids = self.ids()
        key = (ids["EnvironmentId"], number)
        with self._memory.lock:
            kept = self._memory.ended.get(key)
        if kept is not None:
            return kept
        asked = {name: ids[name] for name in ("ApplicationId", "EnvironmentId")}
        found = self._caller.read(calls.GET_DEPLOYMENT, **asked, DeploymentNumber=number)
        if found.get("State") in ("ROLLED_BACK", "REVERTED"):
            with self._memory.lock:
                _kept(self._memory.ended, key, found)
        return found

    def document(self, version: int) -> Document:
        """The version's document; a version never changes."""
        ids = self._profile_ids()
        key = (ids["ConfigurationProfileId"], version)
        with self._memory.lock:
            kept = self._memory.documents.get(key)
        if kept is not None:
            return kept
        found = self._caller.read(calls.GET_VERSION, **ids, VersionNumber=version)
        with shaped(str(self)):
            document = document_of(whole(found["Content"], str(self)))
        with self._memory.lock:
            _kept(self._memory.documents, key, document)
        return document

    def _profile_ids(self) -> dict[str, str]:
        ids = self.ids()
        return {name: ids[name] for name in ("ApplicationId", "ConfigurationProfileId")}

    def newest_version(self) -> int:
        """The number of the newest version, deployed or not."""
        with shaped(str(self)):
            return max(int(item["VersionNumber"]) for item in self._items(calls.LIST_VERSIONS, **self._profile_ids()))

    def served(self) -> Mapping[str, Mapping[str, Any]]:
        """What an application that asks now is served, by flag."""
        ids = self.ids()
        asked = {f"{name.removesuffix('Id')}Identifier": value for name, value in ids.items()}
        caller = self._caller
        with shaped(str(self)):
            token = caller.read(calls.START_SESSION, **asked)["InitialConfigurationToken"]
            return served(whole(caller.read(calls.GET_LATEST, ConfigurationToken=token)["Configuration"], str(self)))

    def strategy_found(self) -> Mapping[str, Any]:
        """The configured deployment strategy."""
        return self._caller.read(calls.GET_STRATEGY, DeploymentStrategyId=self.strategy)

    def stop(self, number: int, incident: str, look: Callable[[], None], within: timedelta) -> None:
        """The deployment is being taken back, finished or not; ``look`` raises what forbids it. Nothing is sent later than ``within``.

        Raises Rejected where it no longer can be.
        """
        ids = self.ids()
        asked: dict[str, Any] = {name: ids[name] for name in ("ApplicationId", "EnvironmentId")}
        fenced.write(self._caller, calls.STOP, incident, look, budget=within, **asked, DeploymentNumber=number, AllowRevert=True)

    def create(self, content: bytes, newest: int, incident: str) -> int:
        """The number of a new version with this content, if ``newest`` still is the newest one. It serves nobody yet."""
        asked: dict[str, Any] = {**self._profile_ids()}
        made = fenced.write(
            self._caller,
            calls.CREATE_VERSION,
            incident,
            fenced.nothing,
            **asked,
            Content=content,
            ContentType="application/json",
            LatestVersionNumber=newest,
            Description=f"rollbackd:{incident}",
        )
        with shaped(str(self)):
            return int(made["VersionNumber"])

    def start(self, version: int, newest: int, incident: str, within: timedelta) -> None:
        """The version is being deployed, if ``newest`` still is the environment's newest deployment; nothing is sent later than ``within``."""
        asked: dict[str, Any] = {**self.ids()}
        fenced.write(
            self._caller,
            calls.START,
            incident,
            fenced.nothing,
            budget=within,
            **asked,
            DeploymentStrategyId=self.strategy,
            ConfigurationVersion=str(version),
            LatestDeploymentNumber=newest,
            Description=f"rollbackd:{incident}",
        )


def _deployment(item: Mapping[str, Any]) -> Deployment:
    return Deployment(int(item["DeploymentNumber"]), int(item["ConfigurationVersion"]), str(item["State"]), item["StartedAt"])


def _kept(memory: dict[tuple[str, int], Any], key: tuple[str, int], value: Any) -> None:
    memory[key] = value
    for old in list(memory)[:-_VERSIONS]:
        del memory[old]
