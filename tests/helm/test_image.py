"""The Dockerfile and the chart agree, and nothing that is not locked gets in. Its lines are run by .ci/image, which needs root and a network."""

import json
import re
import tomllib
from collections.abc import Iterator

import pytest

from tests.helm.chart import REPO, SMALLEST, Object, only, render

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())
INSTRUCTIONS = [tuple(line.split(maxsplit=1)) for line in (REPO / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]


def said(word: str) -> list[str]:
    return [rest for instruction, rest in INSTRUCTIONS if instruction == word]


def copied() -> Iterator[str]:
    """What is copied out of the repository."""
    for rest in said("COPY"):
        if not rest.startswith("--from"):
            yield from rest.split()[:-1]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Object:
    found: Object = only(render(tmp_path_factory.mktemp("image"), SMALLEST), "StatefulSet")["spec"]["template"]["spec"]
    return found


def test_both_stages_start_from_one_python_by_name_and_version() -> None:
    (base,) = {rest.partition(" ")[0] for rest in said("FROM")}
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)


def test_everything_that_is_fetched_is_checked_against_the_lock() -> None:
    pips = [rest for rest in said("RUN") if re.search(r"\bpip\b.* (wheel|install) ", rest)]
    assert ["--require-hashes" in rest for rest in pips] == [True, False, False, False]
    assert ["--no-index" in rest for rest in pips] == [False, True, True, True]


def test_every_package_is_copied_and_let_through() -> None:
    wanted = {*PROJECT["tool"]["setuptools"]["package-dir"].values(), "pyproject.toml", "requirements.lock", *PROJECT["project"]["license-files"]}
    allowed = {line.removeprefix("!") for line in (REPO / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert wanted <= set(copied()) == allowed
    assert [name for name in copied() if not (REPO / name).exists()] == []


def test_the_image_runs_as_the_user_and_on_the_folders_that_the_chart_names(spec: Object) -> None:
    (container,) = spec["containers"]
    context = spec["securityContext"]
    assert said("USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]
    assert said("WORKDIR")[-1] == container["workingDir"]
    assert {said("VOLUME")[0], container["workingDir"]} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    assert said("EXPOSE") == [str(port["containerPort"]) for port in container["ports"]]


def test_the_entry_point_is_the_command_and_what_it_does_is_what_the_chart_says(spec: Object) -> None:
    (container,) = spec["containers"]
    assert [json.loads(rest) for rest in said("ENTRYPOINT")] == [list(PROJECT["project"]["scripts"])]
    assert (json.loads(said("CMD")[0]), "command" in container) == (container["args"], False)


def test_python_writes_nothing_beside_its_modules() -> None:
    (settings,) = said("ENV")
    assert "PYTHONDONTWRITEBYTECODE=1" in settings.split()


def test_the_c_library_keeps_nothing_by_the_thread() -> None:
    (settings,) = said("ENV")
    assert "GLIBC_TUNABLES=glibc.malloc.tcache_count=0" in settings.split()
