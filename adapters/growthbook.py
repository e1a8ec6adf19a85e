"""Feature flags in GrowthBook: each toggled in one environment.

A feature that is off in an environment is not sent to its SDKs, which then answer null: a boolean flag is off, and what asks for a value with
a default in the code gets that default. GrowthBook has no precondition for a toggle: a feature is read once more just before it.
"""

import json
import shlex
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
_APPROVAL = "let the API key bypass approval checks, or publish the change by hand"


def api(url: str, token_file: Path, *, ca_file: Path | None = None, timeout: timedelta = timedelta(seconds=10)) -> JsonApi:
    """The REST API, version 2, with a secret key or a personal access token."""
    return JsonApi(url, token_file, lambda token: {"Authorization": f"Bearer {token}"}, timeout, ca_file)


def sdk_api(url: str, key_file: Path, *, ca_file: Path | None = None, timeout: timedelta = timedelta(seconds=10)) -> JsonApi:
    """What SDKs ask with their client key, which stands in the address."""
    return JsonApi(url, key_file, lambda _: {}, timeout, ca_file)


@dataclass(frozen=True, slots=True)
class Organisation(EachByItself):
    """One provider: an organisation's features, or those of one project of it, and what is safe in them.

    ``safe_states``: off, on or leave, by flag. ``sdk``: by environment, what its SDKs ask; an environment without it is believed once written.
    """

    project: str | None = None
    sdk: Mapping[str, JsonApi] = field(default_factory=dict, kw_only=True)

    @property
    def where(self) -> str:
        """The host."""
        return f"GrowthBook at {self.api.host}"

    def read(self, environment: str, scope: Scope, also: Collection[str] = (), *, fresh: bool = True) -> Reading:  # always fresh
        """The features in scope; archived ones are none. There is no filter by tag: all pages are read, and chosen from here."""
        with shaped(self.where):
            live = {item["id"]: item for item in self._pages() if not item["archived"]}
            inside = frozenset(key for key, item in live.items() if _is_in(scope, item))
            return Reading({key: self._state(item, environment) for key, item in live.items() if key in inside or key in also}, inside)

    def last_change(self, environment: str, reading: Reading) -> LastChange | None:
        """None: what the API says of the last change of a feature counts its description too, and any environment."""
        return None

    def safe_state(self, name: str, state: State, word: str | None) -> State | None:
        """The feature off or on in the environment; without a word off, if it is boolean: for another, off is whatever stands in the code."""
        is_on = goes_on(name, word)
        return None if word is None and state["type"] != "boolean" else {**state, "enabled": is_on}

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        """One toggle for each feature, read again just before it."""
        write_each(
            after, lambda name, state: self._put(environment, name, reading.states[name], state, mark, ends), ends=ends, patience=self.patience
        )

    def command(self, environment: str, before: Mapping[str, State], after: Mapping[str, State]) -> str:
        """The same request as curl sends it."""
        place, sent = f"{self.api.url.rstrip('/')}/api/v2/features", "curl -X POST -H 'Authorization: Bearer …' -H 'Content-Type: application/json'"
        bodies = {
            f"{place}/{quote(name, safe='')}/toggle": json.dumps({"environments": {environment: state["enabled"]}}) for name, state in after.items()
        }
        return "; ".join(f"{sent} {shlex.quote(url)} -d {shlex.quote(body)}" for url, body in bodies.items())

    def faults(self, environment: str, reading: Reading) -> tuple[str, ...]:
        """A client key that is unknown, of another environment, or encrypted; whether a toggle needs a review cannot be asked."""
        return tuple(served_otherwise(self._unseen(environment, reading.in_scope)))

    def _unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        sdk = self.sdk.get(environment)
        if sdk is None:
            return ()
        payload = sdk.get(f"/api/features/{quote(sdk.secret(), safe='')}")
        if "encryptedFeatures" in payload:
            raise Permanent(
                f"{sdk.host} encrypts what environment '{environment}' is sent, so that it cannot be looked at; use another client key, or none"
            )
        with shaped(sdk.host):
            served = payload["features"]
        return tuple(name for name, state in after.items() if (name in served) != state["enabled"])

    def _pages(self) -> Iterator[Any]:
        query = {"limit": str(_PAGE), **({"projectId": self.project} if self.project else {})}
        offset, total, more = 0, 0, True
        while more:
            page = self.api.get(f"/api/v2/features?{urlencode({**query, 'offset': str(offset)})}")
            items, total = page["features"], page["total"]
            more, offset = bool(items) and page["hasMore"], offset + len(items)
            yield from items
        if offset != total:
            raise Transient(f"{self.where} changed while its pages were read; nothing was changed")

    def _state(self, item: Mapping[str, Any], environment: str) -> State:
        settings = item["environments"].get(environment)
        if settings is None:
            known = ", ".join(sorted(item["environments"])) or "none"
            raise Permanent(f"{self.where} has no environment '{environment}', known are: {known}; nothing was changed; correct its id")
        rules = [rule for rule in item.get("rules", ()) if rule.get("allEnvironments", True) or environment in rule.get("environments", ())]
        values = [item["defaultValue"], settings.get("defaultValue"), rules, item.get("prerequisites")]
        return {"enabled": bool(settings["enabled"]), "type": item["valueType"], "values": digest_of({"": {"all": values}})}

    def _put(self, environment: str, name: str, before: State, after: State, mark: str, ends: float) -> None:
        if before["values"] != after["values"]:
            raise Refused(
                f"the rules or values of flag '{name}' changed too, and only its switch is put back; nothing of it was changed",
                advice="revert to the revision before the change in GrowthBook",
            )
        place = f"/api/v2/features/{quote(name, safe='')}"
        with before_writing(name, ends), shaped(self.where):
            now = self._state(self.api.get(place)["feature"], environment)
        if now != before:
            raise Refused(f"{named([name])} in {self.where} changed since it was read; nothing of it was changed", advice="look who changed it")
        answer = self.api.ask("POST", f"{place}/toggle", {"environments": {environment: after["enabled"]}, "reason": mark})
        if answer.status != 200:
            raise self._refusal(name, answer)

    def _refusal(self, name: str, answer: Answer) -> AdapterError:
        # By its words: a missing right and a missing review have the same status.
        if answer.status in (400, 403) and any(word in answer.said.lower() for word in ("review", "approval")):
            return Refused(f"{self.where} wants a review for a toggle of flag '{name}': {answer.said} Nothing of it was changed", advice=_APPROVAL)
        return failure(self.api, answer)


class GrowthBook(FlagTarget):
    """The Target of every GrowthBook organisation, by provider name."""

    def __init__(self, providers: Mapping[str, Organisation]) -> None:
        super().__init__("growthbook", providers, has_environments=True)


def _is_in(scope: Scope, item: Mapping[str, Any]) -> bool:
    match scope.word:
        case "all":
            return True
        case "tag":
            return scope.names[0] in item["tags"]
        case "flags":
            return item["id"] in scope.names
