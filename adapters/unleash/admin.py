"""Unleash's Admin API for one project: what its flags are, what happened to them, and the bulk switch. Decides nothing.

Unleash's own export would give all of it in one answer, but it writes an event with the whole answer into the event log each time.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.flags import State, named
from rollbackd.adapters.base.json_api import Answer, Document, JsonApi

PAGE = 100
"""The most that Unleash gives of a list of flags at once."""
EVENTS = 200
_PAGES = 10  # so far back a history is read; what nobody touched for so long has none
_FEW = 30  # so many names fit into one address
# What may change what a flag serves, or whether it is in scope.
_TYPES = (
    "feature-created",
    "feature-archived",
    "feature-revived",
    "feature-project-change",
    "feature-tagged",
    "feature-untagged",
    "feature-environment-enabled",
    "feature-environment-disabled",
    "feature-environment-variants-updated",
    "feature-strategy-add",
    "feature-strategy-update",
    "feature-strategy-remove",
    "strategy-order-changed",
    "feature-dependency-added",
    "feature-dependency-removed",
)


@dataclass(frozen=True, slots=True)
class Feature:
    """A flag of the project. ``state`` None: the project does not have the environment that was asked for. ``children`` depend on it."""

    kind: str
    environments: tuple[str, ...]
    state: State | None
    children: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a flag. ``group``: the same for all that one transaction changed; "" if it is not known."""

    id: int
    at: datetime
    kind: str
    feature: str
    environment: str | None
    group: str
    by: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the project's event log goes. Both: events become visible in another order than their ids."""

    newest: int
    total: int


@dataclass(frozen=True, slots=True)
class Admin:
    """The Admin API, as far as one project goes."""

    api: JsonApi
    project: str

    def cursor(self) -> Cursor:
        """Where the project's event log ends."""
        found = self._page("/api/admin/search/events", "events", project=f"IS:{self.project}", limit="1")
        return Cursor(max((_whole(event.get("id")) for event in found["events"]), default=0), _whole(found.get("total")))

    def tags(self) -> Mapping[str, frozenset[str]]:
        """Every flag of the project that is not archived, and its tags: each as ``type:value`` and as its value alone."""
        found: dict[str, frozenset[str]] = {}
        total = 1
        while len(found) < total:
            page = self._page("/api/admin/search/features", "features", project=f"IS:{self.project}", limit=str(PAGE), offset=str(len(found)))
            total, before = _whole(page.get("total")), len(found)
            found |= {_name(each): _tags(each.get("tags") or ()) for each in page["features"] if not each.get("archivedAt")}
            if len(found) == before and before < total:
                raise self._odd(f"{before} of {total} flags")
        return found

    def feature(self, name: str, environment: str) -> Feature | None:
        """The flag, or None if the project has none of this name that is not archived."""
        answer = self.api.ask("GET", f"/api/admin/projects/{quote(self.project, safe='')}/features/{quote(name, safe='')}")
        if answer.status == 404:
            return None
        found = answer.document
        if answer.status != 200 or not isinstance(found, dict):
            raise self.api.failure(answer)
        if found.get("archived"):
            return None
        environments = {_name(each): each for each in found.get("environments") or ()}
        here = environments.get(environment)
        state = self._state(here, found.get("dependencies") or ()) if here is not None else None
        return Feature(str(found.get("type", "")), tuple(environments), state, tuple(sorted(found.get("children") or ())))

    def _state(self, found: Document, dependencies: Sequence[Document]) -> State:
        if not isinstance(found.get("enabled"), bool) or not isinstance(found.get("strategies"), list):
            raise self._odd("a flag without 'enabled' or 'strategies'")
        strategies = [{key: each[key] for key in sorted(each) if key not in ("id", "title", "sortOrder")} for each in found["strategies"]]
        variants = [dict(each) for each in found.get("variants") or ()]
        parents = sorted((dict(each) for each in dependencies), key=lambda each: str(each.get("feature")))
        beside = {"variants": variants, "dependencies": parents}
        return {"enabled": found["enabled"], "strategies": strategies, **{name: value for name, value in beside.items() if value}}

    def events(self, names: Collection[str], environment: str) -> Iterator[Event]:
        """What happened to these flags in this environment, or in all, newest first."""
        asked = {"project": f"IS:{self.project}", "type": f"IS_ANY_OF:{','.join(_TYPES)}", "limit": str(EVENTS)}
        if len(names) <= _FEW:
            asked["feature"] = f"IS_ANY_OF:{','.join(sorted(names))}"
        for number in range(_PAGES):
            page = self._page("/api/admin/search/events", "events", **asked, offset=str(number * EVENTS))["events"]
            events = [self._event(each) for each in page]
            yield from (event for event in events if event.feature in names and event.environment in (None, environment))
            if len(page) < EVENTS:
                return

    def _event(self, found: Document) -> Event:
        try:
            at = datetime.fromisoformat(str(found["createdAt"]))
        except (KeyError, ValueError) as error:
            raise self._odd("an event without a time") from error
        environment = found.get("environment")
        return Event(
            id=_whole(found.get("id")),
            at=at,
            kind=str(found.get("type", "")),
            feature=str(found.get("featureName") or ""),
            environment=str(environment) if environment is not None else None,
            group=str(found.get("groupId") or ""),
            by=str(found.get("createdBy") or "unknown"),
        )

    def switch(self, names: Sequence[str], environment: str, word: Literal["on", "off"]) -> None:
        """All of these flags are switched in one transaction. Raises Refused or Permanent if none was, Transient if it is not known."""
        answer = self.api.ask("POST", self.switch_path(environment, word), {"features": list(names)})
        if not 200 <= answer.status < 300:
            raise self._refusal(answer, names)

    def switch_path(self, environment: str, word: Literal["on", "off"]) -> str:
        """Where flags are switched in bulk."""
        return f"/api/admin/projects/{quote(self.project, safe='')}/bulk_features/environments/{quote(environment, safe='')}/{word}"

    def _refusal(self, answer: Answer, names: Sequence[str]) -> AdapterError:
        said = answer.said
        needed = answer.document.get("permissions", ()) if isinstance(answer.document, dict) else ()
        if answer.status in (403, 409) and ("SKIP_CHANGE_REQUEST" in needed or "change request" in said.lower()):
            return Refused(
                f"{self.api.host} takes changes of project '{self.project}' as change requests only ({said}); nothing was changed",
                advice=f"open a change request for {named(names)} and apply it, or give our token's user the right SKIP_CHANGE_REQUEST",
            )
        if answer.status == 404:
            # One unknown name makes the whole transaction fail.
            return Refused(f"{self.api.host} switched none of {named(names)}: {said}", advice="see which one was archived or moved, then plan again")
        return self.api.failure(answer)

    def user(self) -> Document:
        """Who the token belongs to, and what it may do."""
        return self.api.get("/api/admin/user")

    def change_requests(self, environment: str) -> bool:
        """True if the project says that changes of this environment are made by change request only; the free edition has none."""
        answer = self.api.ask("GET", f"/api/admin/projects/{quote(self.project, safe='')}/change-requests/config")
        found = answer.document if answer.status == 200 and isinstance(answer.document, list) else []
        return any(each.get("environment") == environment and each.get("changeRequestEnabled") is True for each in found if isinstance(each, dict))

    def _page(self, path: str, key: str, **query: str) -> Document:
        text = "&".join(f"{name}={quote(value, safe=':,')}" for name, value in query.items())
        found = self.api.get(f"{path}?{text}")
        if not isinstance(found, dict) or not isinstance(found.get(key), list):
            raise self._odd(f"no list of {key}")
        return found

    def _odd(self, what: str) -> Transient:
        return Transient(f"{self.api.host} answered with {what}; nothing is known from it and nothing was changed; look whether a proxy answers")


def _tags(found: Sequence[Document]) -> frozenset[str]:
    return frozenset(word for tag in found for word in (str(tag.get("value")), f"{tag.get('type')}:{tag.get('value')}"))


def _name(found: Document) -> str:
    value = found.get("name") if isinstance(found, dict) else None
    if not isinstance(value, str) or not value:
        raise Permanent("Unleash answered with an entry without 'name'; nothing was changed; see whether its version is one of docs/flags.md")
    return value


def _whole(value: Document) -> int:
    return value if isinstance(value, int) else 0
