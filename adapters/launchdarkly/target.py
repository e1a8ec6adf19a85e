"""Feature flags in LaunchDarkly: each switched by a JSON Patch of its own that holds only for the version that was read.

Off serves a flag's off variation; targeting is kept, and comes back with on. A project's flags are keyed
``launchdarkly:PROVIDER/ENVIRONMENT/SCOPE``; a tag is LaunchDarkly's own.
"""

import json
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused, Transient
from rollbackd.adapters.base.flag_each import EachByItself, Throttled, failure, served_otherwise, write_each
from rollbackd.adapters.base.flag_target import FlagTarget
from rollbackd.adapters.base.flags import LastChange, Reading, Scope, State, named
from rollbackd.adapters.base.json_api import Answer, JsonApi
from rollbackd.adapters.base.shape import shaped
from rollbackd.adapters.launchdarkly import flags
from rollbackd.adapters.launchdarkly.flags import Seen, patch, seen

# The answers of an API token without this header have the shape of the version that was newest when it was made.
_VERSION = {"LD-API-Version": "20240415"}
_PAGE = 100
_MARK = "rollbackd:"
_SAME_MOMENT = timedelta(seconds=5)


def api(url: str, token_file: Path, *, ca_file: Path | None = None, timeout: timedelta = timedelta(seconds=10)) -> JsonApi:
    """The REST API, or what SDKs ask with an SDK key: either is signed by the bare token."""
    return JsonApi(url, token_file, lambda token: {"Authorization": token, **_VERSION}, timeout, ca_file)


@dataclass(frozen=True, slots=True)
class Project(EachByItself):
    """One provider: a project and what is safe in it.

    ``safe_states``: off, on, leave, or the variation to serve when off, by flag. ``sdk``: by environment, what its SDKs ask; an environment
    without it is believed once its settings are written.
    """

    project: str
    sdk: Mapping[str, JsonApi] = field(default_factory=dict, kw_only=True)

    @property
    def where(self) -> str:
        """The project and its host."""
        return f"LaunchDarkly project '{self.project}' at {self.api.host}"

    def read(self, environment: str, scope: Scope, also: Collection[str] = (), *, fresh: bool = True) -> Reading:  # always fresh
        """The flags in scope, targeting included; archived flags are none. The handle is every flag as it was seen."""
        with shaped(self.where):
            inside = self._named(environment, scope.names) if scope.word == "flags" else self._listed(environment, scope)
            others = self._named(environment, [name for name in also if name not in inside])
        found = {**inside, **others}
        guarded = {key: "it is marked permanent in LaunchDarkly" for key, flag in found.items() if not flag.is_temporary}
        return Reading({key: flag.state for key, flag in found.items()}, frozenset(inside), guarded, handle=found)

    def last_change(self, environment: str, reading: Reading) -> LastChange | None:
        """The newest change of settings in the environment; who made it is in the audit log, where the token may read that."""
        inside = [flag for key, flag in _handle(reading).items() if key in reading.scope]
        if not inside:
            return None
        newest = max(inside, key=lambda flag: (flag.changed, flag.key))
        touched = tuple(sorted(flag.key for flag in inside if flag.changed == newest.changed))
        with shaped(self.where):
            writer = self._writer(environment, newest)
        return LastChange(f"{newest.key}@{newest.version}", newest.changed, touched, writer)

    def safe_state(self, name: str, state: State, word: str | None) -> State | None:
        """The flag off, on, or off with another off variation."""
        return flags.safe_state(name, state, word)

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        """One JSON Patch for each flag, under the version that was read."""
        live = _handle(reading)
        write_each(after, lambda name, state: self._put(environment, live[name], state, mark), ends=ends, patience=self.patience)

    def command(self, environment: str, before: Mapping[str, State], after: Mapping[str, State]) -> str:
        """LaunchDarkly's own command line."""
        place = f"--project {shlex.quote(self.project)} --environment {shlex.quote(environment)}"
        toggles = [f"ldcli flags toggle-{'on' if state['on'] else 'off'} {place} --flag {shlex.quote(name)}" for name, state in after.items()]
        moved = [name for name, state in after.items() if state["offVariation"] != before[name]["offVariation"]]
        return "; ".join(
            [*toggles, *(f"and set the off variation of '{name}' to {json.dumps(after[name]['off'])} in LaunchDarkly" for name in moved)]
        )

    def faults(self, environment: str, reading: Reading) -> tuple[str, ...]:
        """An SDK key that is refused or of another environment, or an environment in which every change needs an approval."""
        found = served_otherwise(self._unseen(environment, reading.in_scope))
        answer = self.api.ask("GET", f"/api/v2/projects/{_quoted(self.project)}/environments/{_quoted(environment)}")
        settings = answer.document.get("approvalSettings") if isinstance(answer.document, dict) else None
        if answer.status == 200 and isinstance(settings, dict) and settings.get("required"):
            found.append(f"changes in environment '{environment}' need an approval in LaunchDarkly; {_APPROVAL}")
        return tuple(found)

    def _unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        sdk = self.sdk.get(environment)
        if sdk is None:
            return ()
        with shaped(sdk.host):
            served = sdk.get("/sdk/latest-all")["flags"]
        return tuple(name for name, state in after.items() if not _is_served(served.get(name), state))

    def _listed(self, environment: str, scope: Scope) -> dict[str, Seen]:
        query = {"env": environment, "summary": "0", "limit": str(_PAGE)}
        if scope.word == "tag":
            query["filter"] = f"tags:{scope.names[0]}"
        found: dict[str, Seen] = {}
        offset, total = 0, 1
        while offset < total:
            page = self._get(f"/api/v2/flags/{_quoted(self.project)}?{urlencode({**query, 'offset': str(offset)})}")
            items, total = page["items"], page["totalCount"]
            found.update({flag.key: flag for flag in (seen(item, environment, self.api.host) for item in items)})
            offset += len(items)
            if not items:
                break
        if len(found) != total:
            raise Transient(f"{self.where} changed while its pages were read; nothing was changed")
        # Asked for and checked: a filter that is not understood must never widen the scope.
        return {key: flag for key, flag in found.items() if not flag.is_archived and (scope.word == "all" or set(scope.names) <= flag.tags)}

    def _named(self, environment: str, names: Collection[str]) -> dict[str, Seen]:
        found = {name: self._one(environment, name) for name in sorted(names)}
        if None in found.values():
            # A flag that is not there is known only where the project and the environment are.
            self._get(f"/api/v2/flags/{_quoted(self.project)}?{urlencode({'env': environment, 'limit': '1'})}")
        return {name: flag for name, flag in found.items() if flag is not None and not flag.is_archived}

    def _one(self, environment: str, name: str) -> Seen | None:
        answer = self.api.ask("GET", self._path(environment, name))
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._failure(answer)
        return seen(answer.document, environment, self.api.host)

    def _path(self, environment: str, name: str) -> str:
        return f"/api/v2/flags/{_quoted(self.project)}/{_quoted(name)}?{urlencode({'env': environment})}"

    def _put(self, environment: str, live: Seen, after: State, mark: str) -> None:
        if live.state["targeting"] != after["targeting"]:
            raise Refused(
                f"the targeting of flag '{live.key}' changed too, and only on, off and the off variation are put back; nothing of it was changed",
                advice="restore the version before the change from the flag's history in LaunchDarkly",
            )
        body = {"comment": mark, "patch": patch(live.state, after, environment, live.version)}
        answer = self.api.ask("PATCH", f"/api/v2/flags/{_quoted(self.project)}/{_quoted(live.key)}", body)
        if answer.status != 200:
            raise self._refusal(environment, live, answer)

    def _refusal(self, environment: str, live: Seen, answer: Answer) -> AdapterError:
        """Why a patch was not accepted; which status a failed ``test`` has is not documented, so the flag is looked at."""
        said = f": {answer.said}" if answer.said else ""
        if answer.status == 405:
            return Refused(f"{self.where} wants an approval for a change of flag '{live.key}'{said}; nothing of it was changed", advice=_APPROVAL)
        if answer.status not in (400, 409, 412, 422):
            return self._failure(answer)
        with shaped(self.where):
            now = self._one(environment, live.key)
        if now is None or now.version != live.version:
            return Refused(f"{named([live.key])} in {self.where} changed since it was read; nothing of it was changed", advice="look who changed it")
        return Refused(
            f"{self.where} did not accept the change of flag '{live.key}' (HTTP {answer.status}{said}); nothing of it was changed",
            advice="a scheduled change or an approval request may be pending: see the flag in LaunchDarkly",
        )

    def _writer(self, environment: str, flag: Seen) -> str | None:
        spec = {"spec": f"proj/{self.project}:env/{environment}:flag/{flag.key}", "limit": "1"}
        answer = self.api.ask("GET", f"/api/v2/auditlog?{urlencode(spec)}")
        if answer.status == 403:
            return None
        if answer.status != 200:
            raise self._failure(answer)
        entry = next(iter(answer.document.get("items", [])), None) if isinstance(answer.document, dict) else None
        # The log may be late: an entry of another moment is about another change.
        if entry is None or abs(entry.get("date", 0) / 1000 - flag.changed.timestamp()) > _SAME_MOMENT.total_seconds():
            return None
        comment = entry.get("comment") or ""
        who = (entry.get("member") or {}).get("email") or (entry.get("token") or {}).get("name")
        return comment if comment.startswith(_MARK) else who

    def _get(self, path: str) -> Any:
        answer = self.api.ask("GET", path)
        if answer.status != 200 or not isinstance(answer.document, dict):
            raise self._failure(answer)
        return answer.document

    def _failure(self, answer: Answer) -> AdapterError:
        error = failure(self.api, answer)
        if isinstance(error, Throttled) and error.retry_after is None:
            return Throttled(str(error), retry_after=_until_reset(answer.headers))
        return error


_APPROVAL = "let the token's role bypass approvals, or change the flag by hand"


class LaunchDarkly(FlagTarget):
    """The Target of every LaunchDarkly project, by provider name."""

    def __init__(self, providers: Mapping[str, Project]) -> None:
        super().__init__("launchdarkly", providers, has_environments=True)


def _handle(reading: Reading) -> Mapping[str, Seen]:
    if not isinstance(reading.handle, dict):
        raise Permanent("the flags were not read before they are used; nothing was changed")
    return reading.handle


def _is_served(served: object, state: State) -> bool:
    return isinstance(served, dict) and served.get("on") == state["on"] and served.get("offVariation") == state["offVariation"]


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """The wait until X-Ratelimit-Reset, in epoch milliseconds, by the server's own clock."""
    try:
        return max(float(headers["x-ratelimit-reset"]) / 1000 - parsedate_to_datetime(headers["date"]).timestamp(), 0.0)
    except (KeyError, ValueError):
        return None


def _quoted(part: str) -> str:
    return quote(part, safe="")
