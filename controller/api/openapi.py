"""The OpenAPI 3.1 document of the API, made of the table of calls, the pages and the types of the answers. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from rollbackd.controller.answers.wire import API_VERSION
from rollbackd.controller.api.calls import CALLS, PREFIX, Call
from rollbackd.controller.api.hooks import HOOK, LONGEST_ID
from rollbackd.controller.api.page import PAGES, Page
from rollbackd.controller.api.parameters import Parameter
from rollbackd.controller.journal.codec import Json

Schema = dict[str, Json]
SIMPLE: Mapping[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime: {"type": "string", "format": "date-time"},
    NoneType: {"type": "null"},
    Any: {},
}
REFUSED = {
    400: "It makes no sense: what is missing, unknown or wrong.",
    401: "The token, or the signature, is missing or wrong.",
    403: "The cluster says that this person may not.",
    404: "There is no such policy, target, revision or incident.",
    408: "The body did not come in time.",
    409: "A guard, a pause or the state of things stands against it.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    503: "The journal, the cluster that knows people, or the disk with the pause file does not do its part; a message is being taken. Ask again.",
}
READING = (400, 401, 403, 404, 409, 503)
POSTING = tuple(REFUSED)
SIGNED = (400, 401, 404, 408, 409, 413, 503)
SIGNATURE: Mapping[str, Schema] = {
    "webhook-id": {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{1,{LONGEST_ID}}}$"},
    "webhook-timestamp": {"type": "string", "pattern": "^[0-9]{1,11}$"},
}


def openapi(version: str) -> Schema:
    """The document, for this version of rollbackd."""
    paths: dict[str, Json] = {}
    for call in CALLS:
        _at(paths, f"{PREFIX}{call.path}")[call.method.lower()] = _called(call)
    for page in PAGES:
        _at(paths, page.path)["get"] = _shown(page)
    _at(paths, HOOK.path)["post"] = _hooked()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rollbackd",
            "version": version,
            "description": f"The local API of a rollbackd daemon. While apiVersion is {API_VERSION}, answers may gain fields and lose none.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**_schemas(call.answer for call in CALLS), "Refusal": _refusal()},
            "responses": {str(code): _response(said, {"$ref": "#/components/schemas/Refusal"}) for code, said in REFUSED.items()},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The daemon's token, a person's, or one of the cluster that knows people.",
                },
                "hook": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "webhook-signature",
                    "description": "v1, and the HMAC-SHA256 of id.timestamp.body.",
                },
            },
        },
    }


# --- operations -----------------------------------------------------------------------------------------------------------------------------


def _at(paths: dict[str, Json], path: str) -> dict[str, Json]:
    found = paths.setdefault(path, {})
    assert isinstance(found, dict)  # noqa: S101 - it was put there by this; this is for mypy
    return found


def _called(call: Call) -> Schema:
    name = f"{call.method.lower()}{call.path.title().replace('/', '')}"
    said: Schema = {"operationId": name, "summary": call.about, "responses": _responses(_answer(call.answer), READING)}
    if call.method == "POST":
        return {**said, "requestBody": _body(call.takes), "responses": _responses(_answer(call.answer), POSTING)}
    parameters: list[Json] = [_in_query(each) for each in call.takes]
    return {**said, "parameters": parameters} if parameters else said


def _shown(page: Page) -> Schema:
    content: Json = {page.media: {"schema": {"type": "object" if page.media == "application/json" else "string"}}}
    responses: dict[str, Json] = {"200": {"description": "Here it is.", "content": content}}
    if page.faulty:
        responses["503"] = {"description": page.faulty, "content": content}
    if not page.is_open:
        responses |= _refusals((401, 403, 503))
    said: Schema = {"operationId": f"page{page.path.title().translate(_NO_MARKS)}", "summary": page.about, "responses": responses}
    return {**said, "security": []} if page.is_open else said


def _hooked() -> Schema:
    headers: list[Json] = [{"name": name, "in": "header", "required": True, "schema": schema} for name, schema in SIGNATURE.items()]
    name: Json = {"name": "name", "in": "path", "required": True, "description": "A hook of the config.", "schema": {"type": "string"}}
    return {
        "operationId": "postHook",
        "summary": HOOK.about,
        "security": [{"hook": []}],
        "parameters": [name, *headers],
        "requestBody": _body(HOOK.takes),
        "responses": _responses(_answer(HOOK.answer), SIGNED),
    }


_NO_MARKS = str.maketrans("", "", "/.")


def _in_query(parameter: Parameter[Any]) -> Schema:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_needed,
        "description": parameter.about,
        "schema": _with_default(parameter),
    }


def _body(takes: Sequence[Parameter[Any]]) -> Schema:
    properties: dict[str, Json] = {each.name: {**_with_default(each), "description": each.about} for each in takes}
    needed: list[Json] = [each.name for each in takes if each.is_needed]
    schema: Schema = {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _with_default(parameter: Parameter[Any]) -> Schema:
    default = parameter.default
    if default is None:
        return dict(parameter.schema)
    return {**parameter.schema, "default": list(default) if isinstance(default, tuple) else default}


# --- answers --------------------------------------------------------------------------------------------------------------------------------


def _responses(answer: Schema, codes: Iterable[int]) -> dict[str, Json]:
    return {"200": _response("Done, or here it is.", answer), **_refusals(codes)}


def _refusals(codes: Iterable[int]) -> dict[str, Json]:
    return {str(code): {"$ref": f"#/components/responses/{code}"} for code in codes}


def _response(said: str, schema: Schema) -> Schema:
    return {"description": said, "content": {"application/json": {"schema": schema}}}


def _answer(kind: Any) -> Schema:
    marks: dict[str, Json] = {"apiVersion": {"const": API_VERSION}, "kind": {"const": kind.__name__}}
    return {"allOf": [_schema(kind), {"type": "object", "properties": marks, "required": list(marks)}]}


def _refusal() -> Schema:
    properties: dict[str, Json] = {"error": {"type": "string"}, "hint": {"type": "string"}}
    return {
        "type": "object",
        "description": "What was not done: why, and what to do instead.",
        "properties": properties,
        "required": list(properties),
    }


def _schemas(kinds: Iterable[Any]) -> Schema:
    """The answers by name, and every type that they hold."""
    found: dict[str, Json] = {}
    todo = list(kinds)
    while todo:
        kind = todo.pop()
        if is_dataclass(kind) and isinstance(kind, type):
            if kind.__name__ not in found:
                hints = get_type_hints(kind)
                found[kind.__name__] = _object(kind, hints)
                todo += hints.values()
        else:
            todo += get_args(kind)
    return dict(sorted(found.items()))


def _object(kind: type, hints: Mapping[str, Any]) -> Schema:
    names = [each.name for each in fields(kind)]
    properties: dict[str, Json] = {name: _schema(hints[name]) for name in names}
    return {"type": "object", "description": " ".join((kind.__doc__ or "").split()), "properties": properties, "required": list(names)}


def _schema(kind: Any) -> Schema:
    """How ``plain`` writes a value of this type. Raises TypeError for a type that it has no form for."""
    if kind in SIMPLE:
        return dict(SIMPLE[kind])
    if is_dataclass(kind):
        return {"$ref": f"#/components/schemas/{getattr(kind, '__name__', kind)}"}
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return {"anyOf": [_schema(each) for each in args]}
    if origin is tuple and args[1:] == (...,):
        return {"type": "array", "items": _schema(args[0])}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(args[1])}
    raise TypeError(f"no schema for {kind}")
