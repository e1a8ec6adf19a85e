"""Flagsmith as its Admin API documentation describes it: projects, environments, tags, features, and the (experimental) endpoint that updates a flag.

With segment overrides, identity overrides (which that endpoint does not touch), change requests that forbid it, paging with ``next``, and the
Flags API of the SDKs, which knows nothing of a write until it has propagated. There is no precondition of any kind: the last writer wins.
"""

import copy
from collections.abc import Mapping
from typing import Any

from tests.doubles.flags.vendor import Call, Reply, Vendor, answered

NONE: Mapping[int, bool] = {}


class _Failure(Exception):
    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(str(detail))
        self.reply = answered({"detail": detail} if isinstance(detail, str) else detail, status)


class Flagsmith(Vendor):
    """One project. ``change_requests``: environments in which a change needs one; ``readers``: keys that may not write.

    ``hidden_from_sdks``: their address knows none of its environments, as one of another region does.
    """

    def __init__(self, project: int = 7, key: str = "api-secret") -> None:
        super().__init__()
        self.project, self.keys, self.readers = project, {key}, set[str]()
        self.environments = {"production": (101, "env-production"), "staging": (102, "env-staging")}
        self.change_requests: set[str] = set()
        self.hidden_from_sdks = False
        self.stateless: set[str] = set()
        self.tags: dict[str, int] = {}
        self.features: dict[str, dict[str, Any]] = {}
        self.served: dict[str, dict[str, Any]] = {}

    def add(self, name: str, *, tags: tuple[str, ...] = (), enabled: bool = True, segments: Mapping[int, bool] = NONE, identities: int = 0) -> None:
        """A flag with the same settings in ``production`` and ``staging``. ``identities``: so many identity overrides, all enabled."""
        state = {
            "environment_default": {"enabled": enabled, "value": {"type": "string", "value": "blue"}, "variants": []},
            "segment_overrides": [
                {"segment": {"id": each}, "priority": place, "enabled": on, "value": {"type": "string", "value": "blue"}, "variants": []}
                for place, (each, on) in enumerate(segments.items())
            ],
        }
        self.features[name] = {
            "id": 1000 + len(self.features),
            "tags": [self.tags.setdefault(tag, 50 + len(self.tags)) for tag in tags],
            "is_archived": False,
            "identities": identities,
            "states": {environment: copy.deepcopy(state) for environment in self.environments},
        }
        self.propagate()

    def set(self, name: str, environment: str = "production", **default: Any) -> None:
        """A person changes the environment default of a flag in the web page."""
        with self.lock:
            self.features[name]["states"][environment]["environment_default"].update(default)
            self.wrote()

    def propagate(self) -> None:
        self.served = copy.deepcopy(self.features)

    def answer(self, call: Call) -> Reply:
        try:
            match call.method, call.parts:
                case "GET", ("api", "v1", "flags"):
                    return self._evaluated(call)
            self._authorised(call)
            match call.method, call.parts:
                case "GET", ("api", "v1", "environments"):
                    return answered(self._paged(call, self._environments(call)))
                case "GET", ("api", "v1", "projects", project, "tags"):
                    self._check_project(project)
                    return answered(
                        self._paged(
                            call,
                            [{"id": number, "label": tag, "color": "#111", "is_permanent": tag == "permanent"} for tag, number in self.tags.items()],
                        )
                    )
                case "GET", ("api", "v1", "projects", project, "features"):
                    self._check_project(project)
                    return answered(self._paged(call, self._listed(call)))
                case "GET" | "PATCH", ("api", "__future__", "environments", key, "features", number):
                    return answered(self._flag(call, key, number))
            raise _Failure(404, "Not found.")
        except _Failure as failure:
            return failure.reply

    def _authorised(self, call: Call) -> None:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if scheme != "Api-Key" or key not in self.keys | self.readers:
            raise _Failure(401, "Authentication credentials were not provided." if not key else "Valid API Key not found.")
        if call.is_write and key in self.readers:
            raise _Failure(403, "You do not have permission to perform this action.")

    def _check_project(self, project: str) -> None:
        if project != str(self.project):
            raise _Failure(404, "Not found.")

    def _paged(self, call: Call, found: list[dict[str, Any]]) -> dict[str, Any]:
        page, size = int(call.query.get("page", "1")), min(int(call.query.get("page_size", "10")), 999)
        if page > 1 and (page - 1) * size >= len(found):
            raise _Failure(404, "Invalid page.")
        rest = {name: value for name, value in call.query.items() if name != "page"}
        query = "&".join(f"{name}={value}" for name, value in {**rest, "page": page + 1}.items())
        after = f"{self.url}/{'/'.join(call.parts)}/?{query}" if page * size < len(found) else None
        return {"count": len(found), "next": after, "previous": None, "results": found[(page - 1) * size : page * size]}

    def _environments(self, call: Call) -> list[dict[str, Any]]:
        if call.query.get("project") != str(self.project):
            return []
        return [
            {
                "id": number,
                "name": name.title(),
                "api_key": key,
                "project": self.project,
                "minimum_change_request_approvals": 1 if name in self.change_requests else None,
                "use_v2_feature_versioning": True,
            }
            for name, (number, key) in self.environments.items()
        ]

    def _listed(self, call: Call) -> list[dict[str, Any]]:
        environment = self._named(number=call.query.get("environment"))
        wanted = {int(tag) for tag in call.query.get("tags", "").split(",") if tag}
        archived = {"true": True, "false": False}.get(call.query.get("is_archived", ""))
        return [
            {
                "id": feature["id"],
                "name": name,
                "type": "STANDARD",
                "tags": feature["tags"],
                "is_archived": feature["is_archived"],
                "num_segment_overrides": feature.get("counted", len(feature["states"][environment]["segment_overrides"])) if environment else None,
                "num_identity_overrides": (feature["identities"] or None) if environment else None,
                "environment_feature_state": _listed_state(feature["states"][environment]["environment_default"])
                if environment and name not in self.stateless
                else None,
            }
            for name, feature in sorted(self.features.items())
            if wanted <= set(feature["tags"]) and archived in (None, feature["is_archived"])
        ]

    def _named(self, *, number: str | None = None, key: str | None = None) -> str | None:
        return next((name for name, (each, api_key) in self.environments.items() if number == str(each) or key == api_key), None)

    def _flag(self, call: Call, key: str, number: str) -> dict[str, Any]:
        environment = self._named(key=key)
        feature = next((each for each in self.features.values() if str(each["id"]) == number), None)
        if environment is None or feature is None:
            raise _Failure(404, "Not found.")
        if call.is_write:
            if environment in self.change_requests:
                detail = "This endpoint cannot be used when change requests are enabled. Use the change request workflow instead."
                raise _Failure(403, detail)
            after = _merged(feature["states"][environment], call.body)
            if after != feature["states"][environment]:
                feature["states"][environment] = after
                self.wrote()
        shown: dict[str, Any] = copy.deepcopy(feature["states"][environment])
        return shown

    def _evaluated(self, call: Call) -> Reply:
        environment = self._named(key=call.headers.get("x-environment-key", ""))
        if environment is None or self.hidden_from_sdks:
            return answered({"detail": "Invalid or missing Environment Key"}, 403)
        flags = []
        for name, feature in self.served.items():
            default = feature["states"][environment]["environment_default"]
            about = {"id": feature["id"], "name": name, "type": "STANDARD"}
            flags.append(
                {"id": feature["id"] * 10, "feature": about, "enabled": default["enabled"], "feature_state_value": default["value"]["value"]}
            )
        return answered(flags)


def _listed_state(default: dict[str, Any]) -> dict[str, Any]:
    """The list shows the environment default only, and its value as SDKs get it."""
    return {"id": 1, "enabled": default["enabled"], "feature_state_value": default["value"]["value"], "multivariate_feature_state_values": []}


def _merged(state: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Attributes that are left out stay; overrides are added or updated by segment, those not listed stay."""
    after = copy.deepcopy(state)
    after["environment_default"].update(changes.get("environment_default", {}))
    known = {override["segment"]["id"]: override for override in after["segment_overrides"]}
    for place, override in enumerate(changes.get("segment_overrides", [])):
        segment = override.get("segment", {}).get("id")
        if segment is None:
            raise _Failure(400, {"segment_overrides": [{"segment": ["This field is required."]}]})
        if segment in known:
            known[segment].update(override)
        else:
            after["segment_overrides"].append({"priority": place, **after["environment_default"], **override})
    after["segment_overrides"].sort(key=lambda override: override["priority"])
    return after


def throttled(seconds: int = 7) -> Reply:
    """As Django REST framework says it; Flagsmith documents no header of its own."""
    return answered({"detail": f"Request was throttled. Expected available in {seconds} seconds."}, 429, {"Retry-After": str(seconds)})
