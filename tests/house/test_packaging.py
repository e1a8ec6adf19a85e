"""What people install is what stands in the repository."""

import subprocess
import sys
import zipfile
from pathlib import Path

REPO = Path(__file__).parents[2]
PARTS = ("policies", "adapters", "controller")


def tracked(*below: str) -> list[str]:
    return subprocess.run(["git", "ls-files", *below], cwd=REPO, check=True, capture_output=True, text=True).stdout.split()


def test_the_wheel_holds_every_module_and_the_library(tmp_path):
    # A copy, so that building leaves nothing in the tree and two runs do not meet.
    source = tmp_path / "source"
    tracked = subprocess.run(
        ["git", "ls-files", *PARTS, "pyproject.toml", "README.md", "LICENSE"], cwd=REPO, check=True, capture_output=True, text=True
    )
    names = tracked.stdout.split()
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((REPO / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"rollbackd/{name}" for name in names if name.split("/")[0] in PARTS and name.endswith((".py", ".yaml", ".typed"))}
    assert wanted - held == set()


def test_no_committed_file_names_a_package_index():
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "proxy.golang" + ".org")
    guilty = [name for name in tracked() if (REPO / name).is_file() and any(host in (REPO / name).read_text(errors="ignore") for host in hosts)]
    assert guilty == []


def test_every_dependency_is_locked_by_hash():
    lines = (REPO / "requirements.lock").read_text().splitlines()
    pinned = [line for line in lines if "==" in line]
    assert len(pinned) > 50
    assert all(line.endswith("\\") for line in pinned)
