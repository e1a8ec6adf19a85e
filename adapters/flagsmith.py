"""Feature flags in Flagsmith: each switched in one environment, its segment overrides with it.

Flagsmith has no precondition for a write and no place for a reason, and its audit log does not name flags by their ids: a flag is read once more just
before it is written, and its changes are known by comparing. Identity overrides cannot be written here, and stay as they are.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.flag_each import EachByItself, before_writing, failure, served_otherwise, write_each
from rollbackd.adapters.base.flag_target import FlagTarget
from rollbackd.adapters.base.flags import LastChange, Reading, Scope, State, digest_of, goes_on, named
from rollbackd.adapters.base.json_api import Answer, JsonApi
from rollbackd.adapters.base.shape import shaped

_PAGE = 100
_APPROVAL = "make a change request in Flagsmith by hand, or switch change requests off for the environment"


def api(url: str, token_file: Path, *, ca_file: Path | None = None, timeout: timedelta = timedelta(seconds=10)) -> JsonApi:
    """The Admin API with an organisation's API key."""
    return JsonApi(url, token_file, lambda token: {"Authorization": f"Api-Key {token}"}, timeout, ca_file)


@dataclass(frozen=True, slots=True)
class _Environment:
    """``key``: names it in addresses and to SDKs. ``wants_approval``: its flags change by change requests only."""

    name: str
    number: int
    key: str
    wants_approval: bool


@dataclass(frozen=True, slots=True)
class _Feature:
    """A flag of the list. ``identities``: how many identity overrides it has there, as far as they were counted."""

    number: int
    tags: frozenset[str]
    is_permanent: bool
    identities: int


@dataclass(frozen=True, slots=True)
class Project(EachByItself):
    """One provider: a project, by its number, and what is safe in it. ``safe_states``: off, on or leave, by flag.

    ``flags_url``: where SDKs ask; None: a write is believed once it is kept.
    """

    project: int
    flags_url: str | None = field(default=None, kw_only=True)

    @property
    def where(self) -> str:
        """The project and its host."""
        return f"Flagsmith project {self.project} at {self.api.host}"

    def read(self, environment: str, scope: Scope, also: Collection[str] = (), *, fresh: bool = True) -> Reading:  # always fresh
        """The flags in scope with their segment overrides; archived flags are none. The handle is every flag of the list that was asked for."""
        with shaped(self.where):
            place, tags = self._environment(environment), self._tags()
            states: dict[str, State] = {}
            found: dict[str, _Feature] = {}
            inside = set[str]()
            for item in self._pages(f"projects/{self.project}/features", {"environment": str(place.number), "is_archived": "false"}):
                name, feature = item["name"], self._feature(item, tags)
                is_in = scope.word == "all" or (scope.names[0] in feature.tags if scope.word == "tag" else name in scope.names)
                if item.get("is_archived") or not (is_in or name in also):
                    continue
                inside.update({name} if is_in else ())
                found[name] = feature
                states[name] = self._state(place, item)
            guarded = {name: "one of its tags makes it permanent in Flagsmith" for name, feature in found.items() if feature.is_permanent}
            return Reading(states, frozenset(inside), guarded, handle=found)

    def last_change(self, environment: str, reading: Reading) -> LastChange | None:
        """None: the audit log does not say which flag an entry is about."""
        return None

    def safe_state(self, name: str, state: State, word: str | None) -> State | None:
        """The flag off or on for everybody and for each segment."""
        segments, is_on = state["segments"], goes_on(name, word)
        return {**state, "enabled": is_on, "segments": dict.fromkeys(segments, is_on) if isinstance(segments, Mapping) else {}}

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        """One PATCH for each flag, read again just before it."""
        place, found = self._environment(environment), _handle(reading)
        write_each(
            after, lambda name, state: self._put(place, name, found[name], reading.states[name], state, ends), ends=ends, patience=self.patience
        )

    def command(self, environment: str, before: Mapping[str, State], after: Mapping[str, State]) -> str:
        """The page to do it on, and what stays."""
        switched = "; ".join(f"switch {'on' if state['enabled'] else 'off'} '{name}' and its segment overrides" for name, state in after.items())
        stays = [f"{state['identities']} identity overrides of '{name}' stay as they are" for name, state in after.items() if state["identities"]]
        return "; ".join([f"in Flagsmith, project {self.project}, environment {environment}: {switched}", *stays])

    def faults(self, environment: str, reading: Reading) -> tuple[str, ...]:
        """Change requests, which forbid every write of ours, a server without the endpoint, and identity overrides, which it does not reach."""
        found = served_otherwise(self._unseen(environment, reading.in_scope))
        place = self._environment(environment)
        found += self._endpoint(place, next(iter(_handle(reading).values())))
        found += [
            f"flag '{name}' has {feature.identities} identity overrides, which stay as they are when it is switched; remove them in Flagsmith"
            for name, feature in _handle(reading).items()
            if feature.identities
        ]
        if place.wants_approval:
            found.append(f"environment '{environment}' has change requests on, so that no flag can be switched by the API; {_APPROVAL}")
        return tuple(found)

    def _unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        if self.flags_url is None:
            return ()
        sdk = JsonApi(self.flags_url, self.api.token_file, lambda _: {}, self.api.timeout, self.api.ca_file)
        listed = sdk.get("/api/v1/flags/", {"X-Environment-Key": self._environment(environment).key})
        with shaped(sdk.host):
            served = {flag["feature"]["name"]: flag["enabled"] for flag in listed}
        # An environment may hide its disabled flags: what is not sent is off. What a segment or an identity is sent cannot be asked for without one.
        return tuple(name for name, state in after.items() if served.get(name, False) != state["enabled"])

    def _endpoint(self, place: _Environment, feature: _Feature) -> list[str]:
        answer = self.api.ask("GET", self._path(place, feature.number))
        if answer.status != 404:
            return []
        return [f"{self.where} does not know the experimental endpoint that updates flags, so that nothing can be switched; upgrade Flagsmith"]

    def _environment(self, name: str) -> _Environment:
        with shaped(self.where):
            known = [
                _Environment(item["name"], item["id"], item["api_key"], item.get("minimum_change_request_approvals") is not None)
                for item in self._pages("environments", {"project": str(self.project)})
            ]
        meant = [each for each in known if name in (each.name, each.key)] or [each for each in known if name.casefold() == each.name.casefold()]
        if len(meant) != 1:
            names = ", ".join(sorted(each.name for each in known)) or "none"
            raise Permanent(f"{self.where} has no single environment '{name}', known are: {names}; nothing was changed; correct the name")
        return meant[0]

    def _tags(self) -> Mapping[int, tuple[str, bool]]:
        listed = self._pages(f"projects/{self.project}/tags", {})
        return {item["id"]: (item["label"], bool(item.get("is_permanent"))) for item in listed}

    def _feature(self, item: Mapping[str, Any], tags: Mapping[int, tuple[str, bool]]) -> _Feature:
        mine = [tags[number] for number in item.get("tags", ()) if number in tags]
        is_permanent = any(permanent for _, permanent in mine)
        return _Feature(item["id"], frozenset(label for label, _ in mine), is_permanent, item.get("num_identity_overrides") or 0)

    def _state(self, place: _Environment, item: Mapping[str, Any]) -> State:
        """The list shows no segment overrides: a flag that has some, or may have, is asked for by itself."""
        kept, overrides = item["environment_feature_state"], []
        is_on = kept["enabled"]
        if item.get("num_segment_overrides") != 0:
            shown = self._shown(place, item["id"])
            is_on, overrides = shown["environment_default"]["enabled"], shown["segment_overrides"]
        values = [[each["value"], each["variants"], each["priority"]] for each in overrides]
        return {
            "enabled": bool(is_on),
            "segments": _segments(overrides),
            "identities": item.get("num_identity_overrides") or 0,
            # Values may be anything; they are never written, so that a digest is enough to see them change.
            "values": digest_of({"": {"all": [kept["feature_state_value"], kept.get("multivariate_feature_state_values"), values]}}),
        }

    def _shown(self, place: _Environment, number: int) -> Any:
        return self.api.get(self._path(place, number))

    def _path(self, place: _Environment, number: int) -> str:
        return f"/api/__future__/environments/{quote(place.key, safe='')}/features/{number}/"

    def _put(self, place: _Environment, name: str, feature: _Feature, before: State, after: State, ends: float) -> None:
        if before["values"] != after["values"]:
            raise Refused(
                f"the values of flag '{name}' changed too, and only its switches are put back; nothing of it was changed",
                advice="restore the version before the change in Flagsmith",
            )
        with before_writing(name, ends), shaped(self.where):
            shown = self._shown(place, feature.number)
            now = (shown["environment_default"]["enabled"], _segments(shown["segment_overrides"]))
        if now != (before["enabled"], before["segments"]):
            raise Refused(f"{named([name])} in {self.where} changed since it was read; nothing of it was changed", advice="look who changed it")
        answer = self.api.ask("PATCH", self._path(place, feature.number), _changes(before, after))
        if answer.status != 200:
            raise self._refusal(name, answer)

    def _refusal(self, name: str, answer: Answer) -> AdapterError:
        if answer.status == 403 and "change request" in answer.said.lower():
            return Refused(f"{self.where} wants a change request for flag '{name}': {answer.said} Nothing of it was changed", advice=_APPROVAL)
        return failure(self.api, answer)

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        # Pages are counted here: the 'next' of an answer names an address, and a token goes to the configured one only.
        number, seen, more = 1, 0, True
        while more:
            page = self.api.get(f"/api/v1/{path}/?{urlencode({**query, 'page_size': str(_PAGE), 'page': str(number)})}")
            results, more = page["results"], page["next"] is not None
            number, seen = number + 1, seen + len(results)
            yield from results
        if page["count"] != seen:
            raise Transient(f"{self.where} changed while its pages were read; nothing was changed")


class Flagsmith(FlagTarget):
    """The Target of every Flagsmith project, by provider name."""

    def __init__(self, providers: Mapping[str, Project]) -> None:
        super().__init__("flagsmith", providers, has_environments=True)


def _segments(overrides: Collection[Mapping[str, Any]]) -> dict[str, bool]:
    return {str(each["segment"]["id"]): bool(each["enabled"]) for each in overrides}


def _changes(before: State, after: State) -> dict[str, Any]:
    was, becomes = before["segments"], after["segments"]
    changes: dict[str, Any] = {"environment_default": {"enabled": after["enabled"]}}
    if isinstance(was, Mapping) and isinstance(becomes, Mapping) and was != becomes:
        moved = [segment for segment in becomes if becomes[segment] != was.get(segment)]
        changes["segment_overrides"] = [{"segment": {"id": int(segment)}, "enabled": becomes[segment]} for segment in sorted(moved)]
    return changes


def _handle(reading: Reading) -> Mapping[str, _Feature]:
    if not isinstance(reading.handle, dict):
        raise Permanent("the flags were not read before they are used; nothing was changed")
    return reading.handle
