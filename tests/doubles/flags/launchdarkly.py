"""LaunchDarkly as its REST API documentation (version 20240415) describes it: flags, semantic and JSON patches, approvals, audit, limits.

And the polling endpoints of its SDKs, which know nothing of a write until it has propagated. Of semantic patches it knows the four instructions
that a kill switch needs. Not documented, and chosen here: the status of a JSON patch whose ``test`` fails (``failed_test_status``).
"""

import copy
import itertools
from typing import Any

from tests.doubles.flags.vendor import Call, Reply, Vendor, answered
from tests.doubles.kube.jsonpatch import PatchFault, apply

SEMANTIC = "domain-model=launchdarkly.semanticpatch"


class _Failure(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = answered({"code": code, "message": message, "id": "30ce6058-87da-11e4-b116-123b93f75cba"}, status)


class LaunchDarkly(Vendor):
    """One project with its flags. ``approvals``: environments where a change needs one; ``readers``: tokens that may not write."""

    def __init__(self, project: str = "shop", token: str = "api-secret", sdk_keys: dict[str, str] | None = None) -> None:
        super().__init__()
        self.project, self.tokens, self.readers = project, {token}, set[str]()
        self.sdk_keys = sdk_keys if sdk_keys is not None else {"sdk-secret": "production"}
        self.flags: dict[str, dict[str, Any]] = {}
        self.served: dict[str, dict[str, Any]] = {}
        self.audit: list[dict[str, Any]] = []
        self.may_audit = True
        self.approvals: set[str] = set()
        self.failed_test_status = 400
        self.ids = itertools.count(1)
        self.clock = itertools.count(1_770_000_000_000, 1000)

    def add(self, key: str, *, tags: tuple[str, ...] = (), on: bool = True, variations: tuple[Any, ...] = (True, False), off: int | None = 1) -> None:
        """A flag with the same settings in ``production`` and ``staging``: when on it serves the first variation, when off the one at ``off``."""
        environment = {
            "on": on,
            "archived": False,
            "salt": "s",
            "sel": "x",
            "lastModified": next(self.clock),
            "version": 1,
            "targets": [],
            "contextTargets": [],
            "rules": [],
            "fallthrough": {"variation": 0},
            "prerequisites": [],
            "_environmentName": "Production",
            "trackEvents": False,
            "trackEventsFallthrough": False,
        }
        if off is not None:
            environment["offVariation"] = off
        self.flags[key] = {
            "key": key,
            "name": key.title(),
            "kind": "boolean" if all(isinstance(value, bool) for value in variations) else "multivariate",
            "tags": sorted(tags),
            "archived": False,
            "temporary": True,
            "_version": 1,
            "variations": [{"_id": f"{key}-{index}", "value": value, "name": f"Way {index}"} for index, value in enumerate(variations)],
            "environments": {name: copy.deepcopy(environment) for name in ("production", "staging")},
        }
        self.propagate()

    def set(self, key: str, environment: str = "production", by: str = "ann@example.com", **settings: Any) -> None:
        """A person changes a flag in the web page."""
        with self.lock:
            after = copy.deepcopy(self.flags[key])
            after["environments"][environment].update(settings)
            self._save(key, environment, after, {"comment": "", "member": {"email": by}, "titleVerb": "updated the flag"})

    def archive(self, key: str) -> None:
        self.flags[key]["archived"] = True
        self.propagate()

    def propagate(self) -> None:
        self.served = copy.deepcopy({key: flag for key, flag in self.flags.items() if not flag["archived"]})

    def answer(self, call: Call) -> Reply:
        try:
            match call.method, call.parts:
                case "GET", ("sdk", *rest):
                    return self._evaluated(call, rest)
                case "GET", ("api", "v2", "flags", project):
                    self._authorised(call)
                    return answered(self._listed(project, call))
                case "GET", ("api", "v2", "flags", project, key):
                    self._authorised(call)
                    return answered(_shown(self._flag(project, key), call.query.get("env", ""), detailed=True))
                case "PATCH", ("api", "v2", "flags", project, key):
                    self._authorised(call)
                    return answered(self._patched(self._flag(project, key), call))
                case "GET", ("api", "v2", "projects", project, "environments", key) if project == self.project:
                    self._authorised(call)
                    return answered({"key": key, "name": key.title(), "approvalSettings": {"required": key in self.approvals}})
                case "GET", ("api", "v2", "auditlog"):
                    self._authorised(call)
                    if not self.may_audit:
                        raise _Failure(403, "forbidden", "Access to the requested resource was denied")
                    return answered(self._audited(call))
            raise _Failure(404, "not_found", "Unknown resource")
        except _Failure as failure:
            return failure.reply

    def _authorised(self, call: Call) -> None:
        # The token alone: a 'Bearer ' before it makes it another, unknown one.
        token = call.headers.get("authorization", "")
        if token not in self.tokens | self.readers:
            raise _Failure(401, "unauthorized", "Invalid access token")
        if call.is_write and token in self.readers:
            raise _Failure(403, "forbidden", "Access to the requested resource was denied")

    def _flag(self, project: str, key: str) -> dict[str, Any]:
        if project != self.project:
            raise _Failure(404, "not_found", "Unknown project key")
        if key not in self.flags:
            raise _Failure(404, "not_found", "Unknown feature flag key")
        return self.flags[key]

    def _listed(self, project: str, call: Call) -> dict[str, Any]:
        if project != self.project:
            raise _Failure(404, "not_found", "Unknown project key")
        filters = dict(part.split(":", 1) for part in call.query.get("filter", "").split(",") if part)
        limit, offset = min(int(call.query.get("limit", "20")), 100), int(call.query.get("offset", "0"))
        wanted = set(filters.get("tags", "").split("+")) - {""}
        archived = filters.get("state") == "archived"
        found = [flag for flag in self.flags.values() if wanted <= set(flag["tags"]) and flag["archived"] == archived]
        links = {"self": {"href": f"/api/v2/flags/{project}", "type": "application/json"}}
        if offset + limit < len(found):
            links["next"] = {"href": f"/api/v2/flags/{project}?limit={limit}&offset={offset + limit}", "type": "application/json"}
        detailed = call.query.get("summary") == "0"
        page = [_shown(flag, call.query.get("env", ""), detailed=detailed) for flag in found[offset : offset + limit]]
        return {"items": page, "totalCount": len(found), "_links": links}

    def _patched(self, flag: dict[str, Any], call: Call) -> dict[str, Any]:
        body, comment = call.body, ""
        if SEMANTIC in call.headers.get("content-type", ""):
            environment, comment = body.get("environmentKey", ""), body.get("comment", "")
            after = _instructed(flag, environment, body.get("instructions", []))
        else:
            if isinstance(body, dict):
                body, comment = body.get("patch"), body.get("comment", "")
            if not isinstance(body, list):
                raise _Failure(400, "invalid_request", "Unable to parse JSON patch")
            try:
                after = apply(flag, body)
            except PatchFault as fault:
                raise _Failure(self.failed_test_status, "invalid_patch", f"Unable to apply patch: {fault}") from fault
            environment = next((name for name in flag["environments"] if after["environments"].get(name) != flag["environments"][name]), "")
        if environment in self.approvals:
            raise _Failure(405, "method_not_allowed", "Approval is required to make this request")
        if after != flag:
            self._save(flag["key"], environment, after, {"comment": comment, "token": {"name": "rollbackd"}, "titleVerb": "updated the flag"})
        return _shown(self.flags[flag["key"]], environment, detailed=True)

    def _save(self, key: str, environment: str, after: dict[str, Any], entry: dict[str, Any]) -> None:
        if after["environments"].get(environment) == self.flags[key]["environments"][environment]:
            return
        moment = next(self.clock)
        after["environments"][environment]["version"] += 1
        after["environments"][environment]["lastModified"] = moment
        after["_version"] += 1
        self.flags[key] = after
        resource = f"proj/{self.project}:env/{environment}:flag/{key}"
        target = {"resources": [resource], "name": after["name"]}
        self.audit.insert(0, {"_id": f"audit-{next(self.ids)}", "date": moment, "kind": "flag", "name": after["name"], "target": target, **entry})
        self.wrote()

    def _audited(self, call: Call) -> dict[str, Any]:
        """Newest first, at most 20. Of the specifier syntax it knows ``*`` for a word and one tag."""
        limit, after = min(int(call.query.get("limit", "10")), 20), int(call.query.get("after", "0"))
        spec, _, tag = call.query.get("spec", "proj/*:env/*:flag/*").partition(";")
        found = [entry for entry in self.audit if entry["date"] > after and self._meets(entry["target"]["resources"][0], spec, tag)]
        return {"items": found[:limit], "_links": {"self": {"href": "/api/v2/auditlog", "type": "application/json"}}}

    def _meets(self, resource: str, spec: str, tag: str) -> bool:
        words = zip(resource.split(":"), spec.split(":"), strict=True)
        named = all(want in (have, f"{have.split('/')[0]}/*") for have, want in words)
        return named and (not tag or tag in self.flags[resource.rpartition("/")[2]]["tags"])

    def _evaluated(self, call: Call, rest: list[str]) -> Reply:
        environment = self.sdk_keys.get(call.headers.get("authorization", ""))
        if environment is None:
            return answered({"message": "Invalid SDK key"}, 401)
        flags = {key: _raw(flag, environment) for key, flag in self.served.items()}
        match rest:
            case ["latest-flags"]:
                return answered(flags)
            case ["latest-flags", key] if key in flags:
                return answered(flags[key])
            case ["latest-all"]:
                return answered({"flags": flags, "segments": {}})
        return answered({"message": "not found"}, 404)


def _raw(flag: dict[str, Any], environment: str) -> dict[str, Any]:
    settings = flag["environments"][environment]
    kept = {name: settings[name] for name in ("on", "version", "targets", "rules", "fallthrough", "prerequisites", "salt")}
    return {"key": flag["key"], **kept, "offVariation": settings.get("offVariation"), "variations": [each["value"] for each in flag["variations"]]}


def _shown(flag: dict[str, Any], env: str, *, detailed: bool) -> dict[str, Any]:
    """A list item has no targeting unless ``summary=0``, and no environments unless they were asked for."""
    shown = copy.deepcopy(flag)
    wanted = [name for name in env.split(",") if name]
    for name in wanted:
        if name not in flag["environments"]:
            raise _Failure(404, "not_found", f"Unknown environment key '{name}'")
    shown["environments"] = {name: settings for name, settings in shown["environments"].items() if name in wanted or (detailed and not wanted)}
    if not shown["environments"]:
        del shown["environments"]
    for settings in shown.get("environments", {}).values() if not detailed else ():
        for name in ("targets", "contextTargets", "rules", "fallthrough", "prerequisites", "offVariation"):
            settings.pop(name, None)
    return shown


def _instructed(flag: dict[str, Any], environment: str, instructions: list[dict[str, Any]]) -> dict[str, Any]:
    """All or nothing."""
    after = copy.deepcopy(flag)
    settings = after["environments"].get(environment)
    if settings is None:
        raise _Failure(400, "invalid_request", "environmentKey is required")
    places = {each["_id"]: index for index, each in enumerate(flag["variations"])}
    for instruction in instructions:
        match instruction:
            case {"kind": "turnFlagOff"}:
                settings["on"] = False
            case {"kind": "turnFlagOn"}:
                settings["on"] = True
            case {"kind": "updateOffVariation", "variationId": identity} if identity in places:
                settings["offVariation"] = places[identity]
            case {"kind": "updateFallthroughVariationOrRollout", "variationId": identity} if identity in places:
                settings["fallthrough"] = {"variation": places[identity]}
            case _:
                raise _Failure(400, "invalid_request", f"Unknown or invalid instruction {instruction.get('kind')}")
    return after


def rate_limited(seconds: int = 7) -> Reply:
    return answered(
        {"code": "rate_limited", "message": "You've exceeded the API rate limit. Try again later."},
        429,
        {"Retry-After": str(seconds), "X-Ratelimit-Route-Remaining": "0", "X-Ratelimit-Reset": "1770000010000"},
    )
