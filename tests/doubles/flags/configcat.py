"""ConfigCat as its Public Management API documentation (v2) describes it: setting values with targeting rules, JSON Patch, mandatory notes, limits.

And the config JSON (v6) on the CDN that SDKs download, which knows nothing of a write until it has propagated. Not documented, and chosen here:
the status of a JSON Patch whose ``test`` fails (``failed_test_status``).
"""

import base64
import copy
import itertools
from datetime import datetime
from typing import Any

from tests.doubles.flags.vendor import Call, Reply, Vendor, answered
from tests.doubles.kube.jsonpatch import PatchFault, apply

PRODUCT, CONFIG = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
MODIFIABLE = ("defaultValue", "targetingRules", "percentageEvaluationAttribute")
TYPES = {"boolean": ("boolValue", "b", 0), "string": ("stringValue", "s", 1), "int": ("intValue", "i", 2), "double": ("doubleValue", "d", 3)}
LIMITS = {"X-Rate-Limit-Remaining": "99", "X-Rate-Limit-Reset": "2026-02-01T00:01:00Z"}


class ConfigCat(Vendor):
    """One product with one config. ``notes``: environments where a change needs a reason; ``read_only``: where these credentials may not write."""

    def __init__(self, user: str = "api-user", password: str = "api-pass", sdk_keys: dict[str, str] | None = None) -> None:
        super().__init__()
        self.credentials = {f"{user}:{password}"}
        self.sdk_keys = sdk_keys if sdk_keys is not None else {"sdk/key": "production"}
        self.environments = {"production": "08d5-production", "staging": "08d5-staging"}
        self.notes: set[str] = set()
        self.read_only: set[str] = set()
        self.failed_test_status = 400
        self.settings: dict[str, dict[str, Any]] = {}
        self.values: dict[tuple[str, str], dict[str, Any]] = {}
        self.served: dict[tuple[str, str], dict[str, Any]] = {}
        self.versions = itertools.count(1)
        self.audit: list[dict[str, Any]] = []
        self.may_audit = True

    def add(
        self, key: str, *, tags: tuple[str, ...] = (), kind: str = "boolean", value: Any = True, rules: list[dict[str, Any]] | None = None
    ) -> None:
        """A setting with the same value and rules in ``production`` and ``staging``."""
        number = len(self.settings) + 1
        self.settings[key] = {"settingId": number, "key": key, "name": key.title(), "settingType": kind, "tags": list(tags)}
        for environment in self.environments:
            start = {"defaultValue": {TYPES[kind][0]: value}, "targetingRules": list(rules or []), "percentageEvaluationAttribute": None}
            self.values[environment, key] = {**copy.deepcopy(start), **self._stamp("ann@example.com")}
        self.propagate()

    def set(self, key: str, environment: str = "production", **fields: Any) -> None:
        """A person changes a setting in the web page."""
        with self.lock:
            self._save(environment, key, fields, "ann@example.com", "")

    def _save(self, environment: str, key: str, fields: dict[str, Any], by: str, why: str) -> None:
        stamp = self._stamp(by)
        self.values[environment, key] = {**self.values[environment, key], **fields, **stamp}
        about = {"auditLogType": "Setting value changed", "userEmail": by, "why": why, "actionTarget": key, "where": environment}
        self.audit.append({"auditLogDateTime": stamp["updatedAt"], **about})
        self.wrote()

    def propagate(self) -> None:
        self.served = copy.deepcopy(self.values)

    def _stamp(self, by: str) -> dict[str, Any]:
        version = next(self.versions)
        moment = f"2026-02-01T{version // 60:02}:{version % 60:02}:00Z"
        return {"lastVersionId": f"v-{version:04}", "updatedAt": moment, "lastUpdaterUserEmail": by, "lastUpdaterUserFullName": by.partition("@")[0]}

    def answer(self, call: Call) -> Reply:
        match call.method, call.parts:
            case "GET", ("configuration-files", *key, "config_v6.json"):
                return self._evaluated("/".join(key))
        scheme, _, login = call.headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or base64.b64decode(login).decode() not in self.credentials:
            return Reply(401)
        match call.method, call.parts:
            case "GET", ("v1", "products", product, "environments") if product == PRODUCT:
                found = [
                    {"environmentId": identity, "name": name.title(), "reasonRequired": name in self.notes}
                    for name, identity in self.environments.items()
                ]
                return answered(found, headers=LIMITS)
            case "GET", ("v1", "products", product, "auditlogs") if product == PRODUCT:
                return self._audited(call)
            case "GET", ("v2", "configs", config, "environments", environment, "values") if config == CONFIG:
                return self._listed(environment)
            case "GET" | "PATCH", ("v2", "environments", environment, "settings", number, "value"):
                return self._value(call, environment, number)
        return Reply(404)

    def _named(self, identity: str) -> str | None:
        return next((name for name, each in self.environments.items() if each == identity), None)

    def _listed(self, identity: str) -> Reply:
        environment = self._named(identity)
        if environment is None:
            return Reply(404)
        formulas = [self._formula(environment, key) for key in self.settings]
        about = {"configId": CONFIG, "name": "Main", "evaluationVersion": "v2"}
        place = {"environmentId": identity, "name": environment.title()}
        return answered(
            {"config": about, "environment": place, "readOnly": environment in self.read_only, "settingFormulas": formulas}, headers=LIMITS
        )

    def _formula(self, environment: str, key: str) -> dict[str, Any]:
        setting = {name: value for name, value in self.settings[key].items() if name != "tags"}
        tags = [
            {"settingTagId": 70 + place, "tagId": 70 + place, "name": tag, "color": "panther"} for place, tag in enumerate(self.settings[key]["tags"])
        ]
        return {**copy.deepcopy(self.values[environment, key]), "setting": setting, "settingTags": tags, "settingIdsWherePrerequisite": []}

    def _value(self, call: Call, identity: str, number: str) -> Reply:
        environment = self._named(identity)
        key = next((key for key, setting in self.settings.items() if str(setting["settingId"]) == number), None)
        if environment is None or key is None:
            return Reply(404)
        if call.is_write and (refusal := self._written(call, environment, key)):
            return refusal
        return answered({**self._formula(environment, key), "readOnly": environment in self.read_only}, headers=LIMITS)

    def _written(self, call: Call, environment: str, key: str) -> Reply | None:
        """None once written. 204 where nothing changes."""
        reason = call.query.get("reason", "")
        if environment in self.read_only:
            return Reply(403)
        if environment in self.notes and not reason:
            return answered({"message": "A mandatory note is required to save the changes."}, 400, LIMITS)
        value = self.values[environment, key]
        document = {name: value[name] for name in MODIFIABLE}
        try:
            after = apply(document, call.body)
        except PatchFault as fault:
            return answered({"message": f"The JSON Patch could not be applied: {fault}"}, self.failed_test_status, LIMITS)
        if any(rule.keys() & {"value", "percentageOptions"} == set() for rule in after["targetingRules"]):
            return answered({"message": "A targeting rule must serve something."}, 400, LIMITS)
        if after == document:
            return Reply(204, headers=LIMITS)
        self._save(environment, key, after, "api@example.com", reason)
        return None

    def _audited(self, call: Call) -> Reply:
        """Of one environment, between two moments."""
        if not self.may_audit:
            return Reply(403)
        start, end = (datetime.fromisoformat(call.query[name]) for name in ("fromUtcDateTime", "toUtcDateTime"))
        environment = self._named(call.query["environmentId"])
        found = [each for each in self.audit if each["where"] == environment and start <= datetime.fromisoformat(each["auditLogDateTime"]) <= end]
        return answered(found, headers=LIMITS)

    def _evaluated(self, sdk_key: str) -> Reply:
        environment = self.sdk_keys.get(sdk_key)
        if environment is None:
            return Reply(404)
        return answered({"p": {"u": "", "r": 0}, "f": {key: self._compiled(environment, key) for key in self.settings}}, headers={"ETag": '"1"'})

    def _compiled(self, environment: str, key: str) -> dict[str, Any]:
        value, (long, short, number) = self.served[environment, key], TYPES[self.settings[key]["settingType"]]
        compiled: dict[str, Any] = {"t": number, "v": {short: value["defaultValue"][long]}}
        for rule in value["targetingRules"]:
            options = [{"p": each["percentage"], "v": {short: each["value"][long]}} for each in rule.get("percentageOptions") or ()]
            if options and not rule.get("conditions"):
                # A rule for everybody is no rule of the config JSON: its options stand at the setting.
                compiled["p"] = options
            else:
                compiled.setdefault("r", []).append({"c": [{}], **({"p": options} if options else {"s": {"v": {short: rule["value"][long]}}})})
        return compiled


def rule(value: Any, kind: str = "boolean") -> dict[str, Any]:
    """A targeting rule for one address."""
    where = {"comparisonAttribute": "Email", "comparator": "sensitiveTextEquals", "comparisonValue": {"stringValue": "bob@example.com"}}
    return {"conditions": [{"userCondition": where}], "percentageOptions": [], "value": {TYPES[kind][0]: value}}


def percentages(*shares: tuple[int, Any], kind: str = "boolean") -> dict[str, Any]:
    """A rule for everybody that serves by percentage."""
    return {"conditions": [], "percentageOptions": [{"percentage": share, "value": {TYPES[kind][0]: value}} for share, value in shares]}


def rate_limited(seconds: int = 7) -> Reply:
    return Reply(429, headers={"Retry-After": str(seconds), "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "2026-02-01T00:01:00Z"})
