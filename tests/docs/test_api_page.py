"""What docs/api.md shows is run: its commands in one shell, in their order, against a daemon on loopback."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rollbackd.controller.api.hooks import Hooks
from rollbackd.controller.clock import now
from tests.controller.served import Served
from tests.controller.world import SHOP, World

PAGE = Path("docs/api.md").read_text(encoding="utf-8")
SHELL = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TOOLS = ("bash", "curl", "openssl")
END = "--- end of block ---"


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> list[str]:
    """What each block printed."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("page")
    world = World(folder, at=now())  # the page's messages carry the time of the shell
    world.good("v1")
    world.slot(0)
    (folder / "deploys").write_text("0123456789abcdef0123456789abcdef\n")
    served = Served(world, folder, hooks=Hooks({"deploys": folder / "deploys"}, now))
    places = {"http://127.0.0.1:8080": served.url, "/data/api.token": str(served.token_file), "=/secrets/deploys": f"={folder / 'deploys'}"}
    script = f"\necho; echo '{END}'\n".join(SHELL)
    for written, real in places.items():
        script = script.replace(written, real)
    # The change of the page is too old to be a suspect one day.
    script = script.replace("2026-11-22T14:00:00Z", f"{world.at:%Y-%m-%dT%H:%M:%SZ}")
    ran = subprocess.run(["bash", "-eu", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    served.close()
    world.close()
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.split(f"\n{END}\n")


def document(text: str) -> Any:
    return json.loads(text)


def test_the_status_is_one_document(said: list[str]) -> None:
    assert document(said[0])["kind"] == "Status"


def test_the_change_is_taken_with_what_it_says(said: list[str]) -> None:
    change = document(said[1])
    assert (change["target"], change["revision"], change["is_posted"]) == (SHOP, "2026-11-22.3", True)
    assert change["irreversible"] == "drops the column orders.legacy_id"


def test_the_signed_change_is_taken_and_names_its_hook(said: list[str]) -> None:
    assert document(said[2])["note"] == "https://ci.example/builds/4712 (hook deploys)"


def test_the_pipeline_waits_for_the_verdict(said: list[str]) -> None:
    assert said[3].strip() == "v1 held"


def test_the_refusal_is_the_one_that_is_shown(said: list[str]) -> None:
    assert said[4].strip() == SHOWN[0].strip()
