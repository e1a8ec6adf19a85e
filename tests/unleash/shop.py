"""A project with flags in it, and the people who work there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from rollbackd.adapters.unleash import Project, Unleash
from tests.unleash.server import BACKEND, UnleashServer

EVERYBODY = {"name": "flexibleRollout", "parameters": {"rollout": "100", "stickiness": "default", "groupId": "all"}, "constraints": []}


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as it is made: on or off in production. ``strategies``: those of production."""

    name: str
    tag: str = "checkout"
    is_on: bool = True
    kind: str = "release"
    strategies: Sequence[Mapping[str, Any]] = (EVERYBODY,)


@dataclass(frozen=True, slots=True)
class Shop:
    """The project ``name`` of the server. ``folder`` holds token files."""

    server: UnleashServer
    name: str
    folder: Path

    def token_file(self, who: str) -> Path:
        """A file with the token of one of the server's people, or of backend applications (``production``, ``development``)."""
        file = self.folder / f"{who}.token"
        file.write_text({**self.server.tokens, **BACKEND}[who] + "\n")
        return file

    def project(self, *, who: str = "rollbackd", client: str | None = "production", url: str | None = None, **options: Any) -> Project:
        """The project as rollbackd is configured with it."""
        client_file = self.token_file(client) if client is not None else None
        options = {"settle": timedelta(0), **options}
        return Project("unleash", url or self.server.url, self.token_file(who), client_file, project=self.name, **options)

    def target(self, **options: Any) -> Unleash:
        """The target whose keys start with ``unleash:NAME/production``."""
        return Unleash({self.name: self.project(**options)})

    def key(self, scope: str, environment: str = "production") -> str:
        """The key of a scope of flags."""
        return f"unleash:{self.name}/{environment}/{scope}"

    def switch(self, name: str, is_on: bool, *, environment: str = "production", who: str = "dana") -> None:
        """A person switches a flag."""
        self.server.ask(who, "POST", f"{self._flag(name)}/environments/{environment}/{'on' if is_on else 'off'}")

    def depend(self, child: str, parent: str, *, while_on: bool = True) -> None:
        """Dana lets one flag be off wherever another is; without ``while_on`` wherever the other is on."""
        self.server.ask("dana", "POST", f"{self._flag(child)}/dependencies", {"feature": parent, "enabled": while_on})

    def flag(self, name: str) -> Any:
        """All that the Admin API says about a flag, but when it was used."""
        found = self.server.ask("dana", "GET", self._flag(name))
        return {key: value for key, value in found.items() if key not in ("lastSeenAt", "lifecycle", "collaborators")}

    def names(self) -> list[str]:
        """All flags of the project."""
        return sorted(each["name"] for each in self.server.ask("dana", "GET", f"/api/admin/search/features?project=IS:{self.name}")["features"])

    def served(self) -> dict[str, bool]:
        """What a backend application in production is served now."""
        return self.server.served(self.name)

    def add(self, *flags: Flag) -> None:
        """Dana imports these flags."""
        strategies = [{**each, "featureName": flag.name} for flag in flags for each in flag.strategies]
        states = [{"name": f.name, "featureName": f.name, "environment": "production", "enabled": f.is_on, "variants": []} for f in flags]
        data = {
            "features": [{"name": flag.name, "type": flag.kind} for flag in flags],
            "featureStrategies": strategies,
            "featureEnvironments": states,
            "featureTags": [{"featureName": flag.name, "tagType": "simple", "tagValue": flag.tag} for flag in flags],
            "contextFields": [],
            "segments": [],
            "tagTypes": [{"name": "simple"}],
        }
        self.server.ask("dana", "POST", "/api/admin/features-batch/import", {"environment": "production", "project": self.name, "data": data})

    def _flag(self, name: str) -> str:
        return f"/api/admin/projects/{self.name}/features/{name}"


def open_shop(server: UnleashServer, folder: Path, *flags: Flag) -> Shop:
    """The default project with these flags, a month old, and nothing else: people of the free edition may change no other project."""
    shop = Shop(server, "default", folder)
    with psycopg.connect(server.database, autocommit=True) as connection:
        for table in ("dependent_features", "features", "feature_lifecycles", "events"):
            connection.execute(SQL("DELETE FROM {}").format(Identifier(table)))
        if flags:
            shop.add(*flags)
        connection.execute("UPDATE events SET created_at = created_at - interval '30 days'")
    return shop
