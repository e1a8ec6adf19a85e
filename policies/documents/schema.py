"""The JSON Schema of the policy document: for editors, which complete keys and show what they mean."""

from typing import TypeAlias

from rollbackd.policies.documents.policy import PolicyDocument

Schema: TypeAlias = "dict[str, Schema] | list[Schema] | str | int | float | bool | None"

ID = "urn:rollbackd:schema:v1:policy"
_EXAMPLE: Schema = {
    "apiVersion": "rollbackd/v1",
    "kind": "RollbackPolicy",
    "metadata": {"name": "checkout"},
    "spec": {
        "mode": "suggest",
        "target": {"kubernetes": {"namespace": "shop", "deployment": "checkout"}},
        "rollback_when": [{"use": "standard"}],
        "remedy": [{"revert": {"to": "known-good"}}],
        "notify": ["oncall"],
    },
}
_FLEET: Schema = {
    "apiVersion": "rollbackd/v1",
    "kind": "RollbackPolicy",
    "metadata": {"name": "web"},
    "spec": {
        "mode": "suggest",
        "select": {"kubernetes": {"labels": {"rollback": "on"}}, "expect": {"min": 50, "max": 400}},
        "rollback_when": [{"use": "standard"}],
        "remedy": [{"revert": {"to": "known-good"}}],
        "notify": {"owner": {"label": "team"}, "fallback": "platform"},
    },
}


def json_schema() -> dict[str, Schema]:
    """JSON Schema 2020-12 of a policy document. What it accepts may still be refused; what it refuses is always refused."""
    made: Schema = PolicyDocument.model_json_schema(by_alias=True)
    made = _tidy(made)
    if not isinstance(made, dict):  # pydantic's schema of a model is an object
        raise TypeError(type(made))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ID, **made, "examples": [_EXAMPLE, _FLEET]}


def _tidy(schema: Schema) -> Schema:
    """Without pydantic's titles and nulls: a key is left out, never null; and an entry may fit two of the kinds that it could be."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
    if "oneOf" in kept:
        kept["anyOf"] = kept.pop("oneOf")
    options = kept.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        kept.pop("anyOf")
        options = [option for option in options if option != {"type": "null"}]
        only = options[0] if len(options) == 1 else {"anyOf": options}
        return _tidy({**only, **kept}) if isinstance(only, dict) else kept
    return {key: _tidy(value) for key, value in kept.items()}
