"""Label selectors as they are written in a query string."""

import re
from collections.abc import Callable, Mapping

from tests.doubles.kube.status import bad_request

_SET = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)$")
_PRESENT = re.compile(r"^(?P<absent>!?)\s*(?P<key>[^\s!=,()]+)$")

Labels = Mapping[str, str]


def parse(selector: str) -> Callable[[Labels], bool]:
    """Whether labels meet every requirement; raises the 400 for what cannot be read."""
    requirements = [_requirement(part.strip()) for part in re.split(r",(?![^(]*\))", selector) if part.strip()]
    return lambda labels: all(holds(labels) for holds in requirements)


def _requirement(text: str) -> Callable[[Labels], bool]:
    if found := _SET.match(text):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        return (lambda labels: labels.get(key) in values) if found["op"] == "in" else (lambda labels: labels.get(key) not in values)
    if found := _EQUAL.match(text):
        key, value = found["key"], found["value"]
        return (lambda labels: labels.get(key) != value) if found["op"] == "!=" else (lambda labels: labels.get(key) == value)
    if found := _PRESENT.match(text):
        key, present = found["key"], not found["absent"]
        return lambda labels: (key in labels) is present
    raise bad_request(f"unable to parse requirement: found '{text}'")
