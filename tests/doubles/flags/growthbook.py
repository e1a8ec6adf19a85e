"""GrowthBook as its REST API documentation (v2) describes it: features with environments and rules, the toggle, reviews, paging, rate limits.

And the SDK endpoint, from which a feature that is off in the environment is missing. There is no precondition: the last toggle wins.
"""

import base64
import copy
import itertools
from typing import Any

from tests.doubles.flags.vendor import Call, Reply, Vendor, answered


class GrowthBook(Vendor):
    """One organisation. ``gated``: environments in which a toggle needs a review, for tokens that may not bypass it; ``readers`` may not write."""

    def __init__(self, token: str = "secret-admin", client_keys: dict[str, str] | None = None) -> None:
        super().__init__()
        self.tokens, self.readers = {token}, set[str]()
        self.client_keys = client_keys if client_keys is not None else {"sdk-abc123": "production"}
        self.environments = ("production", "staging")
        self.gated: set[str] = set()
        self.features: dict[str, dict[str, Any]] = {}
        self.served: dict[str, dict[str, Any]] = {}
        self.minutes = itertools.count(1)

    def add(self, key: str, *, tags: tuple[str, ...] = (), enabled: bool = True, kind: str = "boolean", default: str = "false") -> None:
        """A feature with the same settings in ``production`` and ``staging``, and one rule that serves ``true`` to everybody."""
        environment = {"enabled": enabled, "defaultValue": default}
        self.features[key] = {
            "id": key,
            "dateCreated": "2026-01-01T00:00:00.000Z",
            "dateUpdated": "2026-01-01T00:00:00.000Z",
            "archived": False,
            "description": "",
            "owner": "ann",
            "project": "",
            "valueType": kind,
            "defaultValue": default,
            "tags": list(tags),
            "rules": [{"id": f"fr_{key}", "type": "force", "value": "true", "condition": "{}", "enabled": True, "allEnvironments": True}],
            "environments": {name: dict(environment) for name in self.environments},
            "revision": {"version": 1, "comment": "", "date": "2026-01-01T00:00:00.000Z"},
        }
        self.propagate()

    def set(self, key: str, environment: str = "production", *, enabled: bool) -> None:
        """A person toggles a feature in the web page."""
        with self.lock:
            self._toggle(key, {environment: enabled})

    def _toggle(self, key: str, states: dict[str, bool]) -> None:
        feature = self.features[key]
        if all(feature["environments"][name]["enabled"] == state for name, state in states.items()):
            return
        for name, state in states.items():
            feature["environments"][name]["enabled"] = state
        minute = next(self.minutes)
        feature["dateUpdated"] = f"2026-02-01T{minute // 60:02}:{minute % 60:02}:00.000Z"
        feature["revision"] = {**feature["revision"], "version": feature["revision"]["version"] + 1, "date": feature["dateUpdated"]}
        self.wrote()

    def propagate(self) -> None:
        self.served = copy.deepcopy(self.features)

    def answer(self, call: Call) -> Reply:
        match call.method, call.parts:
            case "GET", ("api", "features", client_key):
                return self._evaluated(client_key)
        if refusal := self._refusal(call):
            return refusal
        match call.method, call.parts:
            case "GET", ("api", "v2", "features"):
                return answered(self._listed(call))
            case "GET", ("api", "v2", "features", key):
                return answered({"feature": self.features[key]}) if key in self.features else _unknown()
            case "POST", ("api", "v2", "features", key, "toggle"):
                return self._toggled(call, key)
        return answered({"message": "Unknown API endpoint"}, 404)

    def _refusal(self, call: Call) -> Reply | None:
        scheme, _, rest = call.headers.get("authorization", "").partition(" ")
        token = base64.b64decode(rest).decode().rstrip(":") if scheme == "Basic" else rest
        if token not in self.tokens | self.readers:
            return answered({"message": "Could not find an API key matching the one provided"}, 401)
        if call.is_write and token in self.readers:
            return answered({"message": "You do not have permission to perform this action"}, 403)
        return None

    def _listed(self, call: Call) -> dict[str, Any]:
        """Archived features are among them; there is no filter by tag."""
        limit, offset = int(call.query.get("limit", "10")), int(call.query.get("offset", "0"))
        limit = min(limit, 100)
        found = [each for each in self.features.values() if call.query.get("projectId") in (None, each["project"])]
        page = found[offset : offset + limit]
        more = offset + limit < len(found)
        place = {"limit": limit, "offset": offset, "count": len(page), "total": len(found)}
        return {"features": page, **place, "hasMore": more, "nextOffset": offset + limit if more else None}

    def _toggled(self, call: Call, key: str) -> Reply:
        if key not in self.features:
            return _unknown()
        states = {name: state in (True, "true", "1", 1) for name, state in call.body["environments"].items()}
        for name in states:
            if name not in self.environments:
                return answered({"message": f"Unknown environment: '{name}'"}, 400)
        if self.gated & states.keys():
            words = "This feature requires a review for kill switch changes and the API key being used does not have permission to bypass reviews."
            return answered({"message": words}, 403)
        self._toggle(key, states)
        return answered({"feature": self.features[key]})

    def _evaluated(self, client_key: str) -> Reply:
        environment = self.client_keys.get(client_key)
        if environment is None:
            return answered({"status": 400, "error": "Invalid API key"}, 400)
        live = {key: each for key, each in self.served.items() if each["environments"][environment]["enabled"] and not each["archived"]}
        features = {key: {"defaultValue": each["defaultValue"] == "true", "rules": [{"force": True}]} for key, each in live.items()}
        return answered({"status": 200, "features": features, "dateUpdated": "2026-01-01T00:00:00.000Z"})


def _unknown() -> Reply:
    return answered({"message": "Could not find a feature with that key"}, 404)


def rate_limited(seconds: int = 7) -> Reply:
    return answered(
        {"message": "Too many requests, limit to 60 per minute"},
        429,
        {"Retry-After": str(seconds), "X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0"},
    )
