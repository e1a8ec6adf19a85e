"""The SDK's own model of a service: what Amazon can answer at all."""

from datetime import datetime
from functools import cache
from typing import Any

import botocore.session

from tests.aws.ecs_state import Raw


@cache
def model(service: str) -> Any:
    """The SDK's model of a service."""
    return botocore.session.get_session().get_service_model(service)


def check(service: str, name: str, found: Raw) -> None:
    """Raises AssertionError if Amazon's model has no such answer: a key or a word of an enumeration that it does not know, another type."""
    _check(model(service).operation_model(name).output_shape, found, name)


def _check(shape: Any, value: Any, where: str) -> None:
    match shape.type_name:
        case "structure":
            assert isinstance(value, dict), where
            for key, inner in value.items():
                assert key in shape.members, f"{where}.{key} is not in the service model"
                _check(shape.members[key], inner, f"{where}.{key}")
        case "list":
            assert isinstance(value, list), where
            for inner in value:
                _check(shape.member, inner, f"{where}[]")
        case "string":
            assert isinstance(value, str), where
            assert not shape.enum or value in shape.enum, f"{where}: {value} is not one of {shape.enum}"
        case "timestamp":
            assert isinstance(value, datetime), where
        case "integer" | "long":
            assert isinstance(value, int), where
        case "boolean":
            assert isinstance(value, bool), where
