"""The part of a kubelet that a mounted ConfigMap meets: a switch from one set of files to the next in one rename."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def project(folder: Path, files: Mapping[str, str]) -> None:
    """``folder`` holds these files and no others, as links through ``..data``; a reader sees the old set or the new one behind ``..data``.

    The steps and their order are those of a kubelet: a new folder, a link to it, the rename over ``..data``, then links for what is new,
    and at last what is gone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generations = [int(entry.name.removeprefix("..set_")) for entry in folder.glob("..set_*")]
    fresh = folder / f"..set_{max(generations, default=0) + 1}"
    fresh.mkdir()
    for name, text in files.items():
        (fresh / name).write_text(text)
    (folder / "..data_tmp").symlink_to(fresh.name)
    os.rename(folder / "..data_tmp", folder / "..data")
    shown = {entry.name for entry in folder.iterdir() if not entry.name.startswith("..")}
    for name in files.keys() - shown:
        (folder / name).symlink_to(Path("..data") / name)
    for name in shown - files.keys():
        (folder / name).unlink()
    for generation in generations:
        shutil.rmtree(folder / f"..set_{generation}")
