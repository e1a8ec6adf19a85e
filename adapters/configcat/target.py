"""Feature flags and settings in ConfigCat: what they serve in one environment, replaced value by value.

ConfigCat has no switch that wins over targeting: off is every value that a flag serves, its default and those of its rules, being false. Conditions
and percentages stay, so that the former values bring everything back. Each write is a JSON Patch that tests each value before it replaces it.
"""

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from rollbackd.adapters.base.errors import AdapterError, Permanent, Refused
from rollbackd.adapters.base.flag_each import EachByItself, failure, served_otherwise, write_each
from rollbackd.adapters.base.flag_target import FlagTarget
from rollbackd.adapters.base.flags import LastChange, Reading, Scope, State, named
from rollbackd.adapters.base.json_api import Answer, JsonApi
from rollbackd.adapters.base.shape import shaped
from rollbackd.adapters.configcat.settings import Seen, downloaded, flat, is_in, patch, seen, serving, spelt, spoken

_MARK = "rollbackd:"
_SAME_MOMENT = timedelta(seconds=5)


def api(url: str, token_file: Path, *, ca_file: Path | None = None, timeout: timedelta = timedelta(seconds=10)) -> JsonApi:
    """The Public Management API; the file holds its credentials as ``user:password``."""
    return JsonApi(url, token_file, lambda login: {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}, timeout, ca_file)


def cdn(url: str, key_file: Path, *, ca_file: Path | None = None, timeout: timedelta = timedelta(seconds=10)) -> JsonApi:
    """What SDKs download with their SDK key, which stands in the address."""
    return JsonApi(url, key_file, lambda _: {}, timeout, ca_file)


@dataclass(frozen=True, slots=True)
class ConfigFile(EachByItself):
    """One provider: a config of a product, both by their ids, and what is safe in it.

    ``safe_states``: off, on, leave, or the value to serve, by flag. ``cdn``: by environment, what its SDKs download; an environment without it is
    believed once written.
    """

    product: str
    config: str
    cdn: Mapping[str, JsonApi] = field(default_factory=dict, kw_only=True)

    @property
    def where(self) -> str:
        """The config and its host."""
        return f"ConfigCat config {self.config} at {self.api.host}"

    def read(self, environment: str, scope: Scope, also: Collection[str] = (), *, fresh: bool = True) -> Reading:  # always fresh
        """The settings in scope, all of one answer. The handle is each of them as it was seen."""
        with shaped(self.where):
            listed = self._values(environment)["settingFormulas"]
            inside = frozenset(item["setting"]["key"] for item in listed if is_in(scope, item))
            found = {item["setting"]["key"]: seen(item) for item in listed if item["setting"]["key"] in inside or item["setting"]["key"] in also}
        return Reading({key: flag.state for key, flag in found.items()}, inside, handle=found)

    def last_change(self, environment: str, reading: Reading) -> LastChange | None:
        """The newest change of values in the environment; whether it was ours is in the audit log, where the credentials may read that."""
        moments = {key: flag for key, flag in _handle(reading).items() if key in reading.scope and flag.changed is not None}
        if not moments:
            return None
        key, newest = max(moments.items(), key=lambda item: (item[1].changed, item[0]))
        assert newest.changed is not None  # noqa: S101 - chosen so above
        touched = tuple(sorted(name for name, flag in moments.items() if flag.changed == newest.changed))
        with shaped(self.where):
            writer = self._writer(environment, newest, newest.changed)
        return LastChange(f"{key}@{newest.version}", newest.changed, touched, writer)

    def safe_state(self, name: str, state: State, word: str | None) -> State | None:
        """The setting serving one value to everybody: off, on, or the one that ``word`` spells; without a word off, if it is boolean."""
        if word is None and state["type"] != "boolean":
            return None
        value = spelt(name, str(state["type"]), word or "off")
        return {**state, "value": value, "rules": serving(state["rules"], value)}

    def write(self, environment: str, reading: Reading, after: Mapping[str, State], mark: str, ends: float) -> None:
        """One JSON Patch for each setting, which tests each value that it replaces."""
        place, live = self._environment(environment), _handle(reading)
        write_each(after, lambda name, state: self._put(place, name, live[name], state, mark), ends=ends, patience=self.patience)

    def command(self, environment: str, before: Mapping[str, State], after: Mapping[str, State]) -> str:
        """The page to do it on."""
        values = "; ".join(f"'{name}' to serve {spoken(state)}" for name, state in after.items())
        return f"in ConfigCat, config {self.config}, environment {environment}: set {values}"

    def faults(self, environment: str, reading: Reading) -> tuple[str, ...]:
        """An SDK key that is unknown or of another environment, or credentials that may not change values in the environment."""
        found = served_otherwise(self._unseen(environment, reading.in_scope))
        with shaped(self.where):
            is_read_only = self._values(environment).get("readOnly")
        if is_read_only:
            found.append(
                f"environment '{environment}' is read-only for the credentials; give their user a permission group that may change values there"
            )
        return tuple(found)

    def _unseen(self, environment: str, after: Mapping[str, State]) -> tuple[str, ...]:
        files = self.cdn.get(environment)
        if files is None:
            return ()
        with shaped(files.host):
            served = files.get(f"/configuration-files/{quote(files.secret(), safe='/')}/config_v6.json")["f"]
            return tuple(name for name, state in after.items() if name not in served or downloaded(served[name]) != flat(state))

    def _environment(self, name: str) -> str:
        with shaped(self.where):
            known: dict[str, str] = {
                item["environmentId"]: item["name"] for item in self.api.get(f"/v1/products/{quote(self.product, safe='')}/environments")
            }
        exact = [identity for identity, each in known.items() if name in (identity, each)]
        meant = exact or [identity for identity, each in known.items() if name.casefold() == each.casefold()]
        if len(meant) != 1:
            names = ", ".join(sorted(known.values())) or "none"
            raise Permanent(f"{self.where} has no single environment '{name}', known are: {names}; nothing was changed; correct the name")
        return meant[0]

    def _values(self, environment: str) -> Any:
        return self.api.get(f"/v2/configs/{quote(self.config, safe='')}/environments/{quote(self._environment(environment), safe='')}/values")

    def _put(self, place: str, name: str, live: Seen, after: State, mark: str) -> None:
        if live.state["targeting"] != after["targeting"]:
            raise Refused(
                f"the targeting of flag '{name}' changed too, and only the values that it serves are put back; nothing of it was changed",
                advice="restore the former targeting in ConfigCat",
            )
        path = f"/v2/environments/{quote(place, safe='')}/settings/{live.number}/value"
        answer = self.api.ask("PATCH", f"{path}?{urlencode({'reason': mark})}", patch(live.state, after))
        if answer.status not in (200, 204):
            raise self._refusal(path, name, live, answer)

    def _refusal(self, path: str, name: str, live: Seen, answer: Answer) -> AdapterError:
        """Why a patch was not accepted; which status a failed ``test`` has is not documented, so the setting is looked at."""
        said = f": {answer.said}" if answer.said else ""
        if answer.status in (400, 403, 409) and any(word in answer.said.lower() for word in ("approv", "change request")):
            return Refused(
                f"{self.where} wants an approval for a change of flag '{name}'{said}; nothing of it was changed",
                advice="make a change request in ConfigCat by hand",
            )
        if answer.status not in (400, 409, 412, 422):
            return failure(self.api, answer)
        with shaped(self.where):
            now = self.api.get(path)
            version = now["lastVersionId"]
        if version != live.version:
            return Refused(f"{named([name])} in {self.where} changed since it was read; nothing of it was changed", advice="look who changed it")
        return Refused(
            f"{self.where} did not accept the change of flag '{name}' (HTTP {answer.status}{said}); nothing of it was changed",
            advice="change it by hand in ConfigCat",
        )

    def _writer(self, environment: str, flag: Seen, moment: datetime) -> str | None:
        query = {
            "configId": self.config,
            "environmentId": self._environment(environment),
            "fromUtcDateTime": (moment - _SAME_MOMENT).isoformat(),
            "toUtcDateTime": (moment + _SAME_MOMENT).isoformat(),
        }
        answer = self.api.ask("GET", f"/v1/products/{quote(self.product, safe='')}/auditlogs?{urlencode(query)}")
        if answer.status == 403:
            return None
        if answer.status != 200:
            raise self.api.failure(answer)
        reasons = [entry.get("why") or "" for entry in answer.document or () if entry.get("userEmail") == flag.writer]
        ours = [reason for reason in reasons if reason.startswith(_MARK)]
        # Without an entry the log is late, and the change may be ours: our credentials belong to a user.
        return next(iter(ours), flag.writer) if reasons else None


class ConfigCat(FlagTarget):
    """The Target of every ConfigCat config, by provider name."""

    def __init__(self, providers: Mapping[str, ConfigFile]) -> None:
        super().__init__("configcat", providers, has_environments=True)


def _handle(reading: Reading) -> Mapping[str, Seen]:
    if not isinstance(reading.handle, dict):
        raise Permanent("the flags were not read before they are used; nothing was changed")
    return reading.handle
