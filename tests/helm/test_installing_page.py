"""docs/installing.md shows values that Helm takes, and its table has all of them."""

import re
from pathlib import Path

import yaml

from tests.helm.chart import CHART, POLICY, REPO, render

PAGE = (REPO / "docs" / "installing.md").read_text()


def test_the_values_that_are_shown_are_rendered(tmp_path: Path) -> None:
    shown, _ = re.findall(r"^```yaml\n(# values\.yaml\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    kinds = {item["kind"] for item in render(tmp_path, {**yaml.safe_load(shown), "policies": {"checkout": POLICY}})}
    assert kinds == {"ConfigMap", "Role", "RoleBinding", "Service", "ServiceAccount", "StatefulSet"}


def test_the_table_names_every_value() -> None:
    table = {word for line in PAGE.splitlines() if line.startswith("| `") for word in re.findall(r"[`.](\w+)", line.split("|")[1])}
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    nested = {key for name in ("image", "serviceAccount", "persistence", "health", "serviceMonitor", "networkPolicy") for key in values[name]}
    assert (values.keys() | nested) - table == set()
