"""What the story ships, and how it looks whether that was put back: at the flag file and at the shop, not at what the daemon says."""

import json
import subprocess
from collections.abc import Sequence

from rollbackd.controller.demo import files
from rollbackd.controller.demo.acts import Act
from rollbackd.controller.demo.client import in_shell
from rollbackd.controller.demo.files import Folder, Ports
from rollbackd.controller.demo.narration import Broken
from rollbackd.controller.demo.shop import FLAG


def acts(folder: Folder, ports: Ports) -> tuple[Act, Act]:
    """A bad flag, then a bad version; to be played in this order."""
    deploy = files.deploy_argv("apply", folder, ports, "v2")
    return (
        Act(
            title="1. A bad flag",
            name="bad flag",
            said=f'set flag {FLAG} to "on" in {folder.flags}: a checkout that fails four times out of ten',
            ship=lambda: files.edit_flag(folder, "on"),
            put_back=f'flag {FLAG} stands at "off"',
            is_put_back=lambda: files.flag_variant(folder) == "off",
        ),
        Act(
            title="2. A bad version",
            name="bad version",
            said=f"deploy v2, which fails every third request: {in_shell(deploy)}",
            ship=lambda: _deploy(deploy),
            put_back="the shop serves v1 and is asked for v1",
            is_put_back=lambda: _served(folder, ports) == "v1",
        ),
    )


def _deploy(argv: Sequence[str]) -> None:
    if subprocess.run(argv, check=False, timeout=20).returncode != 0:
        raise Broken("the shop did not take v2")


def _served(folder: Folder, ports: Ports) -> str | None:
    """The version that is asked for, if it also serves."""
    done = subprocess.run(files.deploy_argv("describe", folder, ports), check=True, timeout=20, capture_output=True)
    said = json.loads(done.stdout)
    return str(said["revision"]) if said["ready"] else None
