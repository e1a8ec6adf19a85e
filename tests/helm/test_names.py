"""The names that a release gives to its objects: Kubernetes takes them, however long, and though they look like numbers."""

from pathlib import Path
from typing import Any

import pytest

from tests.helm.chart import SMALLEST, Object, merged, refusal, render


def test_a_long_release_name_still_makes_names_that_kubernetes_takes(tmp_path: Path) -> None:
    # A pod of a StatefulSet carries the name and a hash in a label of at most 63 characters.
    names = [item["metadata"]["name"] for item in render(tmp_path, SMALLEST, release="r" * 53) if item["kind"] == "StatefulSet"]
    assert [len(name) <= 52 for name in names] == [True]


RIGHTS: Object = {"7": {"deployments": ["8"]}}


@pytest.mark.parametrize(
    ("release", "values"),
    [
        pytest.param("123", {"fullnameOverride": "undo"}, id="release"),
        pytest.param("1e3", {"nameOverride": "7", "fullnameOverride": "null"}, id="all"),
        pytest.param("rollbackd", {"policiesConfigMap": "7"}, id="policies"),
    ],
)
def test_what_looks_like_a_number_is_still_a_name(tmp_path: Path, release: str, values: Object) -> None:
    objects = render(
        tmp_path, merged(merged(SMALLEST, {"replicas": 2, "store": {"url": "postgresql://r@db/r"}, "rights": RIGHTS}), values), release=release
    )
    assert [trail for item in objects for trail in unnamed(item, item["kind"])] == []


@pytest.mark.parametrize(("release", "override"), [pytest.param("123", "", id="release"), pytest.param("rollbackd", "7", id="override")])
def test_a_name_that_no_service_can_have_is_refused(tmp_path: Path, release: str, override: str) -> None:
    said = refusal(tmp_path, merged(SMALLEST, {"fullnameOverride": override}), release=release)
    assert "but a Service's name begins with a letter: set fullnameOverride" in said


def unnamed(part: Any, trail: str) -> list[str]:
    """Where a name, a namespace or a label is no text."""
    if isinstance(part, list):
        return [found for number, item in enumerate(part) for found in unnamed(item, f"{trail}[{number}]")]
    if not isinstance(part, dict):
        is_name = trail.rpartition(" ")[2] in {"name", "namespace", "serviceName"} or " labels " in trail or " matchLabels " in trail
        return [trail] if is_name and not isinstance(part, str) else []
    return [found for key, value in part.items() for found in unnamed(value, f"{trail} {key}")]
