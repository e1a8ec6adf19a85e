"""The part of helm/values.schema.json that is the daemon's own config: ``python -m tests.helm.schema`` writes it, a test compares it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from rollbackd.controller import config
from rollbackd.controller.config.documents import SOURCE_KINDS, ConfigDocument
from rollbackd.controller.config.flag_vendors import KINDS as FLAG_KINDS
from rollbackd.policies.documents.base import Written

FILE = Path(__file__).parents[2] / "helm" / "values.schema.json"
CHARTS_OWN = ("apiVersion", "kind", "policies", "data_dir", "store", "health")
API_OWN = ("listen", "token_file")
"""What the chart decides: where things lie in the pod, and who can reach it."""
Schema = dict[str, Any]


def written() -> Schema:
    """The schema as it stands in the chart."""
    read: Schema = json.loads(FILE.read_text())
    return read


def renewed(schema: Schema) -> Schema:
    """The same with the daemon's config as the daemon has it today; what was written by hand stays."""
    sources, flags = [_model_of(kind) for kind in SOURCE_KINDS], [kind.document for kind in FLAG_KINDS.values()]
    models = [ConfigDocument, *sources, *flags]
    _, made = models_json_schema([(model, "validation") for model in models], by_alias=True)
    definitions = _tidy(made["$defs"])
    document = definitions.pop("ConfigDocument")
    properties = {key: value for key, value in document["properties"].items() if key not in CHARTS_OWN}
    properties["sources"] = _by_name(properties["sources"], sources)
    properties["flags"] = _by_name(properties["flags"], flags)
    definitions["ApiParts"]["properties"] = {key: value for key, value in definitions["ApiParts"]["properties"].items() if key not in API_OWN}
    del properties["sources"]["minProperties"]  # the template says it in better words, and `helm lint` does without
    mine = {"type": "object", "additionalProperties": False, "description": document["description"], "properties": properties}
    used = json.dumps([mine, definitions])
    kept = {name: value for name, value in sorted(definitions.items()) if f'"#/$defs/{name}"' in used}
    return {**schema, "properties": {**schema["properties"], "config": mine}, "$defs": kept}


def _model_of(kind: str) -> type[BaseModel]:
    """The model that says which keys an entry of this kind has."""
    found = [model for model in _models(Written) if model.__module__.startswith(config.__name__) and kind in _kinds(model)]
    if len(found) != 1:
        raise LookupError(f"expected one model whose `kind` is {kind!r}, found {found}")
    return found[0]


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        yield child
        yield from _models(child)


def _kinds(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("kind")
    return get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()


def _by_name(entries: Schema, models: Sequence[type[BaseModel]]) -> Schema:
    """Entries by name, each of which has the keys of one of these models."""
    entry = {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in models]} if len(models) > 1 else {"$ref": f"#/$defs/{models[0].__name__}"}
    return {**entries, "patternProperties": dict.fromkeys(entries["patternProperties"], entry)}


def _tidy(schema: Any) -> Any:
    """Without pydantic's titles, nulls and defaults: Helm would take a default for a value; and no key but those that fit a pattern."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _tidy(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and not isinstance(value, dict))
    }
    if "patternProperties" in kept:
        kept.setdefault("additionalProperties", False)
    options = [option for option in kept.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        return {**options[0], **{key: value for key, value in kept.items() if key != "anyOf"}}
    return {**kept, "anyOf": options} if options else kept


if __name__ == "__main__":
    FILE.write_text(json.dumps(renewed(written()), indent=2, ensure_ascii=False) + "\n")
